"""What a search finds out and keeps: proven results, draws, reuse from move to move, many threads."""
import random
import time

import pytest

from lc0rocm import _core

from .searching import SINGLE, check_consistent, check_means, make, root, run, visits

BLOCKED = "k7/p7/P7/8/8/p7/P7/K7 w - - 0 1"  # the kings shuffle, nothing else moves
FAST = {"Threads": 1, "MinibatchSize": 32, "SmartPruningFactor": 0.0}

# best move, its visits, deepest leaf: a change meant to keep behaviour keeps them
SIGNATURE = {
    _core.STARTPOS: ("f2f3", 459, 9),
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": ("e2f1", 502, 9),
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": ("e2e3", 514, 9),
    "k7/p7/P7/8/8/p7/P7/K7 w - - 0 1": ("a1b1", 2999, 14),
}


SMOTHERED = "r4rk1/5Npp/8/3Q4/8/8/8/6K1 w - - 0 1"  # 1 Nh6 Kh8 2 Qg8 Rxg8 3 Nf7


@pytest.mark.parametrize("fen, plies, searchmoves", [("6k1/5ppp/8/8/8/8/8/R3K2R w KQ - 0 1", 0, []),
                                                     ("kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", 2, []), (SMOTHERED, 4, ["f7h6"])])
def test_mates_are_proven(fen, plies, searchmoves):
    search = make()
    result = run(search, fen, parameters=FAST, nodes=400_000, mate=plies // 2 + 1, searchmoves=searchmoves)
    assert result["stopped_by"] == "mate"
    best = search.update()["pvs"][0]
    assert (best["terminal"], best["wl"], best["m"], len(best["moves"])) == ("end", 1, plies, plies + 1)
    assert {s["move"]: s["flag"] for s in search.move_stats()}[best["moves"][0]] == "T"


def test_being_mated_is_proven_too():
    search = make()
    run(search, "7k/R7/8/8/8/8/8/1R4K1 b - - 0 1", nodes=5000)
    best = search.update()["pvs"][0]
    assert (best["moves"], best["terminal"], best["wl"], best["m"]) == (["h8g8", "b1b8"], "end", -1, 1)


def test_without_sticky_endgames_nothing_above_a_mate_is_proven():
    search = make()
    run(search, "kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", parameters={**FAST, "StickyEndgames": False}, nodes=5000)
    assert all(s["flag"] == "" for s in search.move_stats())


def test_third_occurrence_is_a_draw():
    search = make()
    run(search, moves=["g1f3", "g8f6", "f3g1", "f6g8", "g1f3", "g8f6", "f3g1"], nodes=3000)
    repeating = {s["move"]: s for s in search.move_stats()}["f6g8"]
    assert (repeating["wl"], repeating["d"], repeating["m"], repeating["flag"]) == (0, 1, 0, "T")


def test_two_fold_repetition_in_the_tree_is_a_draw():
    uniform = {"uniform": True}  # d = 0 from the network: what is left comes from draws on the board
    drawn, played_on = make(options=uniform), make(options=uniform)
    run(drawn, BLOCKED, nodes=60)
    run(played_on, BLOCKED, nodes=60, parameters={**SINGLE, "TwoFoldDraws": False})
    assert root(drawn)["d"] > 0 and root(played_on)["d"] == 0


def test_two_fold_draws_are_taken_back_when_the_root_passes_the_first_occurrence():
    search = make()
    moves = []
    for _ in range(12):
        search.set_position(BLOCKED, moves)
        search.start(FAST, {"playouts": 500})
        result = search.result()
        check_consistent(search)
        check_means(search)
        assert search.update()["nodes"] == search.root_visits
        if not result["best_move"]:
            break
        moves.append(result["best_move"])


def test_fifty_moves():
    search = make()
    run(search, "k7/p7/P7/8/8/p7/P7/K7 w - - 99 80", nodes=50)
    best = search.update()["pvs"][0]
    assert (best["terminal"], best["wl"], best["d"]) == ("end", 0, 1)


def test_draw_score_is_white_s():
    values = {}
    for fen in (BLOCKED.replace("- 0", "- 99"), BLOCKED.replace(" w ", " b ").replace("- 0", "- 99")):
        search = make()
        run(search, fen, parameters={**SINGLE, "DrawScore": -0.5}, nodes=20)
        values[fen.split()[1]] = search.update()["pvs"][0]["q"]
    assert values == {"w": -0.5, "b": 0.5}


def test_the_tree_goes_on_with_the_game():
    search = make()
    assert search.set_position(_core.STARTPOS, []) is False
    search.start(SINGLE, {"nodes": 2000})
    result = search.result()
    line = [result["best_move"], result["ponder"]]
    assert search.set_position(_core.STARTPOS, line) is True
    kept = search.root_visits
    assert 1 < kept < 2000
    search.start(SINGLE, {"nodes": kept + 100})
    assert search.result()["playouts"] == 100
    check_consistent(search)
    check_means(search)
    assert search.set_position(_core.STARTPOS, line) is True and search.root_visits == kept + 100
    assert search.set_position(_core.STARTPOS, line[:1]) is False and search.root_visits == 0
    search.clear()
    assert search.set_position(_core.STARTPOS, line[:1]) is False


def test_a_proven_root_is_searched_on_after_its_move():
    search = make()
    run(search, SMOTHERED, parameters=FAST, nodes=400_000, mate=3, searchmoves=["f7h6"])
    assert search.set_position(SMOTHERED, ["f7h6", "g8h8"]) is True
    search.start(FAST, {"playouts": 0})  # only tells what the tree holds
    search.result()
    check_means(search, reopened=True)
    search.start(FAST, {"nodes": 400_000, "mate": 2})
    assert search.result()["stopped_by"] == "mate"
    check_consistent(search)


def test_abandoned_trees_are_reclaimed():
    search = make()
    for i in range(40):
        run(search, moves=[["e2e4", "d2d4", "c2c4", "g1f3"][i % 4]], parameters=FAST, nodes=5000)
        check_consistent(search)


def test_multipv_is_ordered_and_complete():
    search = make()
    run(search, parameters={**FAST, "MultiPV": 500}, nodes=3000)
    pvs = search.update()["pvs"]
    assert len(pvs) == 20 == len({pv["moves"][0] for pv in pvs})
    assert [pv["visits"] for pv in pvs] == sorted((pv["visits"] for pv in pvs), reverse=True)
    search.set_option("MultiPV", 3)
    assert len(search.update()["pvs"]) == 3


def test_pv_is_legal():
    search = make()
    run(search, parameters=FAST, nodes=20000)
    line = search.update()["pvs"][0]["moves"]
    assert len(line) > 2
    _core.Game(_core.STARTPOS, line)


def test_same_search_same_visits():
    found = []
    for _ in range(2):
        search = make()
        run(search, parameters=FAST, nodes=5000)
        found.append(visits(search))
    assert found[0] == found[1]


def test_evaluations_are_cached_across_trees():
    search = make()
    run(search, nodes=3000)
    search.set_position(_core.STARTPOS, ["e2e4"])
    run(search, nodes=3000)
    assert search.update()["eps"] == 0
    uncached = make(cache=0)
    run(uncached, parameters=FAST, nodes=5000)
    assert uncached.update()["eps"] > 0


def test_prefetch_fills_small_batches_of_a_device_alone():
    evaluations = {}
    for delay in (0, 1):  # with a delay it stands for a device
        search = make(options={"delay": delay})
        run(search, parameters={**SINGLE, "MaxPrefetch": 16}, nodes=500)
        evaluations[delay] = search.update()["evaluations"]
    assert evaluations[0] <= 500 and evaluations[1] > 1000


def test_small_caches_evict():
    for size in (1, 2, 7, 100):
        search = make(cache=size)
        run(search, parameters=FAST, nodes=3000)
        check_consistent(search)


def test_noise_changes_the_root_priors():
    priors = []
    for epsilon in (0.0, 0.0, 0.25):
        search = make()
        run(search, nodes=1, parameters={**SINGLE, "DirichletNoiseEpsilon": epsilon})
        priors.append({s["move"]: s["p"] for s in search.move_stats()[:-1]})
    assert priors[0] == priors[1] != priors[2]
    assert sum(priors[2].values()) == pytest.approx(1, abs=0.01)


def test_wait_tells_news_and_the_end():
    search = make()
    search.set_position(_core.STARTPOS, [])
    search.start(FAST, {"nodes": 20000})
    updates = []
    while (update := search.wait(10)) is not None:
        updates.append(update["nodes"])
    assert not search.running and updates == sorted(updates) and updates
    assert search.wait(0.01) is None


@pytest.mark.parametrize("sessions", [0, 1, 3])
def test_threads_that_get_no_session_leave_the_search_to_the_others(sessions):
    search = make(options={"sessions": sessions})
    if sessions:
        assert run(search, parameters={"Threads": 8}, nodes=500)["best_move"]
        check_consistent(search)
    else:
        with pytest.raises(_core.Error, match="no more than 0 sessions"):
            run(search, parameters={"Threads": 8}, nodes=500)


def test_threads_and_stops_at_any_moment():
    rng = random.Random(1)
    search = make(cache=5000)
    moves = []
    end = time.monotonic() + 2
    while time.monotonic() < end:
        search.set_position(_core.STARTPOS, moves)
        search.start({"Threads": 8, "MinibatchSize": rng.choice([1, 4, 64])}, {"infinite": rng.random() < 0.5})
        for _ in range(rng.randrange(4)):
            time.sleep(rng.random() * 0.01)
            search.update()
            search.move_stats()
        if rng.random() < 0.3:
            continue  # the next position or search ends this one
        search.stop()
        best = search.result()["best_move"]
        if best:  # else the game is over and the root was never visited
            check_consistent(search)
        moves = [] if not best or rng.random() < 0.2 or len(moves) > 80 else [*moves, best]


@pytest.mark.parametrize("fen", SIGNATURE)
def test_signature(fen):
    search = make()
    result = run(search, fen, nodes=3000)
    update = search.update()
    assert (result["best_move"], update["pvs"][0]["visits"], update["seldepth"]) == SIGNATURE[fen]


# The same in batches, and how many: what visits under way and collisions do.
BATCHED = [
    ({}, [("h2h3", 425, 8, 99), ("e1f1", 280, 8, 105), ("b4e4", 497, 10, 97), ("a1b1", 2999, 14, 46)]),
    ({"OutOfOrderEval": False, "MinibatchSize": 8}, [("h2h3", 508, 8, 378), ("d2c1", 385, 9, 376), ("b4e4", 593, 10, 379), ("a1b1", 2999, 15, 232)]),
    ({"MaxCollisionVisits": 50}, [("h2h3", 472, 8, 161), ("d2c1", 315, 8, 133), ("e2e3", 596, 10, 163), ("a1b1", 2999, 16, 63)])]


@pytest.mark.parametrize("parameters, found", BATCHED)
def test_signature_in_batches(parameters, found):
    for fen, wanted in zip(SIGNATURE, found):
        search = make()
        result = run(search, fen, parameters=FAST | parameters, nodes=3000)
        update = search.update()
        assert (result["best_move"], update["pvs"][0]["visits"], update["seldepth"], update["evaluated_batches"]) == wanted, fen
        check_consistent(search)
        check_means(search)


def test_a_tree_is_kept_only_if_it_may_be():
    search = make()
    run(search, nodes=50)
    assert search.set_position(_core.STARTPOS, ["e2e4"]) and search.root_visits > 0
    assert not search.set_position(_core.STARTPOS, ["e2e4", "e7e5"], keep=False) and search.root_visits == 0
