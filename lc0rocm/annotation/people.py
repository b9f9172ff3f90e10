"""What people of a rating would have played: the policy of a net that learned from their games."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lc0rocm import _core, loading, report, strength


class Choice(NamedTuple):
    """In a position. move: the likeliest, castling as king takes rook; probability: its own; of_played: that of the move that was played."""
    move: str
    probability: float
    of_played: float


def find(who: str) -> tuple[str, str]:
    """The file of the net of a rating, of that name or of that path, and a line about it. Raises Error where there is none."""
    with report.stages() as tell:
        return loading.find_network(strength.net_of_people(int(who)) if who.isdecimal() else who, tell=tell)


class People:
    """By the net of a file, on a back end of these options. Raises Error."""

    def __init__(self, path: str, backend: str, backend_options: str, history_fill: str):
        self._backend, self._fill = loading.load_backend(path, backend, backend_options).backend, history_fill

    def choices(self, fen: str, moves: Sequence[str]) -> list[Choice]:
        """Before each of the moves of a game, in UCI's notation with castling as king takes rook."""
        texts = [f"{fen} moves {' '.join(moves[:ply])}" if ply else fen for ply in range(len(moves))]
        inputs = _core.Inputs(texts, self._backend.info["input_format"], self._fill)
        policy = self._backend.policies(inputs, 1.0)[0].tolist() if moves else []
        first, game, found = inputs.first_move.tolist(), _core.Game(fen), []
        for move, begin, end in zip(moves, first, first[1:]):
            shares = dict(zip(game.legal_moves(), policy[begin:end]))
            best = max(shares, key=lambda legal: shares[legal])
            found.append(Choice(best, shares[best], shares[move]))
            game.push(move)
        return found
