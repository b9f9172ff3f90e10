"""What people of a rating would have played: the policy of a net that learned from their games."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lc0rocm import _core, loading, strength
from lc0rocm.options import Settings


class Choice(NamedTuple):
    """In a position. move: the likeliest, castling as king takes rook; probability: its own; of_played: that of the move that was played."""
    move: str
    probability: float
    of_played: float


class People:
    """who: a rating, the name of a net or its file. Raises Error where there is no such net."""

    def __init__(self, who: str, settings: Settings):
        weights = strength.net_of_people(int(who)) if who.isdecimal() else who
        loaded = loading.load_backend(weights, settings["Backend"], settings["BackendOptions"])
        self.path = loaded.net.path if loaded.net else None
        self.messages = loaded.messages
        self._backend, self._fill = loaded.backend, settings["HistoryFill"]

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
