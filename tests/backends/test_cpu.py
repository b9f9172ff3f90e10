"""The CPU back ends against golden outputs, the spec's vectors and the NumPy reference."""
import json
import os
import platform
import random
import subprocess
import sys
import threading

import network_formulas as formulas
import odd_nets
import numpy as np
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net

UNUSABLE = {name: why_not for name, why_not, *_ in _core.registered_backends()}


def check(outputs, expected, scale=1):
    """Policy to 1e-3 absolute plus relative, q and d to 1e-4, m to 1e-3 relative; `scale` widens all for bf16."""
    tolerances = {"policy": (1e-3, 1e-3), "q": (1e-4, 0), "d": (1e-4, 0), "m": (1e-3, 1e-3)}
    for (name, (absolute, relative)), got, wanted in zip(tolerances.items(), outputs, expected):
        np.testing.assert_allclose(got, wanted, atol=absolute * scale, rtol=relative * scale, err_msg=name)


def golden(reference, name):
    with np.load(reference / "golden" / f"{name}.npz") as data:
        arrays = {key: data[key] for key in data.files}
    return (arrays["plane_mask"], arrays["plane_value"]), tuple(arrays[key] for key in ("policy_logits", "q", "d", "m"))


def usable(name):
    if UNUSABLE[name]:
        pytest.skip(f"{name}: {UNUSABLE[name]}")
    return name


def test_golden(reference, reference_net):
    planes, expected = golden(reference, reference_net)
    backend = _core.Backend("cpu", net.load(reference / "nets" / f"{reference_net}.pb.gz").core(), {})
    check(backend.evaluate(*planes), expected)


def test_golden_bf16(reference, reference_net):
    planes, expected = golden(reference, reference_net)
    backend = _core.Backend(usable("cpu-bf16"), net.load(reference / "nets" / f"{reference_net}.pb.gz").core(), {})
    check(backend.evaluate(*planes), expected, scale=300)  # 8 bits of mantissa against 24


def positions(count, seed):
    """Inputs of games at random."""
    rng, lines = random.Random(seed), []
    while len(lines) < count:
        game, moves = _core.Game(), []
        for _ in range(rng.randrange(2, 100)):
            if not game.legal_moves():
                break
            moves.append(rng.choice(game.legal_moves()))
            game = _core.Game(moves=moves)
        if game.legal_moves():
            lines.append(f"{_core.STARTPOS} moves {' '.join(moves)}")
    return lines


def test_int8_keeps_what_it_promises():
    """With the package's network, over positions that are not those of the check (lc0rocm/cpu.py)."""
    core = net.load(net.default_net()["path"]).core()
    exact, eight = (_core.Backend(name, core, {}) for name in ("cpu", usable("cpu-int8")))
    inputs = _core.Inputs(positions(100, 3), exact.info["input_format"])
    (p, q, *_), (other, other_q, *_) = (backend.policies(inputs, 1.0) for backend in (exact, eight))
    first = inputs.first_move.tolist()
    rows = [slice(*ends) for ends in zip(first, first[1:])]
    divergence = np.mean([np.sum(p[row] * np.log(p[row] / other[row])) for row in rows])
    assert 1e-5 < divergence < 0.001 and 1e-4 < np.abs(q - other_q).mean() < 0.01  # and it is not fp32 by another name
    assert np.mean([p[row].argmax() == other[row].argmax() for row in rows]) >= 0.95


def test_int8_needs_encoders(reference):
    core = net.load(reference / "nets" / "maia-1900.pb.gz").core()
    with pytest.raises(_core.Error, match="this one has none; use the back end cpu"):
        _core.Backend(usable("cpu-int8"), core, {})


def test_reference(reference, reference_net):
    planes, expected = golden(reference, reference_net)
    file = net.load(reference / "nets" / f"{reference_net}.pb.gz")
    few = tuple(a[:4] for a in planes)
    check(formulas.Reference(file.core(), file.architecture()).evaluate(*few), [e[:4] for e in expected])


def spec_lines(reference):
    folder = reference / "spec" / "nets"
    with open(folder / "expected.jsonl") as lines:
        return folder, [json.loads(line) for line in lines]


def test_spec_nets(reference):
    folder, lines = spec_lines(reference)
    backends = {}
    for line in lines:
        heads = {key: line[key] for key in ("policy_head", "value_head") if key in line}
        key = line["net"], *heads.items()
        if key not in backends:
            file = net.load(folder / line["net"])
            backends[key] = _core.Backend("cpu", file.core(**heads), {}), file.architecture()["input_format"]
        backend, input_format = backends[key]
        game = _core.Game(line["fen"], line["moves"])
        masks, values = game.planes(input_format, line["history_fill"])
        policy, q, d, m = backend.evaluate(masks[None], values[None])
        indices, logits = zip(*line["logits"].values())
        check((policy[0, list(indices)], q[0], d[0], m[0]), (logits, line["q"], line["d"], line["m"]))
    assert len({key[0] for key in backends}) == 15


def tower_with_attention():
    """A residual tower under an attention body, which no reference file has: random arrays of the core's names."""
    filters, embedding, heads, ffn, rng = 24, 32, 4, 40, np.random.default_rng(5)
    arrays = {}

    def array(name, *shape, scale=None):
        values = rng.normal(0, scale or 1 / np.sqrt(shape[-1]), shape).astype(np.float32)
        arrays[name] = 4, values.tobytes(), 0.0, 0.0, shape

    def dense(name, out, inputs):
        array(name + "_w", out, inputs)
        array(name + "_b", out, scale=0.1)

    def convolution(name, out, inputs):
        array(name + ".weights", out, inputs, 3, 3, scale=1 / np.sqrt(9 * inputs))
        array(name + ".biases", out, scale=0.1)

    convolution("input", filters, 112)
    convolution("residual.0.conv1", filters, filters)
    convolution("residual.0.conv2", filters, filters)
    dense("ip_emb", embedding, filters)
    array("ip_mult_gate", embedding, 64, scale=1)
    array("ip_add_gate", embedding, 64, scale=1)
    for part in "qkv":
        dense(f"encoder.0.mha.{part}", embedding, embedding)
    dense("encoder.0.mha.dense", embedding, embedding)
    dense("encoder.0.ffn.dense1", ffn, embedding)
    dense("encoder.0.ffn.dense2", embedding, ffn)
    for norm in ("ln1", "ln2"):
        array(f"encoder.0.{norm}_gammas", embedding, scale=1)
        array(f"encoder.0.{norm}_betas", embedding, scale=1)
    dense("policy.ip_pol", embedding, embedding)
    dense("policy.ip2_pol", 20, embedding)
    dense("policy.ip3_pol", 20, embedding)
    array("policy.ip4_pol_w", 4, 20)
    for prefix, kind, outputs in (("value.", "val", 3), ("", "mov", 1)):
        dense(f"{prefix}ip_{kind}", 8, embedding)
        dense(f"{prefix}ip1_{kind}", 16, 512)
        dense(f"{prefix}ip2_{kind}", outputs, 16)
    architecture = {
        "input_format": 1, "filters": filters, "blocks": 1, "attention_body": True, "dense_embedding": False,
        "embedding": embedding, "encoders": 1, "heads": heads, "activation": "mish", "smolgen_activation": "swish",
        "ffn_activation": "relu2", "policy": 3, "policy_encoders": 0, "policy_heads": 0, "wdl": True,
        "moves_left": True,
    }
    return _core.Network(architecture, arrays), architecture


def some_planes(count):
    games = [_core.Game(moves=["e2e4", "e7e5", "g1f3", "b8c6", "f1b5"][:i % 6]) for i in range(count)]
    return tuple(np.stack(arrays) for arrays in zip(*(game.planes(1) for game in games)))


def test_tower_under_attention_body():
    core, architecture = tower_with_attention()
    planes = some_planes(3)
    check(_core.Backend("cpu", core, {}).evaluate(*planes), formulas.Reference(core, architecture).evaluate(*planes))


@pytest.mark.parametrize("name", odd_nets.NETS)
def test_odd_sizes(tmp_path, name):
    core, architecture = odd_nets.load(name, tmp_path)
    planes = some_planes(3)
    check(_core.Backend("cpu", core, {}).evaluate(*planes), formulas.Reference(core, architecture).evaluate(*planes))


def test_wide_tower(tmp_path):
    """Products in parts, of inputs and of columns that fill no panel."""
    core, architecture = odd_nets.made(tmp_path, body="tower", filters=150, blocks=1, policy="convolution")
    planes = some_planes(5)
    check(_core.Backend("cpu", core, {"threads": 1}).evaluate(*planes), formulas.Reference(core, architecture).evaluate(*planes))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its instruction sets")
@pytest.mark.parametrize("most", ["SSE41", "AVX2", "AVX512_CORE"])
def test_convolutions_with_fewer_instructions(most):
    """Each has its own code; a processor without them runs what it has."""
    tests = [__file__, "-k", "test_golden or test_odd or test_wide"]
    done = subprocess.run([sys.executable, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
                          env=os.environ | {"ONEDNN_MAX_CPU_ISA": most}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name,kind", [("maia-1900", "cpu"), ("ab-pemap-64x2", "cpu"), ("ab-pemap-64x2", "cpu-int8")])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 3, 17])
def test_batch_invariance(reference, name, kind, threads, size):
    (masks, values), _ = golden(reference, name)
    masks, values = np.resize(masks, (64, 112)), np.resize(values, (64, 112))
    backend = _core.Backend(usable(kind), net.load(reference / "nets" / f"{name}.pb.gz").core(), {"threads": threads})
    whole = backend.evaluate(masks, values)
    for start in range(0, 64, size):
        part = backend.evaluate(masks[start:start + size], values[start:start + size])
        for got, wanted in zip(part, whole):
            np.testing.assert_allclose(got, wanted[start:start + size], atol=1e-4, rtol=1e-5)


def test_small_max_batch_splits(reference):
    planes, expected = golden(reference, "se-relu-32x2")
    backend = _core.Backend("cpu", net.load(reference / "nets" / "se-relu-32x2.pb.gz").core(), {"max_batch": 5})
    assert backend.info["max_batch"] == 5
    check(backend.evaluate(*planes), expected)


def test_parallel_sessions_agree(reference):
    planes, expected = golden(reference, "ab-pemap-64x2")
    backend = _core.Backend("cpu", net.load(reference / "nets" / "ab-pemap-64x2.pb.gz").core(), {"threads": 2})
    outputs = {}

    def work(i):
        for _ in range(5):
            outputs[i] = backend.evaluate(*planes)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(outputs[0], expected)
    check(outputs[1], expected)


def test_no_positions():
    core, _ = tower_with_attention()
    planes = np.zeros((0, 112), np.uint64), np.zeros((0, 112), np.float32)
    policy, q, d, m = _core.Backend("cpu", core, {}).evaluate(*planes)
    assert policy.shape == (0, 1858) and q.shape == d.shape == m.shape == (0,)


def test_moves_left_switched_off():
    core, _ = tower_with_attention()
    backend = _core.Backend("cpu", core, {"mlh": False})
    assert not backend.info["moves_left"]
    assert not backend.evaluate(*some_planes(2))[3].any()


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": "two"}, {"threads": None}, {"max_batch": -1},
                                     {"mlh": 1}])
def test_bad_options(options):
    core, _ = tower_with_attention()
    with pytest.raises(_core.Error, match=next(iter(options))):
        _core.Backend("cpu", core, options)


def test_network_arguments():
    _, architecture = tower_with_attention()
    for field, changes in (("heads", {"heads": "four"}), ("colour", {"colour": 1}),
                           ("activation", {"activation": "gelu"}), ("policy", {"policy": 99})):
        with pytest.raises(_core.Error, match=field):
            _core.Network(architecture | changes, {})
    with pytest.raises(_core.Error, match="wdl"):
        _core.Network({key: value for key, value in architecture.items() if key != "wdl"}, {})
    with pytest.raises(_core.Error, match="ip_emb_w"):
        _core.Network(architecture, {"ip_emb_w": (4, b"12345", 0.0, 0.0, (1,))})
