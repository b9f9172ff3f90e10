"""What the back ends show inside a network, and what they make of layers that are replaced, against the formulas: every layer of every family."""
import importlib
import re

import network_formulas as formulas
import numpy as np
import odd_nets
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net

LINES = [f"{_core.STARTPOS} moves e2e4 c7c5 g1f3"[:-5 * i or None] for i in range(3)]
BACKENDS = ["cpu", "cpu-bf16", "cpu-int8", "rocm", "rocm-fp16", "rocm_wave64", "rocm-fp16_wave64", "rocm-int8", "rocm-int8_wave64"]
TOLERANCE = {"cpu": 1e-4, "cpu-bf16": 0.15, "cpu-int8": 0.15, "rocm": 5e-4, "rocm-fp16": 0.03, "rocm-int8": 0.15}  # of a layer's largest number


def backend(name, core):
    if name.startswith("rocm"):
        pytest.importorskip("lc0rocm._rocm", reason="built without the ROCm back end")
        try:
            importlib.import_module("lc0rocm._rocm" + name.partition("_")[1] + name.partition("_")[2])
        except ImportError:
            pytest.skip("one wave width a device, but in the emulation")
        return made(name, core, {"max_batch": 4, "streams": 1, "warm_up": False})
    why_not = {entry[0]: entry[1] for entry in _core.registered_backends()}[name]
    if why_not:
        pytest.skip(why_not)
    return made(name, core, {})


def made(name, core, options):
    try:
        return _core.Backend(name, core, options)
    except _core.Error as error:
        if "int8" not in name or not re.search("this (one|network) has n", str(error)):
            raise
        pytest.skip(str(error))


def look(back, inputs, change=None):
    """All layers and outputs (policy, q, wdl, m). change: of each layer, in the pass too."""
    seen = {}

    def see(name, first, values):
        assert first == 0
        if change:
            values[...] = change(values)
        seen[name] = values.copy()
        return change is not None

    shapes = dict(back.layers)
    outputs = back.evaluate(inputs, set(shapes), see)
    assert {name: values.shape for name, values in seen.items()} == {name: (len(inputs), *shape) for name, shape in shapes.items()}
    return seen, outputs


def compare(name, back, core, architecture, change=None):
    """Gives the outputs."""
    inputs = _core.Inputs(LINES, architecture["input_format"])
    masks, values = (np.stack(part) for part in zip(*(game(line).planes(architecture["input_format"]) for line in LINES)))
    reference = formulas.Reference(core, architecture, {layer: change for layer, _ in back.layers} if change else {})
    policy, q, *_ = reference.evaluate(masks, values)
    seen, outputs = look(back, inputs, change)
    assert set(seen) == set(reference.layers)
    share = TOLERANCE[name.partition("_")[0]]
    for layer, wanted in {**reference.layers, "the policy": policy}.items():
        got = outputs[0] if layer == "the policy" else seen[layer]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=share * np.abs(wanted).max(), err_msg=layer)
    np.testing.assert_allclose(outputs[1], q, atol=share)
    return outputs


def game(line):
    fen, _, moves = line.partition(" moves ")
    return _core.Game(fen, moves.split())


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("family", odd_nets.NETS)
def test_layers(tmp_path, name, family):
    """Every layer is changed on its way, and the pass goes on with that; the next one is as ever."""
    core, architecture = odd_nets.load(family, tmp_path)
    back = backend(name, core)
    changed = compare(name, back, core, architecture, change=lambda values: 0.9 * values + 0.01)
    plain = compare(name, back, core, architecture)
    assert np.abs(plain[0] - changed[0]).max() > 1e-3


def test_a_look_gives_its_memory_back(machine, tmp_path):
    core, architecture = odd_nets.load("map", tmp_path)
    back = _core.Backend("rocm", core, {"max_batch": 4, "streams": 1})
    inputs = _core.Inputs(LINES, architecture["input_format"])
    plain = back.evaluate(inputs)[0]
    free = machine.free_memory()
    look(back, inputs)
    np.testing.assert_array_equal(back.evaluate(inputs)[0], plain)
    assert machine.free_memory() == free


def test_reference_nets(reference, reference_net):
    file = net.load(reference / "nets" / f"{reference_net}.pb.gz")
    compare("cpu", backend("cpu", file.core()), file.core(), file.architecture())


@pytest.mark.parametrize("spec_net", ["se_attnpolicy_polencoder_mish", "attn_pemap_smolgen_tanh_selu", "multihead_7_dense"])
def test_spec_nets(reference, spec_net):
    file = net.load(reference / "spec/nets" / f"{spec_net}.pb.gz")
    compare("cpu", backend("cpu", file.core()), file.core(), file.architecture())
