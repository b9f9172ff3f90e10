"""tower(): narrow towers in one kernel, Winograd's products with one launch between them, layer by layer, and the auction among these."""
import importlib

import numpy as np
import pytest

from emulated import bars, make_net
from rocm_calls import Calls
from lc0rocm import _core
from lc0rocm.netfile import net

FUSED = {64: ["fused:128", "fused:256"], 128: ["fused:128", "fused:256"], 48: []}  # by channels


def network(path, channels, blocks, se_ratio):
    make_net.write_net(make_net.make_net(body="tower", filters=channels, blocks=blocks, se_ratio=se_ratio, policy="convolution"), path)
    return net.load(path).core()


def positions(backend, count):
    """Of a game, and the same ones without one of their planes."""
    planes = [np.resize(part, (count, len(part))).copy() for part in _core.Game().planes(backend.info["input_format"])]
    for i in range(count):
        planes[0][i, i % 12] = 0
    return planes


def plans(wave, channels, blocks, se, way):
    """That make the towers of batches of 1 and 3 go that way."""
    return "".join(f"emulated{wave}.1/half/tower/b{batch}/c{channels}/n{blocks}{f'/se{se}' if se else ''}/mish {way} 1\n" for batch in (1, 3))


def opened(kind, core, **options):
    return _core.Backend(kind, core, {"max_batch": 3, "streams": 1, "warm_up": False} | options)


@pytest.mark.parametrize("wave", [32, 64])
@pytest.mark.parametrize("channels,blocks,se_ratio", [(64, 9, 8), (64, 1, 0), (128, 1, 8), (48, 1, 8)])
def test_all_ways_agree(machine, tmp_path, wave, channels, blocks, se_ratio):
    suffix = "_wave64" if wave == 64 else ""
    importlib.import_module("lc0rocm._rocm" + suffix)
    core = network(tmp_path / "net.pb", channels, blocks, se_ratio)
    exact = _core.Backend("cpu", core, {})
    launches = {"fused": [], "chained": [], "layers": []}
    for way in [*FUSED[channels], "chained", "layers"]:
        backend = opened("rocm-fp16" + suffix, core, plans=plans(wave, channels, blocks, se_ratio and channels // se_ratio, way))
        for size in (1, 3):
            planes = positions(exact, size)
            before = machine.calls("launch")["launch"]
            outputs = backend.evaluate(*planes)
            launches[way.split(":")[0]].append(machine.calls("launch")["launch"] - before)
            assert max(bars.shares("rocm-fp16", outputs, exact.evaluate(*planes)).values()) <= 1
    assert launches["chained"][-1] < launches["layers"][-1], "the plan was not obeyed"  # of 3: for one, patches of a short tower are as few
    if FUSED[channels]:
        assert max(launches["fused"]) < min(launches["layers"]), "the plan was not obeyed"


def test_a_tower_of_the_input_convolution_alone(machine, tmp_path):
    core = network(tmp_path / "net.pb", 64, 0, 0)
    exact = _core.Backend("cpu", core, {})
    for options in ({}, {"plans": plans(32, 64, 0, 0, "fused:128")}):
        outputs = opened("rocm-fp16", core, **options).evaluate(*positions(exact, 3))
        assert max(bars.shares("rocm-fp16", outputs, exact.evaluate(*positions(exact, 3))).values()) <= 1


def test_the_auction_settles_a_way(machine, tmp_path):
    core = network(tmp_path / "net.pb", 64, 1, 8)
    backend, exact = opened("rocm-fp16", core, max_batch=1, measure=1000, without="hipblaslt rocblas miopen"), _core.Backend("cpu", core, {})
    outputs = backend.evaluate(*positions(exact, 1))
    [(key, winner, _)] = [line.split() for line in backend.plans.splitlines() if "/tower/" in line]
    assert key == plans(32, 64, 1, 8, "").split()[0] and winner in [*FUSED[64], "chained", "layers"]
    assert max(bars.shares("rocm-fp16", outputs, exact.evaluate(*positions(exact, 1))).values()) <= 1


def test_matrix_instructions_are_known_by_the_architecture():
    has = Calls(32).lib.has_matrix_instructions
    without = ["gfx900", "gfx906", "gfx1030", "gfx1036"]
    names = [*without, "gfx90a", "gfx942", "gfx1100", "gfx1153", "gfx1201", "emulated32"]
    assert [name for name in names if not has(name.encode())] == without
