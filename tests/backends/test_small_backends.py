"""The back ends around and without networks: random, trivial, check, demux, roundrobin, multiplexing."""
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lc0rocm
from lc0rocm import _core

MOVES = ["e2e4", "c7c5", "g1f3", "d7d6", "d2d4", "c5d4", "f3d4"]


def planes(*games):
    masks, values = zip(*(game.planes(1) for game in games))
    return np.stack(masks), np.stack(values)


BATCH = planes(*(_core.Game(moves=MOVES[:i]) for i in range(len(MOVES) + 1)))


def evaluate(name, options=None, batch=BATCH):
    return _core.Backend(name, None, options or {}).evaluate(*batch)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


def test_random_is_a_function_of_position_and_seed():
    first, other = evaluate("random"), evaluate("random", {"seed": 1})
    assert same(first, evaluate("random")) and not np.array_equal(first[1], other[1])
    one = evaluate("random", batch=tuple(part[3:4] for part in BATCH))
    assert np.array_equal(one[0][0], first[0][3]) and one[1][0] == first[1][3]


def test_random_values_are_sound_and_differ():
    policy, q, d, m = evaluate("random")
    assert len(set(q)) == len(q) and np.all((0 <= d) & (np.abs(q) <= 1 - d)) and np.all(m == 0)
    assert policy.shape == (len(q), 1858) and np.abs(policy).max() <= 2 and policy.std() > 1


def test_random_sees_a_piece_in_a_corner():
    batch = planes(*(_core.Game(fen=f"7{piece}/8/8/8/1k6/8/8/K7 w - - 0 1") for piece in "rqRQ"))
    assert len(set(evaluate("random", batch=batch)[1])) == 4


def test_random_uniform():
    policy, q, d, _ = evaluate("random", {"uniform": True})
    assert not policy.any() and not q.any() and not d.any()


def test_random_delay():
    start = time.perf_counter()
    evaluate("random", {"delay": 30})
    assert time.perf_counter() - start >= 0.03


@pytest.mark.parametrize("name", ["random", "trivial"])
def test_input_mode(name):
    assert _core.Backend(name, None, {"input_mode": 132}).info["input_format"] == 132
    with pytest.raises(lc0rocm.Error, match="input_mode is 6, expected 1, 2"):
        _core.Backend(name, None, {"input_mode": 6})


def test_trivial_knows_material_and_captures():
    queen_up, queen_down, capture = (_core.Game(fen=fen) for fen in (
        "4k3/8/8/8/8/8/8/3QK3 w - - 0 1", "3qk3/8/8/8/8/8/8/4K3 w - - 0 1", "4k3/8/8/3q4/4P3/8/8/4K3 w - - 0 1"))
    policy, q, _, _ = evaluate("trivial", batch=planes(queen_up, queen_down, capture))
    assert q[0] > 0.9 and q[1] < -0.9
    legal = capture.legal_moves()
    assert legal[int(np.argmax(policy[2, capture.policy_indices(1)]))] == "e4d5"


@pytest.mark.parametrize("name", ["demux", "roundrobin", "multiplexing"])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_combined_outputs_are_those_of_one(name, size):
    batch = tuple(part[:size] for part in BATCH)
    children = {key: {"backend": "random", "seed": 5} for key in "abc"}
    assert same(evaluate(name, children, batch), evaluate("random", {"seed": 5}, batch))


def test_roundrobin_takes_turns():
    backend = _core.Backend("roundrobin", None, {"a": {"backend": "random"}, "b": {"backend": "random", "seed": 1}})
    outputs = [backend.evaluate(*BATCH) for _ in range(4)]
    assert same(outputs[0], outputs[2]) and same(outputs[1], outputs[3]) and not same(outputs[0], outputs[1])
    assert backend.info["threads"] == 2


def test_demux_works_in_parallel():
    start = time.perf_counter()
    evaluate("demux", {key: {"backend": "random", "delay": 100} for key in "abcd"})
    assert 0.1 <= time.perf_counter() - start < 0.35


def test_demux_gives_each_its_share():
    """Also of small batches, as they add up; and where one takes no more at once."""
    children = {"a": {"backend": "random", "seed": 1, "weight": 3}, "b": {"backend": "random", "seed": 2, "weight": 1.0}}
    backend = _core.Backend("demux", None, children)
    assert backend.info["max_batch"] == 1024 * 4 // 3
    for size, batches, share in ((8, 1, 6), (1, 8, 6), (2, 4, 6), (3, 8, 18)):
        batch = tuple(part[:size] for part in BATCH)
        done = sum((backend.evaluate(*batch)[1] == evaluate("random", {"seed": 1}, batch)[1]).sum() for _ in range(batches))
        assert abs(done - share) <= 1, size


def failing(**options):
    """A back end that refuses every batch."""
    return {"backend": "check", "freq": 1.0, "x": {"backend": "random"}, "y": {"backend": "random", "seed": 9}} | options


def test_demux_goes_on_without_what_fails():
    backend = _core.Backend("demux", None, {"a": failing(weight=5), "b": {"backend": "random"}, "c": failing()})
    for _ in range(3):
        assert same(backend.evaluate(*BATCH), evaluate("random"))
    backend = _core.Backend("demux", None, {"a": failing(), "c": failing()})
    for _ in range(2):
        with pytest.raises(lc0rocm.Error, match="all back ends of demux have failed, the last with: check: "):
            backend.evaluate(*BATCH)


@pytest.mark.parametrize("weight", [0, -1, 1e300])
def test_demux_refuses_a_weight(weight):
    with pytest.raises(lc0rocm.Error, match="weight must be a number above 0"):
        _core.Backend("demux", None, {"a": {"backend": "random", "weight": float(weight)}})


def test_multiplexing_makes_one_batch_of_many():
    """While the first is evaluated the others come together; an error reaches all of its batch, and nobody else."""
    slow = {"backend": "check", "freq": 1.0, "x": {"backend": "random", "delay": 500}, "y": {"backend": "random", "seed": 9}}
    backend = _core.Backend("multiplexing", None, {"a": slow})
    together = threading.Barrier(4)

    def ask(i):
        together.wait()
        with pytest.raises(lc0rocm.Error, match="check: ") as error:
            backend.evaluate(*(part[2 * i:2 * i + 2] for part in BATCH))
        return str(error.value)

    with ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(ask, range(4)))
    sizes = {error: int(re.search(r"batch of (\d)", error)[1]) for error in errors}
    assert sum(sizes.values()) == 8 and all(2 * errors.count(error) == size for error, size in sizes.items())
    assert max(sizes.values()) >= 4


def test_multiplexing_makes_no_larger_batch_than_its_back_end_takes():
    slow = {"backend": "check", "freq": 1.0, "x": {"backend": "random", "delay": 500}, "y": {"backend": "random", "seed": 9}}
    backend, together = _core.Backend("multiplexing", None, {"a": slow}), threading.Barrier(5)
    assert backend.info["max_batch"] == 1024

    def ask(_):
        together.wait()
        with pytest.raises(lc0rocm.Error, match="check: ") as error:
            backend.evaluate(*(np.resize(part, (400, *part.shape[1:])) for part in BATCH))
        return int(re.search(r"batch of (\d+)", str(error.value))[1])

    with ThreadPoolExecutor(5) as pool:
        assert max(pool.map(ask, range(5))) == 800


def test_multiplexing_waits_for_a_bounded_time():
    """For one that has asked and is busy with other things: here with its share of another back end."""
    shared = {"backend": "multiplexing", "x": {"backend": "random"}}
    backend = _core.Backend("demux", None, {"a": shared, "b": {"backend": "random", "delay": 4000}})
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(backend.evaluate, *BATCH)
        time.sleep(0.5)
        backend.evaluate(*(part[:1] for part in BATCH))  # all of it is the share of the first
        assert not asked.done()


def test_multiplexing_hands_out_what_belongs_to_each():
    """Batches of all sizes and both kinds from many threads, as long as some are together at a time."""
    backend = _core.Backend("multiplexing", None, {"a": {"backend": "random", "delay": 1}, "b": {"backend": "random"}})
    wanted = evaluate("random")

    def ask(i):
        for at in range(12):
            begin, end = sorted(((i * 5 + at * 3) % 9, (i * 2 + at * 7) % 9))
            if begin == end:
                continue
            assert same(backend.evaluate(*(part[begin:end] for part in BATCH)), (part[begin:end] for part in wanted))
            backend.time_batches(*(part[begin:end] for part in BATCH), 1, [1, 5, 7])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_searches_that_share_a_back_end_find_what_each_finds_alone():
    shared = _core.Backend("multiplexing", None, {"a": {"backend": "random"}})

    def visits(backend, i):
        search = _core.Search()
        search.set_backend(backend, "fen_only", 1.0, 1000)
        search.set_position(_core.STARTPOS, MOVES[:i])
        search.start({"Threads": 1, "MinibatchSize": 4}, {"playouts": 300})
        search.result()
        return [(move["move"], move["visits"]) for move in search.move_stats()]

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda i: visits(shared, i), range(6)))
    assert together == [visits(_core.Backend("random", None, {}), i) for i in range(6)]


@pytest.mark.parametrize("through", ["multiplexing", "demux", "roundrobin", "check"])
def test_multiplexing_waits_for_nobody_who_has_left(through):
    shared = {"a": {"backend": "random", "delay": 20}, "wait_ms": 1000}
    among = {"a": shared | {"backend": "multiplexing"}, "b": {"backend": "random"}}
    backend = _core.Backend(through, None, shared if through == "multiplexing" else among)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: backend.evaluate(*BATCH), range(4)))  # several sessions, that are kept
    start = time.monotonic()
    for _ in range(5):
        backend.evaluate(*BATCH)
    assert time.monotonic() - start < 3  # 5 s if each waited


def test_a_back_end_that_is_there_already_can_be_combined():
    held = _core.Backend("random", None, {})
    for name in ("multiplexing", "demux", "roundrobin"):
        assert same(evaluate(name, {"a": held, "b": {"backend": "random"}}), evaluate("random"))


def test_searches_share_a_cache():
    backend = _core.Backend("random", None, {})
    cache = _core.Cache(1000)

    def evaluations(where):
        search = _core.Search()
        search.set_backend(backend, "fen_only", 1.0, where)
        search.set_position(_core.STARTPOS, [])
        search.start({"Threads": 1, "MinibatchSize": 1, "MaxPrefetch": 0}, {"playouts": 30})
        search.result()
        found = search.update()["evaluations"]
        search.clear()  # its own cache, not that of all
        return found

    first = evaluations(cache)
    assert first > 20 and evaluations(cache) == 0 and evaluations(1000) == first


def test_a_child_is_named_by_its_entry_too():
    assert same(evaluate("demux", {"random": {}}), evaluate("random"))


@pytest.mark.parametrize("options,expected", [
    ({}, "demux has 0 back ends, expected at least 1"),
    ({"x": {"backend": "none"}}, "unknown back end none"),
    ({"random": {}, "trivial": {}}, "differ in input format or in having WDL"),
    ({"random": {}, "r": {"backend": "random", "input_mode": 3}}, "differ in input format"),
])
def test_bad_combinations(options, expected):
    with pytest.raises(lc0rocm.Error, match=expected):
        _core.Backend("demux", None, options)


def check(second, **options):
    return evaluate("check", {"a": {"backend": "random"}, "b": {"backend": "random"} | second, "freq": 1.0} | options)


def test_check_passes_equal_outputs():
    assert same(check({}), evaluate("random"))


def test_check_names_the_worst_difference():
    with pytest.raises(lc0rocm.Error, match=r"check: (q|d|policy logit \d+) of position \d is .* times the allowed difference"):
        check({"seed": 1})


def test_check_tolerance_and_frequency():
    assert same(check({"seed": 1}, atol=10.0), evaluate("random"))
    assert same(check({"seed": 1}, freq=0.0), evaluate("random"))
    backend = _core.Backend("check", None, {"a": {"backend": "random"}, "b": {"backend": "random", "seed": 1}, "freq": 0.5})
    backend.evaluate(*BATCH)
    with pytest.raises(lc0rocm.Error):
        backend.evaluate(*BATCH)


@pytest.mark.parametrize("atol, rtol", [(0.0, 0.0), (0, 0), (0.0, 1e-4), (1e-5, 0.0)])
def test_check_passes_equal_outputs_whatever_the_tolerance(atol, rtol):
    assert same(check({}, atol=atol, rtol=rtol), evaluate("random"))
    with pytest.raises(lc0rocm.Error, match="check: "):
        check({"seed": 1}, atol=atol, rtol=rtol)


@pytest.mark.parametrize("options, expected", [
    ({"atol": -1e-5}, "atol must be 0 or more"), ({"rtol": -1}, "rtol must be 0 or more"), ({"freq": -0.5}, "freq must be 0 or more"),
    ({"freq": 1.5}, "from 0 to 1"), ({"atol": float("nan")}, "atol must be 0 or more"), ({"freq": float("nan")}, "freq must be 0"),
    ({"c": {"backend": "random"}}, "compares two back ends, not 3"), ({"atol": "x"}, "atol must be a number"),
])
def test_check_refuses_settings_that_would_switch_it_off(options, expected):
    with pytest.raises(lc0rocm.Error, match=expected):
        check({}, **options)


def test_check_compares_what_a_search_asks_for():
    """Batches of a search are parts of larger ones, whose moves do not start at the first."""
    options = {"a": {"backend": "random"}, "b": {"backend": "random"}, "freq": 1.0, "atol": 0.0, "rtol": 0.0}
    search = _core.Search()
    search.set_backend(_core.Backend("check", None, options), "fen_only", 1.0, 1000)
    search.set_position(_core.STARTPOS, [])
    search.start({"Threads": 2, "MinibatchSize": 256}, {"nodes": 3000})
    assert search.result()["stopped_by"] == "nodes"


def test_a_batch_of_any_size_is_split():
    big = tuple(np.concatenate([part] * 300) for part in BATCH)
    backend = _core.Backend("check", None, {"a": {"backend": "random"}, "b": {"backend": "random"}, "freq": 1.0})
    assert len(big[0]) > backend.info["max_batch"]
    assert same(backend.evaluate(*big), evaluate("random", batch=big))


def test_check_needs_two_and_knows_one_mode():
    with pytest.raises(lc0rocm.Error, match="check has 1 back ends, expected at least 2"):
        evaluate("check", {"random": {}})
    with pytest.raises(lc0rocm.Error, match="mode is histo"):
        check({}, mode="histo")
