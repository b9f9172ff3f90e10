"""One client's UCI: a tree, options and a position of its own, on a back end that all clients share. What names files of this machine, and what
would take memory or processors from other clients, is the server's."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lc0rocm.engine.play import Player
from lc0rocm.engine.run import Voice
from lc0rocm.engine.shared import Shared, SharedBackEnd
from lc0rocm.engine.uci import Uci, Writer, pattern
from lc0rocm.option import Option
from lc0rocm.options import ENGINE, Settings

FIXED = ("LogFile", "ConfigFile", "WeightsFile", "Backend", "BackendOptions", "UCI_LimitStrength", "SyzygyPath", "RamLimitMb")


class Limits(NamedTuple):
    """Of one client. ram_mb: tree and cache together; seconds: of a search; threads: of a search."""
    ram_mb: int
    seconds: float
    threads: int


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
