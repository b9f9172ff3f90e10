"""Whether a GPU may evaluate a network, and how fast it does: found out by examine.py in a child process before anybody plays with it,
and remembered. What the child dies of costs nobody a game.

A verdict lasts as long as its cause: with the files of ROCm, the network and the options; where nothing works for a day, and not at
all where memory was short or an option is wrong."""
import hashlib
import os
import threading
import time
from typing import Callable, NamedTuple

from lc0rocm.gpu import child, remember, rocm
from lc0rocm._core import Error
from lc0rocm.report import Progress

VERDICTS = "rocm-probes.json"  # a file of remember.py
_PATIENCE_S = 180  # for one step: MIOpen compiles kernels for seconds each
_FAILURE_S = 86400
TUNE_S = 30.0  # for ways of computing, at the first use; `lc0rocm tune` takes as long as it needs
# What is left out when a probe fails, one try after the other: hipBLASLt ends processes most often.
_WITHOUT = ((), ("hipblaslt",), ("hipblaslt", "rocblas"), rocm.LIBRARIES)


class Verdict(NamedTuple):
    why_not: str  # "" if it may play
    shunned: list[str]  # libraries it may not call
    notes: list[str]  # one sentence for each library that was taken away
    errors: dict[str, float]  # the worst of each output, as examine.py says
    speed: dict[str, float]  # positions a second by batch size, on one thread; empty unless measured
    threads: dict[str, float]  # the same at the best of these sizes by number of threads
    when: float  # time.time()


class Subject(NamedTuple):
    """What is probed."""
    backend: str  # rocm or rocm-fp16
    weights: str  # file
    heads: list[str]  # policy, value
    options: dict  # BackendOptions of that back end
    device: rocm.Device

    @property
    def title(self) -> str:
        """For people."""
        return self.backend + (f" with weights={weights}" if (weights := self.options.get("weights")) else "")

    @property
    def key(self) -> str:
        parts = rocm.load().identity, self.backend, _fingerprint(self.weights), *self.heads, self.device, self.options
        return "/".join(map(str, parts))


class Wish(NamedTuple):
    """How much is found out."""
    measure: bool  # speed too
    tune_s: float | None = 0.0  # seconds for ways of computing; None: until all are measured
    most: int = 256  # largest batch that is tuned


def known(subject: Subject) -> Verdict | None:
    """What was found out before and is believed still."""
    kept = remember.recall(VERDICTS).get(subject.key)
    verdict = Verdict(**kept) if kept and set(kept) == set(Verdict._fields) else None
    return None if verdict and verdict.why_not and time.time() - verdict.when > _FAILURE_S else verdict


def probe(subject: Subject, wish: Wish, tell: Callable[[Progress], None], stop: threading.Event | None = None) -> Verdict:
    """The verdict, from disk if the same was asked before. Raises Error for a wrong option, child.Stopped after stop.set()."""
    verdict = known(subject)
    is_tuned = wish.tune_s == 0 or (wish.tune_s is not None and remember.read(rocm.PLANS) != "")
    if verdict and (verdict.why_not or (is_tuned and (verdict.speed or not wish.measure))):
        return verdict
    return _Probing(subject, wish, tell, stop).run()


_LOADING = "first use of this network"  # its first stage


class _Probing:
    """The tries of one probe; what they have found out is on disk at any time."""

    def __init__(self, subject: Subject, wish: Wish, tell, stop):
        self.subject, self.wish, self.tell, self.stop = subject, wish, tell, stop
        self.partial = subject.key + "/partial"
        empty: dict = {"reasons": [], "errors": {}, "speed": {}}
        self.found = empty | remember.recall(VERDICTS).get(self.partial, {})  # reasons: why each try failed
        self.stage, self.since = "", 0.0

    def run(self) -> Verdict:
        reasons = self.found["reasons"]
        for without in _WITHOUT[len(reasons):]:
            request = {"backend": self.subject.backend, "weights": self.subject.weights, "heads": self.subject.heads,
                       "options": self.subject.options, "without": without, **self.wish._asdict(), **self.found}
            self._hear({"stage": _LOADING, "done": 0, "total": 1})
            answer, why_not = child.call("lc0rocm.gpu.examine", "examine", request, _PATIENCE_S, self._hear, self.stop)
            if isinstance(answer, str):  # no library is to blame
                why_not = answer
            if why_not.startswith("back-end option "):
                raise Error(why_not)
            if not why_not:
                return self._keep(Verdict("", list(without), self._notes(without), answer["errors"], answer["speed"], answer["threads"], time.time()))
            if "hipErrorOutOfMemory" in why_not:
                return Verdict(why_not + "; it is tried again the next time", [], [], {}, {}, {}, time.time())
            reasons.append(why_not)
            if isinstance(answer, str):
                break
            self._remember({"reasons": reasons, "errors": {}, "speed": {}})
        return self._keep(Verdict(reasons[0] + rocm.suspicion(), [], [], {}, {}, {}, time.time()))

    def _notes(self, without: tuple[str, ...]) -> list[str]:
        return [f"{self.subject.title} does without {', '.join(without)}: {self.found['reasons'][0]}"] if without else []

    def _hear(self, news: dict) -> None:
        if "kept" in news:
            self._remember(news["kept"])
            return
        if news["stage"] != self.stage:
            if self.stage == _LOADING:
                self._tell(1, 1)
            self.stage, self.since = news["stage"], time.monotonic()
        self._tell(news["done"], news["total"])

    def _tell(self, done: int, total: int) -> None:
        self.tell(Progress(f"GPU {self.subject.device.index} {self.subject.title}: {self.stage}", done, total, time.monotonic() - self.since))

    def _remember(self, found: dict) -> None:
        self.found |= found
        remember.remember(VERDICTS, self.partial, self.found)

    def _keep(self, verdict: Verdict) -> Verdict:
        remember.remember(VERDICTS, self.subject.key, verdict._asdict(), instead_of=self.partial)
        return verdict


def _fingerprint(path: str) -> str:
    """Changes with the file, without reading all of it: size, time of change and both ends."""
    part = 2**20
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        digest = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns} ".encode() + file.read(part))
        file.seek(max(part, stat.st_size - part))
        digest.update(file.read(part))
    return digest.hexdigest()[:16]
