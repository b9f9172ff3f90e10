"""check: two back ends on the same positions, and how far apart their answers are at worst."""
import dataclasses
import itertools
import random
from typing import Any, Iterator

import numpy as np

from lc0rocm import _core, loading, report
from lc0rocm.options import Settings
from lc0rocm.positions import POSITIONS, split

# Allowed difference of two float32 back ends: absolute plus relative to the second. --tolerance multiplies both.
_ALLOWED = {"policy": (1e-3, 1e-3), "q": (1e-4, 0.0), "d": (1e-4, 0.0), "m": (1e-3, 1e-3)}


@dataclasses.dataclass
class _Worst:
    """The differences of one output over all positions so far. One that is no number is infinite."""
    absolute: float
    relative: float
    share: float = -1.0  # of the allowed difference, at the position where it is largest
    difference: float = 0.0  # there
    fen: str = ""
    sum: float = 0.0  # of the largest differences of all positions

    def add(self, one, other, game: _core.Game) -> None:
        with np.errstate(invalid="ignore"):
            differences = np.abs(one - other)
            shares = differences / (self.absolute + self.relative * np.abs(other))
        difference, share = (float(np.nan_to_num(x, nan=np.inf, posinf=np.inf).max(initial=0)) for x in (differences, shares))
        self.sum += difference
        if share > self.share:
            self.share, self.difference, self.fen = share, difference, game.fen()


def check(settings: Settings) -> int:
    """0: all within the tolerance, 1: not, 130: interrupted, with the report of what was compared until then."""
    first = loading.load_for(settings, unplayable=True)
    second = loading.load_backend(settings["WeightsFile"], settings["against"], settings["against-opts"],
                                  unplayable=True)
    worst = {name: _Worst(settings["tolerance"] * absolute, settings["tolerance"] * relative)
             for name, (absolute, relative) in _ALLOWED.items()}
    games, compared, interrupted = _games(settings["positions"]), 0, False
    try:
        with report.progress("comparing", settings["positions"]) as step:
            while part := list(itertools.islice(games, settings["batch"])):
                answers = [_evaluate(loaded.backend, part) for loaded in (first, second)]
                for row, game in enumerate(part):
                    legal = game.policy_indices(second.backend.info["input_format"])
                    for name, a, b in zip(_ALLOWED, *answers):
                        of_move = legal if name == "policy" else slice(None)
                        worst[name].add(np.atleast_1d(a[row])[of_move], np.atleast_1d(b[row])[of_move], game)
                    compared += 1
                    step()
    except KeyboardInterrupt:
        interrupted = True
    rows: list[list[Any]] = [[name, w.difference, w.sum / compared, 100 * w.share, w.fen] for name, w in worst.items() if compared]
    good = all(row[3] <= 100 for row in rows)
    columns = ["output", "worst difference", "mean of worst", "% of allowed", "position"]
    names = [f"{loaded.backend.name} on {loaded.backend.info['device']}" for loaded in (first, second)]
    if settings["json"]:
        report.write_json({"command": "check", "backends": names, "positions": compared, "interrupted": interrupted,
                           "within_tolerance": good,
                           "outputs": [dict(zip(("output", "worst", "mean", "percent", "fen"), row)) for row in rows]})
    else:
        verdict = "within the tolerance" if good else "NOT within the tolerance; 16 bits need about --tolerance=100"
        print(f"{names[0]}\nagainst {names[1]}\n{compared} positions{', interrupted' if interrupted else ''}; "
              f"policy means logits of legal moves\n\n{report.table(columns, rows)}\n\n{verdict if compared else 'nothing compared'}")
    return 130 if interrupted else 0 if good else 1


def _games(count: int) -> Iterator[_core.Game]:
    """Our benchmark positions, then positions of random games, always the same."""
    for text in POSITIONS[:count]:
        yield _core.Game(*split(text))
    dice = random.Random(1)
    for _ in range(count - len(POSITIONS)):
        game = _core.Game()
        for _ in range(dice.randint(2, 80)):
            moves = game.legal_moves()
            if not moves:
                break
            game.push(dice.choice(moves))
        yield game


def _evaluate(backend: _core.Backend, games: list[_core.Game]):
    planes = [game.planes(backend.info["input_format"]) for game in games]
    return backend.evaluate(*(np.stack(part) for part in zip(*planes)))
