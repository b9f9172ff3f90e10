"""The back ends around and without networks: random, trivial, check, demux, roundrobin."""
import time

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


@pytest.mark.parametrize("name", ["demux", "roundrobin"])
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


def test_check_needs_two_and_knows_one_mode():
    with pytest.raises(lc0rocm.Error, match="check has 1 back ends, expected at least 2"):
        evaluate("check", {"random": {}})
    with pytest.raises(lc0rocm.Error, match="mode is histo"):
        check({}, mode="histo")
