"""The package inside somebody's process: threads that run at its end, forks, signals. Each case is a process of its own."""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import pytest

NET = str(pathlib.Path(__file__).parents[1] / "nets/random-attention.pb.gz")
PATIENCE_S = 120  # of a loaded machine; what hangs would take for ever

SETUP = f"""
import math, os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
import chess, lc0rocm
from lc0rocm import _core
NET, BOARDS = {NET!r}, [chess.Board()] * 40
net = lc0rocm.Network(NET, backend=BACKEND)
engine = lc0rocm.Engine(net, {{"Threads": 2}})
"""


def python(backend: str, code: str, first: str = "") -> subprocess.Popen:
    """first: before anything is imported."""
    return subprocess.Popen([sys.executable, "-X", "faulthandler", "-c", f"{first}\nBACKEND = {backend!r}\n{SETUP}\n{code}"], text=True,
                            cwd=pathlib.Path(__file__).parent,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"hangs: {process.communicate()}") from None
    return process.returncode, out, err


CALLS = {
    "evaluate": "net.evaluate(BOARDS)",
    "policies": "net.policies(BOARDS)",
    "search": "engine.search(chess.Board(), nodes=100000)",
    "endless search": "engine.search(chess.Board(), time=math.inf)",
    "result": "s = _core.Search(); s.set_backend(net.backend, 'fen_only', 1.0, 1000); s.set_position(_core.STARTPOS, []); "
              "s.start({}, {'infinite': True}); s.result()",
    "load": "lc0rocm.Network(NET, backend=BACKEND)",
    "time": "net.backend.time_batches(*(a[None].repeat(40, 0) for a in _core.Game().planes(1)), 1000)",
    "perft": "_core.perft(_core.STARTPOS, 5)",
}


@pytest.mark.parametrize("backend, call", [("cpu", call) for call in CALLS] + [("random", "search"), ("rocm", "evaluate"),
                                                                               ("rocm", "endless search")])
def test_a_script_ends_whatever_its_daemon_threads_do(backend, call):
    if backend == "rocm":
        pytest.importorskip("lc0rocm._rocm")
    code = f"""
def work():
    while True:
        {CALLS[call]}
class Late:
    def __del__(self, sleep=time.sleep):
        sleep(0.15)  # lets the threads run while the interpreter goes
late = Late()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.15)
print("end")
"""
    code, out, err = finish(python(backend, code))
    assert (code, out) == (0, "end\n") and not {"Traceback", "terminate", "Fatal"} & set(err.replace(":", " ").split()), err


def test_what_a_script_does_at_its_exit_is_an_error_at_worst():
    code = """
import atexit
def last():
    for work in (lambda: net.evaluate(BOARDS), lambda: engine.search(chess.Board(), nodes=10)):
        try:
            work()
            print("done")
        except lc0rocm.Error as error:
            print("ending" if "ending" in str(error) else error)
atexit.register(last)
"""
    code, out, err = finish(python("cpu", code))
    assert (code, err) == (0, "") and set(out.split()) <= {"done", "ending"}


FORKED = """
def try_it(name, work):
    try:
        work()
        print(name, "works", flush=True)
    except lc0rocm.Error as error:
        print(name, "forked" if "forked" in str(error) else error, flush=True)
net.evaluate(BOARDS)
engine.search(chess.Board(), nodes=50)
if DURING:
    threading.Thread(target=lambda: engine.search(chess.Board(), time=math.inf), daemon=True).start()
    threading.Thread(target=lambda: [net.evaluate(BOARDS) for _ in range(10**9)], daemon=True).start()
    time.sleep(0.3)
child = os.fork()
if child == 0:
    try_it("evaluate", lambda: net.evaluate(BOARDS))
    try_it("policy", lambda: net.policy(chess.Board()))
    try_it("search", lambda: engine.search(chess.Board(), nodes=10))
    try_it("new_game", engine.new_game)
    try_it("stop", engine.stop)
    try_it("engine", lambda: lc0rocm.Engine(net).search(chess.Board(), nodes=10))
    with lc0rocm.Network(NET, backend=BACKEND) as own:
        try_it("own", lambda: (own.evaluate(BOARDS), lc0rocm.Engine(own).search(chess.Board(), nodes=10)))
    sys.exit(0)
print("child", os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("backend", ["random", "cpu"])
@pytest.mark.parametrize("during", [False, True])
def test_a_forked_process_gets_an_error_at_once(backend, during):
    code, out, err = finish(python(backend, f"DURING = {during}\n{FORKED}"))
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, said.pop("child")) == (0, "0"), (out, err)
    assert said.pop("own") == "works"
    assert said.pop("stop") in ("works", "forked")  # without a search it does nothing
    assert len(said) == 5 and set(said.values()) == {"forked"}


def test_a_fork_at_any_moment_leaves_a_process_that_works():
    """While the parent fills the caches that all of its networks share, a library's among them."""
    code = """
def evaluate(net):
    for count in (1, 2, 4, 8, 16, 32):
        net.evaluate(BOARDS[:count])
threading.Thread(target=evaluate, args=(net,), daemon=True).start()
children = []
for _ in range(10):
    time.sleep(0.01)
    if not (child := os.fork()):
        with lc0rocm.Network(NET, backend=BACKEND) as own:
            evaluate(own)
        os._exit(0)
    children.append(child)
print({os.waitpid(child, 0)[1] for child in children})
"""
    assert finish(python("cpu", code)) == (0, "{0}\n", "")


@pytest.mark.parametrize("call", ["engine.search(chess.Board(), nodes=10**9)", "engine.search(chess.Board(), time=math.inf)",
                                  "net.evaluate(iter(lambda: chess.Board(), None))", "[net.evaluate(BOARDS * 100) for _ in range(10**9)]"])
def test_ctrl_c_acts_at_once_and_the_engine_lives(call):
    code = f"""
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", engine.search(chess.Board(), nodes=10).nodes > 0, len(net.evaluate(BOARDS)))
"""
    process = python("cpu", code)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert finish(process) == (0, "interrupted True 40\n", "")
    assert time.monotonic() - start < 30  # the search would go on for hours


def test_two_signals_in_a_row_end_the_search_and_nothing_aborts():
    process = python("cpu", 'print("ready", flush=True)\nengine.search(chess.Board(), time=math.inf)')
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code in (1, 130, -signal.SIGINT) and "KeyboardInterrupt" in err and "terminate" not in err




ANALYSIS = """
def queries():
    for n in range(10**9):
        yield {"id": n, "fen": "startpos", "nodes": 100}
answers = iter(lc0rocm.analyse(queries(), net))
next(answers)
"""
LEFT = {  # how a loop is left when a script ends, as late as can be; nothing is printed, but what asyncio complains of
    "never": "",
    "by a cycle": "class Node: pass\nnode = Node()\nnode.itself, node.answers = node, answers\ndel answers, node",
    "by a callback that is older than the package": "OLDER.append(lambda: (answers.close(), print('closed', end='', flush=True)))",
    "by an older callback that asks on": """
def ask_on():
    try:
        list(answers)
    except lc0rocm.Error as error:
        print("closed" if "ending" in str(error) else error, end="", flush=True)
OLDER.append(ask_on)""",
    "while it goes on in a thread": "threading.Thread(target=lambda: list(answers), daemon=True).start()",
    "without its event loop": """
import asyncio
async def begin():
    global later
    later = aiter(lc0rocm.analyse(queries(), net))
    await anext(later)
loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
loop.close()""",
}


@pytest.mark.parametrize("how", LEFT)
def test_a_script_ends_whoever_still_has_an_analysis(how):
    older = "import atexit\nOLDER = []\natexit.register(lambda: [call() for call in OLDER])"
    code, out, err = finish(python("cpu", ANALYSIS + LEFT[how], older))
    assert (code, out) == (0, "closed" if "older" in how else "") and ("event loop" in how or not err), err


def test_an_analysis_does_not_go_on_in_a_forked_process():
    code = f"""{ANALYSIS}
child = os.fork()
if child == 0:
    try:
        for _ in range(100000):
            next(answers)
    except lc0rocm.Error as error:
        print("forked" in str(error), flush=True)
    sys.exit(0)  # by which it leaves the loop
print(os.waitpid(child, 0)[1], "error" not in next(answers))
answers.close()
"""
    assert finish(python("cpu", code)) == (0, "True\n0 True\n", "")


def test_handlers_of_signals_and_finalizers_may_call_the_engine_at_any_moment():
    """All but stop() is refused, at once: the lock that they would wait for is their own thread's."""
    code = """
import gc
gc.set_threshold(50, 1, 1)
called = 0
def call(*_):
    global called
    called += 1
    engine.stop()
    for work in (engine.new_game, lambda: engine.save("tree"), lambda: engine.search(chess.Board(), nodes=3)):
        try:
            work()
        except lc0rocm.Error as error:
            assert "handler of a signal" in str(error), error
class Node:
    def __init__(self):
        self.itself = self
    __del__ = call
os.chdir(FOLDER)
signal.signal(signal.SIGALRM, call)
for n in range(150):
    signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + n % 30))
    Node()
    engine.new_game()
    engine.search(chess.Board(), nodes=20, on_update=lambda _: Node())
    engine.save("tree")
    engine.load("tree")
signal.setitimer(signal.ITIMER_REAL, 0)
gc.collect()
print(called > 100)
"""
    with tempfile.TemporaryDirectory() as folder:
        assert finish(python("random", f"FOLDER = {folder!r}\n{code}")) == (0, "True\n", "")


def test_a_stop_that_comes_as_a_search_begins_is_not_lost():
    code = """
def stop_at(number):
    seen = 0
    def watch(frame, event, argument):  # between any two calls of functions in C
        nonlocal seen
        if event in ("c_call", "c_return") and engine._in_use:
            seen += 1
            if seen == number:
                engine.stop()
    return watch
for number in range(1, 30):
    sys.setprofile(stop_at(number))
    assert engine.search(chess.Board(), time=math.inf).stopped_by == "stop"
    sys.setprofile(None)
"""
    assert finish(python("random", code)) == (0, "", "")


def test_want_of_memory_is_an_error():
    code = """
import resource
from lc0rocm import loading
network = loading.load_backend(NET, "cpu", "").network
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), resource.RLIM_INFINITY))
try:
    _core.Backend("cpu", network, {})
except lc0rocm.Error as error:
    print(error)
"""
    assert finish(python("random", code)) == (0, "not enough memory\n", "")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="where pybind11 refuses by itself")
def test_a_subinterpreter_is_refused_at_once():
    code = """
import _xxsubinterpreters
try:
    _xxsubinterpreters.run_string(_xxsubinterpreters.create(), "import lc0rocm")
except _xxsubinterpreters.RunFailedError as error:
    print("ImportError" in str(error) and "main interpreter" in str(error))
"""
    assert finish(python("random", code)) == (0, "True\n", "")
