"""The Python API: evaluate positions with a network, search with an engine. docs/python.md tells it by examples."""
from __future__ import annotations

import dataclasses
import logging
import math
import os
import pathlib
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import chess
import numpy as np
from numpy.typing import NDArray

from lc0rocm import _core
from lc0rocm.loading import Loaded, load_backend
from lc0rocm.options import search_parameters
from lc0rocm.report import as_lines

_log = logging.getLogger("lc0rocm")  # hears why the first use of a GPU takes long

Position = Union[chess.Board, str]
"""A board, whose move stack is its history, or the text of a FEN, which "moves e2e4 ..." may follow."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a network says of n positions, each seen by its side to move.

    policy: (n, 1858) float32, raw logits in the net's own move order and frame (docs/spec/networks.md 6.1).
    q: (n,) float32, win - loss, -1..1.
    wdl: (n, 3) float32, probabilities of win, draw and loss; nets without a WDL head give no draws.
    moves_left: (n,) float32, plies to the end of the game; 0 from nets without that head.
    """
    policy: NDArray[np.float32]
    q: NDArray[np.float32]
    wdl: NDArray[np.float32]
    moves_left: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.q)


@dataclasses.dataclass(frozen=True)
class NetworkInfo:
    """What is known of a network and of what evaluates it.

    name: of its file, without the folder; path: of the file, None for back ends that take no network, as the next ones are empty then.
    parameters: how many weights it has. input_format: 1 to 5, 132 or 133 (docs/spec/networks.md 3).
    wdl, moves_left: whether these outputs mean anything. policy_heads, value_heads: those that the file has, by the names that the
    back-end options policy_head and value_head take. description: all of `lc0rocm describe`, section -> label -> value.
    backend: its name; device: what it runs on; max_batch: positions that are evaluated at once.
    """
    name: str
    path: pathlib.Path | None
    parameters: int
    input_format: int
    wdl: bool
    moves_left: bool
    policy_heads: tuple[str, ...]
    value_heads: tuple[str, ...]
    description: dict[str, dict[str, Any]]
    backend: str
    device: str
    max_batch: int


class Network:
    """A network loaded into a back end. May be used by many threads at once, but not by a forked process, which has to load its own.

    weights: an Lc0 net, .pb or .pb.gz; None takes the net that comes with the package.
    backend: auto, or one of `lc0rocm backends`.
    backend_options: as the UCI option BackendOptions, for example "threads=1" or "policy_head=soft".
    history_fill: how missing history is made up: fen_only, no or always.

    Positions are boards, whose move stacks are their histories, or FEN text; where a method takes several, one alone will do, and so
    will anything that yields them. Of a game, moves are looked at as far back as the network can see.

    Raises Error for a file that is no network, and for a back end that cannot run here.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None, backend: str = "auto", *, backend_options: str = "",
                 history_fill: str = "fen_only"):
        for name, text in (("backend", backend), ("backend_options", backend_options), ("history_fill", history_fill)):
            if not isinstance(text, str):
                raise _core.Error(f"{name} is text, not {type(text).__name__}")
        try:
            path = "" if weights is None else os.fsdecode(weights)
        except TypeError:
            raise _core.Error(f"weights is the path of a network file, not {type(weights).__name__}") from None
        loaded = load_backend(path, backend, backend_options, tell=as_lines(_log.warning))
        self._backend: _core.Backend | None = loaded.backend
        self.history_fill = history_fill
        self._inputs([])  # raises Error unless history_fill is one that there is
        self.messages = loaded.messages
        """What loading had to say: which back end was taken and why."""
        self.info = _network_info(loaded, backend_options)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the weights; the object is of no use afterwards. Engines made from it keep working."""
        self._backend = None

    @property
    def backend(self) -> _core.Backend:
        if self._backend is None:
            raise _core.Error("this network is closed; make a new lc0rocm.Network")
        return self._backend

    def evaluate(self, boards: Position | Iterable[Position]) -> Evaluation:
        """Evaluates any number of positions.

        Raises Error for a position or a move that standard chess and Chess960 do not allow, and for outputs that are no numbers.
        """
        return Evaluation(*self.backend.evaluate(self._inputs(boards)))

    def planes(self, boards: Position | Iterable[Position]) -> NDArray[np.float32]:
        """The network's input, (n, 112, 8, 8) float32: plane, rank, file, seen by the side to move (docs/spec/networks.md 3)."""
        return self._inputs(boards).planes

    def policy(self, board: Position, temperature: float = 1.0) -> dict[chess.Move, float]:
        """The probability of each legal move, likeliest first: softmax of logit / temperature. At temperature 0 the best move has
        all of it. Empty if the game is over. Raises Error for a temperature below 0."""
        return self.policies([board], temperature)[0]

    def policies(self, boards: Position | Iterable[Position], temperature: float = 1.0) -> list[dict[chess.Move, float]]:
        """policy() of many positions in one call."""
        inputs = self._inputs(boards, moves=True)
        shares = self.backend.policies(inputs, _number("temperature", temperature)).tolist()
        return [dict(sorted(zip(moves, shares[first:first + len(moves)]), key=lambda item: -item[1]))
                for first, moves in zip(inputs.first_move.tolist(), _legal_moves(inputs))]

    def move_indices(self, boards: Position | Iterable[Position]) -> list[dict[chess.Move, int]]:
        """Where Evaluation.policy holds the logit of each legal move, for each of the positions."""
        inputs = self._inputs(boards, moves=True)
        indices = inputs.indices.tolist()
        return [dict(zip(moves, indices[first:first + len(moves)]))
                for first, moves in zip(inputs.first_move.tolist(), _legal_moves(inputs))]

    def move_to_index(self, board: Position, move: chess.Move | str) -> int:
        """Where Evaluation.policy holds the logit of this move. Raises Error if it is not legal."""
        board = _board(board)
        return self.move_indices([board])[0][_move(board, move)]

    def index_to_move(self, board: Position, index: int) -> chess.Move:
        """The legal move whose logit Evaluation.policy holds there. Raises Error if no legal move has that place."""
        for move, place in self.move_indices([board])[0].items():
            if place == index:
                return move
        raise _core.Error(f"no legal move has policy index {index!r} in this position")

    def _inputs(self, boards: Position | Iterable[Position], moves: bool = False) -> _core.Inputs:
        boards = _several(boards, (str, chess.Board), "positions are chess.Board objects or FEN text")
        return _core.Inputs(boards, self.backend.info["input_format"], self.history_fill, moves)


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
    pv, as many as multipv asks for.
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


_WATCH_S = 0.05  # how soon Ctrl-C acts
_MOST_VISITS = 4_000_000_000  # of the core


class Engine:
    """Searches with a network. A search of a position that follows the previous one goes on with its tree. Threads that use one engine
    at the same time take turns. A forked process has to make its own.

    options: any option of the search by its UCI name, for example {"CPuct": 2.0, "Threads": 2}; see docs/options.md.
    Raises Error for an unknown option, a value out of range, and an option that has no effect here.
    """

    def __init__(self, network: Network, options: Mapping[str, Any] | None = None):
        if not isinstance(network, Network):
            raise _core.Error(f"an engine searches with an lc0rocm.Network, not {type(network).__name__}")
        if not isinstance(options, (Mapping, type(None))):
            raise _core.Error(f'the options of an engine are a dictionary like {{"Threads": 2}}, not {type(options).__name__}')
        options = {str(name): value for name, value in (options or {}).items()}
        self._parameters, values = search_parameters(options)
        fill = values["HistoryFill"] if "historyfill" in map(str.lower, options) else network.history_fill
        self._search = _core.Search()
        self._search.set_backend(network.backend, fill, values["PolicyTemperature"], values["NNCacheSize"])
        self._turn = threading.Lock()
        self._user: int | None = None  # the thread whose turn it is
        self._process = os.getpid()

    def new_game(self) -> None:
        """Forgets the tree and the cached evaluations."""
        self._check_caller()
        with self._turn:
            self._search.clear()

    def stop(self) -> None:
        """Ends the search that runs, with what it has found; for callbacks and other threads. Without one it does nothing."""
        if self._user is not None:
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
        board = _board(board)
        limits = _limits(nodes, time, depth)
        if on_update is not None and not callable(on_update):
            raise _core.Error(f"on_update is a function of one argument, not {type(on_update).__name__}")
        if wanted := [_move(board, move) for move in _several(searchmoves or (), (str, chess.Move), "searchmoves are chess.Move objects or text")]:
            limits["searchmoves"] = [board.uci(move, chess960=True) for move in wanted]
        parameters = self._parameters
        if multipv is not None:
            parameters = parameters | {"MultiPV": _integer("multipv", multipv, 1, 500)}
        start = start_and_moves(board)
        self._check_caller()
        with self._turn:
            try:
                self._user = threading.get_ident()
                self._search.set_position(*start)
                self._search.start(parameters, limits)
                while self._search.running:
                    update = self._search.wait(_WATCH_S, board.chess960)
                    if update and on_update:
                        on_update(_update_of(update))
                return self._result(board)
            finally:
                self._user = None
                self._search.stop()

    def _result(self, board: chess.Board) -> SearchResult:
        result = self._search.result(board.chess960)
        *moves, root = self._search.move_stats()
        if not result["best_move"]:
            q, wdl = (-1.0, (0.0, 0.0, 1.0)) if board.is_check() else (0.0, (0.0, 1.0, 0.0))
            return SearchResult(None, None, q, wdl, [], root["visits"], {}, result["stopped_by"])
        lines = _update_of(self._search.update(board.chess960)).lines
        best = lines[0]
        ponder = chess.Move.from_uci(result["ponder"]) if result["ponder"] else None
        return SearchResult(best.moves[0], ponder, best.q, best.wdl, best.moves, root["visits"],
                            {board.parse_uci(s["move"]): s["visits"] for s in reversed(moves)}, result["stopped_by"], lines)

    def _check_caller(self) -> None:
        if os.getpid() != self._process:
            self._search.stop()  # raises the Error that says what to do; the lock may be taken for ever
        if self._user == threading.get_ident():
            raise _core.Error("a callback of a search cannot use the engine that searches, but for stop(); take another lc0rocm.Engine")


def start_and_moves(board: chess.Board) -> tuple[str, list[str]]:
    """The FEN a board started from and the moves since. Raises Error for variants and null moves."""
    if board.uci_variant != "chess":
        raise _core.Error(f"lc0rocm plays chess and Chess960, not {board.uci_variant}")
    if not all(board.move_stack):
        raise _core.Error("the move stack holds a null move; a network sees only games of legal moves")
    return board.root().fen(en_passant="fen"), [move.uci() for move in board.move_stack]


def _network_info(loaded: Loaded, backend_options: str) -> NetworkInfo:
    info, backend = loaded.backend.info, loaded.backend
    sections: dict[str, dict[str, Any]] = {}
    if loaded.net:
        from lc0rocm import backend_options as syntax
        from lc0rocm.netfile import describe
        options = syntax.parse(backend_options)
        sections = describe.describe(loaded.net, str(options.get("policy_head", "vanilla")), str(options.get("value_head", "winner")))
    weights = sections.get("Weights", {})
    path = loaded.net.path if loaded.net else None
    return NetworkInfo(
        name=path.name if path else "", path=path, parameters=weights.get("Elements", 0), input_format=info["input_format"],
        wdl=info["wdl"], moves_left=info["moves_left"],
        policy_heads=tuple(weights.get("Policy heads", ("vanilla",) if path else ())),
        value_heads=tuple(weights.get("Value heads", ("winner",) if path else ())),
        description=sections, backend=backend.name, device=info["device"], max_batch=info["max_batch"])


def _board(position: Position) -> chess.Board:
    """A board as it is, or the one that text describes."""
    if isinstance(position, chess.Board):
        return position
    if not isinstance(position, str):
        raise _core.Error(f"a position is a chess.Board or the text of a FEN, not {type(position).__name__}")
    fen, _, moves = position.partition(" moves ")
    try:
        board = chess.Board(_core.Game(fen).fen())
        for move in moves.split():
            board.push_uci(move)
    except ValueError as error:
        raise _core.Error(f"bad position {position[:80]!r}: {error}") from None
    return board


def _several(given: Any, kinds: tuple[type, ...], what: str) -> Iterable[Any]:
    """Those that were given, one alone as a list of it."""
    if isinstance(given, kinds):
        return [given]
    if not isinstance(given, Iterable):
        raise _core.Error(f"{what}, one or several, not {type(given).__name__}")
    return given


def _move(board: chess.Board, move: chess.Move | str) -> chess.Move:
    """A legal move of the board, given as such or as text, in UCI's or in standard notation."""
    if isinstance(move, str):
        for parse in (board.parse_uci, board.parse_san):
            try:
                return parse(move)
            except ValueError:
                pass
    elif not isinstance(move, chess.Move):
        raise _core.Error(f"a move is a chess.Move or text like e2e4, not {type(move).__name__}")
    elif move in board.legal_moves:
        return board.parse_uci(move.uci())  # castling as the board writes it
    raise _core.Error(f"{str(move)[:20]!r} is no legal move in {board.fen()}")


def _legal_moves(inputs: _core.Inputs) -> list[list[chess.Move]]:
    moves = [chess.Move(*parts) for parts in inputs.moves]
    first = inputs.first_move.tolist()
    return [moves[begin:end] for begin, end in zip(first, first[1:])]


def _update_of(update: _core.Update) -> SearchUpdate:
    lines = []
    for pv in update["pvs"]:
        w, d, l = (min(max(share, 0.0), 1.0) for share in ((1 + pv["wl"] - pv["d"]) / 2, pv["d"], (1 - pv["wl"] - pv["d"]) / 2))
        lines.append(Line([chess.Move.from_uci(move) for move in pv["moves"]], pv["wl"], (w, d, l), pv["m"], pv["visits"],
                          bool(pv["terminal"])))
    return SearchUpdate(lines, update["nodes"], update["depth"], update["seldepth"], update["time_ms"] / 1000)


def _limits(nodes: int | None, time: float | None, depth: int | None) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if nodes is not None:
        limits["nodes"] = min(_integer("nodes", nodes, 1), _MOST_VISITS)
    if depth is not None:
        limits["depth"] = min(_integer("depth", depth, 1), _MOST_VISITS)
    if time is not None:
        seconds = _number("time", time)
        if seconds == math.inf:
            limits["infinite"] = True
        else:
            limits["time_ms"] = min(round(seconds * 1000), 2**53)
    if not limits:
        raise _core.Error("a search needs a limit: nodes=, time= (seconds; math.inf: until stop()) or depth=")
    return limits


def _integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    try:
        number = value.__index__()  # of numpy's integers, too
    except AttributeError:
        number = None
    if number is None or isinstance(value, bool) or number < low or (high is not None and number > high):
        raise _core.Error(f"{name} must be an integer from {low}" + (f" to {high}" if high else " on") + f", not {value!r}")
    return number


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number >= 0:
        raise _core.Error(f"{name} must be a number of 0 or more, not {value!r}")
    return number
