"""One game of a network against itself, and the records of it."""
from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import chess

from lc0rocm import _core, tables
from lc0rocm._core import Error
from lc0rocm.engine.request import Position, Request
from lc0rocm.games import play
from lc0rocm.games.limit import Limit
from lc0rocm.games.play import Start
from lc0rocm.games.player import Fault, Found
from lc0rocm.games.verdict import ADJUDICATION, BLACK_WINS, WHITE_WINS, Adjudication, Judge
from lc0rocm.match.openings import Openings
from lc0rocm.options import core_parameters, search_settings
from lc0rocm.selfplay import records

_RESIGNS = "resigns"


class Setup(NamedTuple):
    """How games are played. openings: a file, or ""; plies: of an opening, or of random moves; resign: percent of the points that could be
    expected, below which a side gives up from that move on, but in playthrough percent of the games nobody does."""
    options: dict[str, Any]
    visits: int
    openings: str
    shuffled: bool
    plies: int
    seed: int
    games: int
    chess960: bool
    resign: float
    playthrough: float
    earliest: int
    max_moves: int

    def starts(self) -> Openings | None:
        """Raises Error for a file that is none."""
        if not self.openings and not self.plies:
            return None
        return Openings(self.openings, self.shuffled, self.seed, self.plies, self.chess960, self.games)


class Played(NamedTuple):
    """data: of the file of records; facts: what else is to be known of the game."""
    data: bytes
    facts: Mapping[str, Any]


class Shared:
    """What the games of a process have in common."""

    def __init__(self, backend: _core.Backend, setup: Setup):
        self.setup, self.starts = setup, setup.starts()
        self.backend = backend if backend.name == "multiplexing" else _core.Backend("multiplexing", None, {"shared": backend})
        settings, self.remarks = search_settings(setup.options, "self-play", ("UCI_Chess960", "SyzygyPath"))
        self.values, self.parameters = settings.values, core_parameters(settings, 0) | {"RamLimitMb": 0}
        self.cache = _core.Cache(settings["NNCacheSize"])
        self.tables = tables.open_tables(settings["SyzygyPath"])

    def start(self, number: int, dice: random.Random) -> Start:
        if self.starts:
            return self.starts[number]
        if self.setup.chess960:
            return Start(chess.Board.from_chess960_pos(dice.randrange(960)).fen(), (), True)
        return Start()


class Learner:
    """Both sides of a game, and what a training learns of each of its positions. For one thread."""
    name = "lc0rocm"

    def __init__(self, shared: Shared):
        self._shared, self._is_closed = shared, False
        self.records: list[Any] = []
        self.may_resign = False
        self._search = _core.Search()
        values = shared.values
        self._search.set_backend(shared.backend, values["HistoryFill"], values["PolicyTemperature"], shared.cache)
        self._search.set_tables(shared.tables)

    def new_game(self, chess960: bool) -> None:
        self.records = []

    def find(self, position: Position, request: Request) -> Found:
        shared, game = self._shared, position.game
        self._search.set_position(position.fen, position.moves, keep=False)  # noise is for a root that is new
        self._search.start(shared.parameters, {"nodes": request.nodes})
        if self._is_closed:
            self._search.stop()
        move = self._search.result()["best_move"]
        if self._is_closed:
            raise Error("the games have been stopped")
        found = records.record(game, shared.backend, shared.values["HistoryFill"], self._search.move_stats(), move)
        self.records.append(found)
        if self.may_resign and game.ply >= 2 * shared.setup.earliest and 50 * (found["best_q"][0] + 1) < shared.setup.resign:
            raise Fault(_RESIGNS, _RESIGNS)
        return Found(move, nodes=request.nodes)

    def close(self) -> None:
        self._is_closed = True
        self._search.stop()


class Table:
    """Where one thread plays a game after the other."""

    def __init__(self, shared: Shared):
        self._shared, self._learner = shared, Learner(shared)

    def work(self, number: int) -> tuple[int, Played]:
        """The game of that number: its opening is always the same."""
        setup, dice = self._shared.setup, random.Random(f"{self._shared.setup.seed} {number}")
        start = self._shared.start(number, dice)
        self._learner.may_resign = dice.random() * 100 >= setup.playthrough
        limit = Limit(nodes=setup.visits)
        game = play.play(start, (self._learner, self._learner), (limit, limit), Judge(Adjudication(most_moves=setup.max_moves)))
        white = {WHITE_WINS: 1, BLACK_WINS: -1}.get(game.result, 0)
        found = records.finish(self._learner.records, white, game.ending == ADJUDICATION, game.ending in (ADJUDICATION, _RESIGNS))
        moves = [played.found.move for played in game.moves]
        return number, Played(records.pack(found), {"result": game.result, "reason": game.reason, "positions": len(found), "fen": start.fen,
                                                    "opening": " ".join(start.moves), "moves": " ".join(moves)})

    def close(self) -> None:
        self._learner.close()
