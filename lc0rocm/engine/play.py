"""The engine's side of a game: the position, the tree that is kept from move to move, and what becomes of a go."""
import contextlib
import functools
import math
import time
from typing import Sequence

from lc0rocm import _core, backend_options, contempt, saved_tree, strength, tables
from lc0rocm._core import Error
from lc0rocm.engine import heads, timeman
from lc0rocm.engine.backend import BackEnd
from lc0rocm.engine.request import Position, Request
from lc0rocm.engine.run import Run, Task, Voice
from lc0rocm.options import NOW, Option, Settings, cache_positions, core_parameters, idle, node_values, tree_values

_MAX_VISITS = 4_000_000_000
_IN_A_HURRY = {"nodes": 40, "time_ms": 2}
_READY_S = 4.0  # for loading inside isready: GUIs give up after 5 or 10 s


class Tree:
    """The core's search with its tree and cache, and the time manager of the game: each is dropped when what it was made of changes.
    hurried: a search beside it, for moves without the network, whose values the tree must not hold."""

    def __init__(self) -> None:
        self.search = _core.Search()
        self.no_network = _core.Backend("trivial", None, {}) if "trivial" in (row[0] for row in _core.registered_backends()) else None
        self.is_warm = False
        self._manager: timeman.Manager | None = None
        self._made_of: tuple = ()
        self._manager_made_of: tuple = ()

    @functools.cached_property
    def hurried(self) -> _core.Search:
        return _core.Search()

    def warm_up(self, backend: _core.Backend, parameters: dict, evaluation: tuple) -> None:
        """Before the first search: it makes memory, threads and sessions, which had better not be on a clock."""
        self.is_warm = True
        _warm_up(self.search, backend, parameters, evaluation)
        if self.no_network:
            _warm_up(self.hurried, self.no_network, parameters, _small(evaluation))
        self.clear()

    def clear(self) -> None:
        """A new game."""
        self.search.clear()
        self._manager = None

    def place(self, position: Position, made_of: tuple) -> None:
        """Its root to a position, with what is known of it if made_of, whatever a node's values depend on, has not changed."""
        if made_of != self._made_of:
            self.search.clear(keep_cache=True)
            self._made_of = made_of
        if not self.search.set_position(position.fen, position.moves):
            self._manager = None

    def let_go(self) -> None:
        """Of the back end."""
        if self.no_network:
            self.search.set_backend(self.no_network, "fen_only", 1.0, 1000)

    def forget(self) -> None:
        """The nodes, before the next search."""
        self._made_of = ()

    def save(self) -> tuple[tuple, bytes]:
        """What it was made of, and its bytes."""
        return self._made_of, self.search.save()

    def load(self, position: Position, made_of: tuple, data: bytes) -> None:
        """Raises Error for damaged bytes."""
        self.place(position, made_of)
        self.search.load(data)

    def manager(self, settings: Settings) -> timeman.Manager:
        made_of = settings["TimeManager"], settings["Slowmover"], settings["MoveOverheadMs"]
        if self._manager is None or made_of != self._manager_made_of:
            self._manager, self._manager_made_of = timeman.create(*made_of), made_of
        return self._manager


class Player:
    """Acts on what a GUI says, one call after the other and all on one thread. Every go gets one bestmove: what follows it, a position
    or another go, stops the search that runs and lets it say its bestmove first."""

    def __init__(self, voice: Voice, back_end: BackEnd | None = None, most_s: float = math.inf, cache: _core.Cache | None = None):
        """back_end, cache: that others use, too; most_s: that a search may take, whatever is asked for."""
        self.voice, self.settings, self._most_s, self.cache = voice, voice.settings, most_s, cache
        self.back_end = back_end or BackEnd(voice.settings, voice.send)
        self.tree = Tree()
        self.back_end.when_dropped = self.tree.let_go
        self.position: Position | Error = Position(_core.STARTPOS, (), _core.Game())  # Error: why there is none
        self.run: Run | None = None
        self.tables: _core.Tables | None = None
        self._said: set[str] = set()  # of what is said once

    # commands --------------------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Loads what the options name; a search that runs goes on with what it has. Raises Error."""
        if not (self.run and self.run.going):
            self.settle()
            self._open_tables()
            self._limited()
            loaded = self.back_end.prepare(_READY_S)
            if loaded and not self.tree.is_warm:
                self.tree.warm_up(loaded.backend, core_parameters(self.settings, 0), self._evaluation())

    def new_game(self) -> None:
        self.set_position(_core.STARTPOS, [])
        self.tree.clear()
        self.back_end.new_game()

    def set_position(self, fen: str, moves: Sequence[str]) -> None:
        """Raises Error for a bad one. Then there is none: the one before is not what the GUI has on its board."""
        self.settle()
        try:
            start = _core.Game(fen, chess960=self.settings["UCI_Chess960"])
            if start.remarks:
                self.voice.send([f"info string {start.remarks}"])
            self.position = Position(start.fen(), tuple(moves), _core.Game(start.fen(), moves))
        except Error as error:
            self.refuse_position(error)
            raise

    def refuse_position(self, why: Error) -> None:
        self.settle()
        self.position = why

    def go(self, request: Request, arrived: float) -> None:
        """arrived: when the line came, by time.monotonic(); the clock starts there."""
        self._begin(request, arrived, *self._way())

    def task(self, request: Request, position: Position) -> Task:
        """What a go that comes now has to do, for who does it without a Run: in a thread of its own, and tells nobody. Raises Error."""
        self.position = position
        return self._task(request, time.monotonic(), position, *self._way())

    def _way(self) -> tuple[heads.Ask | None, strength.Strength | None]:
        """How the options want a move to be found: without a tree, and at which strength."""
        limited = self._limited()
        if limited:
            return heads.drawn(limited.temperature) if limited.temperature else None, limited
        return heads.SEARCHES.get(self.settings["Search"]), None

    def _limited(self) -> strength.Strength | None:
        """The strength that the options ask for, whose network the back end then has."""
        limited = strength.of(self.settings)
        self.back_end.weights = limited.weights if limited else ""
        return limited

    def _begin(self, request: Request, arrived: float, ask: heads.Ask | None, limited: strength.Strength | None) -> None:
        self.settle()
        try:
            if isinstance(self.position, Error):
                raise Error(f"no position to search, the last one was refused: {self.position}")
            task: Task | Exception = self._task(request, arrived, self.position, ask, limited)
        except Exception as error:
            task = error
        self.run = Run(request, task, self.back_end, self.voice)

    def stop(self) -> None:
        """From any thread. bestmove follows."""
        if run := self.run:
            run.stop()

    def ponderhit(self, arrived: float) -> None:
        """The expected move was played: the search goes on as a normal one, its clock starting now."""
        run = self.run
        if not (run and run.request.ponder and run.replace()):
            raise Error("ponderhit without go ponder")
        request, ask = run.request._replace(ponder=False), run.task.ask if isinstance(run.task, Task) else None
        del run  # it holds a back end, which may be another by now
        self._begin(request, arrived, ask, self._limited())

    def wait(self) -> None:
        """Until bestmove is out. Raises Error if it waits for a stop."""
        if self.run and self.run.going and not self.run.request.ends:
            raise Error("this search ends with stop; there is nothing to wait for")
        if self.run:
            self.run.join()

    def settle(self) -> None:
        """Stops a search that runs; its bestmove comes out."""
        if self.run:
            self.run.stop()
            self.run.join()
        self.run = None

    def finish(self) -> None:
        """No more commands will come: a search that ends by itself does so, any other is stopped."""
        if self.run and self.run.request.ends:
            self.run.join()
        self.settle()

    def option_changed(self, option: Option) -> None:
        """Passes on what acts on a running search; the rest is read when it is needed."""
        if option.name == "ClearTree":
            self.tree.forget()
        elif self.run and self.run.going and option.when == NOW and option.core:
            with contextlib.suppress(Error):  # the search has not begun yet, or has nothing to search
                self.tree.search.set_option(option.name, self.settings[option.name])

    def save_tree(self, path: str) -> None:
        """The tree as it is, also while a search makes it grow. Raises Error."""
        if isinstance(self.position, Error):
            raise Error("there is no position, so there is no tree to save")
        made_of, tree = self.tree.save()
        position = self.position
        favoured = made_of[-1] if made_of else 0
        saved_tree.write(path, saved_tree.Saved(position.fen, list(position.moves), self._tree_made_of(), favoured, tree))
        self.voice.send([f"info string the tree of {self.tree.search.root_visits} nodes is in {path}"])

    def load_tree(self, path: str) -> None:
        """The position becomes that of the tree. Raises Error; then the position is what it was."""
        self.settle()
        self._open_tables()
        saved = saved_tree.read(path, self._tree_made_of())
        try:
            position = Position(saved.fen, tuple(saved.moves), _core.Game(saved.fen, saved.moves))
            self.tree.load(position, (*node_values(self.settings, self._limited()), saved.extra), saved.tree)
        except (Error, TypeError) as error:
            raise Error(f"{path}: {error}") from None
        self.position = position
        self.voice.send([f"info string a tree of {self.tree.search.root_visits} nodes; the position is fen {position.fen} moves {' '.join(position.moves)}"])

    def _tree_made_of(self) -> dict:
        self._limited()
        net, asked = self.back_end.get().net, backend_options.heads(backend_options.parse(self.settings["BackendOptions"]))
        return tree_values(self.settings.values) | {"network": saved_tree.network_hash(net.path if net else None, asked)}

    # a search --------------------------------------------------------------------------------------------------------

    def _open_tables(self) -> None:
        """Those of SyzygyPath, for the searches to come; says what was found when the path is a new one."""
        found = tables.open_tables(self.settings["SyzygyPath"])
        if found is not self.tables:
            self.tables = found
            self.tree.search.set_tables(found)
            if found:
                self.voice.send(["info string " + line for line in tables.messages(found)])

    def _task(self, request: Request, arrived: float, position: Position, ask: heads.Ask | None, limited: strength.Strength | None) -> Task:
        """What this go has to do, and the tree to its position."""
        settings, black = self.settings, position.game.black_to_move
        self._open_tables()
        loaded = self.back_end.get() if position.game.legal_moves() else None
        sign = contempt.sign(settings["ContemptMode"], black, analysis=request.infinite or settings["UCI_AnalyseMode"])
        shift = contempt.rescale(settings).diff
        if sign == 0 and settings["ContemptMode"] == "play" and shift:
            self.voice.send(["info string warning: contempt is off in analysis; ContemptMode can name a side"])
        favoured = (-sign if black else sign) if shift else 0
        remarks = [remark for remark in [*([limited.about] if limited else []), *idle(settings)] if remark not in self._said]
        self._said.update(remarks)
        self.voice.send(["info string " + remark for remark in remarks])
        self.tree.place(position, (*node_values(settings, limited), favoured))
        manager, limits = self._limits(request, position, limited)
        parameters, search = core_parameters(settings, sign) | (limited.of_a_search if limited else {}), self.tree.search
        clock = _clock(request, position)
        evaluation = self._evaluation()
        if loaded and clock and manager and not ask and self.tree.no_network and manager.runs_out(clock) and search.root_visits == 0:
            self.voice.send([f"info string {clock.time_ms} ms left, and the tree does not know this position: a move without the network"])
            search, evaluation = self.tree.hurried, _small(evaluation)
            search.set_position(position.fen, position.moves)
            loaded, limits = loaded._replace(backend=self.tree.no_network), limits | _IN_A_HURRY
        return Task(search, arrived, position, parameters, limits, evaluation, loaded, ask, manager, limited, self._most_s)

    def _evaluation(self) -> tuple:
        """How positions are evaluated, as Search.set_backend takes it."""
        return self.settings["HistoryFill"], self.settings["PolicyTemperature"], self.cache or cache_positions(self.settings)

    def _limits(self, request: Request, position: Position, limited: strength.Strength | None) -> tuple["timeman.Manager | None", dict]:
        settings = self.settings
        limits: dict = {"infinite": request.waits}
        if request.searchmoves:
            wanted = _legal(request.searchmoves, position.game)
            if wanted:
                limits["searchmoves"] = wanted
            else:
                self.voice.send(["info string error: none of the searchmoves is legal here; searching all moves"])
        wanted_nodes = [number for number in (request.nodes, settings["NodesLimit"] or None, limited and limited.nodes) if number is not None]
        if wanted_nodes:
            limits["playouts" if settings["NodesAsPlayouts"] else "nodes"] = max(1, min(*wanted_nodes, _MAX_VISITS))
        for name in ("depth", "mate"):
            if (value := getattr(request, name)) is not None:
                limits[name] = max(1, value)
        manager = None
        if not request.waits:
            times = []
            if clock := _clock(request, position):
                manager = self.tree.manager(settings)
                times.append(manager.budget(clock._replace(nodes=self.tree.search.root_visits)))
                limits |= manager.bank()
            if request.movetime is not None:
                times.append(timeman.fixed(request.movetime, settings["MoveOverheadMs"]))
                limits["bank_ms"] = 0
            if times:
                limits["time_ms"] = max(0, min(times))
        return manager, limits


def _warm_up(search: _core.Search, backend: _core.Backend, parameters: dict, evaluation: tuple) -> None:
    with contextlib.suppress(Error):  # go will say what is wrong
        search.set_backend(backend, *evaluation)
        search.start(parameters, {"nodes": 1})
        search.result()


def _small(evaluation: tuple) -> tuple:
    """For a search of a few nodes."""
    return *evaluation[:-1], 1000


def _clock(request: Request, position: Position) -> "timeman.Clock | None":
    """Of the side to move. The other side's stands in for a missing one: an engine that never moves is worse than one that guesses."""
    sides = [(request.wtime, request.winc), (request.btime, request.binc)]
    if position.game.black_to_move:
        sides.reverse()
    time_ms, increment = sides[0] if sides[0][0] is not None else sides[1]
    if time_ms is None:
        return None
    return timeman.Clock(time_ms, max(0, increment or 0), max(0, request.movestogo or 0), position.game.ply, len(position.moves))


def _legal(moves: Sequence[str], game: _core.Game) -> list[str]:
    """Those that are legal, in either castling notation and in capitals or not, as the core writes them."""
    known = {name: move for move in game.legal_moves() for name in (game.uci(move, False), move)}
    return list(dict.fromkeys(known[move] for move in map(str.lower, moves) if move in known))


def check_settings(settings: Settings) -> None:
    """Raises Error for values that do not parse or do not fit together."""
    timeman.create(settings["TimeManager"], settings["Slowmover"], settings["MoveOverheadMs"])
    contempt.rescale(settings)
    backend_options.parse(settings["BackendOptions"])
