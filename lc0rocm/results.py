"""Results to share: with what was measured goes all that decides it, so that two files can be compared later, elsewhere."""
import datetime
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from lc0rocm import files
from lc0rocm._commit import COMMIT
from lc0rocm._version import VERSION
from lc0rocm.gpu import machine, rocm
from lc0rocm.loading import Loaded
from lc0rocm.options import Settings


def context(settings: Settings, loaded: Loaded) -> dict[str, Any]:
    """Program, network, back end, machine and options, as JSON has them. What is not known is null."""
    here, path = machine.look(), loaded.net.path if loaded.net else None
    gpus: list[dict[str, Any]] = [card._asdict() for card in here.cards]
    libraries: dict[str, str] = {}
    if "lc0rocm._rocm" in sys.modules:  # this process uses it
        devices = rocm.load().devices
        gpus = [device._asdict() for device in devices] or gpus
        found = machine.libraries([file for file in rocm.files() if file.startswith("/")], [])
        libraries = {library.name: library.version for library in found}
    return {"version": VERSION, "commit": COMMIT or None, "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "python": platform.python_version(), "os": machine.distribution(), "kernel": here.system, "container": here.container or None,
            "cpu": machine.processor(), "processors": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 2), "gpus": gpus,
            "driver": here.driver or None, "rocm": here.roots[0][1] if here.roots else None, "libraries": libraries, "variables": here.variables,
            "backend": loaded.backend.name, "device": loaded.backend.info["device"],
            "network": {"name": path.name, "sha256": files.sha256(path)} if path else None,
            "options": {option.key: settings[option.key] for option in settings.options if not option.alias}}


class Gain(NamedTuple):
    """How many times as fast, and how far the truth may be from that: two standard errors, None where that is not known."""
    times: float
    noise: float | None

    def __str__(self) -> str:
        return f"{100 * (self.times - 1):+.1f} %" + ("" if self.noise is None else f" +- {100 * self.noise:.1f} %")

    @property
    def is_sure(self) -> bool:
        return self.noise is not None and abs(self.times - 1) > self.noise


def paired(before: Sequence[float], after: Sequence[float]) -> Gain:
    """Of speeds at the same things, one by one."""
    logs = [math.log(b / a) for a, b in zip(before, after) if a > 0 and b > 0]
    if not logs:
        return Gain(1.0, None)
    times = math.exp(statistics.fmean(logs))
    return Gain(times, times * 2 * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else None)
