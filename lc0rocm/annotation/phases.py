"""Opening, middlegame and endgame: where one ends and the next begins.

Lichess's rule, without its third sign of a middlegame, how mixed the pieces stand (github.com/lichess-org/scalachess, Divider): it is an
endgame with six pieces or fewer, pawns and kings apart; before that a middlegame with ten or fewer, or when a side has fewer than four men
left on its first rank. A game does not go back."""
from __future__ import annotations

import chess

PHASES = ("opening", "middlegame", "endgame")


class Phases:
    """Of one game."""

    def __init__(self) -> None:
        self._latest = 0

    def of(self, board: chess.Board) -> str:
        """Of its next position."""
        self._latest = max(self._latest, _phase(board))
        return PHASES[self._latest]


def _phase(board: chess.Board) -> int:
    pieces = chess.popcount(board.occupied & ~board.pawns & ~board.kings)
    if pieces <= 6:
        return 2
    return int(pieces <= 10 or any(chess.popcount(board.occupied_co[side] & rank) < 4 for side, rank in (
        (chess.WHITE, chess.BB_RANK_1), (chess.BLACK, chess.BB_RANK_8))))
