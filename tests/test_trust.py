"""What a precision costs in terms of play, and the nets that 8-bit weights are refused for."""
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lc0rocm import _core, loading, trust
from lc0rocm._core import Error
from lc0rocm.gpu import examine
from lc0rocm.netfile import net
from lc0rocm.positions import varied

SMALL = dict(embedding=64, encoders=2, heads=2, dff=128, value_size=8, head_hidden=16)


def answers(policy, q=0.0, m=0.0):
    policy = np.asarray(policy, np.float32)
    return policy, *(np.full(len(policy), value, np.float32) for value in (q, 0.0, m))


def cost(got, wanted, legal):
    tally = trust.Tally()
    tally.add(got, wanted, legal)
    return tally.cost()


def test_the_numbers():
    """Of two positions, one of which has another best move; what is not legal counts for nothing."""
    got, wanted = answers([[1, 2, 99], [0, 1, -99]], 0.5, 7), answers([[2, 1, -5], [0, 1, 5]], 0.25, 9)
    found = cost(got, wanted, [[0, 1], [0, 1]])
    p = 1 / (1 + np.exp(-1))  # of the better move; the logarithms differ by 1
    assert found == pytest.approx((0.5 * (2 * p - 1), 2 * p - 1, 0.5, 0.25, 2))
    assert cost(got, got, [[0, 1], [0, 1]]) == (0, 0, 0, 0, 0)
    assert cost(got, wanted, [[], []]) is None and cost(got, wanted, [[], [0]]).policy == 0


@given(st.integers(0, 999), st.floats(-50, 50), st.floats(0.01, 5))
@settings(max_examples=40)
def test_a_shift_of_all_logits_is_none_and_noise_is_never_below(seed, shift, noise):
    rng = np.random.default_rng(seed)
    policy, legal = rng.normal(size=(5, 20)) * 3, [sorted(rng.choice(20, rng.integers(1, 20), False)) for _ in range(5)]
    assert cost(answers(policy + shift), answers(policy), legal).policy < 1e-6
    found = cost(answers(policy + noise * rng.normal(size=policy.shape)), answers(policy), legal)
    assert -1e-12 <= found.policy <= found.policy_99 + 1e-12


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", [0, 1, 3])
def test_what_is_no_number_never_passes(bad, output):
    sound, broken = answers(np.zeros((64, 9))), answers(np.zeros((64, 9)))
    broken[output][5] = bad
    for pair in (sound, broken), (broken, sound):
        found = cost(*pair, [[1, 2, 3]] * 64 if output else [[0, 2, 8]] * 64)
        assert not found.passes(trust.Cost(*[1e9] * 5))


def test_the_positions_are_varied_and_always_the_same():
    games = list(varied(trust.POSITIONS))
    assert [game.fen() for game in games] == [game.fen() for game in varied(trust.POSITIONS)]
    assert len({game.fen() for game in games}) == trust.POSITIONS and len({len(game.legal_moves()) for game in games}) > 20


@pytest.fixture
def path(make_net, tmp_path):
    """Writes a net. outliers "rows": some output channels of the last encoder's values have large weights, which their scales take; "columns":
    an input channel of its queries, keys and values has them, as in trained nets after a norm that makes the channel small: it drowns the others."""
    def write(outliers=""):
        message = make_net.make_net(**SMALL, encoding="float32")
        last, before = message.weights.encoder[-1], message.weights.encoder[-2]

        def change(layer, change):
            values = np.frombuffer(layer.params, np.float32).copy()
            change(values.reshape(-1, SMALL["embedding"]))
            make_net.set_array(layer, values, "float32")

        def scale(where, factor):
            return lambda w: w.__setitem__(where, w[where] * np.float32(factor))

        if outliers == "rows":
            change(last.mha.v_w, scale(np.s_[5::16], 8))
        if outliers == "columns":
            for layer in last.mha.q_w, last.mha.k_w, last.mha.v_w:
                change(layer, scale(np.s_[:, 3], 1000))
            for layer in before.ln2_gammas, before.ln2_betas:
                change(layer, scale(np.s_[:, 3], 1e-3))
        make_net.write_net(message, tmp_path / "net.pb")
        return str(tmp_path / "net.pb")
    return write


@pytest.fixture(autouse=True)
def nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def cost_of(path, kind, **options):
    importlib.import_module("lc0rocm._rocm")
    network = net.load(path).core()
    backend = _core.Backend(kind, network, dict(max_batch=4, streams=1, warm_up=False, **options))
    return trust.cost(backend, _core.Backend("cpu", network, {}), list(varied(trust.POSITIONS)))


@pytest.mark.parametrize("outliers", ["", "rows"])
def test_8_bit_weights_pass_where_each_output_channel_is_even(emulated_gpu, path, outliers):
    found = cost_of(path(outliers), "rocm", weights="int8")
    assert found.passes(trust.INT8) and 1e-5 < found.policy < 5e-4 and found.policy_99 < 0.005


def test_a_net_with_outliers_is_refused_by_its_numbers(emulated_gpu, path):
    """And nothing is tried without libraries, which are not to blame."""
    file, options, said = path("columns"), "max_batch=2,streams=1,warm_up=false,probe=true,weights=int8", []
    assert cost_of(file, "rocm-fp16").passes(trust.INT8)
    with pytest.raises(Error, match=r"weights=int8 costs it too much, leave that out: policy KL 0\.\d+ in the mean .* best move the same in [\d.]+ %, "
                                    r"Q off by 0\.\d+, moves left by [\d.]+ over 64 positions, where KL 0.001"):
        loading.load_backend(file, "rocm-fp16", options, tell=said.append)
    assert sum("first use" in news.stage and news.done == 0 for news in said) == 1
    assert loading.load_backend(file, "rocm-fp16", options.replace("probe=true", "probe=false")).backend


@pytest.mark.parametrize("outliers, passes", [("", True), ("rows", True), ("columns", False)])
def test_8_bit_products_likewise(emulated_gpu, path, outliers, passes):
    """A refused network falls back: by hand to the CPU with the reason, by rocm-auto to half precision."""
    file = path(outliers)
    assert cost_of(file, "rocm-int8").passes(trust.INT8) == passes
    if not passes:
        with pytest.raises(Error, match=r"8 bits cost it too much, take rocm-fp16: policy KL 0\.\d+ in the mean .* over 64 positions, where KL 0.001"):
            loading.load_backend(file, "rocm-int8", "max_batch=2,streams=1,warm_up=false,probe=true")


@pytest.mark.parametrize("outliers", ["rows", "columns"])
def test_floating_point_products_lose_no_more_by_outliers(emulated_gpu, path, outliers):
    """Their numbers are as fine when they are small."""
    assert 1e-4 < cost_of(path(outliers), "rocm-fp8").policy < trust.FP8.policy


def test_floating_point_products_have_a_limit_of_their_own(emulated_gpu, path, monkeypatch):
    importlib.import_module("lc0rocm._rocm")
    network, options = net.load(path()).core(), dict(max_batch=1, streams=1, warm_up=False)
    for kind, policy, said in (("rocm-fp8", 0.0039, ""), ("rocm-fp8", 0.0041, "where KL 0.004"), ("rocm-int8", 0.0039, "where KL 0.001")):
        monkeypatch.setattr(trust, "cost", lambda backend, *_, policy=policy: trust.Cost(policy if "products" in backend.info["device"] else 0, 0, 0, 0, 0))
        _, why_not = examine._trust(_core.Backend(kind, network, options), network, options)
        assert why_not == said or said and said in why_not and "take rocm-fp16" in why_not


def test_something_else_is_to_blame_where_full_weights_are_wrong_too(emulated_gpu, path, monkeypatch):
    """A library, which is then left out: the check raises, and does not say that this network cannot be used so."""
    importlib.import_module("lc0rocm._rocm")
    network, options = net.load(path()).core(), dict(max_batch=1, streams=1, warm_up=False, weights="int8")
    costs = {True: trust.Cost(0.5, 1, 0.5, 0.5, 0.5), False: trust.Cost(0.4, 1, 0.4, 0.4, 0.4)}
    monkeypatch.setattr(trust, "cost", lambda backend, *_: costs["int8" in backend.info["device"]])
    with pytest.raises(Error, match="^without 8 bits too, answers are wrong: policy KL 0.40000"):
        examine._trust(_core.Backend("rocm-fp16", network, options), network, options)
    costs[False] = trust.Cost(0, 0, 0, 0, 0)
    assert "leave that out: policy KL 0.50000" in examine._trust(_core.Backend("rocm-fp16", network, options), network, options)[1]


def test_check_says_what_it_costs(emulated_gpu, path):
    done = subprocess.run([sys.executable, "-m", "lc0rocm", "check", path("columns"), "--backend=rocm-fp16", "--against=cpu", "--positions=40", "--json",
                           "--backend-opts=max_batch=2,streams=1,warm_up=false,probe=false,weights=int8"], capture_output=True, text=True, timeout=300, cwd="/")
    play = json.loads(done.stdout)["play"]
    assert set(play) == set(trust.Cost._fields) and not trust.Cost(**play).passes(trust.INT8), done.stderr
