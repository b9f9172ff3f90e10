"""rocm-int8 and rocm-fp8: whole nets whose encoders' products are in 8 bits."""
import importlib

import numpy as np
import pytest

from emulated import bars, make_net
from lc0rocm import _core
from lc0rocm.netfile import net
from lc0rocm.positions import varied

SMALL = dict(embedding=64, encoders=2, heads=4, dff=96, value_size=8, head_hidden=16)
NETS = {"attention": SMALL | dict(smolgen=(16, 32, 32)), "without smolgen": SMALL,
        "dense embedding": SMALL | dict(embedding=48, heads=3, pe="dense", preprocessing=16, gates=True),
        "policy encoders": SMALL | dict(policy_encoders=1, policy_heads=2, policy_size=32),
        "odd smolgen": SMALL | dict(smolgen=(3, 10, 7)),
        "odd hidden part": SMALL | dict(dff=50),
        "tower below": dict(body="both", filters=32, blocks=1, embedding=32, encoders=1, heads=2, dff=48)}
OPTIONS = dict(max_batch=6, streams=1, warm_up=False)
GAMES = list(varied(6))
KINDS = ["rocm-int8", "rocm-fp8"]


def open_backend(kind, path, **options):
    importlib.import_module("lc0rocm._rocm" + "_wave64" * kind.endswith("_wave64"))
    return _core.Backend(kind, net.load(path).core(), OPTIONS | options)


def evaluate(backend, games=GAMES):
    return backend.evaluate(*(np.stack(part) for part in zip(*(game.planes(backend.info["input_format"]) for game in games))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wave", ["", "_wave64"])
@pytest.mark.parametrize("name", NETS)
def test_little_is_lost(machine, tmp_path, name, wave, kind):
    """Beside half precision, and something is: the products are other ones. The same whatever else is in the batch, plainly and from a graph."""
    make_net.write_net(make_net.make_net(**NETS[name]), path := tmp_path / "net.pb")
    half, backend = (open_backend(of + wave, path) for of in ("rocm-fp16", kind))
    assert kind.removeprefix("rocm-") + " products" in backend.info["device"] and backend.info["half"]
    all_in_8 = evaluate(backend)
    assert 1e-3 < max(bars.shares(kind, all_in_8, evaluate(half)).values()) <= 1
    for _ in range(2):
        few = evaluate(backend, GAMES[:3])
        assert max(bars.shares("rocm-fp16", few, [part[:3] for part in all_in_8]).values()) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_without_encoders_is_refused(machine, tmp_path, kind):
    make_net.write_net(make_net.make_net(body="tower", filters=16, blocks=1, policy="classical", policy_size=8), path := tmp_path / "net.pb")
    with pytest.raises(_core.Error, match=f"^{kind} computes the products of encoders in 8 bits, and this network has no encoders: take rocm-fp16$"):
        open_backend(kind, path)


def test_small_batches_are_in_half_precision_where_that_is_asked_for(machine, tmp_path):
    make_net.write_net(make_net.make_net(**SMALL), path := tmp_path / "net.pb")
    half, int8, both = (open_backend(kind, path, **options) for kind, options in
                        (("rocm-fp16", {}), ("rocm-int8", {}), ("rocm-int8", dict(int8_batch=6))))
    for games, like in (GAMES[:4], half), (GAMES, int8):
        np.testing.assert_array_equal(evaluate(both, games)[0], evaluate(like, games)[0])
    with pytest.raises(_core.Error, match="^back-end option int8_batch is -1, expected 0 to 8192$"):
        open_backend("rocm-int8", path, int8_batch=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_each_product_is_as_it_was_measured_to_be_faster(machine, tmp_path, kind):
    """In either precision; by plans that say half of all it is rocm-fp16."""
    make_net.write_net(make_net.make_net(**SMALL | dict(smolgen=(16, 32, 32))), path := tmp_path / "net.pb")
    backend, name = open_backend(kind, path, measure=60, max_batch=2), kind.removeprefix("rocm-") + "x8"
    evaluate(backend, GAMES[:2])
    plans = dict(line.split()[:2] for line in backend.plans.splitlines() if f"/{name}" in line and "/gemm/" in line)
    assert {f"{name}/half" in key for key in plans} == {f"{name}q/half" in key for key in plans} == {True, False}  # rows that are there, and not
    assert all(winner in ("half", "apart") or winner.startswith((name + ":", "hipblaslt:")) for winner in plans.values())
    half, either = (evaluate(open_backend(of, path, max_batch=2, plans=text), GAMES[:2])
                    for of, text in (("rocm-fp16", ""), (kind, "".join(f"{key} half 1\n" for key in plans))))
    np.testing.assert_array_equal(either[0], half[0])
