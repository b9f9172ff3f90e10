"""One client's UCI: a tree, options and a position of its own, on a back end that all clients share. What names files of this machine, and what
would take memory or processors from other clients, is the server's."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.engine.backend import BackEnd
from lc0rocm.engine.play import Player
from lc0rocm.engine.run import Voice
from lc0rocm.engine.uci import Uci, Writer, pattern
from lc0rocm.loading import Loaded
from lc0rocm.option import Option
from lc0rocm.options import ENGINE, Settings

FIXED = ("LogFile", "ConfigFile", "WeightsFile", "Backend", "BackendOptions", "UCI_LimitStrength", "SyzygyPath", "RamLimitMb")


class Limits(NamedTuple):
    """Of one client. ram_mb: tree and cache together; seconds: of a search; threads: of a search."""
    ram_mb: int
    seconds: float
    threads: int


class Shared:
    """The back end of all: what many ask for at the same time is one batch. If it fails, the CPU takes its place once, for all."""

    def __init__(self, loaded: Loaded):
        self._lock = threading.Lock()
        self.messages = loaded.messages
        self._is_cpu = loaded.backend.name == "cpu"
        self.loaded = loaded._replace(backend=_core.Backend("multiplexing", None, {"shared": loaded.backend}))

    def instead_of(self, failed: Loaded) -> Loaded:
        """Raises Error where there is no other way to go on."""
        with self._lock:
            if self.loaded is failed:
                if failed.network is None or self._is_cpu:
                    raise Error("the search has ended early: no other back end can go on with it")
                cpu = _core.Backend("cpu", failed.network, {})
                self._is_cpu = True
                self.loaded = failed._replace(backend=_core.Backend("multiplexing", None, {"shared": cpu}))
            return self.loaded


class SharedBackEnd(BackEnd):
    """What a player has in place of a back end of its own."""

    def __init__(self, shared: Shared, send: Callable[[Sequence[str]], None]):
        self._shared, self._send = shared, send
        self._loaded: Loaded | None = None
        self.when_better = self.when_dropped = lambda: None

    def get(self) -> Loaded:
        if self._loaded is None:
            self._send(["info string " + message for message in self._shared.messages])
        self._loaded = self._shared.loaded
        return self._loaded

    def better(self) -> Loaded:
        return self.get()

    def prepare(self, patience_s: float) -> Loaded:
        return self.get()

    def new_game(self) -> None:
        """Of one client: what all share stays as it is."""

    def fall_back(self) -> Loaded:
        assert self._loaded
        self._loaded = self._shared.instead_of(self._loaded)
        self._send([f"info string going on with back end cpu on {self._loaded.backend.info['device']}"])
        return self._loaded

    def close(self) -> None:
        """It is not this client's."""


class Session(Uci):
    """defaults: what the server's command line set, by name."""
    _COMMANDS = {name: act for name, act in Uci._COMMANDS.items() if name not in ("savetree", "loadtree")}
    _COMMAND = pattern(_COMMANDS)

    def __init__(self, shared: Shared, limits: Limits, defaults: dict, output: Writer):
        batch = shared.loaded.backend.info["best_batch"]
        settings = Settings(tuple(_limited(option, limits, batch) for option in ENGINE))
        settings.values |= {key: value for key, value in defaults.items() if key in settings.values}
        settings.values |= {"RamLimitMb": limits.ram_mb, "Threads": min(max(1, settings["Threads"]), limits.threads),
                            "MinibatchSize": min(settings["MinibatchSize"], batch), "LogFile": "", "ConfigFile": ""}
        super().__init__(settings, show_hidden=False, output=output)
        self.player = Player(Voice(settings, self.send, self.log), SharedBackEnd(shared, self.send), limits.seconds)

    def listed(self) -> Sequence[Option]:
        return [option for option in super().listed() if option.name not in FIXED]

    def set_option(self, option: Option, value: str) -> None:
        if option.name not in FIXED:
            super().set_option(option, value)
        elif option.parse(value) != self.settings.value(option):
            self.send([f"info string {option.name} is the server's: it stays as it is"])


def _limited(option: Option, limits: Limits, batch: int) -> Option:
    if option.name == "Threads":
        return option._replace(low=1, high=limits.threads, default=1)
    return option._replace(high=batch) if option.name == "MinibatchSize" else option
