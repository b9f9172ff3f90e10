"""Loading: the CPU plays while a GPU is prepared. What takes long is played by events here."""
import threading
import time
from types import SimpleNamespace

import pytest

from lc0rocm import _core, loading
from lc0rocm._core import Error
from lc0rocm.report import Progress


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose preparation goes as the test says."""
    class Gpu:
        measures = threading.Event()  # something takes long
        ends = threading.Event()
        outcome = loading.Loaded(SimpleNamespace(info={"cpu": False}), None, None, ["the GPU"])
        stand_in = loading.Loaded(_core.Backend("trivial", None, {}), None, None, ["the CPU"])

    def load(request):
        Gpu.measures.wait(60)
        request.tell(Progress("checking", 0, 1, 0))
        while not Gpu.ends.wait(0.01):
            if request.stop.is_set():
                raise RuntimeError("stopped")
        if isinstance(Gpu.outcome, Exception):
            raise Gpu.outcome
        return Gpu.outcome

    def on_cpu(request, reason):
        if isinstance(Gpu.stand_in, Exception):
            raise Gpu.stand_in
        return Gpu.stand_in

    monkeypatch.setattr(loading._Request, "load", load)
    monkeypatch.setattr(loading._Request, "on_cpu", on_cpu)
    assert loading._GPU_ALONE_S < 4  # what a GUI waits for, 5 s, is not over
    monkeypatch.setattr(loading, "_GPU_ALONE_S", 60)
    yield Gpu
    Gpu.measures.set()
    Gpu.ends.set()


class Heard:
    """A Loading with what it says and does."""
    def __init__(self, backend="rocm-auto", options=""):
        self.lines, self.better = [], threading.Event()
        self.loading = loading.Loading("", backend, options, self.lines.append, self.better.set)

    def use(self, patience_s=60.0):
        loaded = self.loading.use(patience_s)
        return loaded and loaded.messages


def soon(happened):
    deadline = time.monotonic() + 60
    while not (done := happened()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return done


def test_a_gpu_that_is_ready_at_once_needs_no_cpu(gpu):
    gpu.ends.set()
    gpu.measures.set()
    gpu.stand_in = Error("nobody asked for it")
    heard = Heard()
    while heard.use() != ["the GPU"]:
        pass
    assert not heard.better.is_set()


def test_the_cpu_stands_in(gpu):
    heard = Heard()
    assert heard.use(0.05) is None
    gpu.measures.set()
    assert heard.use() == ["the CPU"] and heard.lines == ["checking: 0/1"]
    gpu.ends.set()
    assert heard.better.wait(60) and heard.use() == ["the GPU"] and "takes over at the next go" in heard.lines[-1]


@pytest.mark.parametrize("faster", [False, True])
def test_the_cpu_goes_on_where_nothing_else_can(gpu, faster):
    """As what it was, or in 8 bits, which a search takes over at once."""
    cpu, other = (SimpleNamespace(info={"cpu": True}) for _ in range(2))
    gpu.stand_in = gpu.stand_in._replace(backend=cpu)
    gpu.outcome = gpu.outcome._replace(backend=other if faster else cpu, messages=["the GPU is wrong"])
    heard = Heard()
    gpu.measures.set()
    assert heard.use() == ["the CPU"]
    gpu.ends.set()
    assert soon(lambda: heard.lines[-1] == "no GPU can be used; the CPU goes on")
    assert heard.use() == ["the GPU is wrong"] and not heard.loading.lacked_memory
    assert heard.better.wait(60 if faster else 0) == faster


@pytest.mark.parametrize("outcome", [Error("allocating: hipErrorOutOfMemory"), loading.Loaded(
    SimpleNamespace(info={"cpu": True}), None, None, ["rocm fails its check: hipErrorOutOfMemory"])], ids=["rocm", "rocm-auto"])
def test_memory_that_was_lacking_is_known(gpu, outcome):
    gpu.outcome = outcome
    heard = Heard()
    assert not heard.loading.lacked_memory
    gpu.measures.set()
    gpu.ends.set()
    assert soon(lambda: heard.loading.lacked_memory)


def test_it_stands_in_for_a_slow_load_too(gpu, monkeypatch):
    monkeypatch.setattr(loading, "_GPU_ALONE_S", 0.05)
    assert Heard().use() == ["the CPU"]


def test_an_error_at_once_is_raised_each_time(gpu):
    gpu.outcome = Error("no network")
    gpu.ends.set()
    gpu.stand_in = Error("no network")
    gpu.measures.set()
    heard = Heard()
    for _ in range(2):
        with pytest.raises(Error, match="no network"):
            heard.use()
    assert heard.loading.failed


def test_a_gpu_that_fails_at_once_loses_no_game(gpu):
    """The reason is in front of what the CPU says; on_cpu() puts it there."""
    gpu.outcome = Error("it is broken")
    gpu.ends.set()
    gpu.measures.set()
    for backend, options in (("rocm", ""), ("rocm-fp16", ""), ("auto", ""), ("rocm", "max_batch=(")):
        heard = Heard(backend, options)
        assert heard.use() == ["the CPU"] and heard.use() == ["the CPU"]
        assert heard.loading.failed and not heard.better.is_set()
    with pytest.raises(Error, match="it is broken"):
        Heard("random").use()


def test_an_error_that_comes_late_ends_no_game(gpu):
    gpu.outcome = Error("it crashed")
    gpu.measures.set()
    heard = Heard()
    assert heard.use() == ["the CPU"]
    gpu.ends.set()
    while not heard.loading.failed:
        time.sleep(0.01)
    assert heard.use() == ["the CPU"] and not heard.better.is_set()
    while not heard.lines[-1].startswith("error"):
        time.sleep(0.01)
    assert heard.lines[-1] == "error: it crashed; the CPU goes on"


def test_without_a_cpu_the_gpu_is_waited_for(gpu):
    gpu.stand_in = Error("cpu: this package was built without it")
    gpu.measures.set()
    heard = Heard()
    assert heard.use(0.05) is None
    gpu.ends.set()
    assert heard.use() == ["the GPU"]


def test_what_is_closed_says_nothing_more(gpu):
    gpu.measures.set()
    heard = Heard()
    heard.use()
    said = list(heard.lines)
    heard.loading.close()
    gpu.ends.set()
    time.sleep(0.1)
    assert heard.lines == said and not heard.better.is_set()


def test_what_is_closed_measures_no_more(gpu):
    gpu.measures.set()
    heard = Heard()
    heard.use()
    heard.loading.close()
    with pytest.raises(Error, match="not wanted any more"):
        heard.use()


def test_what_names_no_gpu_gets_no_stand_in(gpu):
    gpu.stand_in = Error("nobody asked for it")
    gpu.measures.set()
    heard = Heard("random")
    assert heard.use(0.05) is None
    gpu.ends.set()
    assert heard.use() == ["the GPU"]
