"""The ROCm back ends against golden outputs and the spec's vectors: every net, both precisions, both wave widths of the emulation."""
import ctypes
import importlib
import importlib.util
import json
import pathlib
import threading

import numpy as np
import odd_nets
import pytest

from emulated import bars, make_net
from lc0rocm import _core
from lc0rocm.netfile import net

pytest.importorskip("lc0rocm._rocm", reason="built without the ROCm back end")

KINDS = ["rocm", "rocm-fp16"]
SMALL = {"max_batch": 8, "streams": 1, "warm_up": False}  # quick to make


@pytest.fixture(params=["", "_wave64"], ids=["wave32", "wave64"], scope="module")
def wave(request):
    try:
        importlib.import_module("lc0rocm._rocm" + request.param)
    except ImportError:
        pytest.skip("one wave width a device, but in the emulation")
    return request.param


@pytest.fixture
def emulation():
    """Sets up the emulated machine anew; see settings.h."""
    package = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
    path = package / "librocm_emulated.so"
    if not path.exists():
        pytest.skip("only the emulated machine can be set up")
    configure = ctypes.CDLL(str(path)).hip_emulated_configure
    yield lambda words: configure(words.encode())
    configure(b"")


def golden(reference, name, count):
    with np.load(reference / "golden" / f"{name}.npz") as data:
        arrays = {key: data[key][:count] for key in data.files}
    return (arrays["plane_mask"], arrays["plane_value"]), tuple(arrays[key] for key in ("policy_logits", "q", "d", "m"))


def check(kind, outputs, expected):
    """Within the precision's bars; and fp16 has not by chance the numbers of fp32."""
    worst = bars.shares(kind, outputs, expected)
    assert max(worst.values()) <= 1, worst
    if "fp16" in kind:
        assert np.abs(outputs[0] - np.asarray(expected[0])).max() > 1e-5, "fp16 that agrees to the last digit was not computed in fp16"


def backend(kind, reference, name, **options):
    return _core.Backend(kind, net.load(reference / "nets" / f"{name}.pb.gz").core(), SMALL | options)


@pytest.mark.parametrize("kind", KINDS)
def test_golden(reference, wave, kind, reference_net):
    planes, expected = golden(reference, reference_net, 2)
    check(kind, backend(kind + wave, reference, reference_net).evaluate(*planes), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_spec_nets(reference, wave, kind):
    folder = reference / "spec" / "nets"
    backends = {}
    for line in map(json.loads, (folder / "expected.jsonl").read_text().splitlines()):
        heads = {key: line[key] for key in ("policy_head", "value_head") if key in line}
        key = line["net"], *heads.items()
        if key in backends:
            continue  # one position a net and head
        backends[key] = file = net.load(folder / line["net"])
        masks, values = _core.Game(line["fen"], line["moves"]).planes(file.architecture()["input_format"], line["history_fill"])
        policy, *scalars = _core.Backend(kind + wave, file.core(**heads), SMALL).evaluate(masks[None], values[None])
        indices, logits = zip(*line["logits"].values())
        check(kind, (policy[:, list(indices)], *scalars), ([logits], [line["q"]], [line["d"]], [line["m"]]))
    assert len({key[0] for key in backends}) == 15


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size, max_batch", [(1, 8), (3, 8), (17, 32), (9, 5)])
def test_batches(reference, kind, size, max_batch):
    planes, expected = golden(reference, "ab-pemap-64x2", size)
    check(kind, backend(kind, reference, "ab-pemap-64x2", max_batch=max_batch).evaluate(*planes), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", odd_nets.NETS)
def test_odd_sizes(tmp_path, kind, name):
    core = odd_nets.load(name, tmp_path)[0]
    planes = tuple(np.stack(a) for a in zip(*(_core.Game(moves=["e2e4", "e7e5", "g1f3"][:i]).planes(1) for i in range(3))))
    check(kind, _core.Backend(kind, core, SMALL).evaluate(*planes), _core.Backend("cpu", core, {}).evaluate(*planes))


def test_graphs_repeat_plain_runs(reference, wave):
    planes, _ = golden(reference, "ab-pemap-64x2", 3)
    plain = backend("rocm-fp16" + wave, reference, "ab-pemap-64x2", graphs=False).evaluate(*planes)
    captured = backend("rocm-fp16" + wave, reference, "ab-pemap-64x2")
    for _ in range(3):  # plain and captured, then replayed
        for got, wanted in zip(captured.evaluate(*planes), plain):
            np.testing.assert_array_equal(got, wanted)


def test_graph_follows_its_input(reference):
    captured = backend("rocm", reference, "ab-nosmolgen-64x2")
    planes, expected = golden(reference, "ab-nosmolgen-64x2", 6)
    for i in range(0, 6, 2):
        check("rocm", captured.evaluate(*(a[i:i + 2] for a in planes)), [e[i:i + 2] for e in expected])


def test_sessions_at_once(reference):
    both = backend("rocm", reference, "ab-pemap-64x2", streams=2)
    planes, expected = golden(reference, "ab-pemap-64x2", 6)
    outputs = {}

    def work(first):
        for size in (3, 2, 3):  # plain, plain, a graph
            part = slice(first, first + size)
            outputs[first, size] = both.evaluate(*(a[part] for a in planes))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 4
    for (first, size), output in outputs.items():
        check("rocm", output, [e[first:first + size] for e in expected])


def test_policy_of_legal_moves(reference):
    """The search asks for the moves of each position alone; `check` compares what it gets."""
    core = net.load(reference / "nets" / "ab-pemap-64x2.pb.gz").core()
    both = _core.Backend("check", core, {"rocm": SMALL, "cpu": {}, "freq": 1.0, "atol": 1e-3, "rtol": 0.0})
    search = _core.Search()
    search.set_backend(both, "fen_only", 1.359, 1000)
    search.set_position(_core.STARTPOS, ["e2e4", "c7c5"])
    search.start({"Threads": 1, "MinibatchSize": 4}, {"nodes": 40})
    assert search.result()["best_move"]


def test_no_allocation_after_warm_up(reference, emulation):
    warm = backend("rocm-fp16", reference, "ab-pemap-64x2", max_batch=5, warm_up=True)  # 5 is no step of the ladder
    emulation("fail=alloc:1+")
    planes, expected = golden(reference, "ab-pemap-64x2", 5)
    for size in (1, 3, 5):
        check("rocm-fp16", warm.evaluate(*(a[:size] for a in planes)), [e[:size] for e in expected])


def test_too_little_memory_shrinks_batches(reference, emulation):
    emulation("memory=40")
    planes, expected = golden(reference, "ab-pemap-64x2", 2)
    small = backend("rocm", reference, "ab-pemap-64x2", max_batch=4096)
    assert 1 <= small.info["max_batch"] < 4096
    assert f"batches of up to {small.info['max_batch']}" in small.info["device"]
    check("rocm", small.evaluate(*planes), expected)


def test_memory_that_runs_out_later(reference, emulation):
    planes, expected = golden(reference, "ab-pemap-64x2", 4)
    cold = backend("rocm", reference, "ab-pemap-64x2")
    emulation("fail=alloc:1")
    check("rocm", cold.evaluate(*planes), expected)


def test_integrated_gpu(reference, emulation):
    emulation("integrated=1")
    planes, expected = golden(reference, "ab-pemap-64x2", 3)
    check("rocm", backend("rocm", reference, "ab-pemap-64x2").evaluate(*planes), expected)


def test_refused_launch(reference, emulation):
    """It ends the evaluation; one that is refused while a graph is captured only loses the graph."""
    planes, expected = golden(reference, "ab-nosmolgen-64x2", 1)
    ended = {True: 0, False: 0}
    for graphs in ended:
        for launch in range(3, 40, 9):
            cold = backend("rocm", reference, "ab-nosmolgen-64x2", graphs=graphs)
            emulation(f"fail=launch:{launch}")
            try:
                check("rocm", cold.evaluate(*planes), expected)
            except _core.Error:
                ended[graphs] += 1
            emulation("")
            check("rocm", cold.evaluate(*planes), expected)
    assert ended[True] == 0 < ended[False]


def test_no_device(emulation):
    emulation("devices=0")
    why_not = {name: why for name, why, *_ in _core.registered_backends()}
    assert "no GPU" in why_not["rocm"] and "no GPU" in why_not["rocm-fp16"]


def test_weights_beyond_fp16(reference):
    architecture, arrays = net.load(reference / "nets" / "ab-pemap-64x2.pb.gz").read()
    encoding, data, low, _, shape = arrays["encoder.0.ffn.dense1_w"]
    arrays["encoder.0.ffn.dense1_w"] = encoding, data, low, 1e5, shape
    core = _core.Network(architecture, arrays)
    _core.Backend("rocm", core, SMALL)
    with pytest.raises(_core.Error, match="encoder.0.ffn.dense1_w .* fp16"):
        _core.Backend("rocm-fp16", core, SMALL)


@pytest.mark.parametrize("words", ["", "fail=gemm:1+"], ids=["libraries", "our kernels"])
def test_activations_beyond_fp16_saturate(tmp_path, emulation, words):
    """Squares of feed-forward sums near 300, whose own products are far beyond fp16 as well."""
    message = make_net.make_net(embedding=32, encoders=1, heads=2, dff=48, ffn_activation="relu2", encoding="float32")
    make_net.set_array(message.weights.encoder[0].ffn.dense1_b, [300] * 48, "float32")
    make_net.set_array(message.weights.encoder[0].ffn.dense2_w, np.linspace(0.5, 1, 48 * 32), "float32")
    make_net.write_net(message, tmp_path / "large.pb")
    emulation(words)
    planes = [a[None] for a in _core.Game().planes(1)]
    outputs = _core.Backend("rocm-fp16", net.load(tmp_path / "large.pb").core(), SMALL).evaluate(*planes)
    assert all(np.isfinite(x).all() for x in outputs)


@pytest.mark.parametrize("options", [{"gpu": 1}, {"gpu": -1}, {"max_batch": 0}, {"streams": 0}, {"graphs": 1}])
def test_bad_options(reference, options):
    with pytest.raises(_core.Error, match=next(iter(options))):
        backend("rocm", reference, "ab-nosmolgen-64x2", **options)


def test_more_moves_than_there_are(reference):
    planes, _ = golden(reference, "ab-pemap-64x2", 1)
    small = backend("rocm", reference, "ab-pemap-64x2", max_batch=1)
    small.time_batches(*planes, 1, [0] * 1858)
    with pytest.raises(_core.Error, match="the logits of 1859 moves, more than there are"):
        small.time_batches(*planes, 1, [0] * 1859)


def test_moves_left_switched_off(reference):
    planes, _ = golden(reference, "ab-pemap-64x2", 1)
    without = backend("rocm", reference, "ab-pemap-64x2", mlh=False)
    assert not without.info["moves_left"] and not without.evaluate(*planes)[3].any()
