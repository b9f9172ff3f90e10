"""What a side may use for its moves: visits, depth, time a move, or a clock; and how the clock stands."""
from __future__ import annotations

import re
from typing import NamedTuple

from lc0rocm import numerals
from lc0rocm._core import Error
from lc0rocm.engine.request import Request
from lc0rocm.games.player import TIME, Fault

_FORM = "nodes=N, depth=N, movetime=MS or tc=SECONDS+INCREMENT (tc=40/300+2: so much for each 40 moves), or several with spaces between them"
_TC = re.compile(r"(?:(\d+)/)?([\d.:]+)(?:\+([\d.]+))?")


class Limit(NamedTuple):
    """None: none. Times in milliseconds; base_ms, increment_ms: of the clock; period: moves after which the base is added anew, 0: never."""
    nodes: int | None = None
    depth: int | None = None
    movetime_ms: int | None = None
    base_ms: int | None = None
    increment_ms: int = 0
    period: int = 0

    @property
    def is_timed(self) -> bool:
        return self.movetime_ms is not None or self.base_ms is not None

    def pgn(self) -> str:
        """As the tag TimeControl has it: moves in the period and seconds; - for games without a clock."""
        if self.base_ms is None:
            return "-"
        clock = f"{self.base_ms / 1000:.10g}" + (f"+{self.increment_ms / 1000:.10g}" if self.increment_ms else "")
        return f"{self.period}/{clock}" if self.period else clock

    def __str__(self) -> str:
        parts = [("nodes", self.nodes), ("depth", self.depth), ("movetime", self.movetime_ms), ("tc", self.pgn() if self.base_ms else None)]
        return " ".join(f"{name}={value}" for name, value in parts if value is not None)


def parse(text: str) -> Limit:
    """Raises Error with what would be right."""
    limit = Limit()
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            if name in ("nodes", "depth"):
                limit = limit._replace(**{name: _at_least_one(numerals.integer(value))})
            elif name == "movetime":
                limit = limit._replace(movetime_ms=_at_least_one(numerals.integer(value)))
            elif name == "tc" and (match := _TC.fullmatch(value)):
                minutes, _, seconds = match[2].rpartition(":")
                base = 1000 * (60 * numerals.integer(minutes or "0") + numerals.real(seconds))
                limit = limit._replace(base_ms=_at_least_one(round(base)), increment_ms=round(1000 * numerals.real(match[3] or "0")),
                                       period=int(match[1] or 0))
            else:
                raise ValueError
        except ValueError:
            raise Error(f"'{word[:60]}' is no limit of a move: {_FORM}") from None
    if limit == Limit():
        raise Error(f"a side needs a limit: {_FORM}")
    if limit.base_ms is not None and limit.movetime_ms is not None:
        raise Error("a side has a clock or a time for each move, not both: tc or movetime")
    return limit


def _at_least_one(number: int) -> int:
    if not 0 < number <= 4_000_000_000:
        raise ValueError
    return number


class Clock:
    """Of a side in a game. left_s: None without a clock."""

    def __init__(self, limit: Limit):
        self.limit = limit
        self.left_s = None if limit.base_ms is None else limit.base_ms / 1000
        self._moves = 0

    @property
    def left_ms(self) -> int | None:
        return None if self.left_s is None else max(1, round(1000 * self.left_s))

    @property
    def moves_to_go(self) -> int | None:
        return self.limit.period - self._moves % self.limit.period if self.limit.period else None

    def moved(self, elapsed_s: float, margin_ms: float) -> None:
        """After a move; what is late by less than the margin costs nothing. Raises Fault where the time is over."""
        if self.limit.movetime_ms is not None and (late := 1000 * elapsed_s - self.limit.movetime_ms) > margin_ms:
            raise Fault(TIME, f"used {late:.0f} ms more than the {self.limit.movetime_ms} ms of a move")
        if self.left_s is None:
            return
        self.left_s -= elapsed_s
        if 1000 * self.left_s < -margin_ms:
            raise Fault(TIME, f"lost on time by {-1000 * self.left_s:.0f} ms")
        self._moves += 1
        self.left_s = max(0.0, self.left_s) + self.limit.increment_ms / 1000
        if self.limit.period and self._moves % self.limit.period == 0:
            assert self.limit.base_ms, "there is a clock"
            self.left_s += self.limit.base_ms / 1000


def request(clocks: tuple[Clock, Clock], side: int) -> Request:
    """What is asked of a side: 0 White, 1 Black."""
    (white, black), own = clocks, clocks[side]
    return Request(nodes=own.limit.nodes, depth=own.limit.depth, movetime=own.limit.movetime_ms, movestogo=own.moves_to_go, wtime=white.left_ms,
                   btime=black.left_ms, winc=white.limit.increment_ms or None, binc=black.limit.increment_ms or None)
