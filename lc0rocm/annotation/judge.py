"""What the evaluations of a game's positions say of its moves and of its players."""
from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import chess.pgn

# What a move has cost of the points that could be expected, by lichess's measure.
INACCURACY, MISTAKE, BLUNDER = 0.05, 0.10, 0.15
WORDS = {chess.pgn.NAG_DUBIOUS_MOVE: "Inaccuracy", chess.pgn.NAG_MISTAKE: "Mistake", chess.pgn.NAG_BLUNDER: "Blunder"}


class Verdict(NamedTuple):
    """Of a move. loss: of the expected points, 0 to 1, that the best move would have kept; nag: None for a good one."""
    loss: float
    nag: int | None

    @property
    def word(self) -> str:
        return WORDS[self.nag].lower() if self.nag else ""


def expected(answer: dict[str, Any], white: bool) -> float:
    """Points that a side can expect from a position, 0 to 1. answer: of an analysis, as White sees it."""
    return (1 + answer["q"] * (1 if white else -1)) / 2


def judge(before: dict[str, Any], after: dict[str, Any], move: str, white: bool) -> Verdict:
    """A move between two positions. What was the best move costs nothing."""
    loss = max(0.0, expected(before, white) - expected(after, white)) if move != before["best_move"] else 0.0
    nag = next((nag for least, nag in ((BLUNDER, chess.pgn.NAG_BLUNDER), (MISTAKE, chess.pgn.NAG_MISTAKE), (INACCURACY, chess.pgn.NAG_DUBIOUS_MOVE))
                if loss >= least), None)
    return Verdict(loss, nag)


def accuracy(losses: Sequence[float]) -> float | None:
    """0 to 100, of a player's moves: lichess's accuracy of each, and of these the mean of the arithmetic and the harmonic mean. None
    without any."""
    if not losses:
        return None
    each = [min(100.0, max(1.0, 103.1668 * math.exp(-4.354 * loss) - 3.1669)) for loss in losses]
    return (statistics.fmean(each) + statistics.harmonic_mean(each)) / 2
