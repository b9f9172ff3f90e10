"""The ROCm back end on an emulated GPU that fails: the answer is right all the same, or one sentence says what is wrong; nothing
leaks, and a game goes on on the CPU."""
import ctypes
import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net

ROOT = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("make_net", ROOT / "scripts/make_net.py")
make_net = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_net)
PACKAGE = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
SMALL = {"max_batch": 4, "streams": 1, "warm_up": False}
NETS = {"attention": dict(body="attention", embedding=32, encoders=1, heads=2, dff=48, smolgen=(4, 16, 16)),
        "tower": dict(body="tower", filters=32, blocks=1, se_ratio=4, policy="convolution")}
# Where calls fail: the first ones, which load, and later ones, which evaluate plainly, capture a graph, and launch it.
PLACES = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)


class Machine:
    def __init__(self):
        self.lib = ctypes.CDLL(str(PACKAGE / "librocm_emulated.so"))
        self.lib.hip_emulated_live_objects.restype = ctypes.c_size_t

    def configure(self, words):
        self.lib.hip_emulated_configure(words.encode())

    def reset(self):
        self.configure("")
        self.lib.hipDeviceReset()


@pytest.fixture
def machine():
    """The emulated machine; fails a test that leaves something on it."""
    if not (PACKAGE / "librocm_emulated.so").exists():
        pytest.skip("built without -Drocm=emulated")
    importlib.import_module("lc0rocm._rocm")
    m = Machine()
    m.reset()
    before = m.lib.hip_emulated_live_objects()
    yield m
    m.reset()
    assert m.lib.hip_emulated_live_objects() == before, "not everything was freed"


@pytest.fixture(scope="module", params=NETS)
def case(request, tmp_path_factory):
    """A network, three positions, and what the CPU says of them."""
    path = tmp_path_factory.mktemp("nets") / f"{request.param}.pb"
    make_net.write_net(make_net.make_net(**NETS[request.param]), path)
    network = net.load(path).core()
    planes = tuple(np.stack(part) for part in zip(*(_core.Game(moves=moves).planes(1) for moves in ([], ["e2e4"], ["e2e4", "e7e5"]))))
    return network, planes, _core.Backend("cpu", network, {}).evaluate(*planes)


def outcome(case, name="rocm"):
    """Makes a back end, evaluates three times (plainly, while capturing, as a graph), and compares: "" or the error's text."""
    network, planes, wanted = case
    try:
        backend = _core.Backend(name, network, SMALL)
        for _ in range(3):
            for got, want in zip(backend.evaluate(*planes), wanted):
                np.testing.assert_allclose(got, want, atol=2e-3 if name == "rocm" else 0.05)
    except _core.Error as error:
        text = str(error)
        assert "\n" not in text and 20 < len(text) < 300, text
        return text
    return ""


@pytest.mark.parametrize("name", ["rocm", "rocm-fp16"])
@pytest.mark.parametrize("words", [f"fail={kind}:{n}{more}" for kind in ("gemm", "conv") for n in (1, 2, 7) for more in ("", "+")])
def test_without_a_library_our_own_kernels_do_it(machine, case, words, name):
    machine.configure(words)
    assert outcome(case, name) == ""


@pytest.mark.parametrize("kind", ["alloc", "copy", "launch", "fault"])
def test_the_nth_failure_is_survived_or_said(machine, case, kind):
    said = []
    for n in PLACES:
        machine.configure(f"fail={kind}:{n}")
        said.append(outcome(case))
        machine.reset()
        assert outcome(case) == "", "nothing of the failure may stay behind"
    assert any(said) or kind == "alloc", "nobody can do without"


def test_little_memory_makes_smaller_batches(machine, case):
    network, planes, wanted = case
    machine.configure("memory=96")
    backend = _core.Backend("rocm", network, SMALL | {"max_batch": 8192})
    assert 1 <= backend.info["max_batch"] < 8192 and "memory" in backend.info["device"]
    many = [np.resize(part, (40, *part.shape[1:])) for part in (*planes, *wanted)]
    for got, want in zip(backend.evaluate(*many[:2]), many[2:]):
        np.testing.assert_allclose(got, want, atol=2e-3)


def test_no_memory_is_one_sentence(machine, case):
    machine.configure("memory=1 fail=alloc:1+")
    assert "memory" in outcome(case)


def test_a_lost_gpu_stays_lost_and_says_so(machine, case):
    network, planes, _ = case
    backend = _core.Backend("rocm", network, SMALL)
    backend.evaluate(*planes)
    machine.configure("fail=fault:3")
    for _ in range(2):
        with pytest.raises(_core.Error, match="restart|lost"):
            backend.evaluate(*planes)


@pytest.mark.parametrize("words", ["fail=fault:2500", "fail=launch:150+", "fail=copy:120+"])
def test_a_game_goes_on_on_the_cpu(tmp_path, words):
    make_net.write_net(make_net.make_net(**NETS["attention"]), tmp_path / "net.pb")
    if not (PACKAGE / "librocm_emulated.so").exists():
        pytest.skip("built without -Drocm=emulated")
    moves = ["e2e4", "e7e5"]
    engine = subprocess.Popen([sys.executable, "-m", "lc0rocm", "--config=", f"--weights={tmp_path}/net.pb", "--backend=rocm", "--threads=1",
                               "--minibatch-size=4", "--backend-opts=max_batch=4,streams=1,warm_up=false"], cwd=tmp_path, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=os.environ | {"ROCM_EMULATED": words, "XDG_CACHE_HOME": str(tmp_path)})
    try:
        text = ""
        for _ in range(3):
            engine.stdin.write(f"position startpos moves {' '.join(moves)}\ngo nodes 200\n")
            engine.stdin.flush()
            while not (line := engine.stdout.readline()).startswith("bestmove"):
                assert line, "the engine ended"
                text += line
            moves.append(line.split()[1])
        _core.Game(moves=moves)  # they are legal
    finally:
        engine.stdin.close()
        engine.wait(20)
        engine.stdout.close()
    errors = [line for line in text.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0].startswith("info string error: "), text
    assert text.count("going on with back end cpu") == 1 and "runs on emulated GPU" in text
