"""The two sides of a match: a net with options of ours, or a UCI engine of any kind."""
from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lc0rocm import _core, files, loading, report, strength
from lc0rocm._core import Error
from lc0rocm.engine import play
from lc0rocm.engine.shared import Shared
from lc0rocm.games.limit import Limit
from lc0rocm.games.ours import Ours
from lc0rocm.games.player import Player
from lc0rocm.match.foreign import Foreign
from lc0rocm.netfile import fetch
from lc0rocm.options import ENGINE, Settings, cache_positions


class Side(NamedTuple):
    """identity: what decides how it plays, for JSON; threads: of a search; batch: positions that its back end likes to evaluate together,
    0 for one that shares with no one; make: a player, for one game at a time."""
    name: str
    limit: Limit
    identity: dict[str, Any]
    threads: int
    batch: int
    plays_chess960: bool
    make: Callable[[], Player]


def pairs(text: str, whose: str) -> dict[str, str]:
    """NAME=VALUE NAME=VALUE, those with spaces in quotes. Raises Error."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Error(f"{whose}: {error}") from None
    for word in words:
        if "=" not in word:
            raise Error(f"{whose} is like 'CPuct=2 Threads=1', with quotes around what has spaces; '{word[:60]}' has no =")
    return {name.strip(): value for name, _, value in (word.partition("=") for word in words)}


class BackEnds:
    """Those that are loaded: sides with the same net share one."""

    def __init__(self) -> None:
        self._shared: dict[tuple[str, str, str], Shared] = {}
        self.messages: list[str] = []

    def get(self, weights: str, backend: str, options: str) -> Shared:
        key = weights, backend, options
        if key not in self._shared:
            with report.stages() as tell:
                loaded = loading.load_backend(*key, unplayable=True, tell=tell)
            self._shared[key] = Shared(loaded)
            self.messages += loaded.messages
        return self._shared[key]


def side(what: str, name: str, options: Mapping[str, str], limit: Limit, base: Settings, backs: BackEnds, silence_s: float) -> Side:
    """what: a net as WeightsFile names one, "" for that of `base`, or the command line of a program; base: the values of our options before
    these. Raises Error."""
    if command := _program(what):
        return _foreign(command, name, options, limit, silence_s)
    return _ours(what, name, options, limit, base, backs)


def _program(what: str) -> list[str]:
    """The words of a command line; none if it is not a program's. Nets may be marked as executable: file systems of other systems do that."""
    try:
        words = shlex.split(what)
    except ValueError:
        return []
    path = shutil.which(os.path.expanduser(words[0])) if words else None
    if not path:
        return []
    try:
        with open(path, "rb") as file:
            return [path, *words[1:]] if file.read(4)[:2] in (b"\x7fE", b"#!") else []
    except OSError:
        return [path, *words[1:]]


def _foreign(command: list[str], name: str, options: Mapping[str, str], limit: Limit, silence_s: float) -> Side:
    trial = Foreign(command, options, name, silence_s)
    try:
        called = report.printable(name or _called(trial.name, options))
        return Side(called, limit, {"command": command, "options": dict(options), "limit": str(limit)}, trial.threads, 0,
                    trial.plays_chess960(), lambda: Foreign(command, options, called, silence_s))
    finally:
        trial.close()


def _ours(what: str, name: str, options: Mapping[str, str], limit: Limit, base: Settings, backs: BackEnds) -> Side:
    settings = Settings(ENGINE)
    settings.values |= {key: value for key, value in base.values.items() if key in settings.values}
    if what:
        settings.values["WeightsFile"] = os.path.expanduser(what)
        if not os.path.exists(settings["WeightsFile"]) and what not in fetch.nets():
            raise Error(f"'{what[:100]}' is no net, neither a file nor one that lc0rocm nets lists, and '{what.split()[0][:60]}' no program that can be run")
    for key, value in options.items():
        option = settings.option(key)
        if not option:
            raise Error(f"there is no option '{key[:60]}' of ours; `lc0rocm options` lists them")
        settings.set(option, value)
    play.check_settings(settings)
    limited = strength.of(settings)
    shared = backs.get(limited.weights if limited else settings["WeightsFile"], settings["Backend"], settings["BackendOptions"])
    net, info = shared.loaded.net, shared.loaded.backend.info
    cache = _core.Cache(cache_positions(settings))
    values = {option.key: settings[option.key] for option in ENGINE if not option.alias and settings[option.key] != option.default
              and option.name not in ("WeightsFile", "NNCacheSize", "RamLimitMb", "LogFile", "ConfigFile")}
    identity = {"net": files.sha256(net.path) if net else None, "options": values, "limit": str(limit)}
    name = report.printable(name or _called(net.path.name.split(".pb")[0] if net else shared.name, options))
    return Side(name, limit, identity, settings["Threads"] or info["threads"], info["best_batch"], True,
                lambda: Ours(name, settings, shared, cache, limit.is_timed))


def _called(what: str, options: Mapping[str, str]) -> str:
    return " ".join([what, *(f"{name}={value}" for name, value in options.items())])


def text(side: Side) -> str:
    """A line about a side for people."""
    return f"{side.name}: {side.limit}" + (f", {side.threads} threads" if side.threads > 1 else "")
