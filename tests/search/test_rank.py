"""The order of the root's moves, docs/spec/engine.md 4.10, read off what is told of each."""
import pytest

from lc0rocm import _core

from .searching import SINGLE, make, run

FAST = {"Threads": 1, "MinibatchSize": 16, "SmartPruningFactor": 0.0, "MultiPV": 500}
LADDER = "7k/R7/8/8/8/8/8/1R4K1 w - - 0 1"  # mates in one and in two
ROOK = "6k1/R7/8/8/8/2r5/8/1R3K2 b - - 0 1"  # mated in one to three, for the rook can come between


def rank(pv, prior):
    """Larger is better."""
    kind = {"end": 2, "tablebase": 1}.get(pv["terminal"], 0) if pv["visits"] else 0
    result = kind * ((pv["wl"] > 0) - (pv["wl"] < 0))
    if result:
        return result, -pv["m"] if result > 0 else pv["m"], 0, 0
    return 0, pv["visits"], pv["q"] if pv["visits"] else 0, prior


def in_order(search, draws=False):
    prior = {row["move"]: row["p"] for row in search.move_stats()}
    pvs = [pv for pv in search.update()["pvs"] if draws or not (pv["terminal"] and pv["wl"] == 0)]
    keys = [rank(pv, prior[pv["moves"][0]]) for pv in pvs]
    assert len(keys) > 3 and keys == sorted(keys, reverse=True)
    return keys


@pytest.mark.parametrize("nodes", [1, 5, 40, 400])
@pytest.mark.parametrize("draw_score", [0.0, -0.7])
def test_visits_then_value_then_prior(nodes, draw_score):
    search = make()
    run(search, parameters=SINGLE | {"MultiPV": 500, "DrawScore": draw_score}, nodes=nodes)
    in_order(search)


@pytest.mark.parametrize("fen, lengths", [(LADDER, {0.0, -2.0}), (ROOK, {1.0, 3.0, 5.0})])
def test_short_wins_and_long_losses(fen, lengths):
    search = make()
    run(search, fen, parameters=FAST, nodes=60_000)
    assert lengths <= {length for result, length, *_ in in_order(search) if abs(result) == 2}


def test_mates_come_before_tables(reference):
    search = make()
    search.set_tables(_core.Tables([str(reference / "syzygy")]))
    run(search, "7k/1p3R2/6K1/8/8/8/8/1R6 w - - 0 1", parameters=FAST, nodes=3000)
    assert {2, 1} <= {result for result, *_ in in_order(search)}
