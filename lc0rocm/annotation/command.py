"""`lc0rocm annotate`: a file of games in, the same games with the engine's opinion out."""
from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from lc0rocm import _core, files, loading, report, tables
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.lines import options_of
from lc0rocm.analysis.query import Reader
from lc0rocm.annotation import forms, games, known, people
from lc0rocm.annotation.clerks import Clerks, Findings, Moves, result
from lc0rocm.annotation.games import Raw, read_texts
from lc0rocm.annotation.known import Book
from lc0rocm.annotation.output import Output
from lc0rocm.annotation.people import People
from lc0rocm.cluster import workers
from lc0rocm.options import Settings


class Beside(NamedTuple):
    """What the positions are asked beside the search, each if it is wanted."""
    tables: _core.Tables | None = None
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
    size = games.size(source)
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
    with contextlib.closing(Clerks(_processes(settings["processes"], loaded.backend), setup.goal, setup.annotator, setup.book)) as clerks:
        yield from annotator(loaded.backend, settings["RamLimitMb"], setup, clerks)(texts)


def _processes(asked: int, backend: _core.Backend) -> int:
    """That read and write games: none where the network needs all processors, or there are few."""
    processors = len(os.sched_getaffinity(0))
    return asked if asked >= 0 else 0 if backend.info["cpu"] or processors < 4 else min(8, processors // 4)


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
    clerks = Clerks(0, setup.goal, setup.annotator, sent.get("book", ""))
    work = annotator(backend, ram_mb // 2, setup._replace(human=sent.get("human", "")), clerks)
    return lambda block: list(work(block))


def annotator(backend: _core.Backend, ram_mb: int, setup: Setup, clerks: Clerks) -> Callable[[Iterable[Raw]], Iterator[Done]]:
    """Makes of games what is written of them, in their order."""
    reader = Reader(setup.options, {"nodes": setup.nodes})
    beside = Beside(tables.open_tables(setup.options["SyzygyPath"]),
                    People(setup.human, setup.backend, setup.backend_options, setup.options["HistoryFill"]) if setup.human else None)

    def analyse(queries: Iterable[Any]) -> Analysis:
        return Analysis(queries, backend, reader, setup.searches, ram_mb)

    return lambda texts: annotated(texts, clerks, analyse, beside)


class _Begun:
    """A game whose positions are being analysed."""

    def __init__(self, raw: Raw, game: Moves, beside: Beside):
        self.raw, self.game, self.due = raw, game, 0
        self.answers: list[dict[str, Any]] = []
        self.choices = beside.people.choices(game.fen, game.moves) if beside.people and not game.problem else []  # before each move
        self.instead: dict[int, dict[str, Any]] = {}  # answers about the positions after those, by ply

    def queries(self) -> Iterator[dict[str, Any]]:
        """An id is the game's number, or that and the ply of the move that people would have played instead."""
        if self.game.problem:
            return
        number, moves = self.raw.number, self.game.moves
        others = [(ply, choice.move) for ply, (move, choice) in enumerate(zip(moves, self.choices)) if choice.move != move]
        self.due = len(moves) + 1 + len(others)
        query = {"fen": self.game.fen, "perspective": "white"}
        yield query | {"id": [number], "moves": moves, "plies": "all"}
        for ply, move in others:
            yield query | {"id": [number, ply], "moves": [*moves[:ply], move]}

    def take(self, answer: dict[str, Any], of: Beside) -> None:
        if "error" in answer:
            raise Error(f"game {self.raw.number}: {answer['error']}")
        if of.tables:
            answer = known.by_tables(of.tables, answer)
        self.due -= 1
        if instead := answer["id"][1:]:
            self.instead[instead[0]] = answer
        else:
            self.answers.append(answer)

    def findings(self) -> Findings:
        return Findings(sorted(self.answers, key=lambda answer: answer["ply"]), self.choices, self.instead)


def annotated(texts: Iterable[Raw], clerks: Clerks, analyse: Callable[[Iterable[Any]], Iterable[Any]], beside: Beside) -> Iterator[Done]:
    """Games in their order, the positions of many of them being analysed at once."""
    begun: collections.OrderedDict[int, _Begun] = collections.OrderedDict()
    writing: collections.deque[tuple[_Begun, Future[str] | None]] = collections.deque()

    def queries() -> Iterator[dict[str, Any]]:
        for raw, moves in clerks.read(texts):
            begun[raw.number] = game = _Begun(raw, moves, beside)
            yield from game.queries()

    def ready(most: int) -> Iterator[Done]:
        """What is written, and in its turn; of what is not, no more than so many stay behind."""
        while begun and not (first := next(iter(begun.values()))).due:
            del begun[first.raw.number]
            writing.append((first, None if first.game.problem else clerks.write(first.raw, first.findings())))
        while writing and (len(writing) > most or not (text := writing[0][1]) or text.done()):
            game, text = writing.popleft()
            yield Done(game.raw.number, result(text) if text else "", game.game.problem, game.raw.read)

    for answer in analyse(queries()):
        begun[answer["id"][0]].take(answer, beside)
        yield from ready(clerks.ahead)
    yield from ready(0)
