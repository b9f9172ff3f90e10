"""check: two back ends on the same positions, and how far apart their answers are at worst, those of each batch size that is computed in a
way of its own included; and how far apart the batch sizes of one back end are."""
import dataclasses
import itertools
from typing import Any

import numpy as np

from lc0rocm import _core, loading, paths, report, results, trust
from lc0rocm.options import Settings
from lc0rocm.positions import varied

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
    count: int = 0  # of them

    def add(self, one, other, game: _core.Game) -> None:
        with np.errstate(invalid="ignore"):
            differences = np.abs(one - other)
            shares = differences / (self.absolute + self.relative * np.abs(other))
        difference, share = (float(np.nan_to_num(x, nan=np.inf, posinf=np.inf).max(initial=0)) for x in (differences, shares))
        self.sum += difference
        self.count += 1
        if share > self.share:
            self.share, self.difference, self.fen = share, difference, game.fen()


@dataclasses.dataclass
class _Sizes:
    """How far the batch sizes of a back end are apart: of each output the worst difference, its share of what is allowed, and where."""
    loaded: loading.Loaded
    worst: dict[str, tuple[float, float, int]] = dataclasses.field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        return self.loaded.backend.info["sizes"]

    def add(self, size: int, differences: dict[str, paths.Difference]) -> None:
        for output, (worst, of_allowed) in differences.items():
            if of_allowed > self.worst.get(output, (0.0, -1.0, 0))[1]:
                self.worst[output] = worst, of_allowed, size

    def rows(self) -> list[list[Any]]:
        """Those of _SIZE_COLUMNS."""
        name = self.loaded.backend.name
        return [[name, output, worst, 100 * of_allowed, size] for output, (worst, of_allowed, size) in self.worst.items()]


_COLUMNS = ["output", "worst difference", "mean of worst", "% of allowed", "position"]
_SIZE_COLUMNS = ["back end", "output", "worst between batch sizes", "% of allowed", "batch size"]


def check(settings: Settings) -> int:
    """0: all within the tolerance, 1: not, 130: interrupted, with the report of what was compared until then."""
    pair = (loading.load_for(settings, unplayable=True),
            loading.load_backend(settings["WeightsFile"], settings["against"], settings["against-opts"], unplayable=True))
    worst = {name: _Worst(settings["tolerance"] * absolute, settings["tolerance"] * relative)
             for name, (absolute, relative) in _ALLOWED.items()}
    of_sizes = [_Sizes(loaded) for loaded in pair]
    tally, compared, interrupted = trust.Tally(), 0, False
    try:
        with report.progress("comparing", settings["positions"]) as step:
            games = varied(settings["positions"])
            while part := list(itertools.islice(games, settings["batch"])):
                one, other = (_evaluate(loaded.backend, part) for loaded in pair)
                _add(worst, pair, part, one, other)
                tally.add(one, other, [game.policy_indices(pair[1].backend.info["input_format"]) for game in part])
                compared += len(part)
                for _ in part:
                    step()
        with report.progress("comparing batch sizes", 2 * sum(len(of.sizes) for of in of_sizes)) as step:
            some = list(varied(min(paths.POSITIONS, settings["positions"])))
            for index, of in enumerate(of_sizes):
                if of.sizes:
                    _compare_sizes(of, index, worst, pair, some, step)
    except KeyboardInterrupt:
        interrupted = True
    rows: list[list[Any]] = [[name, w.difference, w.sum / w.count, 100 * w.share, w.fen] for name, w in worst.items() if w.count]
    size_rows = [row for of in of_sizes for row in of.rows()]
    good = all(row[3] <= 100 for row in [*rows, *size_rows])
    cost = tally.cost()
    names = [f"{loaded.backend.name} on {loaded.backend.info['device']}" for loaded in pair]
    if settings["json"]:
        report.write_json({"command": "check", "backends": names, "positions": compared, "interrupted": interrupted,
                           "context": results.context(settings, pair[0]), "within_tolerance": good, "play": cost and cost._asdict(),
                           "sizes": [of.sizes for of in of_sizes],
                           "outputs": [dict(zip(("output", "worst", "mean", "percent", "fen"), row)) for row in rows],
                           "between_sizes": [dict(zip(("backend", "output", "worst", "percent", "size"), row)) for row in size_rows]})
    else:
        in_play = f"\n\nin terms of play: {cost}" if cost else ""
        verdict = "within the tolerance" if good else "NOT within the tolerance; 16 bits need about --tolerance=100, 8 bits 500"
        tables = [report.table(_COLUMNS, rows), *([report.table(_SIZE_COLUMNS, size_rows)] if size_rows else [])]
        print(f"{names[0]}\nagainst {names[1]}\n{compared} positions{', interrupted' if interrupted else ''}; "
              "policy means logits of legal moves, and between batch sizes a share of their range\n\n" + "\n\n".join(tables) +
              f"{in_play}\n\n{verdict if compared else 'nothing compared'}")
    return 130 if interrupted else 0 if good else 1


def _add(worst: dict[str, _Worst], pair: tuple[loading.Loaded, loading.Loaded], games: list[_core.Game], one, other) -> None:
    """Compares the answers of the two for these games."""
    for row, game in enumerate(games):
        legal = game.policy_indices(pair[1].backend.info["input_format"])
        for name, a, b in zip(_ALLOWED, one, other):
            of_move = legal if name == "policy" else slice(None)
            worst[name].add(np.atleast_1d(a[row])[of_move], np.atleast_1d(b[row])[of_move], game)


def _compare_sizes(of: _Sizes, index: int, worst: dict[str, _Worst], pair: tuple[loading.Loaded, loading.Loaded], games: list[_core.Game],
                   step) -> None:
    """Every batch size of pair[index]: with the other back end, and with its first size."""
    backend, first = pair[index].backend, None
    wanted, planes = _evaluate(pair[1 - index].backend, games), paths.planes(backend, games)
    for size, got in paths.run(backend, planes, of.sizes):
        mine = [part[:len(games)] for part in got]
        first = first or mine
        _add(worst, pair, games, *((wanted, mine) if index else (mine, wanted)))
        of.add(size, paths.compare(got, first, paths.between(backend)))
        step()


def _evaluate(backend: _core.Backend, games: list[_core.Game]):
    masks, values = paths.planes(backend, games)
    return backend.evaluate(masks, values)
