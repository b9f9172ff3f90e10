"""What the results of a match say of the difference between its sides.

The two games of a pair begin with the same opening, so their results are not independent: the unit is the pair, with 0 to 2 points in five
steps (the pentanomial model). Formulas: Michel Van den Bergh, "Comments on Normalized Elo" and "Normalized Elo, practical" (2020-2021,
cantate.be/Fishtest), which are those of fishtest and, with the same numbers, of fastchess."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SIGMAS = 1.959963984540054  # of a normal distribution, 95 % lie within
NELO = 800 / math.log(10)  # normalised Elo of a difference of one standard deviation of a game


class Estimate(NamedTuple):
    """elo: of the first side over the second, nelo: normalised. error, nelo_error: half of the interval that holds it with 95 %. los: the
    probability that the first side is stronger. What cannot be told from so few pairs, or from pairs that all ended alike, is None."""
    score: float
    elo: float
    error: float | None
    nelo: float | None
    nelo_error: float | None
    los: float | None


def pentanomial(points: Mapping[int, float]) -> list[int]:
    """Pairs that brought 0, 0.5, 1, 1.5 and 2 points. points: by the number of the game; 2k and 2k + 1 are a pair, of which both are over."""
    counts = [0] * 5
    for number, first in points.items():
        if number % 2 == 0 and number + 1 in points:
            counts[round(2 * (first + points[number + 1]))] += 1
    return counts


def elo(score: float) -> float:
    """Of an expected score from 0 to 1, where it is infinite: the logistic curve."""
    if not 0 < score < 1:
        return math.copysign(math.inf, score - 0.5)
    return 400 * math.log10(score / (1 - score))


def expected(elo: float) -> float:
    """Its inverse."""
    return 1 / (1 + 10 ** (-elo / 400))


def estimate(points: Mapping[int, float]) -> Estimate:
    """points: of the first side, by the number of the game; at least one. Elo's error is the mean distance to the Elo of the interval's ends."""
    score = sum(points.values()) / len(points)
    counts = pentanomial(points)
    pairs = sum(counts)
    if pairs < 2:
        return Estimate(score, elo(score), None, None, None, None)
    mean, variance = _moments([count / pairs for count in counts])
    if variance == 0:
        return Estimate(score, elo(score), None, None, None, None)
    deviation = math.sqrt(variance / pairs)
    low, high = elo(mean - SIGMAS * deviation), elo(mean + SIGMAS * deviation)
    # A pair's score is the mean of two games', whose variance is twice as large.
    error, of_a_game = (high - low) / 2, math.sqrt(2 * variance)
    return Estimate(score, elo(score), error if math.isfinite(error) else None, (mean - 0.5) / of_a_game * NELO, SIGMAS / math.sqrt(2 * pairs) * NELO,
                    (1 + math.erf((mean - 0.5) / deviation / math.sqrt(2))) / 2)


def _moments(shares: Sequence[float]) -> tuple[float, float]:
    """Mean and variance of the score of a pair, 0 to 1. shares: of the five results."""
    mean = sum(share * i / 4 for i, share in enumerate(shares))
    return mean, sum(share * (i / 4 - mean) ** 2 for i, share in enumerate(shares))
