"""`lc0rocm annotate`: a file of games in, the same games with the engine's opinion out."""
from __future__ import annotations

import collections
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import chess

from lc0rocm import loading, report
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.lines import options_of
from lc0rocm.analysis.query import Reader
from lc0rocm.annotation.annotate import Annotated
from lc0rocm.annotation.games import Entry, read_games
from lc0rocm.annotation.output import Output
from lc0rocm.options import Settings

_FORMATS = (".pgn", ".jsonl")


def run(settings: Settings) -> int:
    """Annotates until the input ends. An interrupt keeps what is done, and the same command goes on from there."""
    source, goal = settings["input"], settings["output"]
    kind = os.path.splitext(goal)[1].lower()
    if not source or not goal:
        raise Error("which games, and where to? lc0rocm annotate games.pgn -o annotated.pgn")
    if kind not in _FORMATS:
        raise Error(f"-o names a file that ends in {' or '.join(_FORMATS)}, not {goal}")
    if os.path.exists(goal) and os.path.exists(source) and os.path.samefile(source, goal):
        raise Error("the output is the input; give it another name")
    loaded = loading.load_for(settings, unplayable=True)
    network = loaded.net.path.name if loaded.net else loaded.backend.name
    options = options_of(settings) | {"UCI_Chess960": True}
    try:
        stat = os.stat(source)
    except OSError as error:
        raise Error(f"cannot read {source}: {error.strerror}") from None
    identity = {"input": os.path.basename(source), "bytes": stat.st_size, "network": _digest(loaded.net.path) if loaded.net else network,
                "nodes": settings["nodes"], "options": json.dumps(options, sort_keys=True)}
    output = Output(goal, identity, settings["again"])
    for message in loaded.messages:
        print(f"lc0rocm: {message}", file=sys.stderr)
    if output.games:
        print(f"lc0rocm: {output.games} games are done; goes on after them", file=sys.stderr)
    annotator = f"lc0rocm {VERSION}, {network}, {settings['nodes']} nodes"

    def text_of(game: Annotated) -> str:
        return json.dumps(game.json()) + "\n" if kind == ".jsonl" else game.pgn(annotator) + "\n\n"

    reader = Reader(options, {"nodes": settings["nodes"]})

    def analyse(queries: Iterable[Any]) -> Analysis:
        return Analysis(queries, loaded.backend, reader, settings["searches"], settings["RamLimitMb"])

    try:
        before = output.games
        with report.amount("annotating", stat.st_size, "games", not settings["json"]) as tell:
            for entry, game in annotated(read_games(source, output.games), analyse):
                if not game:
                    print(f"lc0rocm: game {entry.number} is skipped: {entry.problem[:200]}", file=sys.stderr)
                output.write(text_of(game) if game else "")
                tell(entry.read, output.games - before)
    except BaseException:
        output.pause()
        raise
    output.finish()
    done = {"games": output.games - output.skipped, "skipped": output.skipped, "output": goal}
    if settings["json"]:
        report.write_json(done)
    else:
        print(f"{done['games']} games annotated, {done['skipped']} skipped: {goal}")
    return 0


def annotated(entries: Iterable[Entry], analyse: Callable[[Iterable[Any]], Iterable[Any]]) -> Iterator[tuple[Entry, Annotated | None]]:
    """Games in their order, the positions of many of them being analysed at once."""
    begun: collections.deque[tuple[Entry, list[chess.Move], list[dict[str, Any]]]] = collections.deque()  # moves and answers so far
    answers_of: dict[int, list[dict[str, Any]]] = {}

    def queries() -> Iterator[dict[str, Any]]:
        for entry in entries:
            moves, answers_of[entry.number] = list(entry.game.mainline_moves()) if entry.game else [], []
            begun.append((entry, moves, answers_of[entry.number]))
            if entry.game:
                yield {"id": entry.number, "fen": entry.game.board().fen(en_passant="fen"), "moves": [move.uci() for move in moves],
                       "plies": "all", "perspective": "white"}

    def ready() -> Iterator[tuple[Entry, Annotated | None]]:
        while begun and (not begun[0][0].game or len(begun[0][2]) == len(begun[0][1]) + 1):
            entry, _, answers = begun.popleft()
            del answers_of[entry.number]
            answers.sort(key=lambda answer: answer["ply"])
            yield entry, Annotated(entry.number, entry.game, answers) if entry.game else None

    for answer in analyse(queries()):
        if "error" in answer:
            raise Error(f"game {answer['id']}: {answer['error']}")
        answers_of[answer["id"]].append(answer)
        yield from ready()
    yield from ready()


def _digest(path: Any) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
