"""weights=int8: whole nets by weights of 8 bits."""
import importlib

import numpy as np
import pytest

from emulated import bars, make_net
from lc0rocm import _core
from lc0rocm.netfile import net

NETS = {"attention": dict(embedding=64, encoders=2, heads=4, dff=96, smolgen=(16, 32, 32)),
        "dense embedding": dict(embedding=48, encoders=1, heads=3, dff=64, pe="dense", preprocessing=16, gates=True),
        "policy encoders": dict(embedding=32, encoders=1, heads=2, dff=48, policy_encoders=1, policy_heads=2, policy_size=32),
        "odd sizes": dict(embedding=36, encoders=1, heads=3, dff=50, smolgen=(3, 10, 7), policy_size=20, value_size=5, head_hidden=9),
        "tower below": dict(body="both", filters=32, blocks=1, embedding=32, encoders=1, heads=2, dff=48)}
OPTIONS = dict(max_batch=8, streams=1, warm_up=False)


def matrices(message):
    """(layer, rows) of each array that is a matrix of a dense layer."""
    for field, value in message.ListFields():
        for part in value if field.is_repeated else [value] if field.message_type else []:
            if field.message_type and field.message_type.name != "Layer":
                yield from matrices(part)
        name = field.name.removesuffix("_w")
        if field.message_type and field.message_type.name == "Layer" and name != field.name and hasattr(message, name + "_b"):
            if rows := len(getattr(message, name + "_b").params) // 4:
                yield value, rows


def rounded(options):
    """A net whose matrices are what 8 bits can hold: rows of whole numbers up to 127, times a scale."""
    message = make_net.make_net(**options, encoding="float32")
    found = list(matrices(message.weights))
    if smolgen := options.get("smolgen"):
        found.append((message.weights.smolgen_w, 4096))
        found += [(layer.mha.smolgen.compress, smolgen[0]) for layer in message.weights.encoder]
    for layer, rows in found:
        w = np.frombuffer(layer.params, np.float32).reshape(rows, -1)
        scales = np.abs(w).max(1, keepdims=True) / np.float32(127)
        make_net.set_array(layer, np.rint(w / scales) * scales, "float32")
    assert len(found) >= 8
    return message


def evaluate(kind, message, path, size=2, **options):
    make_net.write_net(message, path)
    importlib.import_module("lc0rocm._rocm" + "_wave64" * kind.endswith("_wave64"))
    backend = _core.Backend(kind, net.load(path).core(), OPTIONS | options)
    game = _core.Game(moves=["e2e4", "c7c5"])
    planes = [np.resize(part, (size, len(part))) for part in game.planes(backend.info["input_format"])]
    return backend, backend.evaluate(*planes)


@pytest.mark.parametrize("wave", ["", "_wave64"])
@pytest.mark.parametrize("kind", ["rocm", "rocm-fp16"])
@pytest.mark.parametrize("name", NETS)
def test_nothing_is_lost_where_8_bits_hold_the_weights(machine, tmp_path, name, kind, wave):
    """So every matrix is read with the scales of its own rows, where it lies."""
    message = rounded(NETS[name])
    _, whole = evaluate(kind + wave, message, tmp_path / "net.pb")
    backend, int8 = evaluate(kind + wave, message, tmp_path / "net.pb", weights="int8")
    assert "int8 weights" in backend.info["device"]
    assert max(bars.shares(kind, int8, whole).values()) <= 1


@pytest.mark.parametrize("kind", ["rocm", "rocm-fp16"])
def test_what_is_lost_is_little_and_the_same_for_few_and_many(machine, tmp_path, kind):
    """Many positions take the way of expanded weights."""
    message = make_net.make_net(**NETS["attention"])
    _, (policy, q, *_) = evaluate(kind, message, tmp_path / "net.pb")
    backend, few = evaluate(kind, message, tmp_path / "net.pb", weights="int8", max_batch=16)
    planes = [np.resize(part, (16, len(part))) for part in _core.Game(moves=["e2e4", "c7c5"]).planes(1)]
    many = backend.evaluate(*planes)
    assert 1e-4 < np.abs(few[0] - policy).max() < 0.1 * np.ptp(policy) and np.abs(few[1] - q).max() < 0.05
    assert max(bars.shares(kind, [part[:2] for part in many], few).values()) <= 1


def test_half_the_memory(machine, tmp_path):
    def taken(**options):
        free = machine.free_memory()
        backend, _ = evaluate("rocm-fp16", make_net.make_net(embedding=256, encoders=2, heads=8, dff=512), tmp_path / "net.pb", 1, max_batch=1, **options)
        took = free - machine.free_memory()
        del backend
        return took

    matrices = 2 * (4 * 256 * 256 + 2 * 256 * 512)  # of the encoders, alone
    assert taken() - taken(weights="int8") > 0.9 * matrices


def test_another_kind_of_weights_is_refused(machine, tmp_path):
    with pytest.raises(_core.Error, match="^back-end option weights is int4, expected full or int8$"):
        evaluate("rocm", make_net.make_net(**NETS["odd sizes"]), tmp_path / "net.pb", weights="int4")
