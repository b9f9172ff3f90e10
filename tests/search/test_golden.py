"""Searches of Lc0 (classic search, blas back end, fp32, one thread, minibatch 1): best move and visits come out the same."""
import json

import pytest

from lc0rocm import _core
from lc0rocm.engine import scores
from lc0rocm.netfile import net

FLAGS = {"Threads": 1, "MinibatchSize": 1, "MaxPrefetch": 0, "SmartPruningFactor": 0.0, "OutOfOrderEval": False}
EXPECTED_FLAGS = ["--backend=blas", "--threads=1", "--minibatch-size=1", "--max-prefetch=0", "--task-workers=0",
                  "--verbose-move-stats", "--smart-pruning-factor=0", "--no-out-of-order-eval", "--nncache=200000"]


def differences(expected, search):
    """Moves whose visits differ, with (expected, found); "best" if the choice differs."""
    found = {s["move"]: s["visits"] for s in search.move_stats() if s["move"] != "node"}
    off = {m: (n, found.get(m)) for m, n in expected["visits"].items() if found.get(m) != n}
    if search.result()["best_move"] != expected["bestmove"]:
        off["best"] = (expected["bestmove"], search.result()["best_move"])
    return off


@pytest.mark.parametrize("name, graph", [("maia-1900-n200", "off"), ("maia-1500-n1000", "off"), ("ab-pemap-128x3-n300", "off"),
                                         ("maia-1900-n200", "unshared")])
def test_visits_of_lc0(reference, name, graph):
    golden = json.loads((reference / "golden" / f"search-{name}.json").read_text())
    assert golden["flags"] == EXPECTED_FLAGS
    network = net.load(reference / "nets" / f"{name.rsplit('-', 1)[0]}.pb.gz").core()
    search = _core.Search()
    search.set_backend(_core.Backend("cpu", network, {}), "fen_only", 1.359, 200000)
    off = {}
    for i, position in enumerate(golden["positions"]):
        search.clear()
        search.set_position(position.get("fen", _core.STARTPOS), position["moves"])
        search.start(FLAGS | {"Graph": graph}, {"nodes": golden["nodes"]})
        search.result()
        if wrong := differences(position, search):
            off[i] = wrong
    rounding = [w for w in off.values() if "best" not in w and all(abs(a - (b or 0)) <= 1 for a, b in w.values())]
    assert len(off) == len(rounding) and len(off) <= len(golden["positions"]) / 20, off


@pytest.mark.parametrize("graph", ["off", "unshared"])
def test_visits_of_lc0_with_tables(reference, graph):
    """Visits, probes and scores. A difference of one visit or centipawn is rounding."""
    golden = json.loads((reference / "golden/search-syzygy-maia-1900-n300.json").read_text())
    network = net.load(reference / "nets/maia-1900.pb.gz").core()
    search = _core.Search()
    search.set_backend(_core.Backend("cpu", network, {}), "fen_only", 1.359, 200000)
    search.set_tables(_core.Tables([str(reference / "syzygy")]))
    for position in golden["positions"]:
        search.clear()
        search.set_position(position["fen"], [])
        search.start(FLAGS | {"Graph": graph}, {"nodes": golden["nodes"]})
        search.result()
        off, update = differences(position, search), search.update()
        assert "best" not in off and all(abs(a - (b or 0)) <= 1 for a, b in off.values()), (position["fen"], off)
        assert update["tbhits"] == position["tbhits"], position["fen"]
        (kind, value), (lc0_kind, lc0_value) = scores.score(update["pvs"][0], "WDL_mu", True), position["score"].split()
        assert kind == lc0_kind and abs(value - int(lc0_value)) <= 1, position["fen"]
