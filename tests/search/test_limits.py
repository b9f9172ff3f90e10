"""Every way a search can end, and what it refuses."""
import os
import threading
import time

import pytest

from lc0rocm import Error, _core

from .searching import SINGLE, check_consistent, make, root, run, visits

FAST = {"Threads": 1, "MinibatchSize": 64, "SmartPruningFactor": 0.0}


def test_nodes_count_what_the_root_had():
    search = make()
    assert run(search, nodes=100)["playouts"] == 100
    result = run(search, nodes=150)
    assert (result["playouts"], search.root_visits, result["stopped_by"]) == (50, 150, "nodes")
    assert search.update()["nodes"] == 150


@pytest.mark.parametrize("limit", ["nodes", "playouts"])
def test_no_visits_are_one(limit):
    result = run(make(), **{limit: 0})
    assert (result["playouts"], result["stopped_by"]) == (1, "nodes") and result["best_move"]


def test_playouts_count_new_ones():
    search = make()
    run(search, nodes=100)
    assert run(search, playouts=30)["playouts"] == 30
    assert run(search, parameters={**SINGLE, "NodesAsPlayouts": True}, nodes=20)["playouts"] == 20


def test_time():
    search = make()
    start = time.monotonic()
    assert run(search, parameters=FAST, time_ms=200)["stopped_by"] == "time"
    assert 0.19 < time.monotonic() - start < 3


def test_a_spent_clock_still_gives_a_move():
    result = run(make(), parameters=FAST, time_ms=100, elapsed_ms=500)
    assert result["best_move"] and result["playouts"] >= 1


def test_depth():
    search = make()
    assert run(search, parameters=FAST, depth=3)["stopped_by"] == "depth"
    assert search.update()["depth"] == 3


@pytest.mark.parametrize("fen", ["8/8/8/4k3/8/8/8/4K3 w - - 0 1", "8/8/8/4k3/8/8/3QK3/8 w - - 99 120", "6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1",
                                 "7k/8/8/8/8/8/1r6/K7 w - - 0 1", "5k1K/7P/8/8/8/8/8/8 b - - 0 1",
                                 "7k/8/8/8/8/8/6q1/5K2 w - - 0 1", "8/8/8/8/5k2/8/4p3/4K3 w - - 0 1"])
@pytest.mark.parametrize("graph", ["off", "on"])
def test_a_depth_that_cannot_be_reached_ends_the_search_too(fen, graph):
    """Every move draws, one mates, all that follows is known, or the best line draws soon."""
    result = run(make(), fen, parameters={**FAST, "Graph": graph}, depth=6, nodes=200_000)
    assert result["stopped_by"] == "depth"


def test_mate():
    search = make()
    assert run(search, "6k1/5ppp/8/8/8/8/8/R3K2R w KQ - 0 1", mate=1)["stopped_by"] == "mate"


def test_kld():
    parameters = {**SINGLE, "MinimumKLDGainPerNode": 1.0, "KLDGainAverageInterval": 50}
    assert run(make(), parameters=parameters, nodes=10000)["stopped_by"] == "kld"


def test_ram():
    search = make(cache=0)
    assert run(search, parameters={**FAST, "RamLimitMb": 1}, nodes=1_000_000)["stopped_by"] == "ram"
    assert 5434 <= search.root_visits < 6000  # 1e6 / 184 bytes


def test_a_single_legal_move_is_played_at_once():
    result = run(make(), "7k/8/8/8/8/8/1r6/K7 w - - 0 1", parameters={"Threads": 1}, time_ms=10**6)
    assert (result["best_move"], result["stopped_by"]) == ("a1b2", "smart_pruning")


def test_smart_pruning_stops_when_no_move_can_catch_up():
    result = run(make(), parameters={"Threads": 1, "MinibatchSize": 16}, time_ms=60_000, remaining_ms=300)
    assert result["stopped_by"] == "smart_pruning"


def test_node_rate_limit():
    result = run(make(), parameters={**SINGLE, "NodesPerSecondLimit": 1000.0}, time_ms=500)
    assert 100 < result["playouts"] < 600


def test_infinite_waits_for_stop():
    search = make()
    search.set_position("7k/8/8/8/8/8/1r6/K7 w - - 0 1", [])
    search.start({"Threads": 1}, {"infinite": True, "nodes": 10})
    deadline = time.monotonic() + 10
    while not search.update()["messages"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert search.update()["messages"] and search.running
    search.stop()
    assert search.result()["best_move"] == "a1b2" and not search.running


def test_stop_is_prompt():
    search = make()
    search.set_position(*START)
    search.start({"Threads": 2, "MinibatchSize": 256}, {"infinite": True})
    time.sleep(0.3)
    start = time.monotonic()
    search.stop()
    search.result()
    assert time.monotonic() - start < 1
    check_consistent(search)


def test_stop_right_after_start_gives_a_move():
    search = make()
    for _ in range(50):
        search.clear()
        search.set_position(*START)
        search.start(FAST, {"infinite": True})
        search.stop()
        assert search.result()["best_move"]


def test_no_legal_move():
    search = make()
    for fen in ("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "R5k1/5ppp/8/8/8/8/8/4K3 b - - 0 1"):
        assert run(search, fen, nodes=10)["best_move"] == ""
        assert search.update()["pvs"] == []


def test_searchmoves():
    search = make()
    result = run(search, nodes=300, searchmoves=["a2a3", "h2h3", "e2e5"])
    assert result["best_move"] in ("a2a3", "h2h3")
    assert {m for m, n in visits(search).items() if n} == {"a2a3", "h2h3"}
    run(search, nodes=600)
    assert sum(n > 0 for n in visits(search).values()) > 2
    with pytest.raises(Error, match="searchmoves"):
        search.start(SINGLE, {"nodes": 10, "searchmoves": ["e2e5"]})


@pytest.mark.parametrize("parameters", [{"Cpuct": 1.0}, {"CPuct": "much"}, {"CPuct": -1.0}, {"CPuct": float("nan")},
                                        {"Threads": 1.5}, {"StickyEndgames": 1}, {"FpuStrategy": "same"}])
def test_bad_parameters(parameters):
    with pytest.raises(Error, match=next(iter(parameters))):
        make().start(parameters, {"nodes": 1})


def test_bad_limits():
    with pytest.raises(Error, match="no limit movetime"):
        make().start({}, {"movetime": 1})


def test_a_failing_back_end_ends_the_search_and_nothing_else():
    # The two random back ends disagree, which `check` notices at the 50th batch.
    options = {"freq": 0.02, "a": {"backend": "random", "seed": 1}, "b": {"backend": "random", "seed": 2}}
    search = make("check", options)
    for threads in (1, 4):
        search.set_position(*START)
        search.start({"Threads": threads, "MinibatchSize": 4}, {"nodes": 10**6})
        with pytest.raises(Error):
            search.result()
        check_consistent(search)
        assert root(search)["visits"] > 1
    search.set_backend(make_backend_random(), "fen_only", 1.359, 1000)
    assert run(search, parameters=FAST, playouts=100)["best_move"]


def make_backend_random():
    from lc0rocm import _core
    return _core.Backend("random", None, {})


START = ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", [])


def test_a_move_that_is_not_settled_gets_more_time():
    def elapsed(**bank):
        search = make(options={"delay": 1, "uniform": True})
        run(search, parameters={"Threads": 1, "MinibatchSize": 4, "SmartPruningFactor": 0.0}, time_ms=300, bank_ms=1200, **bank)
        return search.update()["time_ms"]

    forced = elapsed(bank_force_ms=5000.0)
    assert forced >= 1500
    # Every move has the same visits, or nearly so: with rates that count for much, one will overtake another.
    assert elapsed(bank_force_ms=0.0, bank_trend_ms=50.0, bank_best_optimism=0.0, bank_overtaker_optimism=1000.0) >= 1500


def test_a_move_that_is_settled_gets_none():
    mate_in_one = "6k1/5ppp/8/8/8/8/8/R3K2R w KQ - 0 1"
    search = make(options={"delay": 1})
    run(search, mate_in_one, parameters={"Threads": 1, "MinibatchSize": 4, "SmartPruningFactor": 0.0}, time_ms=800, bank_ms=60_000.0,
        bank_best_optimism=1.0, bank_overtaker_optimism=0.0, bank_force_ms=0.0, searchmoves=["a1a8"])
    assert search.update()["time_ms"] < 30_000


def test_moves_that_cannot_become_best_any_more_get_no_visits():
    """Smart pruning, from 200 ms on, counts on two in three of the visits that are left."""
    search, nodes, left_behind = make(), 600, {}
    search.set_position(*START)
    search.start({**SINGLE, "NodesPerSecondLimit": 400.0, "SmartPruningFactor": 1.5}, {"nodes": nodes, "depth": 1000})
    while search.running:
        *moves, total = search.move_stats()
        if search.update()["time_ms"] > 300 and moves:
            enough = max(row["visits"] for row in moves) - (nodes - total["visits"]) / 1.5 - 2
            left_behind |= {row["move"]: row["visits"] for row in moves if row["move"] not in left_behind and row["visits"] < enough}
        time.sleep(0.01)
    search.result()
    assert left_behind == {move: n for move, n in visits(search).items() if move in left_behind} and left_behind


def lend(search, **limits):
    search.start({**SINGLE, "Threads": 1}, limits, lend=True)


def test_who_asks_for_the_result_of_a_lent_search_does_the_work():
    search, other = make(), make()
    expected = run(other, nodes=100)
    before = len(os.listdir("/proc/self/task"))  # some of these may be ending
    lend(search, nodes=100)
    assert search.running and search.root_visits == 0
    assert search.result() == expected
    assert not search.running and visits(search) == visits(other)
    assert search.result()["playouts"] == 100  # asked again, it is there
    assert len(os.listdir("/proc/self/task")) <= before


def test_a_lent_search_can_be_stopped():
    search = make()
    lend(search, infinite=True)
    search.stop()  # before anybody works
    assert search.result()["stopped_by"] == "stop"
    lend(search, infinite=True)
    results = []
    helper = threading.Thread(target=lambda: results.append(search.result()))
    helper.start()
    while search.root_visits < 10:
        time.sleep(0.001)
    search.stop()
    helper.join()
    assert results[0]["stopped_by"] == "stop" and results[0]["playouts"] >= 9


def test_a_lent_search_that_is_not_asked_for_ends_with_its_position():
    search = make()
    lend(search, infinite=True)
    search.set_position(_core.STARTPOS, [], keep=False)
    with pytest.raises(Error, match="no search has been started"):
        search.result()
    lend(search, infinite=True)
    failures = []

    def ask():
        try:
            search.result()
        except Error as error:
            failures.append(str(error))

    helper = threading.Thread(target=ask)
    helper.start()
    while search.root_visits < 10:
        time.sleep(0.001)
    search.set_position(_core.STARTPOS, [], keep=False)  # waits until the worker has left the tree
    helper.join()
    assert failures == ["the search was ended before it had a result"] and search.root_visits == 0
