"""The Python API: evaluate positions with a network, search with an engine."""
from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import chess
import numpy as np
from numpy.typing import NDArray

from lc0rocm import _core
from lc0rocm.loading import load_backend
from lc0rocm.options import cache_positions, search_parameters
from lc0rocm.report import as_lines

_log = logging.getLogger("lc0rocm")  # hears why the first use of a GPU takes long


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


class Network:
    """A network loaded into a back end.

    weights: an Lc0 net, .pb or .pb.gz; None takes the net that comes with the package.
    backend: auto, or one of `lc0rocm backends`.
    backend_options: as the UCI option BackendOptions, for example "threads=1" or "policy_head=soft".
    history_fill: how missing history is made up: fen_only, no or always.

    Raises Error for a file that is no network, and for a back end that cannot run here.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None, backend: str = "auto", *, backend_options: str = "",
                 history_fill: str = "fen_only"):
        loaded = load_backend("" if weights is None else os.fspath(weights), backend, backend_options, tell=as_lines(_log.warning))
        self._backend: _core.Backend | None = loaded.backend
        self.history_fill = history_fill
        self.messages = loaded.messages
        """What loading had to say: which back end was taken and why."""

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

    def evaluate(self, boards: Sequence[chess.Board]) -> Evaluation:
        """Evaluates any number of positions; the move stack of each board is its history.

        Raises Error if a board holds a position or a move that standard chess and Chess960 do not allow.
        """
        masks, values = self._packed_planes(boards)
        policy, q, d, m = self.backend.evaluate(masks, values)
        wdl = np.stack([(1 + q - d) / 2, d, (1 - q - d) / 2], axis=1)
        return Evaluation(policy, q, wdl, m)

    def planes(self, boards: Sequence[chess.Board]) -> NDArray[np.float32]:
        """The network's input, (n, 112, 8, 8) float32: plane, rank, file, seen by the side to move (docs/spec/networks.md 3)."""
        return _core.expand_planes(*self._packed_planes(boards))

    def policy(self, board: chess.Board, temperature: float = 1.0) -> dict[chess.Move, float]:
        """The probability of each legal move, likeliest first: softmax of logit / temperature. Empty if the game is over."""
        game = game_of(board)
        names = game.legal_moves()
        if not names:
            return {}
        logits = self.evaluate([board]).policy[0, game.policy_indices(self.backend.info["input_format"])]
        weights = np.exp((logits - logits.max()) / temperature)
        shares = dict(zip(names, (weights / weights.sum()).tolist()))
        return {board.parse_uci(name): shares[name] for name in sorted(names, key=shares.get, reverse=True)}

    def _packed_planes(self, boards: Sequence[chess.Board]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        input_format = self.backend.info["input_format"]
        masks = np.empty((len(boards), 112), np.uint64)
        values = np.empty((len(boards), 112), np.float32)
        for i, board in enumerate(boards):
            masks[i], values[i] = game_of(board).planes(input_format, self.history_fill)
        return masks, values


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found, seen by the side to move.

    q: win - loss of the best move, -1..1; wdl: its probabilities; nodes: visits of the root, reused ones included;
    visits: of every legal move, most visited first; stopped_by: nodes, time, depth, mate, smart_pruning, kld, ram or stop.
    """
    best_move: chess.Move | None
    ponder: chess.Move | None
    q: float
    wdl: tuple[float, float, float]
    pv: list[chess.Move]
    nodes: int
    visits: dict[chess.Move, int]
    stopped_by: str


class Engine:
    """Searches with a network. A search of a position that follows the previous one goes on with its tree.

    options: any search option by its UCI name, for example {"CPuct": 2.0, "Threads": 2}; see docs/options.md.
    Raises Error for an unknown option, a value out of range or an option of the network; warns of those that have no effect here.
    """

    def __init__(self, network: Network, options: Mapping[str, Any] | None = None):
        self._parameters, values = search_parameters({"HistoryFill": network.history_fill, **(options or {})})
        self._search = _core.Search()
        self._search.set_backend(network.backend, values["HistoryFill"], values["PolicyTemperature"], cache_positions(values))

    def new_game(self) -> None:
        """Forgets the tree and the cached evaluations."""
        self._search.clear()

    def search(self, board: chess.Board, *, nodes: int | None = None, time: float | None = None, depth: int | None = None,
               searchmoves: Iterable[chess.Move] = ()) -> SearchResult:
        """Searches until the first limit is reached: visits of the root, seconds, or average depth.

        Raises Error without a limit, for impossible searchmoves, and if the back end fails.
        """
        limits: dict[str, Any] = {"nodes": nodes, "depth": depth, "time_ms": None if time is None else round(time * 1000)}
        limits = {name: value for name, value in limits.items() if value is not None}
        if not limits:
            raise _core.Error("a search needs a limit: nodes=, time= (seconds) or depth=")
        if wanted := [board.uci(move, chess960=True) for move in searchmoves]:
            limits["searchmoves"] = wanted
        self._search.set_position(*start_and_moves(board))
        self._search.start(self._parameters, limits)
        try:
            result = self._search.result()
        except KeyboardInterrupt:
            self._search.stop()
            raise
        *moves, root = self._search.move_stats()
        if not result["best_move"]:
            return SearchResult(None, None, 0.0, (0.0, 1.0, 0.0), [], root["visits"], {}, result["stopped_by"])
        best = self._search.update()["pvs"][0]
        line, pv = board.copy(stack=False), []
        for move in best["moves"]:
            pv.append(line.push_uci(move))
        after = board.copy(stack=False)
        best_move = after.push_uci(result["best_move"])
        wl, d = best["wl"], best["d"]
        return SearchResult(
            best_move=best_move, ponder=after.parse_uci(result["ponder"]) if result["ponder"] else None,
            q=wl, wdl=((1 + wl - d) / 2, d, (1 - wl - d) / 2), pv=pv, nodes=root["visits"],
            visits={board.parse_uci(s["move"]): s["visits"] for s in reversed(moves)}, stopped_by=result["stopped_by"])


def game_of(board: chess.Board) -> _core.Game:
    """The core's view of a python-chess board with its history."""
    return _core.Game(*start_and_moves(board))


def start_and_moves(board: chess.Board) -> tuple[str, list[str]]:
    """The FEN a board started from and the moves since. Raises Error for variants and null moves."""
    if board.uci_variant != "chess":
        raise _core.Error(f"lc0rocm plays chess and Chess960, not {board.uci_variant}")
    if not all(board.move_stack):
        raise _core.Error("the move stack holds a null move; a network sees only games of legal moves")
    return board.root().fen(en_passant="fen"), [move.uci() for move in board.move_stack]
