"""What a precision costs in terms of play: how far the probabilities of the legal moves, the best move, Q and moves left of a back end are from
another's over varied positions, and how much of that is let pass."""
from typing import NamedTuple, Sequence

import numpy as np

from lc0rocm import _core, paths

POSITIONS = 64  # of positions.varied()
_BATCH = 8  # of them at once on a GPU, where larger ones may be computed in other ways


class Cost(NamedTuple):
    """Infinite where an answer is no number."""
    policy: float  # mean of KL(the other's || ours) of the legal moves' probabilities, in nats
    policy_99: float  # what 99 % of positions do not exceed
    moves: float  # share of positions whose best move is another
    q: float  # mean difference
    m: float  # likewise, in plies

    def __str__(self) -> str:
        return (f"policy KL {self.policy:.5f} in the mean and {self.policy_99:.4f} at the 99th percentile, best move the same in "
                f"{100 * (1 - self.moves):.1f} %, Q off by {self.q:.4f}, moves left by {self.m:.2f}")

    def passes(self, most: "Cost") -> bool:
        return all(got <= limit for got, limit in zip(self, most))

    def let_pass(self) -> str:
        """As a limit."""
        return f"KL {self.policy}, the best move another in {self.moves:.0%}, Q off by {self.q}"


INT8 = Cost(0.001, np.inf, 0.05, 0.01, np.inf)  # what is let pass of 8-bit weights and products,
FP8 = INT8._replace(policy=0.004)  # and of those of floating-point numbers


class Tally:
    """Of two back ends' answers as they come."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, ...]] = []  # of each position: divergence, whether the best move is another, differences of q and m

    def add(self, got: paths.Answers, wanted: paths.Answers, legal: Sequence[Sequence[int]]) -> None:
        """legal: policy indices of each position's moves; positions without any are left out."""
        with np.errstate(invalid="ignore"):
            for row, moves in enumerate(legal):
                if moves:
                    p, q = (_log_softmax(np.asarray(answers[0][row], np.float64)[list(moves)]) for answers in (wanted, got))
                    self._rows.append((float(np.sum(np.exp(p) * (p - q))), float(p.argmax() != q.argmax()),
                                       *(abs(float(got[i][row]) - float(wanted[i][row])) for i in (1, 3))))

    def cost(self) -> Cost | None:
        """None of no positions."""
        if not self._rows:
            return None
        divergences, moves, q, m = np.nan_to_num(np.array(self._rows).T, nan=np.inf, posinf=np.inf)
        return Cost(*map(float, (divergences.mean(), np.quantile(divergences, 0.99, method="higher"), moves.mean(), q.mean(), m.mean())))


def cost(backend: _core.Backend, other: _core.Backend, games: Sequence[_core.Game]) -> Cost:
    """Of `backend` beside `other`, in some positions of which one at least has a legal move."""
    tally = Tally()
    sizes = (of.info["best_batch"] if of.info["cpu"] else min(_BATCH, of.info["max_batch"]) for of in (backend, other))
    got, wanted = (paths.evaluate(of, paths.planes(of, games), size) for of, size in zip((backend, other), sizes))
    tally.add(got, wanted, [game.policy_indices(other.info["input_format"]) for game in games])
    found = tally.cost()
    assert found
    return found


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max()
    return x - np.log(np.exp(x).sum())
