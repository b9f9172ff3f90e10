"""How long to think: the clock of a move to a limit in milliseconds. A manager lives for one game."""
from typing import NamedTuple

from lc0rocm import backend_options
from lc0rocm._core import Error


class Clock(NamedTuple):
    """What `go` says about the side to move, and where in the game it is."""
    time_ms: int
    increment_ms: int = 0
    moves_to_go: int = 0  # 0: not given
    ply: int = 0  # plies since the first move of the game
    book_plies: int = 0  # plies played since the game's start position, at the first move: what a book has played
    nodes: int = 0  # that the tree has at this position


def expected_moves_left(ply: int, midpoint: float, steepness: float) -> float:
    """Mean number of moves a game of this length still has."""
    move = ply / 2
    far = max(move, midpoint)  # taken out of the power, which would overflow
    return far * ((midpoint / far) ** steepness + 2 * (move / far) ** steepness) ** (1 / steepness) - move


def kept_back(overhead_ms: int, budget_ms: float) -> float:
    """Of a budget: the overhead, but at most half. What is kept back for the way to the GUI is no reason not to think."""
    return min(overhead_ms, max(0.0, budget_ms) / 2)


_TROUBLE_MS = 200  # with less on the clock, a hiccup of a busy machine may lose the game
_LAST_MS = 60  # with less, a single evaluation may come too late


class Manager:
    """Sets the time of a game's moves, and learns what moves cost beyond it, by the GUI's own clock: on a busy machine, or with a slow GUI,
    that is expected of every move to come. With a short increment it decides."""

    def __init__(self, overhead_ms: int):
        self.overhead, self.limit = overhead_ms, 0
        self.late = 0.0  # milliseconds a move, a running mean
        self._last: tuple[int, int] | None = None  # the clock after the last move's increment, had that move cost nothing; its limit

    def budget(self, clock: Clock) -> int:
        """Milliseconds for this move."""
        if self._last and 0 <= (late := self._last[0] - self._last[1] - clock.time_ms) < 500:  # else it is another clock, or chance
            self.late += (min(late, 100) - self.late) / 4
        self.limit = self.share(clock)
        self._last = clock.time_ms + clock.increment_ms, max(0, self.limit)
        return self.limit

    def share(self, clock: Clock) -> int:
        """What budget() gives, by the rule of this manager."""
        raise NotImplementedError

    def bank(self) -> dict[str, float]:
        """Of the last budget: limits of the core's search for time beyond it, where the move is not settled."""
        return {}

    def moved(self, elapsed_ms: int, nodes: int = 0, playouts: int = 0) -> None:
        """The move of the last budget has taken so long; nodes: that the tree has now; playouts: those of this move."""
        self._last = self._last and (self._last[0], min(self._last[1], elapsed_ms))

    def runs_out(self, clock: Clock) -> bool:
        """The clock is nearly down, and what moves cost beyond their limits takes it before the game is over: it must cost nothing to move."""
        rest = expected_moves_left(clock.ply, Legacy.defaults["midpoint-move"], Legacy.defaults["steepness"])
        loss = max(0.0, self.late - clock.increment_ms) * min(rest, clock.moves_to_go or rest)
        return clock.time_ms < _LAST_MS or clock.time_ms < _TROUBLE_MS and clock.time_ms - loss < _LAST_MS


class Legacy(Manager):
    """Spreads the time over the expected rest of the game, the first move longer; what a move saves goes to the next, as far as a first
    move could have it from the clock as it stands: a clock may be another one than that on which time was saved.

    The bonus for a book counts the moves played since the start position, not the move number of a FEN: a game that
    starts at move 40 would otherwise spend 40 % of its time on one move. With few moves to go
    the bonus is that of as many moves in a whole game: the others need their time."""
    defaults = {"slowmover": 1.0, "midpoint-move": 51.5, "steepness": 7.0, "immediate-use": 1.0,
                "first-move-bonus": 1.8, "book-ply-bonus": 0.25}

    def __init__(self, parameters: dict, overhead_ms: int):
        super().__init__(overhead_ms)
        self.parameters = parameters
        self.spare = 0.0
        self.first = True

    def share(self, clock: Clock) -> int:
        p = self.parameters
        slowmover = p["slowmover"]
        game = expected_moves_left(clock.ply, p["midpoint-move"], p["steepness"])
        rest = clock.moves_to_go if 0 < clock.moves_to_go < game else game
        overhead = kept_back(self.overhead, clock.time_ms)
        in_trouble = clock.time_ms <= min(self.overhead, _TROUBLE_MS)  # then the increment refills the clock
        total = max(0.0, clock.time_ms + ((0 if in_trouble else clock.increment_ms) - self.late) * (rest - 1) - overhead)
        bonus = (p["first-move-bonus"] + p["book-ply-bonus"] * min(12, clock.book_plies)) * rest / game
        squander = 0
        if self.spare > 0:
            pace = min(1.0, slowmover)
            most = bonus * pace * total / rest / (1 - pace / rest) if rest > pace else total
            self.spare = min(self.spare, most)
            total = max(0.0, total - self.spare)
            squander = int(self.spare * p["immediate-use"])
            self.spare -= squander
        share = total / rest
        if self.first:
            share *= 1 + bonus
            self.first = False
        if slowmover < 1 or share * slowmover > 200:
            self.spare -= share * (slowmover - 1)
            share *= slowmover
        return int(min(share + squander, clock.time_ms - overhead))

    def moved(self, elapsed_ms: int, nodes: int = 0, playouts: int = 0) -> None:
        super().moved(elapsed_ms, nodes, playouts)
        self.spare += self.limit - elapsed_ms


class AlphaZero(Manager):
    """A fixed share of the time left."""
    defaults = {"alphazero-time-pct": 12.0}

    def __init__(self, parameters: dict, overhead_ms: int):
        super().__init__(overhead_ms)
        self.part = min(1.0, parameters["alphazero-time-pct"] / 100)

    def share(self, clock: Clock) -> int:
        return int((clock.time_ms - kept_back(self.overhead, clock.time_ms)) * self.part)


class Simple(Manager):
    """A share of the time left that grows with the move number and the increment, and what the last move saved."""
    defaults = {"base-pct": 1.4, "ply-pct": 0.049, "time-factor": 1.5, "opening-bonus-pct": 0.0}

    def __init__(self, parameters: dict, overhead_ms: int):
        super().__init__(overhead_ms)
        self.parameters = parameters
        self.last: tuple[float, float] | None = None  # (limit, time available) of the move before

    def share(self, clock: Clock) -> int:
        p = self.parameters
        available = clock.time_ms - kept_back(self.overhead, clock.time_ms)
        share = (p["base-pct"] + p["ply-pct"] * clock.ply) / 100
        if clock.time_ms > 0:
            share += p["time-factor"] * clock.increment_ms / clock.time_ms
        limit = available * share
        if self.last:
            used = self.last[1] - (available - clock.increment_ms)
            if 0 <= used <= self.last[0]:  # else it is another clock
                limit += self.last[0] - used
        else:
            limit *= 1 + p["opening-bonus-pct"] / 100
        self.last = (min(limit, available), available)
        return int(self.last[0])


class Smooth(Manager):
    """Divides the nodes that the clock has time for, not the time: what the tree knows already need not be searched, and what moves have
    lately left unused is expected again. A piggybank pays for moves that are not settled when their share is used up."""
    defaults = {"init-tree-reuse": 0.52, "max-tree-reuse": 0.73, "tree-reuse-update-rate": 3.39, "nps-update-period": 20.0, "init-timeuse": 0.7,
                "min-timeuse": 0.34, "timeuse-update-rate": 5.51, "max-move-budget": 0.42, "init-piggybank": 0.09,
                "per-move-piggybank": 0.12, "max-piggybank-use": 0.94, "max-piggybank-moves": 36.5, "trend-nps-update-period-ms": 3000,
                "bestmove-optimism": 0.2, "overtaker-optimism": 4.0, "force-piggybank-ms": 1000, "midpoint": 45.2, "steepness": 5.93}

    def __init__(self, parameters: dict, overhead_ms: int):
        super().__init__(overhead_ms)
        self.parameters = parameters
        self.reuse, self.time_use = parameters["init-tree-reuse"], parameters["init-timeuse"]
        self.nps = 20_000.0
        self.piggybank: float | None = None  # milliseconds; None before the first move
        self.allowed = 0.0  # of it for this move
        self.average = 1.0  # milliseconds that a move of the rest of the game has
        self.before: tuple[int, int] | None = None  # the last move's nodes and milliseconds

    def share(self, clock: Clock) -> int:
        p = self.parameters
        time, overhead = max(0, clock.time_ms), kept_back(self.overhead, clock.time_ms)
        if self.piggybank is None:
            self.piggybank = time * p["init-piggybank"]
        if self.before and self.before[0]:
            toward = min(1.0, clock.nodes / self.before[0])
            self.reuse = min(p["max-tree-reuse"], _halve(self.reuse, toward, p["tree-reuse-update-rate"], self.before[1] / self.average))
        game = expected_moves_left(clock.ply, p["midpoint"], p["steepness"])
        rest = clock.moves_to_go if 0 < clock.moves_to_go < game else game
        all_of_it = max(0.0, time + (clock.increment_ms - self.late) * (rest - 1) - overhead)
        most = p["max-piggybank-moves"] * all_of_it / rest
        self.piggybank = min(self.piggybank, most)
        self.average = max(1.0, max(0.0, all_of_it - self.piggybank) / rest)
        needed = max(0.0, self.average * self.nps / 1000 / (1 - self.reuse) - clock.nodes)
        gross = 1000 * needed / self.nps
        saved = min(most - self.piggybank, gross * p["per-move-piggybank"])
        at_hand = max(0.0, time - overhead)
        share = min((gross - saved) / self.time_use, time * p["max-move-budget"], at_hand)
        self.allowed = min(self.piggybank * p["max-piggybank-use"], at_hand - share)
        self.piggybank += saved
        return int(share)

    def bank(self) -> dict[str, float]:
        p = self.parameters
        return {"bank_ms": self.allowed, "bank_force_ms": p["force-piggybank-ms"], "bank_trend_ms": p["trend-nps-update-period-ms"],
                "bank_best_optimism": p["bestmove-optimism"], "bank_overtaker_optimism": p["overtaker-optimism"]}

    def moved(self, elapsed_ms: int, nodes: int = 0, playouts: int = 0) -> None:
        super().moved(elapsed_ms, nodes, playouts)
        p, share = self.parameters, max(1, self.limit)
        if playouts and elapsed_ms > 0:  # a faster one counts at once
            measured = 1000 * playouts / elapsed_ms
            slowly = 1.0 if self.before is None else min(1.0, elapsed_ms / 1000 / p["nps-update-period"])
            self.nps = max(1.0, measured, self.nps + slowly * (measured - self.nps))
        self.before = nodes, elapsed_ms
        used = min(1.0, elapsed_ms / share)
        self.piggybank = max(0.0, (self.piggybank or 0) - max(0, elapsed_ms - share))
        self.time_use = max(p["min-timeuse"], _halve(self.time_use, used, p["timeuse-update-rate"], elapsed_ms / self.average))


def _halve(value: float, toward: float, rate: float, amount: float) -> float:
    """The distance to `toward` becomes half as long for each `rate` of the amount."""
    return toward - (toward - value) * 0.5 ** (amount / rate)


def fixed(movetime_ms: int, overhead_ms: int) -> int:
    """The limit for `go movetime`."""
    return int(movetime_ms - kept_back(overhead_ms, movetime_ms))


MANAGERS: dict[str, type[Legacy] | type[AlphaZero] | type[Simple] | type[Smooth]] = {
    "legacy": Legacy, "alphazero": AlphaZero, "simple": Simple, "smooth": Smooth}

# Ranges of parameters, where 0 to 1000 is not it.
RANGES = {"midpoint-move": (1, 1000), "midpoint": (1, 1000), "steepness": (1, 1000), "init-tree-reuse": (0, 0.99), "max-tree-reuse": (0, 0.99),
           "tree-reuse-update-rate": (0.01, 1000), "timeuse-update-rate": (0.01, 1000), "nps-update-period": (0.01, 1000),
           "init-timeuse": (0.01, 1000), "min-timeuse": (0.01, 1), "max-move-budget": (0, 1), "init-piggybank": (0, 1),
           "per-move-piggybank": (0, 1), "max-piggybank-use": (0, 1), "trend-nps-update-period-ms": (0, 10**6), "force-piggybank-ms": (0, 10**6)}


def create(text: str, slowmover: float, overhead_ms: int) -> Manager:
    """text: the option TimeManager, like legacy(slowmover=2.2). Raises Error for a name or parameter nobody knows."""
    entries = backend_options.parse(text) or {"legacy": {}}
    name, given = next(iter(entries.items()))
    if len(entries) > 1 or name not in MANAGERS or not isinstance(given, dict):
        raise Error(f"TimeManager '{text}' is not one of {', '.join(MANAGERS)}, with or without (parameter=number,...)")
    if slowmover != 1.0:
        if text != "legacy":
            raise Error("set Slowmover or TimeManager, not both: TimeManager legacy(slowmover=...) does the same")
        given = {"slowmover": slowmover}
    if name == "smooth" and isinstance(inner := given.get("mle-legacy"), dict):  # the estimate of the moves left, as Lc0 has it
        given = {key: value for key, value in given.items() if key != "mle-legacy"} | inner
    parameters = dict(MANAGERS[name].defaults)
    for key, value in given.items():
        if key not in parameters or isinstance(value, (bool, str, dict)):
            raise Error(f"TimeManager {name} takes numbers for {', '.join(parameters)}; '{key}={value}' is not one")
        low, high = RANGES.get(key, (0, 1000))
        if not low <= value <= high:
            raise Error(f"{key} of TimeManager {name} is a number from {low} to {high}, not {value}")
        parameters[key] = float(value)
    return MANAGERS[name](parameters, overhead_ms)
