"""The engine's side of a game: position, clock, network, and the thread that reports what a search finds."""
import threading
import time
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lc0rocm import _core, backend_options
from lc0rocm.engine import contempt, scores, timeman
from lc0rocm._core import Error
from lc0rocm.options import NOW, Option, Settings, core_parameters

if TYPE_CHECKING:
    from lc0rocm.loading import Loaded

_WITHOUT_NEWS_MS = 5000  # an info line comes at least this often
_MAX_VISITS = 4_000_000_000


class Request(NamedTuple):
    """What `go` asks for; None where it says nothing."""
    infinite: bool = False
    ponder: bool = False
    searchmoves: tuple[str, ...] = ()
    wtime: int | None = None
    btime: int | None = None
    winc: int | None = None
    binc: int | None = None
    movestogo: int | None = None
    depth: int | None = None
    mate: int | None = None
    nodes: int | None = None
    movetime: int | None = None


class Run:
    """One search, from go to bestmove."""

    def __init__(self, request: Request, game: _core.Game, expected_reply: str, started: float):
        self.request = request
        self.game = game  # the position that is searched
        self.expected_reply = expected_reply  # pondering: the move after it, king takes rook
        self.started = started  # the clock's start, time.monotonic()
        self.unbounded = request.infinite or request.ponder  # bestmove waits for stop
        self.stopped = threading.Event()
        self.silent = False  # ends without a word: another position came
        self.manager: timeman.Manager | None = None  # the one that set the limit
        self.parameters: dict = {}  # of the core's search
        self.limits: dict = {}
        self.thread: threading.Thread | None = None

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started) * 1000)


class Player:
    """send: writes lines, all of a call together; log: into the log file alone. Both are called from the caller's thread
    and from a reporting one. The methods are for one thread."""

    def __init__(self, settings: Settings, send: Callable[[Sequence[str]], None], log: Callable[[Sequence[str]], None]):
        self.settings, self.send, self.log = settings, send, log
        self.search = _core.Search()
        self.loaded: "Loaded | None" = None
        self.loaded_from: tuple | None = None
        self.run: Run | None = None
        self.fen, self.moves = "", []
        self.game: _core.Game | None = None
        self.placed = False  # the tree's root is at this position
        self.forget_tree = False  # at the next go
        self.clock_start = 0.0
        self.strict = self.ready_since_position = False
        self.manager: timeman.Manager | None = None

    # commands --------------------------------------------------------------------------------------------------------

    def load(self, hurry: bool = False) -> None:
        """Loads what WeightsFile, Backend and BackendOptions name, unless it is loaded. hurry: a clock runs. Raises Error."""
        from lc0rocm import loading  # here: uci has to be answered before numpy and protobuf are there
        wanted = tuple(self.settings[name] for name in ("WeightsFile", "Backend", "BackendOptions"))
        if self.loaded and wanted == self.loaded_from:
            return
        self.abort()
        self.loaded = self.loaded_from = None
        self.loaded = loading.load_backend(*wanted, say=lambda line: self.send(["info string " + line]), hurry=hurry)
        self.loaded_from = wanted
        self.send(["info string " + message for message in self.loaded.messages])

    def ready(self) -> None:
        self.ready_since_position = True

    def new_game(self) -> None:
        self.abort()
        self.search.clear()
        self.manager = None
        self.position(_core.STARTPOS, [])

    def position(self, fen: str, moves: Sequence[str]) -> None:
        """Raises Error for a bad position and keeps the one before."""
        started = time.monotonic()
        game = _core.Game(fen, moves)
        self.abort()
        self.fen, self.moves, self.game, self.placed = fen, list(moves), game, False
        self.clock_start, self.strict, self.ready_since_position = started, self.settings["StrictTiming"], False
        if not self.settings["Ponder"]:  # with it the root may have to be one ply earlier: go knows
            self._place(self.moves)

    def go(self, request: Request) -> None:
        now = time.monotonic()
        self.stop()
        self.wait()
        if self.game is None:
            self.position(_core.STARTPOS, [])
        if (request.wtime is None and request.btime is None) or (self.strict and self.ready_since_position):
            self.clock_start = now
        pondering = request.ponder and bool(self.moves)
        game = _core.Game(self.fen, self.moves[:-1]) if pondering else self.game
        expected = _canonical(game, self.moves[-1]) if pondering else ""
        run = Run(request, game, expected, self.clock_start)
        target = self._report_search
        if game.legal_moves():
            try:
                self.load(hurry=True)
                self._prepare(run)
                self._launch(run)
            except Error as error:
                self.send([f"info string error: {error}", *_NO_MOVE])
                return
        else:
            target = self._report_end_of_game
        run.thread = threading.Thread(target=target, args=(run,), daemon=True)
        run.thread.start()
        self.run = run

    def stop(self) -> None:
        """bestmove follows from the reporting thread."""
        if self.run:
            self.run.stopped.set()
            self.search.stop()

    def ponderhit(self) -> None:
        """The expected move was played: the search goes on as a normal one, its clock starting now."""
        if not (self.run and self.run.request.ponder):
            raise Error("ponderhit without go ponder")
        request = self.run.request._replace(ponder=False)
        self.abort()
        self.clock_start, self.strict = time.monotonic(), False
        self.go(request)

    def abort(self) -> None:
        """Ends a search without bestmove."""
        if self.run:
            self.run.silent = True
            self.stop()
            self.wait()

    def wait(self) -> None:
        """Until bestmove is out."""
        if self.run:
            self.run.thread.join()
        self.run = None

    @property
    def running(self) -> bool:
        return self.run is not None and self.run.thread.is_alive()

    def option_changed(self, option: Option) -> None:
        """Passes on what acts on a running search; the rest is read when it is needed."""
        if option.name == "ClearTree":
            self.forget_tree = True
        elif self.running and option.when == NOW and option.core:
            self.search.set_option(option.name, self.settings[option.name])

    # a search --------------------------------------------------------------------------------------------------------

    def _place(self, moves: Sequence[str]) -> None:
        if not self.search.set_position(self.fen, moves):
            self.manager = None
        self.placed = list(moves) == self.moves

    def _prepare(self, run: Run) -> None:
        """The tree to the run's position, and what it is searched with."""
        if self.forget_tree:
            self.search.clear()
        if self.forget_tree or run.expected_reply or not self.placed:
            self._place(self._moves_of(run))
        self.forget_tree = False
        run.parameters, run.limits = self._search_parameters(run), self._limits(run)

    def _launch(self, run: Run) -> None:
        settings = self.settings
        self.search.set_backend(self.loaded.backend, settings["HistoryFill"], settings["PolicyTemperature"],
                                settings["NNCacheSize"])
        self.search.start(run.parameters, run.limits | {"elapsed_ms": run.elapsed_ms()})

    def _limits(self, run: Run) -> dict:
        request, settings = run.request, self.settings
        limits: dict = {"infinite": run.unbounded}
        if request.searchmoves:
            legal = set(run.game.legal_moves())
            wanted = [move for move in (_canonical(run.game, text) for text in request.searchmoves) if move in legal]
            if wanted:
                limits["searchmoves"] = wanted
            else:
                self.send(["info string error: none of the searchmoves is legal here; searching all moves"])
        if request.nodes is not None:
            limits["playouts" if settings["NodesAsPlayouts"] else "nodes"] = max(1, min(request.nodes, _MAX_VISITS))
        for name in ("depth", "mate"):
            if (value := getattr(request, name)) is not None:
                limits[name] = max(1, value)
        if not run.unbounded:
            times = [self._budget(run)]
            if request.movetime is not None and request.mate is None:
                times.append(request.movetime - settings["MoveOverheadMs"])
            if times := [limit for limit in times if limit is not None]:
                limits["time_ms"] = max(0, min(times))
        return limits

    def _search_parameters(self, run: Run) -> dict:
        settings = self.settings
        sign = contempt.sign(settings["ContemptMode"], run.game.black_to_move, infinite=run.request.infinite,
                             pondering=bool(run.expected_reply))
        if sign == 0 and settings["ContemptMode"] == "play" and contempt.rescale(settings).diff:
            self.send(["info string warning: contempt is off in infinite analysis; ContemptMode can name a side"])
        return core_parameters(settings, sign)

    def _budget(self, run: Run) -> int | None:
        """Milliseconds of the move by the time manager, None without a clock. The other side's clock stands in for a
        missing one: an engine that never moves is worse than one that guesses."""
        request, settings = run.request, self.settings
        sides = [(request.wtime, request.winc), (request.btime, request.binc)]
        if run.game.black_to_move:
            sides.reverse()
        time_ms, increment = sides[0] if sides[0][0] is not None else sides[1]
        if time_ms is None:
            return None
        if self.manager is None:
            self.manager = timeman.create(settings["TimeManager"], settings["Slowmover"], settings["MoveOverheadMs"])
        run.manager = self.manager
        return self.manager.budget(timeman.Clock(time_ms, max(0, increment or 0), request.movestogo or 0, run.game.ply,
                                                 len(self.moves)))

    # the reporting thread --------------------------------------------------------------------------------------------

    def _report_end_of_game(self, run: Run) -> None:
        if run.unbounded:
            run.stopped.wait()
        if not run.silent:
            score = "mate 0" if run.game.in_check else "cp 0"
            self.send([f"info depth 0 seldepth 0 time {run.elapsed_ms()} nodes 0 score {score}", "bestmove (none)"])

    def _report_search(self, run: Run) -> None:
        try:
            self._report(run)
        except Exception as error:  # a mistake of ours in a report must not lose the move
            self.send([f"info string error: internal error: {type(error).__name__}: {error}"])
            while self.search.running:
                self.search.wait(_WITHOUT_NEWS_MS / 1000)
            if not run.silent:
                self.send([f"bestmove {run.game.uci(self.search.result()['best_move'], self.settings['UCI_Chess960'])}"])

    def _report(self, run: Run) -> None:
        while True:
            update = self.search.wait(_WITHOUT_NEWS_MS / 1000)
            running = self.search.running
            if update is None and not running:
                break
            if not run.silent:
                self.send(self._update_lines(run, update or self.search.update()))
                if self.settings["LogLiveStats"]:
                    (self.send if self.settings["VerboseMoveStats"] else self.log)(self._stats_lines(run))
        try:
            result = self.search.result()
        except Error as error:
            self._failed(run, error)
            return
        if run.manager:
            run.manager.moved(run.elapsed_ms())
        if run.silent:
            return
        chess960 = self.settings["UCI_Chess960"]
        lines = self._update_lines(run, self.search.update())
        if self.settings["VerboseMoveStats"]:
            lines += self._stats_lines(run)
        best = f"bestmove {run.game.uci(result['best_move'], chess960)}"
        if result["ponder"]:
            after = _core.Game(self.fen, self._moves_of(run) + [result["best_move"]])
            best += f" ponder {after.uci(result['ponder'], chess960)}"
        self.send(lines + [best])

    def _failed(self, run: Run, error: Error) -> None:
        """A back end that fails in a game: the CPU takes over, with the same limits and the clock as it stands."""
        if run.silent:
            return
        self.send([f"info string error: {error}"])
        loaded = self.loaded
        try:
            if loaded.backend.info["cpu"] or loaded.network is None:
                raise Error("the search has ended without a move")
            self.loaded = loaded._replace(backend=_core.Backend("cpu", loaded.network, {}))
            self.send([f"info string going on with back end cpu on {self.loaded.backend.info['device']}"])
            self._launch(run)
        except Error as second:
            self.send([f"info string error: {second}", *_NO_MOVE])
            return
        if run.stopped.is_set():
            self.search.stop()
        self._report(run)

    def _moves_of(self, run: Run) -> list[str]:
        return self.moves[:-1] if run.expected_reply else self.moves

    def _update_lines(self, run: Run, update: "_core.Update") -> list[str]:
        info, chess960 = self.loaded.backend.info, self.settings["UCI_Chess960"]
        start = self._moves_of(run)
        if run.expected_reply:
            update, start = scores.ponder_view(update, run.expected_reply), self.moves

        def as_gui_writes(line: Sequence[str]) -> Sequence[str]:
            if chess960 or _CASTLING.isdisjoint(line):
                return line
            game, written = _core.Game(self.fen, start), []
            for move in line:
                written.append(game.uci(move, False))
                game.push(move)
            return written

        lines = ["info string " + message for message in update["messages"]]
        lines += scores.info_lines(update, self.settings, has_wdl=info["wdl"], has_moves_left=info["moves_left"],
                                   moves=as_gui_writes)
        return lines

    def _stats_lines(self, run: Run) -> list[str]:
        stats = self.search.move_stats()
        return scores.move_stats_lines(stats[-1:] if run.expected_reply else stats)


_CASTLING = {"e1h1", "e1a1", "e8h8", "e8a8"}  # king takes rook, where a GUI without Chess960 wants e1g1
_NO_MOVE = ("info depth 0 score cp 0", "bestmove (none)")


def check_settings(settings: Settings) -> None:
    """Raises Error for values that do not parse or do not fit together."""
    timeman.create(settings["TimeManager"], settings["Slowmover"], settings["MoveOverheadMs"])
    contempt.rescale(settings)
    backend_options.parse(settings["BackendOptions"])


def _canonical(game: _core.Game, move: str) -> str:
    """A move in either castling notation as the core writes it."""
    for legal in game.legal_moves():
        if move in (legal, game.uci(legal, False)):
            return legal
    return move
