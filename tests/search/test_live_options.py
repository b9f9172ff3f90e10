"""What may be set while a search runs is set while threads read it; scripts/sanitize thread looks on."""
from lc0rocm import _core

LIVE = [row for row in _core.search_options() if row["live"]]


def values(row):
    ends = {"check": [True, False], "combo": list(row["choices"])}.get(row["kind"], [row["low"], row["high"]])
    return [int(value) if row["kind"] == "spin" else value for value in [*ends, row["default"]]]


def test_every_live_option_during_a_search_of_several_threads():
    search = _core.Search()
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1.4, 10000)
    search.set_position(_core.STARTPOS, ["e2e4"])
    search.start({"Threads": 4, "MinibatchSize": 8}, {"infinite": True})
    assert {"MaxPrefetch", "MultiPV", "Temperature"} <= {row["name"] for row in LIVE}
    for _ in range(5):
        for row in LIVE:
            for value in values(row):
                search.set_option(row["name"], value)
                assert search.update()["playouts"] >= 0
    search.stop()
    assert search.result()["best_move"] in _core.Game(moves=["e2e4"]).legal_moves()
