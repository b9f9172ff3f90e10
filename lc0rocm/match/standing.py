"""How a match stands, for people and for programs."""
from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from lc0rocm.games.player import CRASH, ILLEGAL, SILENT, TIME
from lc0rocm.match import elo
from lc0rocm.match.record import Result
from lc0rocm.match.sprt import Sprt

_FAULTS = {TIME: "lost on time", CRASH: "crashed", ILLEGAL: "played an illegal move", SILENT: "did not answer"}


class Standing:
    """Of the first side. results: by the number of the game; they may become more."""

    def __init__(self, names: tuple[str, str], results: Mapping[int, Result], test: Sprt | None):
        self._names, self._results, self._test = names, results, test

    @property
    def points(self) -> dict[int, float]:
        return {number: result.points for number, result in self._results.items()}

    def verdict(self) -> str:
        """H0 or H1, where a test has ended the match."""
        return self._test.verdict(elo.pentanomial(self.points)) if self._test else ""

    def _counts(self) -> tuple[int, int, int]:
        """Wins, draws and losses."""
        values = [result.points for result in self._results.values()]
        return values.count(1.0), values.count(0.5), values.count(0.0)

    def short(self) -> str:
        """For a bar."""
        if not self._results:
            return ""
        found, (wins, draws, losses) = elo.estimate(self.points), self._counts()
        text = f"+{wins} ={draws} -{losses}, Elo {_elo(found)}"
        if self._test:
            low, high = self._test.bounds
            text += f", LLR {self._test.ratio(elo.pentanomial(self.points)):.2f} ({low:.2f}, {high:.2f})"
        return text

    def text(self) -> str:
        """All of it."""
        if not self._results:
            return "no game is over"
        points = self.points
        found, counts, (wins, draws, losses) = elo.estimate(points), elo.pentanomial(points), self._counts()
        lines = [f"{self._names[0]} against {self._names[1]}: {len(points)} games, +{wins} ={draws} -{losses}, {100 * found.score:.1f} %",
                 f"Elo {_elo(found)}" + (f", normalised {found.nelo:+.1f} +- {found.nelo_error:.1f}" if found.nelo is not None else "")
                 + (f", {100 * found.los:.1f} % likely to be stronger (LOS)" if found.los is not None else ""),
                 f"pairs with 0, 0.5, 1, 1.5, 2 points: {', '.join(map(str, counts))}"]
        if test := self._test:
            low, high = test.bounds
            kind = "normalised Elo" if test.normalized else "Elo"
            words = {"": "not decided yet", "H0": f"ends with H0: not {test.elo1:g} {kind} or more", "H1": f"ends with H1: more than {test.elo0:g} {kind}"}
            lines.append(f"SPRT of {test.elo0:g} against {test.elo1:g} {kind}: LLR {test.ratio(counts):.2f} ({low:.2f}, {high:.2f}), {words[self.verdict()]}")
        for (side, kind), count in sorted(self._faults().items()):
            lines.append(f"{self._names[side]} {_FAULTS[kind]} in {count} games")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        points = self.points
        wins, draws, losses = self._counts()
        faults = self._faults()
        answer: dict[str, Any] = {"games": len(points), "wins": wins, "draws": draws, "losses": losses, "pairs": elo.pentanomial(points)}
        if points:
            answer |= elo.estimate(points)._asdict()
        if self._test:
            answer["sprt"] = self._test._asdict() | {"llr": self._test.ratio(elo.pentanomial(points)), "bounds": self._test.bounds,
                                                     "decided": self.verdict() or None}
        return answer | {"faults": [{kind: faults[side, kind] for kind in _FAULTS} for side in (0, 1)]}

    def _faults(self) -> collections.Counter[tuple[int, str]]:
        return collections.Counter(fault for result in self._results.values() if (fault := result.fault))


def _elo(found: elo.Estimate) -> str:
    return f"{found.elo:+.1f}" + (f" +- {found.error:.1f}" if found.error is not None else "")
