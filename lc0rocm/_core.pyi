"""Types of the compiled core. Moves are UCI text with castling as king takes rook; shapes stand beside each array."""
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Callable, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

class Error(RuntimeError):
    """The one exception of the core: a sentence for the user. Exported as lc0rocm.Error."""

STARTPOS: str

# chess ----------------------------------------------------------------------------------------------------------------

class Game:
    """A start position and the moves played since. Raises Error for a bad FEN or an illegal move (both castling
    notations are accepted: e1g1 and e1h1). With pseudo_legal, moves may leave the mover's king in check. Without chess960, only
    kings on e with rooks on a and h can castle."""
    def __init__(self, fen: str = ..., moves: Sequence[str] = (), pseudo_legal: bool = False, chess960: bool = True) -> None: ...
    @property
    def remarks(self) -> str:
        """What was left out of the FEN because it means nothing, and why; "" if nothing was."""
    def fen(self) -> str:
        """Of the current position; castling rights in X-FEN."""
    @property
    def ply(self) -> int:
        """Plies since the game's first move by the FEN's move number: 2 * (number - 1) + (black to move)."""
    @property
    def black_to_move(self) -> bool: ...
    @property
    def in_check(self) -> bool: ...
    @property
    def repetitions(self) -> int: ...
    @property
    def rule50(self) -> int: ...
    @property
    def insufficient_material(self) -> bool: ...
    @property
    def hash(self) -> int: ...
    def legal_moves(self) -> list[str]:
        """In generation order, king takes rook."""
    def uci(self, move: str, chess960: bool) -> str:
        """A legal move as a GUI wants it: without chess960, castling of a king on e with a rook on a or h becomes e1g1."""
    def push(self, move: str) -> None: ...
    def copy(self) -> Game: ...
    def at(self, moves: int) -> Game:
        """As it was after the first so many moves. Raises Error for more than there are."""
    def policy(self, shares: NDArray[np.float32], chess960: bool) -> dict[str, float]:
        """shares: of legal_moves(), in their order. By name, to six digits, the greatest first."""
    def planes(self, input_format: int, history_fill: str = "fen_only") -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Masks (112,) and values (112,). history_fill: no, fen_only, always."""
    def transform(self, input_format: int) -> int: ...
    def policy_indices(self, input_format: int) -> list[int]:
        """Of legal_moves(), in the same order."""

def perft(fen: str, depth: int) -> int:
    """Leaf nodes, bulk counted at depth 1."""
def expand_planes(masks: NDArray[np.uint64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 112) masks and values to (n, 112, 8, 8) float32."""
def policy_moves() -> list[str]:
    """The 1858 move names in index order."""
def convolution_policy_map() -> NDArray[np.uint16]:
    """(1858,): plane * 64 + from-square."""
def attention_policy_map() -> NDArray[np.uint16]:
    """(1858,): from * 64 + to, then 4096 + 24 * file + 3 * target file + piece."""

def check_board(board: Any) -> None:
    """Raises Error for a chess.Board that Inputs would not take."""

class Inputs:
    """Positions as a network takes them: boards of python-chess, whose move stacks are their histories, a Game, or FEN text, which "moves e2e4
    ..." may follow. Reads of a game what the network can see. Raises Error, naming the position, for what is no position, another
    variant, null or illegal moves among those, and a board that its moves do not lead to. moves: whether the legal moves are wanted."""
    def __init__(self, positions: Iterable[Any], input_format: int, history_fill: str = "fen_only", moves: bool = True) -> None: ...
    def __len__(self) -> int: ...
    @property
    def planes(self) -> NDArray[np.float32]:
        """(n, 112, 8, 8)."""
    @property
    def first_move(self) -> NDArray[np.uint32]:
        """(n + 1,): position i has the legal moves first_move[i] .. first_move[i + 1] - 1 of the next two."""
    @property
    def indices(self) -> NDArray[np.uint16]:
        """Where the policy holds each."""
    @property
    def moves(self) -> list[tuple[int, int, int | None]]:
        """From, to and promotion as chess.Move takes them; castling as the board writes it."""

# networks and back ends -----------------------------------------------------------------------------------------------

class Network:
    """architecture: the fields of nn::Architecture by name; arrays: name -> (encoding 1..4, buffer, min, max, shape).
    The buffers are kept, not copied. Raises Error for an unknown field or a buffer of a wrong size."""
    def __init__(self, architecture: Mapping[str, Any],
                 arrays: Mapping[str, tuple[int, Any, float, float, tuple[int, ...]]]) -> None: ...
    def array(self, name: str) -> NDArray[np.float32]:
        """Decoded, flat."""
    def convolution(self, prefix: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights and biases with batch norm folded in, flat."""

class BackendInfo(TypedDict):
    device: str
    input_format: int
    wdl: bool
    moves_left: bool
    half: bool  # computed with 16-bit numbers, and so exact
    cpu: bool
    max_batch: int
    best_batch: int
    threads: int
    sizes: list[int]  # of batches, to which others are filled up; each may be computed another way

class Backend:
    """A loaded network on a device. options: values by key; sub-dictionaries are dicts, in order, or a Backend that there is already."""
    def __init__(self, name: str, network: Network | None, options: Mapping[str, Any] = ...) -> None: ...
    @staticmethod
    def of_function(name: str, function: Callable[[NDArray[np.uint64], NDArray[np.float32]], tuple[Any, Any]], *, device: str,
                    input_format: int, wdl: bool, moves_left: bool, half: bool, cpu: bool, max_batch: int, best_batch: int,
                    unasked_options: Sequence[str]) -> Backend:
        """One that is a Python function: of planes (n, 112) it gives policy logits (n, 1858) and q, d, m (n, 3). Any thread calls it. What it
        raises is an Error."""
    @property
    def name(self) -> str: ...
    @property
    def unasked_options(self) -> list[str]:
        """Keys that no back end asked for; those of sub-dictionaries as "name.key"."""
    @property
    def info(self) -> BackendInfo: ...
    @property
    def plans(self) -> str:
        """What it has measured of this machine, for the option `plans` of the next one; "" where nothing is measured. Thread-safe."""
    @property
    def has_more_room(self) -> bool:
        """Whether memory that it did without when it was made is free by now: made anew, it would take larger batches. Thread-safe."""
    @property
    def layers(self) -> list[tuple[str, tuple[int, ...]]]:
        """What evaluate() can show: names, and the shapes of one position, in the order of a pass. Empty for back ends that show nothing."""
    @overload
    def evaluate(self, masks: NDArray[np.uint64], values: NDArray[np.float32]) -> tuple[
            NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Planes (n, 112) to raw policy logits (n, 1858), q (n,), d (n,), m (n,). Any n: split by max_batch. Thread-safe; raises Error
        in a forked process."""
    @overload
    def evaluate(self, inputs: Inputs, layers: Set[str] = ..., see: Callable[[str, int, NDArray[np.float32]], bool] | None = None) -> tuple[
            NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Raw policy logits (n, 1858), q (n,), win, draw and loss (n, 3), m (n,). Raises Error for values that are no numbers. see(name,
        first, values) is called for each of `layers` with the array of positions first ... first + len(values) - 1, which is gone afterwards;
        where it returns True the pass goes on with what is in it then. What it raises comes through."""
    def policies(self, inputs: Inputs, temperature: float) -> tuple[
            NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of the legal moves, in the order of inputs.moves: softmax of logit / temperature; at 0 the best move has 1. Then q
        (n,), win, draw and loss (n, 3), m (n,). Raises Error for values that are no numbers."""
    def time_batches(self, masks: NDArray[np.uint64], values: NDArray[np.float32], count: int,
                     moves: Sequence[int] = ()) -> list[float]:
        """Evaluates the batch, split by max_batch, `count` times on a session of its own; seconds since the call at which each ended.
        moves: policy indices that every position asks for; without any, no policy is computed."""

def registered_backends() -> list[tuple[str, str, bool, str]]:
    """(name, why it cannot run here or "", needs a network, what it would run on or "")."""

# search ---------------------------------------------------------------------------------------------------------------

class SearchOption(TypedDict):
    """What the core declares of an option that its search obeys."""
    name: str          # UCI's; WDLRescaleRatio, WDLRescaleDiff and ContemptSign are worked out from others
    kind: str          # check, spin, float, combo
    default: Any
    low: float
    high: float
    choices: tuple[str, ...]
    live: bool         # acts while a search runs
    in_nodes: bool     # the nodes of a tree hold what it says: after a change the tree is worth nothing

def search_options() -> list[SearchOption]: ...

class PvInfo(TypedDict):
    wl: float          # side to move's view, after the display transform
    d: float
    q: float           # untransformed WL + draw score * D
    mu: float          # 0 where the transform was skipped
    m: float           # plies left of this move
    terminal: str      # "", "end", "tablebase": a proven result
    visits: int
    moves: list[str]   # at least one

class Update(TypedDict):
    depth: int
    seldepth: int
    time_ms: int       # since the clock start
    nodes: int         # new playouts and visits the root had at the start
    playouts: int
    nps: int | None
    eps: int | None
    evaluations: int   # by the network
    evaluated_batches: int  # that held them
    cache_hits: int    # playouts whose evaluation the cache had
    busy_ms: float     # at least one thread was in the back end, ...
    span_ms: float     # ... of the time since the first one was
    tbhits: int        # answers of endgame tables
    tables_chose: bool # of the root's moves only those that the tables rank highest are searched
    pvs: list[PvInfo]  # min(MultiPV, root moves) of them, best first; after the search the move that was chosen comes first
    messages: list[str]  # warnings for `info string`

class Result(TypedDict):
    best_move: str     # "" without a legal move
    ponder: str        # "" without one
    playouts: int
    stopped_by: str    # nodes, time, depth, mate, smart_pruning, kld, ram, stop, error

class MoveStats(TypedDict):
    """One root move (or the root itself, move "node") as verbose move stats print it (docs/spec/engine.md 3.7)."""
    move: str
    index: int         # policy index; the number of legal moves for the root
    visits: int
    in_flight: int
    p: float           # 0 to 1; for the root the sum of the visited moves
    wl: float | None
    d: float | None
    m: float | None
    q: float
    u: float
    s: float
    v: float | None
    flag: str          # "", "T", "W", "L"

class Cache:
    """What a network said of positions, for many searches at once. Fewer positions where memory does not suffice."""
    def __init__(self, positions: int) -> None: ...

class Search:
    """A tree, an evaluation cache and the threads that grow the tree. Methods may be called from any thread, but raise Error in a
    forked process. chess960: castling of what they tell is king takes rook; else as Game.uci writes it."""
    def __init__(self) -> None: ...
    @overload
    def set_backend(self, backend: Backend, history_fill: str, policy_temperature: float, cache_size: int) -> None:
        """Between searches. A changed back end, fill or temperature empties the cache."""
    @overload
    def set_backend(self, backend: Backend, history_fill: str, policy_temperature: float, cache: Cache) -> None:
        """Between searches. A cache is for searches with the same back end, fill and temperature; clear() leaves it as it is."""
    def set_tables(self, tables: "Tables | None") -> None:
        """Between searches. Other tables than before drop the tree."""
    def clear(self, keep_cache: bool = False) -> None:
        """A new game: drops tree and cache."""
    def set_position(self, fen: str, moves: Sequence[str], keep: bool = True) -> bool:
        """Moves the root; keep: with what the tree knows. True if the game went on from the previous position."""
    def start(self, parameters: Mapping[str, Any], limits: Mapping[str, Any], lend: bool = False) -> None:
        """parameters: search options by UCI name; a missing one has its default. Contempt comes as WDLRescaleRatio,
        WDLRescaleDiff and ContemptSign (+1: for the root's side to move, -1: the other, 0: none), Search=dag as Graph "on".
        limits, all optional: nodes, playouts, time_ms (since the clock start), depth, mate, infinite (bool), searchmoves (list of
        moves), elapsed_ms (the clock at this call), remaining_ms (clock hint for smart pruning), bank_ms (on top of time_ms for a move that is
        not settled; bank_force_ms, bank_trend_ms, bank_best_optimism, bank_overtaker_optimism: see docs/spec/engine.md 5.2). lend: no
        threads are started, and whoever asks for the result first does the work, in one thread that looks at the clock between batches. Raises
        Error for an unknown key."""
    def begin(self, backend: Backend, history_fill: str, policy_temperature: float, cache: Cache, tables: "Tables | None", fen: str,
              moves: Sequence[str], parameters: Mapping[str, Any], limits: Mapping[str, Any], lend: bool = False) -> None:
        """set_backend, set_tables, set_position without keep, and start. One call, since each gives up the interpreter's lock, and takes long
        to get it back where hundreds of threads want it."""
    def stop(self) -> None: ...
    def set_option(self, name: str, value: Any) -> None:
        """Those that act mid-search: MultiPV, PerPVCounters, ScoreType, MaxPrefetch, Temperature and its group. Raises Error for
        others."""
    def wait(self, timeout: float, chess960: bool = True) -> Update | None:
        """The next update as soon as something worth an info line happened; None after `timeout` seconds or at the end."""
    @property
    def running(self) -> bool: ...
    def update(self, chess960: bool = True) -> Update:
        """The state now, whatever has been reported."""
    def result(self, chess960: bool = True) -> Result:
        """Blocks until the search has ended. Raises Error if a back end failed."""
    def finish(self, chess960: bool = True) -> tuple[Result, Update]:
        """result and, after it, update, in one call as begin."""
    def move_stats(self) -> list[MoveStats]:
        """Every legal root move, ascending by (visits, Q + U), then the root."""
    @property
    def root_visits(self) -> int: ...
    def save(self) -> bytes:
        """The tree, also while a search makes it grow; src/search/saved.h has the format."""
    def load(self, data: bytes) -> None:
        """Between searches, a tree that was saved at this position. Raises Error for any other bytes; then there is no tree."""

class Tables:
    """The Syzygy tables of some folders; docs/spec/syzygy.md. Any number of threads may ask at once."""
    def __init__(self, folders: Sequence[str]) -> None: ...
    @property
    def largest(self) -> int:
        """Men of the largest ending with a WDL file; 0 without any."""
    @property
    def wdl_files(self) -> int: ...
    @property
    def dtz_files(self) -> int: ...
    def take_problems(self) -> list[str]:
        """A sentence for each folder or file that cannot be used, each given once."""
    def wdl(self, fen: str) -> int | None:
        """2 win, 1 win that the 50-move rule makes a draw, 0 draw, -1, -2, for the side to move and a new 50-move count. None if castling
        is possible or a table is missing."""
    def dtz(self, fen: str) -> int | None:
        """Plies to the next capture, pawn move or mate, more than 100 where wdl is 1 or -1, signed as wdl. None as above."""
    def rank_root(self, fen: str, moves: Sequence[str] = (), fast: bool = False) -> dict[str, Any]:
        """best: the moves of the highest rank, empty if the tables say nothing; by_distance: ranked by DTZ, not by WDL; rank: 1000 a sure
        win to -1000 a sure loss (docs/spec/engine.md 4.15). fast: of a won position only the shortest way."""
