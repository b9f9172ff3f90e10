"""The Python API's evaluations: Network, and what it tells."""
from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import chess
import numpy as np
from numpy.typing import NDArray

from lc0rocm import backend_options as syntax
from lc0rocm import _core, arguments
from lc0rocm.arguments import Position
from lc0rocm.layers import Replacement, Watch
from lc0rocm.loading import Loaded, load_backend
from lc0rocm.report import as_lines
from lc0rocm.netfile import describe

_log = logging.getLogger("lc0rocm")  # hears why the first use of a GPU takes long


@dataclasses.dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Evaluation:
    """What a network says of n positions, each seen by its side to move.

    policy: (n, 1858) float32, raw logits in the net's own move order and frame (docs/spec/networks.md 6.1).
    q: (n,) float32, win - loss, -1..1.
    wdl: (n, 3) float32, probabilities of win, draw and loss; nets without a WDL head give no draws.
    moves_left: (n,) float32, plies to the end of the game; 0 from nets without that head.
    layers: those that were asked for, name -> (n, ...) float32.
    """
    policy: NDArray[np.float32]
    q: NDArray[np.float32]
    wdl: NDArray[np.float32]
    moves_left: NDArray[np.float32]
    layers: dict[str, NDArray[np.float32]] = dataclasses.field(default_factory=dict)

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

    weights: an Lc0 net, .pb or .pb.gz, or the name of one that `lc0rocm nets` lists; None takes the net that comes with the package.
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
        path = "" if weights is None else arguments.path_of(weights, "weights is the path of a network file")
        loaded = load_backend(path, backend, backend_options, tell=as_lines(_log.warning))
        self._backend: _core.Backend | None = loaded.backend
        self.history_fill, self.heads = history_fill, syntax.heads(syntax.parse(backend_options))
        self._inputs([])  # raises Error unless history_fill is one that there is
        self.messages = loaded.messages
        """What loading had to say: which back end was taken and why."""
        self.info = _network_info(loaded, backend_options)

    def __enter__(self) -> Network:
        return self

    def __reduce__(self) -> NoReturn:
        raise _core.Error("a network cannot be copied or sent to another process; make an lc0rocm.Network there")

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

    def evaluate(self, boards: Position | Iterable[Position], layers: str | Iterable[str] = (),
                 replace: Mapping[str, Replacement] | None = None) -> Evaluation:
        """Evaluates any number of positions.

        layers: names of `network.layers` whose arrays are kept in the result. replace: arrays that take their places in the pass, (n, ...)
        or what NumPy broadcasts to it, or functions. A function gets the layer of at most info.max_batch positions at once, and returns
        what the pass goes on with, or None where it has changed its argument.

        Raises Error for a position or a move that standard chess and Chess960 do not allow, for a layer that there is not, an array that
        does not fit, and outputs that are no numbers.
        """
        inputs = self._inputs(boards)
        if not layers and not replace:
            return Evaluation(*self.backend.evaluate(inputs))
        watch = Watch(self.layers, len(inputs), layers, replace)
        return Evaluation(*self.backend.evaluate(inputs, watch.wanted, watch.see), watch.kept)

    @property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """The layers that evaluate() can keep and replace, in the order of a pass: name -> shape of one position (docs/python.md says what
        each is). Squares are the net's, seen by the side to move. Empty for back ends that show none."""
        return dict(self.backend.layers)

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
        shares = self.backend.policies(inputs, arguments.number_of("temperature", temperature))[0].tolist()
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
        board = arguments.board_of(board)
        return self.move_indices([board])[0][arguments.move_of(board, move)]

    def index_to_move(self, board: Position, index: int) -> chess.Move:
        """The legal move whose logit Evaluation.policy holds there. Raises Error if no legal move has that place."""
        wanted = arguments.integer("a policy index", index, 0)
        for move, place in self.move_indices([board])[0].items():
            if place == wanted:
                return move
        raise _core.Error(f"no legal move has policy index {wanted} in this position")

    def _inputs(self, boards: Position | Iterable[Position], moves: bool = False) -> _core.Inputs:
        boards = arguments.several(boards, (str, chess.Board), "positions are chess.Board objects or FEN text")
        return _core.Inputs(boards, self.backend.info["input_format"], self.history_fill, moves)


def _network_info(loaded: Loaded, backend_options: str) -> NetworkInfo:
    info, backend = loaded.backend.info, loaded.backend
    sections: dict[str, dict[str, Any]] = {}
    if loaded.net:
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


def _legal_moves(inputs: _core.Inputs) -> list[list[chess.Move]]:
    moves = [chess.Move(*parts) for parts in inputs.moves]
    first = inputs.first_move.tolist()
    return [moves[begin:end] for begin, end in zip(first, first[1:])]
