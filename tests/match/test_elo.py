"""The statistics of a match: against fastchess, against the published example, by simulation."""
import math
import random

import pytest
from hypothesis import given, strategies as st

from lc0rocm.match import elo, sprt
from lc0rocm.match.sprt import Sprt

PAIRS = [(0, 0), (0, 0.5), (0.5, 0.5), (1, 0.5), (1, 1)]


def points_of(counts):
    games = [pair for pair, count in zip(PAIRS, counts) for _ in range(count)]
    return {number: points for k, pair in enumerate(games) for number, points in ((2 * k, pair[0]), (2 * k + 1, pair[1]))}


# What fastchess printed of matches between two limits of Stockfish 15.1: Elo, its error, nElo, its error, LOS in percent; the test, and its LLR.
FASTCHESS = [
    ([0, 3, 9, 6, 12], (168.40, 83.94, 211.78, 87.91, 100.00), Sprt(0, 50, 0.01, 0.01), 3.57, 4.60),
    ([5, 3, 21, 4, 7], (21.74, 63.73, 26.34, 76.13, 75.11), Sprt(0, 5, normalized=False), 0.09, 2.94),
    ([6, 2, 11, 0, 1], (-107.54, 91.99, -138.06, 107.67, 0.60), Sprt(0, 30, normalized=False), -1.42, 2.94),
]


@pytest.mark.parametrize("counts, printed, test, ratio, bound", FASTCHESS)
def test_the_numbers_of_fastchess(counts, printed, test, ratio, bound):
    points = points_of(counts)
    assert elo.pentanomial(points) == counts
    found = elo.estimate(points)
    assert (found.elo, found.error, found.nelo, found.nelo_error, 100 * found.los) == pytest.approx(printed, abs=0.006)
    assert test.ratio(counts) == pytest.approx(ratio, abs=0.006)
    assert test.bounds == pytest.approx((-bound, bound), abs=0.006)


@pytest.mark.parametrize("counts, ratio", [([0, 0, 25, 0, 0], 0.0), ([0, 0, 8, 0, 0], -0.01)])
def test_pairs_that_all_end_alike(counts, ratio):
    """fastchess's LLR; where it prints "nan" there is nothing to tell."""
    test = Sprt(-5, 5) if ratio == 0 else Sprt(0, 10)
    assert test.ratio(counts) == pytest.approx(ratio, abs=0.006)
    found = elo.estimate(points_of(counts))
    assert (found.elo, found.error, found.nelo, found.los) == (0, None, None, None)


def test_elo_of_scores():
    assert str(elo.elo(0.5)) == "0.0" and elo.elo(10 / 11) == pytest.approx(400) and elo.elo(1.0) == math.inf and elo.elo(0.0) == -math.inf
    assert elo.expected(elo.elo(0.3)) == pytest.approx(0.3)


def test_pairs_that_split_leave_less_doubt_than_pairs_that_are_swept():
    split = {number: float(number % 4 in (0, 3)) for number in range(200)} | {0: 0.5}
    swept = {number: float(number // 2 % 2) for number in range(200)}
    assert elo.estimate(split).error < 5
    assert elo.estimate(swept).error == pytest.approx(1.96 * 0.5 / 10 * 4 * 400 / math.log(10), rel=0.02)


def test_games_without_their_partner_count_for_the_score_alone():
    points = points_of([1, 2, 3, 2, 1])
    assert elo.pentanomial(points | {101: 1.0, 200: 1.0}) == [1, 2, 3, 2, 1]
    assert elo.estimate(points | {101: 1.0, 200: 1.0}).score == 11 / 20


counts_of = st.lists(st.integers(0, 500), min_size=5, max_size=5).filter(any)


@given(counts_of, st.floats(-200, 100), st.floats(1, 100), st.booleans())
def test_the_ratio_is_that_of_likelihoods(counts, low, width, normalized):
    """The best distribution with each difference: it has that difference, and none beside it is likelier."""
    test = Sprt(low, low + width, normalized=normalized)
    ratio = test.ratio(counts)
    assert math.isfinite(ratio)
    assert Sprt(-low - width, -low, normalized=normalized).ratio(counts[::-1]) == pytest.approx(-ratio, abs=1e-3 + 1e-4 * abs(ratio))


@given(counts_of, st.floats(-200, 200))
def test_the_likeliest_distribution_has_the_difference(counts, difference):
    total = sum(counts) + 5e-3
    seen = [(count + 1e-3) / total for count in counts]
    scores = [i / 4 for i in range(5)]
    t = difference / elo.NELO * math.sqrt(2)
    shares = sprt._with_normalized(seen, t)
    mean = sum(map(float.__mul__, shares, scores))
    deviation = math.sqrt(sum(share * (score - mean) ** 2 for share, score in zip(shares, scores)))
    assert sum(shares) == pytest.approx(1, abs=1e-6) and min(shares) > 0
    assert (mean - 0.5) / deviation == pytest.approx(t, abs=2e-3)


@pytest.mark.parametrize("truth, wrong", [(0, "H1"), (60, "H0")])
@pytest.mark.parametrize("normalized", [True, False])
def test_wrong_verdicts_are_as_rare_as_promised(truth, wrong, normalized):
    """Of 100 matches with the true difference at one of the bounds, errors of 10 %: more than 20 would come once in 1,000 runs."""
    dice, test = random.Random(7), Sprt(0, 60, 0.1, 0.1, normalized)
    draws = 0.4
    # A game's variance is (1 - draws) / 4 where both sides are alike; the pair's games are independent here.
    score = 0.5 + truth / elo.NELO * math.sqrt((1 - draws) / 4) if normalized else elo.expected(truth)
    weights = [1 - draws - (score - draws / 2), draws, score - draws / 2]
    verdicts = []
    for _ in range(100):
        counts = [0] * 5
        while not (verdict := test.verdict(counts)):
            for _ in range(8):
                counts[sum(dice.choices((0, 1, 2), weights, k=2))] += 1
        verdicts.append(verdict)
    assert 1 <= verdicts.count(wrong) <= 20


def test_intervals_hold_the_truth():
    """95 % of them, of 300 matches of 100 pairs whose games are not independent."""
    dice, weights = random.Random(3), [0.06, 0.2, 0.36, 0.26, 0.12]
    truth = elo.elo(sum(i / 4 * weight for i, weight in enumerate(weights)))
    held = 0
    for _ in range(300):
        counts = [0] * 5
        for result in dice.choices(range(5), weights, k=100):
            counts[result] += 1
        found = elo.estimate(points_of(counts))
        held += abs(found.elo - truth) < found.error
    assert 270 <= held <= 297
