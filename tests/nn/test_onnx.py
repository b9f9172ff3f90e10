"""Networks as ONNX models: onnxruntime gives what the formulas do, for every net, batch, head and precision."""
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from lc0rocm import _core, cli
from lc0rocm.netfile import net

onnx = pytest.importorskip("onnx", reason="pip install onnx: what export needs is not here")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime: what runs the models is not here")

from lc0rocm.netfile import onnx_model  # noqa: E402

REFERENCE = pathlib.Path(__file__).parents[1] / "reference"
NETS = [*sorted((REFERENCE / "nets").glob("*.pb.gz")), *sorted((REFERENCE / "spec/nets").glob("*.pb.gz"))]


def session(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(opened, masks, values, number=np.float32):
    """Policy, q, d, m as the back ends give them, and win, draw and loss as they come."""
    planes = _core.expand_planes(masks, values).astype(number)
    names = [output.name for output in opened.get_outputs()]
    out = dict(zip(names, (array.astype(np.float64) for array in opened.run(names, {onnx_model.INPUT: planes}))))
    if onnx_model.WDL in out:
        np.testing.assert_allclose(out[onnx_model.WDL].sum(-1), 1, atol=2e-3)
        q, d = out[onnx_model.WDL] @ [1, 0, -1], out[onnx_model.WDL][:, 1]
    else:
        q, d = out[onnx_model.VALUE][:, 0], np.zeros(len(planes))
    m = out[onnx_model.MOVES_LEFT][:, 0] if onnx_model.MOVES_LEFT in out else np.zeros(len(planes))
    return out[onnx_model.POLICY], q, d, m


def positions(architecture, count):
    games = [_core.Game(moves=["e2e4", "c7c5", "g1f3", "d7d6"][:i]) for i in range(count)]
    return tuple(np.stack(part) for part in zip(*(game.planes(architecture["input_format"]) for game in games)))


def check(got, expected, share):
    policy, q, d, m = expected
    np.testing.assert_allclose(got[0], policy, rtol=0, atol=share * max(1, np.ptp(policy)))
    for values, wanted in zip(got[1:3], (q, d)):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=share)
    np.testing.assert_allclose(got[3], m, rtol=share, atol=share)


@pytest.mark.parametrize("half", [False, True], ids=["float", "half"])
@pytest.mark.parametrize("path", NETS, ids=lambda path: path.name.partition(".")[0])
def test_onnxruntime_agrees(path, half):
    """In 32 bits to 1e-4, the logits to that part of their range; any batch from one model."""
    file = net.load(path)
    opened = session(onnx_model.model(file, half=half))
    masks, values = positions(file.architecture(), 4)
    expected = _core.Backend("cpu", file.core(), {"threads": 1}).evaluate(masks, values)
    for n in (1, 4):
        check(run(opened, masks[:n], values[:n], np.float16 if half else np.float32), [part[:n] for part in expected], 3e-3 if half else 1e-4)


@pytest.mark.parametrize("heads", [("optimistic", "q"), ("soft", "st"), ("opponent", "winner")])
def test_other_heads(heads):
    file = net.load(REFERENCE / "spec/nets/multihead_7_dense.pb.gz")
    masks, values = positions(file.architecture(), 2)
    got = run(session(onnx_model.model(file, *heads)), masks, values)
    check(got, _core.Backend("cpu", file.core(*heads), {}).evaluate(masks, values), 1e-4)


@pytest.mark.parametrize("path", [NETS[1], REFERENCE / "nets/se-relu-32x2.pb.gz"], ids=lambda path: path.name)
def test_tensors_have_the_names_of_layers(path):
    file = net.load(path)
    back = _core.Backend("cpu", file.core(), {})
    model = onnx_model.model(file)
    names = [name for name, _ in back.layers]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    inputs = _core.Inputs([_core.STARTPOS], file.architecture()["input_format"])
    seen = {}
    back.evaluate(inputs, set(names), lambda name, first, values: seen.update({name: values.copy()}) or False)
    for name, got in zip(names, session(model).run(names, {onnx_model.INPUT: inputs.planes})):
        if got.shape[2:] == (8, 8):  # of a tower: channels first
            got = got.reshape(1, -1, 64).swapaxes(1, 2)
        np.testing.assert_allclose(got, seen[name], atol=1e-4 * max(1, np.abs(got).max()), err_msg=name)


def test_the_command(tmp_path, capfd):
    source, out = REFERENCE / "nets/se-relu-32x2.pb.gz", tmp_path / "net.onnx"
    assert cli.main(["export", str(out), f"--weights={source}", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["tensors"]["/output/policy"] == ["batch", 1858] and facts["bytes"] == out.stat().st_size
    masks, values = positions(net.load(source).architecture(), 1)
    check(run(onnxruntime.InferenceSession(str(out)), masks, values), _core.Backend("cpu", net.load(source).core(), {}).evaluate(masks, values), 1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("arguments, sentence", [
    (["net.txt"], "a file that ends in .onnx, .pb or .pb.gz"), ([], "a file that ends in .onnx"), (["/no/folder/net.onnx"], "cannot be written"),
    (["/etc/passwd/net.onnx"], "cannot be written"),
    (["net.onnx", "--policy-head=best"], "has no policy head best"), (["net.onnx", "--weights=nothing.pb"], "nothing.pb"),
])
def test_what_cannot_be_written_is_one_line(tmp_path, monkeypatch, capfd, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    if not any(word.startswith("--weights") for word in arguments):
        arguments = [*arguments, f"--weights={REFERENCE / 'nets/se-relu-32x2.pb.gz'}"]
    assert cli.main(["export", *arguments]) == 2
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1 and sentence in errors[0]
    assert not list(tmp_path.iterdir())


def test_without_the_package_one_line_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['onnx'] = None; from lc0rocm import cli; sys.exit(cli.main(['export', 'net.onnx']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install onnx" in done.stderr and len(done.stderr.splitlines()) == 1
