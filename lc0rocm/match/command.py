"""`lc0rocm match`: two sides, many games at once, and what they say of the difference."""
from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from lc0rocm import report, tables
from lc0rocm._core import Error
from lc0rocm.games import play
from lc0rocm.games.limit import parse
from lc0rocm.games.many import Many
from lc0rocm.games.player import Player
from lc0rocm.games.verdict import Adjudication, Judge
from lc0rocm.match import adjudication, sides, sprt
from lc0rocm.match.openings import Openings
from lc0rocm.match.record import Record
from lc0rocm.match.sides import Side
from lc0rocm.match.standing import Standing
from lc0rocm.options import Settings

_MOST_AT_ONCE = 256


def run(settings: Settings) -> int:
    """Plays what is missing. An interrupt keeps the games that are over, and the same command goes on from there."""
    goal = settings["output"]
    if not goal:
        raise Error('who plays, and where to? lc0rocm match net.pb.gz maia-1500 -o match.pgn, or: lc0rocm match -o match.pgn --second-options="CPuct=2"')
    logging.getLogger("chess").addHandler(logging.NullHandler())  # what an engine writes beside the protocol is no news
    logging.getLogger("chess").propagate = False
    rules, test = _rules(settings), _test(settings)
    backs = sides.BackEnds()
    both = _both(settings, backs)
    openings = Openings(settings["openings"], settings["shuffle"], settings["seed"], settings["plies"], settings["UCI_Chess960"],
                        (settings["games"] + 1) // 2)
    for side in both:
        if openings.have_chess960 and not side.plays_chess960:
            raise Error(f"{side.name} does not play Chess960, of which there are openings: it has no option UCI_Chess960")
    identity = {"sides": [side.identity for side in both], "openings": openings.identity, "rules": [settings[key] for key in _RULES]}
    record = Record(goal, hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16], settings["again"])
    try:
        at_once = settings["concurrency"] or _at_once(both)
        for line in [*backs.messages, *map(sides.text, both), *_about(record, openings, at_once, settings)]:
            report.say(line)
        standing = Standing((both[0].name, both[1].name), record.results, test)
        with report.standing("match", settings["games"], not settings["json"]) as tell:
            tell(len(record.results), standing.short())
            _play(both, openings, record, standing, rules, settings, at_once, tell)
    finally:
        record.close()
    if settings["json"]:
        report.write_json({"output": goal} | standing.json() | {"sides": [{"name": side.name} | side.identity for side in both]})
    else:
        print(standing.text())
    return 0


_RULES = ("margin", "draw", "resign", "max-moves", "table-results")


def _rules(settings: Settings) -> Adjudication:
    found = tables.open_tables(settings["SyzygyPath"]) if settings["table-results"] else None
    if settings["table-results"] and not found:
        raise Error("--table-results needs the folders with the tables: --syzygy-paths=...")
    return adjudication.parse(settings["draw"], settings["resign"])._replace(most_moves=settings["max-moves"], tables=found)


def _test(settings: Settings) -> sprt.Sprt | None:
    if not settings["sprt"]:
        return None
    try:
        low, high = map(float, settings["sprt"].replace(",", " ").split())
        if not -sprt.MOST <= low < high <= sprt.MOST:
            raise ValueError
    except ValueError:
        raise Error(f"--sprt takes two Elo differences from -{sprt.MOST} to {sprt.MOST}, the lower one first, like --sprt=0,10; not "
                    f"'{settings['sprt'][:60]}'") from None
    return sprt.Sprt(low, high, settings["alpha"], settings["beta"], settings["sprt-model"] == "normalized")


def _both(settings: Settings, backs: sides.BackEnds) -> tuple[Side, Side]:
    made = []
    for which in ("first", "second"):
        options = sides.pairs(settings[f"{which}-options"], f"--{which}-options")
        limit = parse(settings[f"{which}-limit"] or settings["limit"])
        made.append(sides.side(settings[which], settings[f"{which}-name"], options, limit, settings, backs, settings["silence"]))
    first, second = made
    if first.name == second.name:
        first, second = first._replace(name=f"{first.name} 1"), second._replace(name=f"{second.name} 2")
    return first, second


def _at_once(both: Sequence[Side]) -> int:
    """Where both are ours, as many games as fill the batches; else, and where time counts, no more than processors for them."""
    if all(side.batch and not side.limit.is_timed for side in both):
        return max(4, min(_MOST_AT_ONCE, max(side.batch for side in both)))
    return max(1, len(os.sched_getaffinity(0)) // max(side.threads for side in both))


def _about(record: Record, openings: Openings, at_once: int, settings: Settings) -> Iterator[str]:
    pairs = (settings["games"] + 1) // 2
    at_once = min(at_once, settings["games"])
    yield f"{at_once} games at once" if at_once > 1 else "one game at a time"
    if openings and len(openings) < pairs:
        yield f"{len(openings)} openings for {pairs} pairs: they come again"
    if record.results:
        yield f"{len(record.results)} games are in {record.path}" + ("; goes on with the others" if len(record.results) < settings["games"] else "")


class Table:
    """Where games are played, one after the other: a player of each side."""

    def __init__(self, both: Sequence[Side], openings: Openings, rules: Adjudication, margin_ms: float):
        self._both, self._openings, self._rules, self._margin_ms = both, openings, rules, margin_ms
        self._players: list[Player] = []
        try:
            for side in both:
                self._players.append(side.make())
        except BaseException:
            self.close()
            raise

    def work(self, number: int) -> tuple[int, play.Game]:
        order = (0, 1) if number % 2 == 0 else (1, 0)
        return number, play.play(self._openings[number // 2], [self._players[i] for i in order], [self._both[i].limit for i in order],
                                 Judge(self._rules), self._margin_ms)

    def close(self) -> None:
        for player in self._players:
            player.close()


def _play(both: tuple[Side, Side], openings: Openings, record: Record, standing: Standing, rules: Adjudication, settings: Settings, at_once: int,
          tell: Any) -> None:
    missing = [number for number in range(settings["games"]) if number not in record.results]
    if not missing or standing.verdict():
        return
    many = Many(missing, lambda: Table(both, openings, rules, settings["margin"]), min(at_once, len(missing)))
    try:
        for number, game in many:
            order = (0, 1) if number % 2 == 0 else (1, 0)
            result = record.write(number, game, (both[order[0]].name, both[order[1]].name), (both[order[0]].limit, both[order[1]].limit))
            if result.fault:
                report.say(f"game {number + 1}: {game.reason}")
            tell(len(record.results), standing.short())
            if standing.verdict():
                break
    finally:
        many.close()
