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
import threading
import time

import numpy as np
import pytest

from lc0rocm import _core, choose, gpu, loading
from lc0rocm.gpu import auto, child, examine, probe, remember, rocm
from lc0rocm.report import Progress
from lc0rocm._core import Error

PACKAGE = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
SMALL = "max_batch=2,streams=1,warm_up=false"

pytestmark = pytest.mark.usefixtures("emulated_gpu")


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine that has measured nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rocm._load.cache_clear()
    yield
    rocm._load.cache_clear()


@pytest.fixture(scope="module")
def weights(tiny_net):
    return str(tiny_net)


def lc0rocm(*arguments, settings="", text="", package=None):
    paths = {"PYTHONPATH": str(package)} if package else {}
    return subprocess.run([sys.executable, "-m", "lc0rocm", *arguments], cwd="/", input=text, capture_output=True, text=True, timeout=60,
                          env=os.environ | {"ROCM_EMULATED": settings} | paths)


def rows(done):
    """What `backends` says of each GPU back end, and of cpu-auto."""
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    return [lines[name] for name in gpu.NAMES], lines["cpu-auto"]


def test_no_device():
    gpu, cpu = rows(lc0rocm("backends", settings="devices=0"))
    assert all("ROCm is present, and no device is" in line for line in gpu) and "choice of auto" in cpu


def test_an_error_while_loading():
    gpu, cpu = rows(lc0rocm("backends", settings="nonsense"))
    assert all("loading ROCm failed" in line and "unknown setting nonsense" in line for line in gpu) and "choice of auto" in cpu


def test_a_crash_in_a_child():
    assert child.call("signal", "raise_signal", signal.SIGSEGV, 20) == (None, "the process ended with signal SIGSEGV")


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
    assert child.call("time", "sleep", 30, 0.5) == (None, "it gave no answer within 0 s")
    assert time.monotonic() - started < 10


def test_uci_is_answered_before_anything_is_loaded(weights):
    done = lc0rocm("--config=", f"--weights={weights}", settings="nonsense", text="uci\nisready\ngo nodes 3\nquit\n")
    before, after = done.stdout.split("uciok")
    assert "var rocm-auto" in before and "loading" not in before
    assert "chosen by auto: rocm-auto cannot run: loading ROCm failed" in after and "readyok" in after and "bestmove" in after


def test_what_loaded_once_is_loaded_at_once(monkeypatch):
    assert rocm.load().why_not == ""
    asked = []
    monkeypatch.setattr(child, "call", lambda *request: asked.append(request) or (None, "asked"))
    rocm._load.cache_clear()
    assert rocm.load().why_not == "" and not asked
    known = remember.recall("rocm.json")["loaded"]
    file = next(path for path in known if path.endswith("librocm_emulated.so"))
    remember.remember("rocm.json", "loaded", known | {file: [1, 1]})  # another version of it
    rocm._load.cache_clear()
    assert rocm.load().why_not == "loading ROCm failed: asked"


def test_auto_takes_no_emulated_gpu_but_rocm_does(weights):
    choice, reason = choose.choose("auto")
    assert choice.name == "cpu-auto" and "emulated" in reason
    loaded = loading.load_backend(weights, "rocm", SMALL)
    assert loaded.backend.name == "rocm" and "emulated" in loaded.backend.info["device"]


def test_rocm_auto_measures_once(weights, monkeypatch):
    said = []
    first = loading.load_backend(weights, "rocm-auto", SMALL, tell=said.append)
    stages = {"first use of this network", "checking batch sizes", "measuring speed"}
    assert {news.stage for news in said} == {f"GPU 0 {name}: {stage}" for name in ("rocm-fp16", "rocm") for stage in stages}
    assert any("rocm-auto takes " + first.backend.name in line for line in first.messages)
    monkeypatch.setattr(child, "call", lambda *_: pytest.fail("it was measured"))
    known = len(said)
    again = loading.load_backend(weights, "rocm-auto", SMALL, tell=said.append)
    assert again.messages[1:] == first.messages[1:] and len(said) == known


def test_ways_of_computing_are_measured_once(weights):
    said = []
    for backend in ("rocm", "rocm", "rocm-fp16"):
        loading.load_backend(weights, backend, SMALL + ",tune=true", tell=said.append)
    assert list(dict.fromkeys(news.stage.split()[2] for news in said if "ways of computing" in news.stage)) == ["rocm:", "rocm-fp16:"]
    assert sum("ways of computing" in news.stage and news.done == 0 for news in said) == 2
    assert "/half/" in remember.read(rocm.PLANS) and "/float/" in remember.read(rocm.PLANS)


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


def test_rocm_auto_takes_single_precision_where_half_overflows(make_net, tmp_path):
    message = make_net.make_net(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=8, encoding="float32")
    make_net.set_array(message.weights.ip2_val_b, [1e5, 0, 0], "float32")
    make_net.write_net(message, tmp_path / "large.pb")
    loaded = loading.load_backend(str(tmp_path / "large.pb"), "rocm-auto", SMALL)
    assert loaded.backend.name == "rocm" and any("rocm-fp16 fails its check" in line for line in loaded.messages)
    with pytest.raises(Error, match="rocm-fp16 fails its check.*probe=false"):
        loading.load_backend(str(tmp_path / "large.pb"), "rocm-fp16", SMALL + ",probe=true")


def test_rocm_auto_plays_on_the_cpu_where_nothing_works(weights):
    done = lc0rocm("check", weights, "--backend=rocm-auto", f"--backend-opts={SMALL}", "--positions=2", "--tolerance=500", settings="fail=launch:1+")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cpu") and " on CPU, " in done.stdout.splitlines()[0]


def test_a_library_that_ends_processes_is_left_out(weights):
    done = lc0rocm("backendbench", weights, "--backend=rocm", f"--backend-opts={SMALL},probe=true", "--batches=2", "--max-batch-size=1",
                   settings="hipblaslt=exits")
    assert "rocm does without hipblaslt: the process ended with exit code 1" in done.stdout
    assert "runs on emulated GPU" in done.stdout and done.returncode == 0


def test_a_failure_under_load_is_no_speed(weights, emulated_gpu):
    backend = loading.load_backend(weights, "rocm", SMALL).backend
    planes = [part[None] for part in _core.Game().planes(1)]
    assert examine.positions_per_second(backend, planes, 1) > 0  # its graph is there now
    configure = ctypes.CDLL(str(emulated_gpu)).hip_emulated_configure
    configure(b"fail=launch:5")  # three runs find out how long one takes
    with pytest.raises(Error, match="launching a graph"):
        examine.positions_per_second(backend, planes, 1)
    configure(b"")


PASSED = ({"errors": {"q": 0.001}, "speed": {}, "threads": {}}, "")


def subject_of(weights):
    return probe.Subject("rocm", weights, ["vanilla", "winner"], {}, rocm.load().devices[0])


def test_a_failure_is_believed_for_a_day(weights, monkeypatch):
    subject, wish = subject_of(weights), probe.Wish(False)
    answers = ["it crashed"] * 4
    monkeypatch.setattr(child, "call", lambda *_: (None, answers.pop()) if answers else PASSED)
    assert probe.probe(subject, wish, print).why_not == "it crashed" and not answers
    assert probe.probe(subject, wish, print).why_not == "it crashed"
    monkeypatch.setattr(probe, "_FAILURE_S", 0)
    assert probe.probe(subject, wish, print).why_not == ""


def test_a_failure_names_an_override(weights, monkeypatch):
    """It makes ROCm take a GPU for another one; people forget that it is set."""
    monkeypatch.setenv("HSA_OVERRIDE_GFX_VERSION", "10.3.0")
    rocm.module()
    monkeypatch.setattr(child, "call", lambda *_: (None, "the process ended with signal SIGABRT"))
    verdict = probe.probe(subject_of(weights), probe.Wish(False), print)
    assert verdict.why_not == "the process ended with signal SIGABRT; HSA_OVERRIDE_GFX_VERSION=10.3.0 is set: try without it"
    rocm._load.cache_clear()
    remember.write("rocm.json", "")
    assert rocm.load().why_not.endswith("SIGABRT; HSA_OVERRIDE_GFX_VERSION=10.3.0 is set: try without it")


def test_short_memory_is_no_verdict(weights, monkeypatch):
    subject, answers = subject_of(weights), [(None, "allocating: hipErrorOutOfMemory"), PASSED]
    monkeypatch.setattr(child, "call", lambda *_: answers.pop(0))
    assert "tried again the next time" in probe.probe(subject, probe.Wish(False), print).why_not
    assert probe.probe(subject, probe.Wish(False), print).why_not == ""


@pytest.mark.parametrize("backend", ["rocm", "rocm-auto"])
def test_a_wrong_option_is_named(weights, backend):
    with pytest.raises(Error, match="^back-end option max_batch is 0, expected 1 to 8192"):
        loading.load_backend(weights, backend, "max_batch=0,probe=true")


def test_what_an_interruption_leaves_is_kept(weights, monkeypatch):
    """A try that failed, and what the next one had measured."""
    subject, asked = subject_of(weights), []

    def call(module, function, request, patience, tell, stop):
        asked.append((request["without"], request["errors"], dict(request["speed"])))
        if len(asked) == 1:
            return None, "it crashed"
        if len(asked) == 2:
            tell({"kept": {"errors": {"q": 0.001}}})
            tell({"kept": {"speed": {"8": 5.0}}})
            raise child.Stopped
        return {"errors": request["errors"], "speed": {"8": 5.0, "16": 6.0}, "threads": {"1": 6.0, "2": 6.0}}, ""

    monkeypatch.setattr(child, "call", call)
    with pytest.raises(child.Stopped):
        probe.probe(subject, probe.Wish(True), print)
    verdict = probe.probe(subject, probe.Wish(True), print)
    assert asked == [((), {}, {}), (("hipblaslt",), {}, {}), (("hipblaslt",), {"q": 0.001}, {"8": 5.0})]
    assert verdict.shunned == ["hipblaslt"] and verdict.notes == ["rocm does without hipblaslt: it crashed"]
    assert len(remember.recall(probe.VERDICTS)) == 1


def test_a_child_can_be_stopped():
    stop, started = threading.Event(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(child.Stopped):
        child.call("time", "sleep", 30, 60, stop=stop)
    assert time.monotonic() - started < 10


def test_a_child_ends_with_its_parent():
    code = "from lc0rocm.gpu import child; child.call('lc0rocm.gpu.child', 'progress', 1, 9, print); child.call('time', 'sleep', 600, 600)"
    parent = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, cwd="/")
    parent.stdout.readline()
    deadline = time.monotonic() + 20
    while not (children := pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()):
        assert time.monotonic() < deadline
    time.sleep(1)  # it listens by now
    parent.kill()
    parent.wait()
    while pathlib.Path(f"/proc/{children[0]}").exists():
        assert time.monotonic() < deadline, "it goes on alone"
        time.sleep(0.1)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_each_batch_size_is_checked(weights, monkeypatch, size):
    """One that answers otherwise is found, whichever it is."""
    class Wrong(_core.Backend):
        def evaluate(self, masks, values):
            policy, q, d, m = super().evaluate(masks, values)
            return policy, q + (0.01 if len(masks) == size else 0), d, m

    network = loading.load_backend(weights, "cpu").network
    games = [_core.Game(moves=["e2e4", "e7e5", "g1f3"][:i]) for i in range(4)]
    planes = [np.stack(part) for part in zip(*(game.planes(1) for game in games))]
    examine._check(_core.Backend("cpu", network, {}), examine._cpu(network), planes, [1, 2, 4])
    with pytest.raises(Error, match=f"q of batches of {size} is wrong by 0.01"):
        examine._check(Wrong("cpu", network, {}), examine._cpu(network), planes, [1, 2, 4])
    monkeypatch.setattr(_core, "registered_backends", lambda: [])  # built without the CPU: they are held against each other
    if size > 1:
        with pytest.raises(Error, match=f"q of batches of {size}, beside those of 1, is wrong"):
            examine._check(Wrong("cpu", network, {}), examine._cpu(network), planes, [1, 2, 4])


def test_progress_in_words():
    assert str(Progress("checking", 0, 4, 0)) == "checking: 0/4" and str(Progress("checking", 1, 4, 2)) == "checking: 1/4, about 6 s left"
    assert str(Progress("annotating", 60, 100, 5, before=50)) == "annotating: 60/100, about 20 s left"


def test_gpus_that_another_back_end_combines(weights):
    loaded = loading.load_backend(weights, "roundrobin", f"a(backend=rocm-auto,{SMALL}),b(backend=cpu)")
    assert "emulated" in loaded.backend.info["device"] and "CPU" in loaded.backend.info["device"]


def test_what_one_back_end_may_not_call_another_may(weights, monkeypatch):
    rocm.module()  # by a child of its own
    answers = [(None, "it crashed"), PASSED, PASSED]
    monkeypatch.setattr(child, "call", lambda *_: answers.pop(0))
    options = [auto.prepare("rocm", {"probe": True, "streams": streams}, weights, ["vanilla", "winner"], True, print).options for streams in (1, 2)]
    assert not answers and [of_one.get("without") for of_one in options] == ["hipblaslt", None]


def test_the_gpu_that_is_asked_for(weights):
    with pytest.raises(Error, match="there is no GPU 1; there are GPU 0"):
        loading.load_backend(weights, "rocm", "gpu=1")


@pytest.mark.parametrize("key", ["probe", "tune"])
def test_neither_true_nor_false(weights, key):
    with pytest.raises(Error, match=f"{key} must be true or false"):
        loading.load_backend(weights, "rocm", f"{SMALL},{key}=3")


def test_an_emulated_gpu_is_not_warmed_up(weights):
    prepared = auto.prepare("rocm", {}, weights, ["vanilla", "winner"], True, print)
    assert prepared.options == {"gpu": 0, "warm_up": False}
    assert auto.prepare("rocm", {"warm_up": True}, weights, ["vanilla", "winner"], True, print).options["warm_up"]


def test_batches_above_the_largest_are_timed_in_parts(weights):
    done = lc0rocm("backendbench", weights, "--backend=rocm", f"--backend-opts={SMALL}", "--batches=2", "--max-batch-size=5", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["mean_batch"] for row in json.loads(done.stdout)["sizes"]] == [1, 2, 1.5, 2, 5 / 3]


def test_discrete_before_integrated():
    def device(index, units, integrated, architecture="gfx1100"):
        return rocm.Device(index, "a GPU", architecture, 2**34, units, 32, integrated)
    def chosen(devices, options, several):
        return [device.index for device in auto._devices(devices, options, several)]

    devices = device(0, 16, True), device(1, 8, False), device(2, 48, False), device(3, 99, False, "emulated32"), device(4, 8, True)
    assert chosen(devices, {}, False) == [2] and chosen(devices, {}, True) == [1, 2]
    assert chosen(devices, {"gpu": 0}, True) == [0]
    assert chosen((devices[0], devices[4]), {}, True) == [0] and chosen(devices[3:4], {}, True) == [3]


def test_tune_keeps_what_it_measured(weights):
    arguments = ["tune", weights, "--backend=rocm-fp16", f"--backend-opts={SMALL}", "--json"]
    first = lc0rocm(*arguments)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert [row["batch"] for row in result["sizes"]] == [2] and result["plans"] > 0
    plans = remember.read(rocm.PLANS)
    assert plans.count("\n") == result["plans"]
    lc0rocm(*arguments)
    assert remember.read(rocm.PLANS) == plans, "measured again"


def test_tune_can_be_interrupted(weights):
    """And goes on where it was."""
    process = subprocess.Popen([sys.executable, "-m", "lc0rocm", "tune", weights, "--backend=rocm-fp16", "--backend-opts=streams=1",
                                "--max-batch-size=1024", "--json"], cwd="/", stdout=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a background job ignores it
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and json.loads(out)["interrupted"]


def test_waiting_for_a_gpu_can_be_interrupted(weights):
    process = subprocess.Popen([sys.executable, "-m", "lc0rocm", "bench", weights, "--backend=rocm-auto"], cwd="/", stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=os.environ | {"ROCM_EMULATED": "slow=100000"},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a background job ignores it
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)


def test_what_cannot_be_read_is_forgotten(tmp_path):
    remember.write("x.json", "{ not JSON")
    assert remember.recall("x.json") == {} and remember.recall("none.json") == {}
    remember.remember("x.json", "a", 1)
    remember.remember("x.json", "b", 2)
    assert remember.recall("x.json") == {"a": 1, "b": 2}
    assert sorted(path.name for path in (tmp_path / "lc0rocm").iterdir()) == [".lock", "x.json"]
