"""A search from go to bestmove, told by a thread of its own."""
import math
import threading
import time
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lc0rocm import _core, threads
from lc0rocm._core import Error
from lc0rocm.engine import heads, scores, timeman
from lc0rocm.engine.backend import BackEnd
from lc0rocm.engine.request import Position, Request
from lc0rocm.options import Settings, live_parameters
from lc0rocm.strength import Strength

if TYPE_CHECKING:
    from lc0rocm.loading import Loaded

_AT_ONCE_MS = 3
_ALONE_MS = 100  # for a search without a thread of its own
_WITHOUT_NEWS_S = 5.0  # an info line comes at least this often


class Task(NamedTuple):
    """What a go has to do. Nothing of it changes while it is done: options that come later are for the next one. The tree of `search` has
    its root at the position."""
    search: _core.Search
    arrived: float  # time.monotonic() of the go: the clock's start
    position: Position
    parameters: dict  # of the core's search
    limits: dict
    evaluation: tuple  # history fill, policy temperature, cache size
    loaded: "Loaded | None"  # None: the game is over
    ask: heads.Ask | None  # the way to a move without a tree, if that is wanted
    manager: "timeman.Manager | None"  # the one that set the time limit
    limited: Strength | None  # which the search has
    most_s: float = math.inf  # that the search may take, whatever was asked for

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.arrived) * 1000)

    def choose(self, loaded: "Loaded") -> heads.Choice:
        """The move without a tree. Raises Error if the back end fails."""
        assert self.ask, "which was asked for"
        return self.ask(loaded.backend, self.evaluation[0], self.position, self.limits.get("searchmoves") or self.position.game.legal_moves())

    def start(self, loaded: "Loaded") -> None:
        """The search, with the clock as it stands."""
        self.search.set_backend(loaded.backend, *self.evaluation)
        self.search.start(self.parameters, self.limits | {"elapsed_ms": self.elapsed_ms()})

    def ended(self, chess960: bool) -> "_core.Update":
        """What the search has found by its end; the time manager learns of it."""
        update = self.search.update(chess960)
        if self.manager:
            self.manager.moved(self.elapsed_ms(), update["nodes"], update["playouts"])
        return update


class Voice(NamedTuple):
    """How a search is told. send: writes lines, all of a call together; log: into the log file alone."""
    settings: Settings
    send: Callable[[Sequence[str]], None]
    log: Callable[[Sequence[str]], None]


class Run:
    """Says bestmove once, whatever happens, unless it is replaced by another run for the same go. task: an exception where there is
    nothing to search."""

    def __init__(self, request: Request, task: Task | Exception, back_end: BackEnd, voice: Voice):
        self.request, self.task, self.back_end, self.voice = request, task, back_end, voice
        self._stopped = threading.Event()
        self._saying, self._said = threading.Lock(), False  # bestmove, or another run says it
        self._changes = threading.Event()  # a better back end is ready, for a search without an end of its own
        self._thread: threading.Thread | None = None  # one that is not started would keep this, and the back end, from being freed
        if not request.waits and isinstance(task, Task) and task.limits.get("time_ms", _AT_ONCE_MS) < _AT_ONCE_MS:
            self._work()  # to wake another thread may take longer than the answer
        else:
            try:
                self._thread = threads.begin(threading.Thread(target=self._work, daemon=True))
            except Error as error:  # bestmove is due all the same, and soon: nobody hears stop meanwhile
                voice.send([f"info string error: {error}"])
                self.request = request._replace(infinite=False, ponder=False)
                if isinstance(task, Task):
                    self.task = task._replace(limits=task.limits | {"infinite": False, "time_ms": min(_ALONE_MS, task.limits.get("time_ms", _ALONE_MS))})
                self._work()

    @property
    def going(self) -> bool:
        """Nobody has stopped it, and bestmove is not on its way out: who has read it finds it ended."""
        return not (self._said or self._stopped.is_set())

    def stop(self) -> None:
        """bestmove follows."""
        self._stopped.set()
        if isinstance(self.task, Task):
            self.task.search.stop()

    def join(self) -> None:
        """Until bestmove is out."""
        if self._thread:
            self._thread.join()

    def replace(self) -> bool:
        """Ends it without bestmove, for another run that will say it. False if it has been stopped: then it says its own."""
        with self._saying:
            if not self.going:
                return False
            self._said = True
        self.stop()
        self.join()
        return True

    @property
    def _chess960(self) -> bool:
        return self.voice.settings["UCI_Chess960"]

    # on its thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            if isinstance(self.task, Exception):
                raise self.task
            last = self._last_lines(self.task)
        except Exception as error:  # a mistake of ours must not lose the move either
            kind = "" if isinstance(error, Error) else f"internal error: {type(error).__name__}: "
            self.voice.send([f"info string error: {kind}{error}"])
            last = ["info depth 0 score cp 0", f"bestmove {self._any_move()}"]  # some clients want a score before each bestmove
        if self.request.waits:
            self._stopped.wait()
        with self._saying:
            if self._said:
                return
            self._said = True
        self.voice.send(last)

    def _last_lines(self, task: Task) -> list[str]:
        if not task.loaded:
            return self._end_of_game(task)
        return self._ask(task, task.loaded) if task.ask else self._search(task)

    def _ask(self, task: Task, loaded: "Loaded") -> list[str]:
        while True:
            try:
                choice = task.choose(loaded)
                break
            except Error as error:
                self.voice.send([f"info string error: {error}"])
                loaded = self.back_end.fall_back()
        line = "info depth 1 seldepth 1 nodes {} score {} {}".format(choice.evaluations, *choice.score())
        if self.voice.settings["UCI_ShowWDL"]:
            line += " wdl {} {} {}".format(*scores.wdl_permille(choice.wl, choice.d))
        return [line, f"bestmove {task.position.game.uci(choice.move, self._chess960)}"]

    def _search(self, task: Task) -> list[str]:
        loaded = task.loaded
        assert loaded, "the game goes on"
        if self.request.infinite:
            self.back_end.when_better = self._change
        while True:
            self._start(task, loaded)
            self._tell(task, loaded)
            try:
                result = task.search.result(self._chess960)
            except Error as error:
                self.voice.send([f"info string error: {error}"])
                loaded = self.back_end.fall_back()  # with the clock as it stands
                continue
            if self._stopped.is_set() or not self._changes.is_set():
                break
            self._changes.clear()
            loaded = self.back_end.better()
        self.back_end.when_better = lambda: None
        lines = self._update_lines(task.ended(self._chess960), loaded)
        settings = self.voice.settings
        if settings["MoveStats"]:
            lines += scores.move_lines(task.search.move_stats(), lambda move: task.position.game.uci(move, self._chess960))
        if settings["VerboseMoveStats"] or settings["LogLiveStats"]:
            stats = scores.move_stats_lines(task.search.move_stats())
            if settings["VerboseMoveStats"]:
                lines += stats
            else:
                self.voice.log(stats)
        return [*lines, f"bestmove {result['best_move']}" + (f" ponder {result['ponder']}" if result["ponder"] else "")]

    def _change(self) -> None:
        self._changes.set()
        if self.going and isinstance(self.task, Task):
            self.task.search.stop()

    def _start(self, task: Task, loaded: "Loaded") -> None:
        task.start(loaded)
        for name, value in live_parameters(self.voice.settings, task.limited).items():
            if value != task.parameters[name]:  # set since go, before there was a search to tell
                task.search.set_option(name, value)
        if self._stopped.is_set() or self._changes.is_set():  # before there was a search to stop
            task.search.stop()

    def _tell(self, task: Task, loaded: "Loaded") -> None:
        """What is found, until the search ends."""
        settings, end = self.voice.settings, task.arrived + task.most_s
        while (update := task.search.wait(min(_WITHOUT_NEWS_S, max(0.05, end - time.monotonic())), self._chess960)) or task.search.running:
            if time.monotonic() >= end:
                self.voice.send([f"info string a search may take {task.most_s:g} s here, which are over"])
                task.search.stop()
                end = math.inf
            if self._said:
                continue
            self.voice.send(self._update_lines(update or task.search.update(self._chess960), loaded))
            if settings["LogLiveStats"]:
                tell = self.voice.send if settings["VerboseMoveStats"] else self.voice.log
                tell(scores.move_stats_lines(task.search.move_stats()))

    def _update_lines(self, update: "_core.Update", loaded: "Loaded") -> list[str]:
        info = loaded.backend.info
        lines = ["info string " + message for message in update["messages"]] + scores.info_lines(
            update, self.voice.settings, has_wdl=info["wdl"], has_moves_left=info["moves_left"])
        return lines + [scores.speed_line(update)] if self.voice.settings["SpeedStats"] else lines

    def _end_of_game(self, task: Task) -> list[str]:
        score = "mate 0" if task.position.game.in_check else "cp 0"
        return [f"info depth 0 seldepth 0 time {task.elapsed_ms()} nodes 0 score {score}", "bestmove (none)"]

    def _any_move(self) -> str:
        """The search's, the best that its tree knows if it has failed, or else a legal one; none if there is nothing to search."""
        if isinstance(self.task, Exception):
            return "(none)"
        game, search = self.task.position.game, self.task.search
        moves = self.task.limits.get("searchmoves") or game.legal_moves()
        for move in (lambda: search.result()["best_move"], lambda: search.update()["pvs"][0]["moves"][0],
                     lambda: moves[0]):
            try:
                return game.uci(move(), self._chess960)
            except (Error, IndexError):
                continue
        return "(none)"
