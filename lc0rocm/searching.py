"""The Python API's searches: Engine, and what it tells."""
from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import chess

from lc0rocm import _core, arguments, saved_tree, tables
from lc0rocm.arguments import Position
from lc0rocm.evaluating import Network
from lc0rocm.options import cache_positions, search_parameters, tree_values


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of play that a search found, seen by the side to move at its start.

    moves: at least one; q: win - loss of the first move, -1..1; wdl: its probabilities; moves_left: plies to the end of the game after
    it, as the network guesses; visits: of the first move; proven: q is the result and not a guess.
    """
    moves: list[chess.Move]
    q: float
    wdl: tuple[float, float, float]
    moves_left: float
    visits: int
    proven: bool


@dataclasses.dataclass(frozen=True)
class SearchUpdate:
    """How a search stands. lines: the best first, as many as multipv asks for; nodes: visits of the root, reused ones included; depth,
    seldepth: average and greatest, plies; time: seconds since it started."""
    lines: list[Line]
    nodes: int
    depth: int
    seldepth: int
    time: float


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found, seen by the side to move.

    best_move: None if the game is over; ponder: the reply that is expected. q: win - loss of the best move, -1..1, or of the end of
    the game; wdl: its probabilities; pv: the line that begins with it; nodes: visits of the root, reused ones included; visits: of every
    legal move, most visited first; stopped_by: nodes, time, depth, smart_pruning, kld, ram or stop; lines: the best first, beginning with
    pv, as many as multipv asks for. tbhits: answers of endgame tables; by_tables: they chose the moves that were searched, or prove the
    best one.
    """
    best_move: chess.Move | None
    ponder: chess.Move | None
    q: float
    wdl: tuple[float, float, float]
    pv: list[chess.Move]
    nodes: int
    visits: dict[chess.Move, int]
    stopped_by: str
    lines: list[Line] = dataclasses.field(default_factory=list)
    tbhits: int = 0
    by_tables: bool = False


_WATCH_S = 0.05  # how soon Ctrl-C acts


class Engine:
    """Searches with a network. A search of a position that follows the previous one goes on with its tree. Threads that use one engine
    at the same time take turns. A forked process has to make its own.

    options: any option of the search by its UCI name, for example {"CPuct": 2.0, "Threads": 2}; see docs/options.md.
    Raises Error for an unknown option, a value out of range or an option of the network; warns of those that have no effect here.
    """

    def __init__(self, network: Network, options: Mapping[str, Any] | None = None):
        if not isinstance(network, Network):
            raise _core.Error(f"an engine searches with an lc0rocm.Network, not {type(network).__name__}")
        if not isinstance(options, (Mapping, type(None))):
            raise _core.Error(f'the options of an engine are a dictionary like {{"Threads": 2}}, not {type(options).__name__}')
        given = {"HistoryFill": network.history_fill} | {str(name): value for name, value in (options or {}).items()}
        self._parameters, values = search_parameters(given)
        self._search = _core.Search()
        self._search.set_backend(network.backend, values["HistoryFill"], values["PolicyTemperature"], cache_positions(values))
        if found := tables.open_tables(values["SyzygyPath"]):
            self._search.set_tables(found)
            for problem in found.take_problems():
                warnings.warn(problem, stacklevel=2)
        self._made_of, self._network = tree_values(values), (network.info.path, network.heads)
        self._at: tuple[str, list[str], bool] = (_core.STARTPOS, [], False)  # the position of the tree, and whether it is Chess960
        self._turn = threading.RLock()
        self._in_use = self._stopped = False
        self._process = os.getpid()

    def __reduce__(self) -> NoReturn:
        raise _core.Error("an engine cannot be copied or sent to another process; make an lc0rocm.Engine there")

    def new_game(self) -> None:
        """Forgets the tree and the cached evaluations."""
        with self._use():
            self._search.clear()

    def save(self, path: str | os.PathLike[str]) -> None:
        """The tree of the last search into a file. Raises Error if it cannot be written."""
        with self._use():
            saved_tree.write(arguments.path_of(path), saved_tree.Saved(*self._at[:2], self._tree_made_of(), self._at[2], self._search.save()))

    def load(self, path: str | os.PathLike[str]) -> chess.Board:
        """Goes on with a tree that was saved. Returns the position of its last search, with the moves before it.

        Raises Error for a file that is damaged or no tree, and for a tree of another network or of other options."""
        with self._use():
            path = arguments.path_of(path)
            saved = saved_tree.read(path, self._tree_made_of())
            try:
                self._search.set_position(saved.fen, saved.moves)
                self._search.load(saved.tree)
                board = chess.Board(saved.fen, chess960=bool(saved.extra))
                for move in saved.moves:
                    board.push_uci(move)
            except (_core.Error, ValueError, TypeError) as error:
                self._search.clear()
                raise _core.Error(f"{path}: {error}") from None
            self._at = saved.fen, saved.moves, board.chess960
            return board

    def _tree_made_of(self) -> dict[str, Any]:
        return self._made_of | {"network": saved_tree.network_hash(*self._network)}

    def stop(self) -> None:
        """Ends the search that runs, with what it has found; for callbacks and other threads. Without one it does nothing."""
        if self._in_use:
            self._stopped = True  # it may be about to begin
            self._search.stop()

    def search(self, board: Position, *, nodes: int | None = None, time: float | None = None, depth: int | None = None,
               searchmoves: chess.Move | str | Iterable[chess.Move | str] | None = None, multipv: int | None = None,
               on_update: Callable[[SearchUpdate], object] | None = None) -> SearchResult:
        """Searches until the first limit is reached: visits of the root, seconds, or average depth. time=math.inf searches until
        stop().

        multipv: how many lines to report. on_update: called in this thread when the search has something new to say; what it raises
        ends the search. Ctrl-C ends the search at once, with KeyboardInterrupt.

        Raises Error without a limit, for wrong arguments, for impossible searchmoves, and if the back end fails.
        """
        board = arguments.board_of(board)
        limits = arguments.limits_of(nodes, time, depth)
        if on_update is not None and not callable(on_update):
            raise _core.Error(f"on_update is a function of one argument, not {type(on_update).__name__}")
        given = arguments.several(() if searchmoves is None else searchmoves, (str, chess.Move), "searchmoves are chess.Move objects or text")
        if wanted := [arguments.move_of(board, move) for move in given]:
            limits["searchmoves"] = [board.uci(move, chess960=True) for move in wanted]
        parameters = self._parameters
        if multipv is not None:
            parameters = parameters | {"MultiPV": arguments.integer("multipv", multipv, 1, 500)}
        start, board = arguments.start_and_moves(board), board.copy(stack=False)  # the caller's may change meanwhile
        with self._use():
            try:
                self._search.set_position(*start)
                self._at = *start, board.chess960
                self._search.start(parameters, limits)
                if self._stopped:
                    self._search.stop()
                while self._search.running:
                    update = self._search.wait(_WATCH_S, board.chess960)
                    if update and on_update:
                        on_update(_update_of(update))
                return self._result(board)
            finally:
                self._search.stop()

    def _result(self, board: chess.Board) -> SearchResult:
        result = self._search.result(board.chess960)
        *moves, root = self._search.move_stats()
        if not result["best_move"]:
            q, wdl = (-1.0, (0.0, 0.0, 1.0)) if board.is_check() else (0.0, (0.0, 1.0, 0.0))
            return SearchResult(None, None, q, wdl, [], root["visits"], {}, result["stopped_by"])
        update = self._search.update(board.chess960)
        lines = _update_of(update).lines
        best = lines[0]
        ponder = chess.Move.from_uci(result["ponder"]) if result["ponder"] else None
        return SearchResult(best.moves[0], ponder, best.q, best.wdl, best.moves, root["visits"],
                            {board.parse_uci(s["move"]): s["visits"] for s in reversed(moves)}, result["stopped_by"], lines,
                            update["tbhits"], update["tables_chose"] or update["pvs"][0]["terminal"] == "tablebase")

    @contextlib.contextmanager
    def _use(self) -> Iterator[None]:
        """While it is this thread's turn. Raises Error for what Python calls in between: callbacks, handlers of signals, __del__."""
        if os.getpid() != self._process:
            self._search.stop()  # raises the Error that says what to do; the lock may be taken for ever
        with self._turn:
            if self._in_use:
                raise _core.Error("a callback, or a handler of a signal, cannot use the engine that is at work, but for stop(); "
                                  "take another lc0rocm.Engine")
            try:
                self._stopped, self._in_use = False, True
                yield
            finally:
                self._in_use = False


def _update_of(update: _core.Update) -> SearchUpdate:
    lines = []
    for pv in update["pvs"]:
        w, d, l = (min(max(share, 0.0), 1.0) for share in ((1 + pv["wl"] - pv["d"]) / 2, pv["d"], (1 - pv["wl"] - pv["d"]) / 2))
        lines.append(Line([chess.Move.from_uci(move) for move in pv["moves"]], pv["wl"], (w, d, l), pv["m"], pv["visits"],
                          bool(pv["terminal"])))
    return SearchUpdate(lines, update["nodes"], update["depth"], update["seldepth"], update["time_ms"] / 1000)
