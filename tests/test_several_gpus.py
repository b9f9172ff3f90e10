"""Several GPUs: rocm-auto uses all that pass their check, each for its share, and one that fails in a game leaves the others playing."""
import ctypes
import threading
import time

import pytest

from lc0rocm import _core, loading
from lc0rocm.gpu import auto, probe, rocm

SMALL = "max_batch=8,streams=1,warm_up=false"

pytestmark = pytest.mark.usefixtures("emulated_gpu")


@pytest.fixture
def machine(tmp_path, monkeypatch, emulated_gpu):
    """configure(words): a machine of three emulated GPUs, with what else is asked of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("ROCM_EMULATED", "devices=3")
    library = ctypes.CDLL(str(emulated_gpu))
    library.hip_emulated_configure(b"devices=3")
    rocm._load.cache_clear()
    yield lambda words: library.hip_emulated_configure(f"devices=3 {words}".encode())
    library.hip_emulated_configure(b"devices=3")
    for device in range(3):
        library.hipSetDevice(device)
        library.hipDeviceReset()
    library.hipSetDevice(0)
    library.hip_emulated_configure(b"")
    rocm._load.cache_clear()


@pytest.fixture
def weights(tiny_net):
    return str(tiny_net)


@pytest.fixture
def verdicts(monkeypatch):
    """Of each GPU: its speed in half precision, 0 where it fails; single precision is half as fast."""
    speeds = {0: 100.0, 1: 300.0, 2: 0.0}

    def judge(subject, wish, tell, stop=None):
        speed = speeds[subject.device.index] / (1 if subject.backend == "rocm-fp16" else 2)
        return probe.Verdict("" if speed else "it is wrong", [], [], {}, {"8": speed}, {"1": speed, "2": speed}, 0)

    monkeypatch.setattr(probe, "probe", judge)
    return speeds


def search(backend, playouts=16):
    """The messages of a search, and its best move."""
    search = _core.Search()
    search.set_backend(backend, "fen_only", 1.0, 1000)
    search.set_position(_core.STARTPOS, [])
    search.start({"MinibatchSize": 8}, {"playouts": playouts})
    move = search.result()["best_move"]
    return search.update()["messages"], move


def test_all_that_pass_share_the_work(machine, weights, verdicts):
    loaded = loading.load_backend(weights, "rocm-auto", SMALL)
    text = "\n".join(loaded.messages)
    assert loaded.backend.name == "demux" and loaded.backend.info["max_batch"] == 10  # of which the faster takes 8
    assert "rocm-fp16 fails its check with this network on GPU 2: it is wrong" in text and "GPU 2" in text and "is not used" in text
    assert "rocm-auto takes rocm-fp16 on GPU 1" in text and "2 GPUs share every batch by their speed" in text
    assert "no effect" not in text


def test_a_gpu_that_is_asked_for_works_alone(machine, weights, verdicts):
    assert loading.load_backend(weights, "rocm-auto", SMALL + ",gpu=1").backend.name == "rocm-fp16"


@pytest.mark.parametrize("integrated, options, slow, chosen", [
    (True, {}, {}, ("rocm-fp16", "int8", 16)),  # full speed in smaller batches
    (True, {}, {"int8": 0.5}, ("rocm-fp16", None, 64)),
    (True, {}, {"int8": 0}, ("rocm-fp16", None, 64)),  # refused
    (True, {"weights": "full"}, {}, ("rocm-fp16", "full", 64)),
    (False, {}, {}, ("rocm-fp16", None, 64)),
    (True, {}, {"rocm-fp16": 0}, ("rocm", None, 64))])
def test_8_bit_weights_are_considered_where_memory_is_slow(monkeypatch, weights, integrated, options, slow, chosen):
    device = rocm.Device(0, "a GPU", "gfx1151", 2**34, 20, 32, integrated, False, False)
    speeds = {"rocm": {"8": 20, "16": 30, "64": 50}, "rocm-fp16": {"8": 40, "16": 60, "64": 100}, "int8": {"8": 80, "16": 98, "64": 99}}

    def judge(subject, wish, tell, stop=None):
        kind = "int8" if subject.options.get("weights") == "int8" else subject.backend
        factor = slow.get(kind, slow.get(subject.backend, 1))
        return probe.Verdict("" if factor else "it loses too much", [], [], {}, {size: factor * speed for size, speed in speeds[kind].items()},
                             {"1": 90.0, "2": 90.0}, 0)

    monkeypatch.setattr(probe, "probe", judge)
    monkeypatch.setattr(rocm, "load", lambda: rocm.Rocm(None, (device,), "", ""))
    choice = auto._choose(device, auto._Request(options, weights, [], True, lambda _: None, threading.Event()))
    assert (choice.name, choice.options.get("weights"), choice.options["max_batch"]) == chosen


@pytest.mark.parametrize("matrix, fp8, encoders, speed, chosen", [
    (True, True, True, 120, "rocm-int8"), (True, True, True, 102, "rocm-fp16"),  # not worth larger batches
    (True, True, True, 0, "rocm-fp8"),  # refused
    (True, False, True, 0, "rocm-fp16"), (False, False, True, 120, "rocm-fp16"), (True, True, False, 120, "rocm-fp16")])
def test_8_bit_products_are_considered_where_there_are_some(monkeypatch, weights, matrix, fp8, encoders, speed, chosen):
    device = rocm.Device(0, "a GPU", "gfx942", 2**34, 304, 64, False, matrix, fp8)
    speeds = {"rocm": {"64": 50, "256": 60}, "rocm-fp16": {"64": 98, "256": 100}, "rocm-int8": {"64": 60, "256": speed},
              "rocm-fp8": {"64": 50, "256": 103 if speed else 110}}
    asked = []

    def judge(subject, wish, tell, stop=None):
        asked.append(subject.backend)
        return probe.Verdict("" if max(speeds[subject.backend].values()) > 60 or subject.backend == "rocm" else "it loses too much", [], [], {},
                             speeds[subject.backend], {"1": 90.0, "2": 90.0}, 0)

    monkeypatch.setattr(probe, "probe", judge)
    monkeypatch.setattr(rocm, "load", lambda: rocm.Rocm(None, (device,), "", ""))
    choice = auto._choose(device, auto._Request({}, weights, [], encoders, lambda _: None, threading.Event()))
    assert choice.name == chosen and ("rocm-int8" in asked, "rocm-fp8" in asked) == (matrix and encoders, fp8 and encoders)
    assert any("rocm-int8 fails its check" in line for line in choice.messages) == (speed == 0)


def test_a_gpu_that_cannot_be_loaded_is_left_out(machine, weights, verdicts):
    verdicts[2] = 100.0
    machine("fail=alloc:1+@1")
    loaded = loading.load_backend(weights, "rocm-auto", SMALL)
    assert loaded.backend.name == "demux" and any("GPU 1 failed although its check had passed" in line for line in loaded.messages)
    assert loaded.backend.info["device"].count("emulated GPU") == 2


def test_memory_that_one_of_several_lacked_is_looked_for(machine, weights, verdicts, emulated_gpu):
    """The others play on; another loading is worth its time when more of it is free."""
    verdicts[2] = 100.0
    machine("memory=64")
    library, taken = ctypes.CDLL(str(emulated_gpu)), ctypes.c_void_p()
    library.hipSetDevice(1)
    library.hipExtMallocWithFlags(ctypes.byref(taken), ctypes.c_size_t((64 << 20) - 1000), 0)
    one = loading.Loading(weights, "rocm-auto", SMALL, lambda line: None)
    while (loaded := one.use()) and loaded.backend.name == "cpu":  # the stand-in
        time.sleep(0.1)
    assert loaded.backend.name == "demux" and loaded.backend.info["device"].count("emulated GPU") == 2 and not one.lacked_memory
    library.hipFree(taken)
    assert one.lacked_memory
    one.close()
    assert loading.load_backend(weights, "rocm-auto", SMALL).backend.info["device"].count("emulated GPU") == 3


def test_a_gpu_that_fails_in_a_game_leaves_the_others_playing(machine, weights, verdicts):
    verdicts[2] = 100.0
    backend = loading.load_backend(weights, "rocm-auto", SMALL).backend
    assert search(backend)[0] == []
    machine("fail=fault:20@1")
    messages, move = search(backend, 40)
    assert move and len(messages) == 1 and "has failed and is left out; the others go on" in messages[0]
    assert search(backend)[0] == []
    machine("fail=fault:1@0")
    assert "is left out" in search(backend)[0][0]


def test_when_all_have_failed_the_search_says_so(machine, weights, verdicts):
    backend = loading.load_backend(weights, "rocm-auto", SMALL).backend
    machine("fail=fault:1+")
    with pytest.raises(_core.Error, match="all back ends of demux have failed, the last with"):
        search(backend)
