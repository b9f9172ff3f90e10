"""`lc0rocm annotate`: a file of games in, the same games with the engine's opinion out."""
from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lc0rocm import _core, files, loading, report, tables
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.lines import options_of
from lc0rocm.analysis.query import Reader
from lc0rocm.annotation import forms, games, known, people
from lc0rocm.annotation.annotate import Annotated
from lc0rocm.annotation.games import Entry, Raw, read_texts
from lc0rocm.annotation.known import Book
from lc0rocm.annotation.output import Output
from lc0rocm.annotation.people import Choice, People
from lc0rocm.cluster import workers
from lc0rocm.options import Settings


class Beside(NamedTuple):
    """What is told of the moves beside the search of their positions, each if it is wanted."""
    tables: _core.Tables | None = None
    book: Book | None = None
    people: People | None = None


class Setup(NamedTuple):
    """What games are annotated with, here or elsewhere. goal: of its name is the form; human, book: files, or ""."""
    goal: str
    annotator: str
    options: dict[str, Any]
    nodes: int
    searches: int
    backend: str
    backend_options: str
    human: str
    book: str


class Done(NamedTuple):
    """text: what is written of a game; "" of one that is skipped for that problem."""
    number: int
    text: str
    problem: str
    read: int


def run(settings: Settings) -> int:
    """Annotates until the input ends. An interrupt keeps what is done, and the same command goes on from there, here or on a cluster."""
    source, goal = settings["input"], settings["output"]
    if not source or not goal:
        raise Error("which games, and where to? lc0rocm annotate games.pgn -o annotated.pgn")
    forms.of_name(goal, "")
    if os.path.exists(goal) and os.path.exists(source) and os.path.samefile(source, goal):
        raise Error("the output is the input; give it another name")
    try:
        size = os.stat(source).st_size
    except OSError as error:
        raise Error(f"cannot read {source}: {error.strerror}") from None
    human, about_human = people.find(settings["human"]) if settings["human"] else ("", "")
    if settings["book"]:
        Book(settings["book"])
    net = loading.network_of(settings)
    network = os.path.basename(net) if net else settings["Backend"]
    author = f"lc0rocm {VERSION}, {network}, {settings['nodes']} nodes" + (f"; people by {os.path.basename(human)}" if human else "")
    setup = Setup(goal, author, options_of(settings) | {"UCI_Chess960": True}, settings["nodes"],
                  settings["searches"], settings["Backend"], settings["BackendOptions"], human, settings["book"])
    identity = {"version": VERSION, "input": os.path.basename(source), "bytes": size, "nodes": settings["nodes"],
                "network": _sha256(net) if net else network, "options": json.dumps(setup.options, sort_keys=True),
                "book": _sha256(setup.book) if setup.book else "", "human": _sha256(human) if human else None}
    output = Output(goal, forms.of_name(goal, setup.annotator), identity, settings["again"])
    if not output.finished:
        if about_human:
            report.say(about_human)
        if output.games:
            report.say(f"{output.games} games are done; goes on after them")
        before = output.games
        try:
            texts = read_texts(source, output.games)
            with contextlib.closing(_over_cluster(settings, setup, texts) if settings["ray"] else _here(settings, setup, texts)) as done:
                with report.amount("annotating", size, "games", not settings["json"]) as tell:
                    for game in done:
                        if game.problem:
                            report.say(f"game {game.number} is skipped: {game.problem[:200]}")
                        output.write(game.text)
                        tell(game.read, output.games - before)
        except BaseException:
            output.keep()
            raise
    output.finish()
    result = {"games": output.games - output.skipped, "skipped": output.skipped, "output": goal}
    if settings["json"]:
        report.write_json(result)
    else:
        print(f"{result['games']} games annotated, {result['skipped']} skipped: {goal}")
    return 0


def _sha256(path: str) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from None


def _here(settings: Settings, setup: Setup, texts: Iterable[Raw]) -> Generator[Done, None, None]:
    loaded = loading.load_for(settings, unplayable=True)
    found = tables.open_tables(settings["SyzygyPath"])
    for message in [*loaded.messages, *(tables.messages(found) if found else [])]:
        report.say(message)
    yield from annotator(loaded.backend, settings["RamLimitMb"], setup)(texts)


# A block is long enough to fill batches for a while, and short enough that the last ones end at about the same time. So many blocks may be done
# before their turn to be written.
_BLOCK, _AHEAD = 4, 1000


def _over_cluster(settings: Settings, setup: Setup, texts: Iterable[Raw]) -> Generator[Done, None, None]:
    """The same games in the same order."""
    sent = {use: path for use, path in (("human", setup.human), ("book", setup.book)) if path}
    work = workers.job(settings, worker, (setup,), 64 * _BLOCK, files=sent)
    found: dict[int, list[Done]] = {}
    written = 0

    def blocks() -> Iterator[tuple[int, list[Raw]] | None]:
        source, number = iter(texts), 0
        while block := list(itertools.islice(source, _BLOCK)):
            while number > written + _AHEAD:
                yield None
            yield number, block
            number += 1

    for number, block in workers.run(settings["ray"], work, blocks()):
        found[number] = block
        while written in found:
            yield from found.pop(written)
            written += 1


def worker(loaded: loading.Loaded, ram_mb: int, sent: Mapping[str, str], setup: Setup) -> Callable[[list[Raw]], list[Done]]:
    """What a worker does with a block."""
    backend = _core.Backend("multiplexing", None, {"shared": loaded.backend})  # of the blocks that it has at once
    work = annotator(backend, ram_mb // 2, setup._replace(human=sent.get("human", ""), book=sent.get("book", "")))
    return lambda block: list(work(block))


def annotator(backend: _core.Backend, ram_mb: int, setup: Setup) -> Callable[[Iterable[Raw]], Iterator[Done]]:
    """Makes of games what is written of them, in their order."""
    reader, form = Reader(setup.options, {"nodes": setup.nodes}), forms.of_name(setup.goal, setup.annotator)
    beside = Beside(tables.open_tables(setup.options["SyzygyPath"]), Book(setup.book) if setup.book else None,
                    People(setup.human, setup.backend, setup.backend_options, setup.options["HistoryFill"]) if setup.human else None)

    def analyse(queries: Iterable[Any]) -> Analysis:
        return Analysis(queries, backend, reader, setup.searches, ram_mb)

    def work(texts: Iterable[Raw]) -> Iterator[Done]:
        for entry, game in annotated(map(games.entry, texts), analyse, beside):
            yield Done(entry.number, form.text(game) if game else "", entry.problem, entry.read)

    return work


class _Begun:
    """A game whose positions are being analysed."""

    def __init__(self, entry: Entry, beside: Beside):
        self.entry, self.answers, self.due = entry, list[dict[str, Any]](), 0
        self.choices: list[Choice] = []  # of people, before each move
        self.instead: dict[int, dict[str, Any]] = {}  # answers about the positions after those, by ply
        if entry.game:
            self._fen, board = entry.game.board().fen(en_passant="fen"), entry.game.board()
            self._moves = []
            for move in entry.game.mainline_moves():
                self._moves.append(board.uci(move, chess960=True))
                board.push(move)
            if beside.people:
                self.choices = beside.people.choices(self._fen, self._moves)

    def queries(self) -> Iterator[dict[str, Any]]:
        """An id is the game's number, or that and the ply of the move that people would have played instead."""
        if not self.entry.game:
            return
        number, moves = self.entry.number, self._moves
        others = [(ply, choice.move) for ply, (move, choice) in enumerate(zip(moves, self.choices)) if choice.move != move]
        self.due = len(moves) + 1 + len(others)
        query = {"fen": self._fen, "perspective": "white"}
        yield query | {"id": [number], "moves": moves, "plies": "all"}
        for ply, move in others:
            yield query | {"id": [number, ply], "moves": [*moves[:ply], move]}

    def take(self, answer: dict[str, Any], of: Beside) -> None:
        if "error" in answer:
            raise Error(f"game {self.entry.number}: {answer['error']}")
        if of.tables:
            answer = known.by_tables(of.tables, answer)
        self.due -= 1
        if instead := answer["id"][1:]:
            self.instead[instead[0]] = answer
        else:
            self.answers.append(answer)

    def end(self, of: Beside) -> Annotated | None:
        if not self.entry.game:
            return None
        self.answers.sort(key=lambda answer: answer["ply"])
        return Annotated(self.entry.number, self.entry.game, self.answers, self.choices, self.instead, of.book)


def annotated(entries: Iterable[Entry], analyse: Callable[[Iterable[Any]], Iterable[Any]],
              beside: Beside) -> Iterator[tuple[Entry, Annotated | None]]:
    """Games in their order, the positions of many of them being analysed at once."""
    begun: collections.OrderedDict[int, _Begun] = collections.OrderedDict()

    def queries() -> Iterator[dict[str, Any]]:
        for entry in entries:
            begun[entry.number] = game = _Begun(entry, beside)
            yield from game.queries()

    def ready() -> Iterator[tuple[Entry, Annotated | None]]:
        while begun and not (first := next(iter(begun.values()))).due:
            del begun[first.entry.number]
            yield first.entry, first.end(beside)

    for answer in analyse(queries()):
        begun[answer["id"][0]].take(answer, beside)
        yield from ready()
    yield from ready()
