"""One game from its start to its end."""
from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from lc0rocm import _core
from lc0rocm.engine.request import Position
from lc0rocm.games.limit import Clock, Limit, request
from lc0rocm.games.player import Fault, Found, Player
from lc0rocm.games.verdict import BLACK_WINS, WHITE_WINS, Judge, on_the_board


class Start(NamedTuple):
    """Where a game begins. moves: of the opening, castling as king takes rook; name: of the opening, if it has one."""
    fen: str = _core.STARTPOS
    moves: tuple[str, ...] = ()
    chess960: bool = False
    name: str = ""


class Played(NamedTuple):
    """A move of a game. clock_s: the mover's after it, with its increment; None without a clock."""
    found: Found
    elapsed_s: float
    clock_s: float | None


class Game(NamedTuple):
    """A game that is over. moves: those after the opening's; ending: CRASH, ILLEGAL, SILENT or TIME of the side that has lost, "adjudication", or ""
    for one that ended on the board; reason: a few words for people."""
    start: Start
    moves: list[Played]
    result: str
    ending: str
    reason: str


def play(start: Start, players: Sequence[Player], limits: Sequence[Limit], judge: Judge | None = None, margin_ms: float = 0) -> Game:
    """players, limits: White's and Black's; judge: who ends it early, of this game alone; margin_ms: that a move may come too late. Raises Error
    where the game cannot go on."""
    game = _core.Game(start.fen, start.moves)
    words, moves = list(start.moves), list[Played]()
    clocks = Clock(limits[0]), Clock(limits[1])
    judge = judge or Judge()
    side = int(game.black_to_move)
    try:
        for side in (0, 1):
            players[side].new_game(start.chess960)
        while True:
            if end := on_the_board(game) or judge.verdict(game):
                return Game(start, moves, end.result, end.ending, end.reason)
            side = int(game.black_to_move)
            asked = request(clocks, side)
            begin = time.monotonic()
            found = players[side].find(Position(start.fen, tuple(words), game.copy()), asked)
            elapsed = time.monotonic() - begin
            clocks[side].moved(elapsed, margin_ms)
            game.push(found.move)
            words.append(found.move)
            moves.append(Played(found, elapsed, clocks[side].left_s))
            judge.hear(side, found)
    except Fault as fault:
        return Game(start, moves, (BLACK_WINS, WHITE_WINS)[side], fault.kind, f"{players[side].name} {fault}")
