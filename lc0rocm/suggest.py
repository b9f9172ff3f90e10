"""The end of a benchmark: which number of threads and which minibatch make this machine search fastest, and how much that gains."""
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

from lc0rocm import report, results

_WORTH = 0.02  # a gain below that is no reason to change anything


class Setting(NamedTuple):
    threads: int
    minibatch: int


Speeds = Sequence[float]  # nodes a second of each position


class Advice(NamedTuple):
    start: Setting  # what the defaults mean here
    best: Setting
    gain: results.Gain
    tried: dict[Setting, Speeds]

    def __str__(self) -> str:
        rows = [[setting.threads, setting.minibatch, round(sum(speeds) / len(speeds)),
                 "" if setting == self.start else str(results.paired(self.tried[self.start], speeds))] for setting, speeds in sorted(self.tried.items())]
        text = report.table(["Threads", "MinibatchSize", "nodes/s", "against the defaults"], rows) + "\n\n"
        if self.best == self.start:
            return text + f"Recommended: the defaults, here Threads {self.start.threads} and MinibatchSize {self.start.minibatch}: nothing was surely faster."
        return text + (f"Recommended: Threads {self.best.threads}, MinibatchSize {self.best.minibatch}: {self.gain} nodes a second.\n"
                       f"The line for lc0rocm.config: --threads={self.best.threads} --minibatch-size={self.best.minibatch}")

    def json(self) -> dict[str, Any]:
        return {"defaults": self.start._asdict(), "best": self.best._asdict(), "gain": self.gain.times, "noise": self.gain.noise,
                "tried": [{**setting._asdict(), "nps": list(speeds)} for setting, speeds in self.tried.items()]}


def climb(measure: Callable[[Setting], Speeds], start: Setting, threads: Sequence[int], minibatches: Sequence[int]) -> Advice:
    """From `start` by one value at a time of either list as long as that is surely faster and worth it. Of what is equally fast it so stays
    nearest to the defaults: more threads and larger batches look at the tree as it was longer ago, and a node is then worth less."""
    axes = {"threads": sorted({*threads, start.threads}), "minibatch": sorted({*minibatches, start.minibatch})}
    tried = {start: measure(start)}
    best, before = start, None
    while best != before:
        before = best
        for axis, values in axes.items():
            for step in (1, -1):
                while 0 <= (index := values.index(getattr(best, axis)) + step) < len(values):
                    setting = best._replace(**{axis: values[index]})
                    if setting not in tried:
                        tried[setting] = measure(setting)
                    gain = results.paired(tried[best], tried[setting])
                    if not (gain.is_sure and gain.times > 1 + _WORTH):
                        break
                    best = setting
    return Advice(start, best, results.paired(tried[start], tried[best]), tried)
