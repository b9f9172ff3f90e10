"""`lc0rocm annotate`: a file of games in, the same games with the engine's opinion out."""
from __future__ import annotations

import collections
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from lc0rocm import _core, files, loading, report, tables
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.lines import options_of
from lc0rocm.analysis.query import Reader
from lc0rocm.annotation import forms, known
from lc0rocm.annotation.annotate import Annotated
from lc0rocm.annotation.games import Entry, read_games
from lc0rocm.annotation.known import Book
from lc0rocm.annotation.output import Output
from lc0rocm.annotation.people import Choice, People
from lc0rocm.options import Settings


class Beside(NamedTuple):
    """What is told of the moves beside the search of their positions, each if it is wanted."""
    tables: _core.Tables | None = None
    book: Book | None = None
    people: People | None = None


def run(settings: Settings) -> int:
    """Annotates until the input ends. An interrupt keeps what is done, and the same command goes on from there."""
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
    book = Book(settings["book"]) if settings["book"] else None
    loaded = loading.load_for(settings, unplayable=True)
    people = People(settings["human"], settings) if settings["human"] else None
    network = loaded.net.path.name if loaded.net else loaded.backend.name
    form = forms.of_name(goal, f"lc0rocm {VERSION}, {network}, {settings['nodes']} nodes")
    options = options_of(settings) | {"UCI_Chess960": True}
    identity = {"version": VERSION, "input": os.path.basename(source), "bytes": size, "nodes": settings["nodes"],
                "network": files.sha256(loaded.net.path) if loaded.net else network, "options": json.dumps(options, sort_keys=True),
                "book": files.sha256(settings["book"]) if book else "",
                "human": people and (files.sha256(people.path) if people.path else settings["human"])}
    output = Output(goal, form, identity, settings["again"])
    for message in loaded.messages + (people.messages[:1] if people else []):
        report.say(message)
    if output.games:
        report.say(f"{output.games} games are done; goes on after them")
    beside = Beside(tables.open_tables(settings["SyzygyPath"]), book, people)
    for message in tables.messages(beside.tables) if beside.tables else []:
        report.say(message)
    reader = Reader(options, {"nodes": settings["nodes"]})

    def analyse(queries: Iterable[Any]) -> Analysis:
        return Analysis(queries, loaded.backend, reader, settings["searches"], settings["RamLimitMb"])

    if not output.finished:
        before = output.games
        try:
            with report.amount("annotating", size, "games", not settings["json"]) as tell:
                for entry, game in annotated(read_games(source, output.games), analyse, beside):
                    if not game:
                        report.say(f"game {entry.number} is skipped: {entry.problem[:200]}")
                    output.write(form.text(game) if game else "")
                    tell(entry.read, output.games - before)
        except BaseException:
            output.keep()
            raise
    output.finish()
    done = {"games": output.games - output.skipped, "skipped": output.skipped, "output": goal}
    if settings["json"]:
        report.write_json(done)
    else:
        print(f"{done['games']} games annotated, {done['skipped']} skipped: {goal}")
    return 0


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
