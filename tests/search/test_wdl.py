"""The transforms of win, draw and loss against the formulas of their definition, in double precision."""
from math import exp, log

import pytest

from .searching import SINGLE, make, root, run


def transform(wl, d, shift, ratio, max_s, forward):
    w, l = (1 + wl - d) / 2, (1 - wl - d) / 2
    a, b = log(1 / l - 1), log(1 / w - 1)
    s, mu = 2 / (a + b), (a - b) / (a + b)
    if forward:
        s = min(s, max_s)
        mu, s = mu + shift * s * s, s * ratio
    else:
        mu -= shift * min(max_s, s / ratio) ** 2
    w, l = 1 / (1 + exp((1 - mu) / s)), 1 / (1 + exp((1 + mu) / s))
    return w - l, max(0, 1 - w - l), mu


@pytest.mark.parametrize("sign", [1, -1])
def test_network_values_are_transformed_on_the_way_in_and_out(sign):
    plain, contempt = make(), make()
    fen = "r1bqkb1r/pppp1ppp/2n2n2/4p3/4P3/2N2N2/PPPP1PPP/R1BQKB1R w KQkq - 4 4"
    run(plain, fen, nodes=1)
    values = {"WDLRescaleRatio": 1.2, "WDLRescaleDiff": 0.3, "ContemptSign": sign, "WDLMaxS": 1.4, "WDLEvalObjectivity": 0.5}
    run(contempt, fen, nodes=1, parameters={**SINGLE, **values})
    wl, d, _ = transform(root(plain)["wl"], root(plain)["d"], sign * 0.3, 1.2, 1.4, True)
    shown_wl, shown_d, mu = transform(wl, d, sign * 0.3 * 0.5, 1.2, 1.4, False)
    best = contempt.update()["pvs"][0]
    assert (best["wl"], best["d"], best["mu"]) == pytest.approx((shown_wl, shown_d, mu), abs=1e-5)
    assert best["q"] == pytest.approx(wl, abs=1e-6)


def test_no_transform_without_wdl_mu_or_contempt():
    search = make()
    run(search, nodes=50, parameters={**SINGLE, "ScoreType": "centipawn"})
    best = search.update()["pvs"][0]
    assert best["mu"] == 0 and best["q"] == best["wl"]


@pytest.mark.parametrize("sign", [1, -1])
def test_contempt_is_for_one_side_at_every_depth(sign):
    """The value of a move's position is its mover's: there the shift has the other sign."""
    plain, contempt = make(), make()
    run(plain, nodes=2)
    values = {"WDLRescaleRatio": 1.2, "WDLRescaleDiff": 0.3, "ContemptSign": sign, "WDLEvalObjectivity": 0.0}
    run(contempt, nodes=2, parameters={**SINGLE, **values})
    before, after = (next(row for row in search.move_stats() if row["visits"] == 1) for search in (plain, contempt))
    wl, d, _ = transform(-before["wl"], before["d"], -sign * 0.3, 1.2, 1.4, True)
    assert (before["move"], -wl, d) == (after["move"], pytest.approx(after["wl"], abs=1e-5), pytest.approx(after["d"], abs=1e-5))
