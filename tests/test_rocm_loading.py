"""The GPU back end is loaded in a guarded way, probed, chosen and tuned; all of it on the emulated GPU, whose faults are real ones."""
import ctypes
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lc0rocm import _core, choose, loading
from lc0rocm.gpu import auto, probe, remember, rocm
from lc0rocm._core import Error

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
_spec = importlib.util.spec_from_file_location("make_net", ROOT / "scripts/make_net.py")
make_net = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_net)
SMALL = "max_batch=2,streams=1,warm_up=false"

pytestmark = pytest.mark.skipif(not (PACKAGE / "librocm_emulated.so").exists(), reason="built without -Drocm=emulated")


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine that has measured nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rocm.load.cache_clear()
    yield
    rocm.load.cache_clear()
    for library in rocm.LIBRARIES:
        rocm.load_here().module.shun(library, False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pb"
    make_net.write_net(make_net.make_net(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=8), path)
    return str(path)


def lc0rocm(*arguments, settings="", text="", package=None):
    paths = {"PYTHONPATH": str(package)} if package else {}
    return subprocess.run([sys.executable, "-m", "lc0rocm", *arguments], cwd="/", input=text, capture_output=True, text=True, timeout=60,
                          env=os.environ | {"ROCM_EMULATED": settings} | paths)


def rows(done):
    """What `backends` says of each GPU back end, and of cpu."""
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    return [lines[name] for name in rocm.NAMES], lines["cpu"]


def test_no_device():
    gpu, cpu = rows(lc0rocm("backends", settings="devices=0"))
    assert all("ROCm is present, and no device is" in line for line in gpu) and "choice of auto" in cpu


def test_an_error_while_loading():
    gpu, cpu = rows(lc0rocm("backends", settings="nonsense"))
    assert all("loading ROCm failed" in line and "unknown setting nonsense" in line for line in gpu) and "choice of auto" in cpu


def test_a_crash_in_a_child():
    assert rocm.in_child("signal", "raise_signal", signal.SIGSEGV, 20) == (None, "the process ended with signal SIGSEGV")


def test_a_missing_library(tmp_path):
    copy = tmp_path / "lib/python/site-packages/lc0rocm"  # oneDNN's library lies in lib, three folders above
    shutil.copytree(PACKAGE, copy)
    for library in (PACKAGE / "../../..").resolve().glob("libdnnl*"):
        copy.joinpath("../../..", library.name).symlink_to(library)
    (copy / "librocm_emulated.so").unlink()
    gpu, cpu = rows(lc0rocm("backends", package=copy.parent))
    assert all("librocm_emulated.so" in line for line in gpu) and "choice of auto" in cpu


def test_a_driver_that_hangs():
    started = time.monotonic()
    assert rocm.in_child("time", "sleep", 30, 0.5) == (None, "it gave no answer within 0 s")
    assert time.monotonic() - started < 10


def test_uci_is_answered_before_anything_is_loaded(weights):
    done = lc0rocm("--config=", f"--weights={weights}", settings="nonsense", text="uci\nisready\ngo nodes 3\nquit\n")
    before, after = done.stdout.split("uciok")
    assert "var rocm-auto" in before and "loading" not in before
    assert "chosen by auto: rocm-auto cannot run: loading ROCm failed" in after and "readyok" in after and "bestmove" in after


def test_what_loaded_once_is_loaded_at_once(monkeypatch):
    assert rocm.load().why_not == ""
    asked = []
    monkeypatch.setattr(rocm, "in_child", lambda *request: asked.append(request) or (None, "asked"))
    rocm.load.cache_clear()
    assert rocm.load().why_not == "" and not asked
    known = remember.recall("rocm.json")["loaded"]
    file = next(path for path in known if path.endswith("librocm_emulated.so"))
    remember.remember("rocm.json", "loaded", known | {file: [1, 1]})  # another version of it
    rocm.load.cache_clear()
    assert rocm.load().why_not == "loading ROCm failed: asked"


def test_auto_takes_no_emulated_gpu_but_rocm_does(weights):
    choice, reason = choose.choose("auto")
    assert choice.name == "cpu" and "emulated" in reason
    loaded = loading.load_backend(weights, "rocm", SMALL)
    assert loaded.backend.name == "rocm" and "emulated" in loaded.backend.info["device"]


def test_rocm_auto_measures_once(weights, monkeypatch):
    said = []
    first = loading.load_backend(weights, "rocm-auto", SMALL, say=said.append)
    assert len(said) == 2 and all("first use of rocm" in line for line in said)
    assert any("rocm-auto takes " + first.backend.name in line for line in first.messages)
    monkeypatch.setattr(rocm, "in_child", lambda *_: pytest.fail("it was measured"))
    again = loading.load_backend(weights, "rocm-auto", SMALL, say=said.append)
    assert again.messages[1:] == first.messages[1:] and len(said) == 2


def test_preparing_is_said_when_something_is_measured(weights):
    said = []
    for backend in ("rocm", "rocm", "rocm-fp16"):
        loading.load_backend(weights, backend, SMALL + ",tune=true", say=said.append)
    assert [line.split()[1] for line in said] == ["rocm:", "rocm-fp16:"]


def test_a_changed_network_is_probed_again(tmp_path):
    path = tmp_path / "net.pb"

    def fingerprint(content, time=1):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        return probe._fingerprint(str(path))

    content = bytes(3 << 20)
    prints = {fingerprint(*file) for file in ((content,), (content, 2), (b"?" + content[1:],), (content[1:] + b"?",), (content[1:],), (b"",))}
    assert len(prints) == 6 and fingerprint(content) in prints
    os.truncate(path, 2**40)  # of which only the ends are read
    assert probe._fingerprint(str(path)) not in prints


def test_rocm_auto_takes_single_precision_where_half_overflows(weights, tmp_path):
    message = make_net.make_net(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=8, encoding="float32")
    make_net.set_array(message.weights.ip2_val_b, [1e5, 0, 0], "float32")
    make_net.write_net(message, tmp_path / "large.pb")
    loaded = loading.load_backend(str(tmp_path / "large.pb"), "rocm-auto", SMALL)
    assert loaded.backend.name == "rocm" and any("rocm-fp16 fails its check" in line for line in loaded.messages)
    with pytest.raises(Error, match="rocm-fp16 fails its check.*probe=false"):
        loading.load_backend(str(tmp_path / "large.pb"), "rocm-fp16", SMALL + ",probe=true")


def test_rocm_auto_plays_on_the_cpu_where_nothing_works(weights):
    done = lc0rocm("check", weights, "--backend=rocm-auto", f"--backend-opts={SMALL}", "--positions=2", settings="fail=launch:1+")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cpu on CPU")


def test_a_library_that_ends_processes_is_left_out(weights):
    done = lc0rocm("--config=", f"--weights={weights}", "--backend=rocm", f"--backend-opts={SMALL},probe=true",
                   settings="hipblaslt=exits", text="isready\ngo nodes 3\nquit\n")
    assert "rocm does without hipblaslt: the process ended with exit code 1" in done.stdout
    assert "runs on emulated GPU" in done.stdout and "bestmove" in done.stdout


def test_a_failure_under_load_is_no_speed(weights):
    backend = loading.load_backend(weights, "rocm", SMALL).backend
    planes = [part[None] for part in _core.Game().planes(1)]
    assert probe._speed(backend, planes, 1) > 0  # its graph is there now
    configure = ctypes.CDLL(str(PACKAGE / "librocm_emulated.so")).hip_emulated_configure
    configure(b"fail=launch:5")  # three runs find out how long one takes
    with pytest.raises(Error, match="launching a graph"):
        probe._speed(backend, planes, 1)
    configure(b"")


def test_a_failure_is_believed_for_a_day(weights, monkeypatch):
    subject = probe.Subject("rocm", weights, ["vanilla", "winner"], {}, rocm.load().devices[0])
    answers = ["no memory"] * 4
    monkeypatch.setattr(rocm, "in_child", lambda *_: (None, answers.pop()) if answers else ([{}, {}], ""))
    assert probe.probe(subject, False, print).why_not == "no memory" and not answers
    assert probe.probe(subject, False, print).why_not == "no memory"
    monkeypatch.setattr(probe, "_FAILURE_S", 0)
    assert probe.probe(subject, False, print).why_not == ""


def test_gpus_that_another_back_end_combines(weights):
    loaded = loading.load_backend(weights, "roundrobin", f"a(backend=rocm-auto,{SMALL}),b(backend=cpu)")
    assert "emulated" in loaded.backend.info["device"] and "CPU" in loaded.backend.info["device"]


def test_a_library_that_fails_on_one_gpu_stays_left_out(weights, monkeypatch):
    """Also when another GPU, which is prepared after it, can do with it."""
    shunned = set()
    monkeypatch.setattr(rocm.module(), "shun", lambda library, on=True: (shunned.add if on else shunned.discard)(library))
    answers = [(None, "it crashed"), ([{}, {}], ""), ([{}, {}], "")]
    monkeypatch.setattr(rocm, "in_child", lambda *_: answers.pop(0))
    for streams in (1, 2):  # two subjects
        auto.prepare("rocm", {"probe": True, "streams": streams}, weights, ["vanilla", "winner"], print)
    assert not answers and shunned == {"hipblaslt"}


def test_the_gpu_that_is_asked_for(weights):
    with pytest.raises(Error, match="there is no GPU 1; there are GPU 0"):
        loading.load_backend(weights, "rocm", "gpu=1")


@pytest.mark.parametrize("key", ["probe", "tune"])
def test_neither_true_nor_false(weights, key):
    with pytest.raises(Error, match=f"{key} must be true or false"):
        loading.load_backend(weights, "rocm", f"{SMALL},{key}=3")


def test_an_emulated_gpu_is_not_warmed_up(weights):
    prepared = auto.prepare("rocm", {}, weights, ["vanilla", "winner"], print)
    assert prepared.options == {"gpu": 0, "warm_up": False}
    assert auto.prepare("rocm", {"warm_up": True}, weights, ["vanilla", "winner"], print).options["warm_up"]


def test_batches_above_the_largest_are_timed_in_parts(weights):
    done = lc0rocm("backendbench", weights, "--backend=rocm", f"--backend-opts={SMALL}", "--batches=2", "--max-batch-size=5", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["mean_batch"] for row in json.loads(done.stdout)["sizes"]] == [1, 2, 1.5, 2, 5 / 3]


def test_discrete_before_integrated():
    def device(index, units, integrated, architecture="gfx1100"):
        return rocm.Device(index, "a GPU", architecture, 2**34, units, 32, integrated)
    devices = device(0, 16, True), device(1, 8, False), device(2, 48, False), device(3, 99, False, "emulated32")
    assert auto._device(devices, {}).index == 2
    assert auto._device(devices, {"gpu": 0}).index == 0
    assert auto._device(devices[:1], {}).index == 0


def test_tune_keeps_what_it_measured(weights):
    arguments = ["tune", weights, "--backend=rocm-fp16", f"--backend-opts={SMALL}", "--json"]
    first = lc0rocm(*arguments)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert [row["size"] for row in result["sizes"]] == [1, 2] and result["plans"] > 0
    plans = remember.read(rocm.PLANS)
    assert plans.count("\n") == result["plans"]
    lc0rocm(*arguments)
    assert remember.read(rocm.PLANS) == plans, "measured again"


def test_tune_can_be_interrupted(weights):
    process = subprocess.Popen([sys.executable, "-m", "lc0rocm", "tune", weights, "--backend=rocm-fp16", "--backend-opts=streams=1",
                                "--max-batch-size=1024", "--json"], cwd="/", stdout=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a background job ignores it
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    result = json.loads(out)
    assert process.returncode == 130 and result["interrupted"] and len(result["sizes"]) < 15


def test_what_cannot_be_read_is_forgotten(tmp_path):
    remember.write("x.json", "{ not JSON")
    assert remember.recall("x.json") == {} and remember.recall("none.json") == {}
    remember.remember("x.json", "a", 1)
    remember.remember("x.json", "b", 2)
    assert remember.recall("x.json") == {"a": 1, "b": 2}
    assert sorted(path.name for path in (tmp_path / "lc0rocm").iterdir()) == ["x.json"]
