"""The sequential probability ratio test: a match ends as soon as its pairs say which of two Elo differences is the likelier one.

The log-likelihood ratio is the generalised one: each hypothesis is the distribution of the five results of a pair that is likeliest among
those which have its Elo difference. Sources: A. Wald, "Sequential Tests of Statistical Hypotheses" (1945) for the bounds; Michel Van den Bergh,
"The Generalized Maximum Likelihood Ratio for the Expectation Value of a Distribution" and "Normalized Elo, practical" for the distributions."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lc0rocm.match.elo import NELO, expected

_LEAST = 1e-3  # pairs of a result that has not occurred: else one more could change everything
_ROUNDS = 50  # of the iteration for normalised Elo; nearly always it converges in a few
MOST = 200  # Elo; far beyond it the iteration has no distribution to begin with


class Sprt(NamedTuple):
    """H0: the difference is elo0, H1: it is elo1 > elo0. alpha: the probability to take H1 where H0 holds, beta: the other way round."""
    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05
    normalized: bool = True

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the ratio: H0 is taken at the lower one, H1 at the upper one."""
        return math.log(self.beta / (1 - self.alpha)), math.log((1 - self.beta) / self.alpha)

    def ratio(self, counts: Sequence[int]) -> float:
        """The log-likelihood ratio of H1 to H0. counts: of pairs with 0 to 2 points."""
        if not sum(counts):
            return 0.0
        weights = [max(count, _LEAST) for count in counts]
        total = sum(weights)
        seen = [weight / total for weight in weights]
        if self.normalized:
            # A pair's score varies by the square root of two less than a game's.
            p0, p1 = (_with_normalized(seen, elo / NELO * math.sqrt(2)) for elo in (self.elo0, self.elo1))
        else:
            p0, p1 = (_with_mean(seen, _SCORES, expected(elo)) for elo in (self.elo0, self.elo1))
        return total * sum(share * math.log(b / a) for share, a, b in zip(seen, p0, p1))

    def verdict(self, counts: Sequence[int]) -> str:
        """H0, H1, or "" while the match has to go on."""
        ratio, (low, high) = self.ratio(counts), self.bounds
        return "H0" if ratio <= low else "H1" if ratio >= high else ""


_SCORES = [0.0, 0.25, 0.5, 0.75, 1.0]


def _with_mean(seen: Sequence[float], values: Sequence[float], mean: float) -> list[float]:
    """Of the distributions over these values with this mean the one under which what was seen is likeliest: seen / (1 + x (value - mean)), with
    the x that makes it so."""
    off = [value - mean for value in values]
    low, high = -1 / max(off), -1 / min(off)  # between them all shares are positive, and the mean falls
    for _ in range(100):
        x = (low + high) / 2
        if sum(share * d / (1 + x * d) for share, d in zip(seen, off)) > 0:
            low = x
        else:
            high = x
    return [share / (1 + x * d) for share, d in zip(seen, off)]


def _with_normalized(seen: Sequence[float], t: float) -> list[float]:
    """Likewise with a mean that is t standard deviations above 1/2. That condition is linear near a distribution: solved from one to the next."""
    shares = [0.2] * 5
    for _ in range(_ROUNDS):
        mean = sum(share * score for share, score in zip(shares, _SCORES))
        deviation = math.sqrt(sum(share * (score - mean) ** 2 for share, score in zip(shares, _SCORES)))
        values = [score - 0.5 - t * deviation * (1 + ((mean - score) / deviation) ** 2) / 2 for score in _SCORES]
        before, shares = shares, _with_mean(seen, values, 0.0)
        if max(abs(a - b) for a, b in zip(before, shares)) < 1e-9:
            break
    return shares
