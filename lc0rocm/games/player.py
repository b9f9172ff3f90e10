"""Who plays a side of a game, and what is known of each of its moves."""
from __future__ import annotations

from typing import NamedTuple, Protocol

from lc0rocm.engine.request import Position, Request

CRASH, ILLEGAL, SILENT, TIME = "crash", "illegal move", "no answer", "time"  # how a side may lose beside the board


class Fault(Exception):
    """A player has lost the game otherwise than on the board. kind: CRASH, ILLEGAL, SILENT or TIME; the text says what happened."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


class Found(NamedTuple):
    """A move, castling as king takes rook, and what is expected of it by the side that moves. score: ("cp", n) or ("mate", n); None: not
    told."""
    move: str
    score: tuple[str, int] | None = None
    depth: int | None = None
    nodes: int | None = None


class Player(Protocol):
    """Plays one game after the other, either side, one at a time."""
    name: str

    def new_game(self, chess960: bool) -> None:
        """What it knew of the last one is forgotten. Raises Fault."""

    def find(self, position: Position, request: Request) -> Found:
        """A move of the side to move, which has one. Raises Fault, and Error for what is no player's doing: then the match cannot go on."""

    def close(self) -> None:
        """From any thread; find() ends soon, and raises whatever it likes."""
