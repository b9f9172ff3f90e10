"""The paths of a back end: each batch size of info["sizes"] may be computed in a way of its own, plainly at first and then from a graph.
A search meets a position in batches of any size, so how far its answers may differ by that is a bar of its own."""
from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np

from lc0rocm import _core

POSITIONS = 8  # that each path evaluates

Answers = Sequence[Any]  # arrays: policy (positions, 1858), q, d and m (positions)


class Bar(NamedTuple):
    """Allowed difference of policy logits, as a share of their range in a position, and of q and d. Tests are stricter; this finds what is
    broken, in nets of any kind."""
    policy: float
    value: float


_BETWEEN = {False: Bar(0.002, 0.002), True: Bar(0.03, 0.02)}  # by info["half"]


def between(backend: _core.Backend) -> Bar:
    """For two batch sizes of it. What is in 8 bits in one may be in half precision in the other, where that was measured to be faster."""
    bar = _BETWEEN[backend.info["half"]]
    times = next((times for kind, times in (("int8", 3), ("fp8", 6)) if f"{kind} products" in backend.info["device"]), 1)
    return Bar(bar.policy * times, bar.value * times)


class Difference(NamedTuple):
    worst: float  # infinite for what is no number
    of_allowed: float  # where that share is largest


def planes(backend: _core.Backend, games: Sequence[_core.Game]) -> list[Any]:
    """Masks and values (games, 112), as this back end takes them."""
    return [np.stack(part) for part in zip(*(game.planes(backend.info["input_format"]) for game in games))]


def batch(arrays, size: int) -> Answers:
    """The positions repeated, to be so many."""
    return [np.resize(part, (size, *part.shape[1:])) for part in arrays]


def evaluate(backend: _core.Backend, planes, size: int) -> Answers:
    """All positions, in batches of that size: in several, or repeated to fill one."""
    count = max(size, len(planes[0]))
    whole = batch(planes, count)
    parts = [backend.evaluate(*(part[at:at + size] for part in whole)) for at in range(0, count, size)]
    return [np.concatenate(part) for part in zip(*parts)]


def run(backend: _core.Backend, planes, sizes: list[int]) -> Iterator[tuple[int, Answers]]:
    """Each size twice, plainly and from its graph."""
    for size in sizes:
        for _ in range(2):
            yield size, evaluate(backend, planes, size)


def compare(got: Answers, wanted: Answers, bar: Bar) -> dict[str, Difference]:
    """The worst of each output. wanted: of the positions that `got` repeats."""
    policy, q, d, m = batch(wanted, len(got[0]))
    with np.errstate(invalid="ignore"):
        spread = policy.max(1) - policy.min(1)
        differences = {"policy": np.abs(got[0] - policy).max(1) / np.maximum(spread, 1e-6), "q": np.abs(got[1] - q), "d": np.abs(got[2] - d),
                       "m": np.abs(got[3] - m)}
    limits = {"policy": bar.policy, "q": bar.value, "d": bar.value, "m": 1 + bar.policy * m}
    return {output: Difference(*(float(np.nan_to_num(x, nan=np.inf).max()) for x in (difference, difference / limits[output])))
            for output, difference in differences.items()}
