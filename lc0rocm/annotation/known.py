"""What is known of positions without a search: an opening book's moves, and what endgame tables say."""
from __future__ import annotations

import os
from typing import Any

import chess
import chess.polyglot

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.engine import scores

_WORDS = {2: "win", 1: "cursed win", 0: "draw", -1: "blessed loss", -2: "loss"}  # by the tables' number
_ENTRY_BYTES = 16


class Book:
    """An opening book in Polyglot's format. Raises Error for a file that is none."""

    def __init__(self, path: str):
        try:
            size = os.path.getsize(path)
            if not size or size % _ENTRY_BYTES:
                raise Error(f"{path} is no opening book in Polyglot's format (.bin)")
            self._reader = chess.polyglot.open_reader(path)
        except OSError as error:
            raise Error(f"cannot read the book {path}: {error.strerror or error}") from None

    def has(self, board: chess.Board, move: chess.Move) -> bool:
        return any(entry.move == move for entry in self._reader.find_all(board))


def by_tables(tables: _core.Tables, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer about a position, as White sees it, with the tables' value in place of the search's where they have one, and with the word
    for that as `tables`, else None."""
    if answer.get("game_over") or chess.popcount(chess.Board(answer["fen"]).occupied) > tables.largest:
        return answer | {"tables": None}
    number = tables.wdl(answer["fen"])
    if number is None:
        return answer | {"tables": None}
    if answer["fen"].split()[1] == "b":
        number = -number
    q = (number > 1) - (number < -1)  # a win that the 50-move rule ends is a draw
    score = answer["score"]
    if not q or score.get("mate", 0) * q <= 0:
        score = {"cp": int(scores.centipawns(q))}
    return answer | {"q": float(q), "wdl": [float(q > 0), float(q == 0), float(q < 0)], "score": score, "tables": _WORDS[number]}
