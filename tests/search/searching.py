"""Searches without a network, and what must hold after any search."""
import pytest

from lc0rocm import _core

SINGLE = {"Threads": 1, "MinibatchSize": 1, "MaxPrefetch": 0, "OutOfOrderEval": False, "SmartPruningFactor": 0.0}


def make(backend="random", options=None, cache=200_000):
    search = _core.Search()
    search.set_backend(_core.Backend(backend, None, options or {}), "fen_only", 1.359, cache)
    return search


def run(search, fen=_core.STARTPOS, moves=(), parameters=SINGLE, **limits):
    """Searches to the end; returns the result."""
    search.set_position(fen, list(moves))
    search.start(parameters, limits)
    return search.result()


def visits(search):
    return {s["move"]: s["visits"] for s in search.move_stats() if s["move"] != "node"}


def root(search):
    return search.move_stats()[-1]


def check_consistent(search):
    """Every visit is accounted for: none is left in flight, and a root has one more than its moves."""
    stats = search.move_stats()
    assert all(s["in_flight"] == 0 for s in stats)
    assert stats[-1]["visits"] == 1 + sum(s["visits"] for s in stats[:-1])
    assert all(abs(s["wl"]) <= 1.0001 and -1e-4 <= s["d"] <= 1.0001 for s in stats if s["wl"] is not None)


def check_means(search, reopened=False):
    """The root's values are the means of its moves' and of its own, which the random back end gives (m is 0), or which is forgotten where
    the root had been proven and was opened again: then the means of its moves'."""
    *moves, root = [s for s in search.move_stats() if s["visits"]]
    below = sum(s["visits"] for s in moves)
    of_moves = {key: sum(s["visits"] * (s[key] + (key == "m")) for s in moves) for key in ("wl", "d", "m")}
    own = {"wl": root["v"], "m": 0}
    if reopened:
        assert root["visits"] == below + 1
        own = {key: total / below for key, total in of_moves.items()}
    for key, value in own.items():
        assert root[key] == pytest.approx((of_moves[key] + value) / root["visits"], rel=1e-3, abs=1e-3), key
    assert -0.01 < root["d"] * root["visits"] - of_moves["d"] < 1.01
