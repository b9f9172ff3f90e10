"""The ROCm back end on an emulated GPU that fails: the answer is right all the same, or one sentence says what is wrong; nothing
leaks, and a game goes on on the CPU."""
import logging
import os
import subprocess
import sys
import time

import chess
import chess.engine
import numpy as np
import pytest

from emulated import write_net
from lc0rocm import _core
from rocm_calls import Calls

SMALL = {"max_batch": 4, "streams": 1, "warm_up": False}
# Where calls fail: the first ones, which load, and later ones, which evaluate plainly, capture a graph, and launch it.
PLACES = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)


def outcome(case, name="rocm", passes=3, **options):
    """Makes a back end, evaluates (plainly, while capturing, as a graph), and compares: "" or the error's text."""
    network, planes, wanted = case
    try:
        backend = _core.Backend(name, network, SMALL | options)
        for _ in range(passes):
            for got, want in zip(backend.evaluate(*planes), wanted):
                np.testing.assert_allclose(got, want, atol=2e-3 if name == "rocm" else 0.05)
    except _core.Error as error:
        text = str(error)
        assert "\n" not in text and 20 < len(text) < 300, text
        return text
    return ""


@pytest.mark.parametrize("name", ["rocm", "rocm-fp16"])
@pytest.mark.parametrize("words", [f"fail=gemm:{n}{more}" for n in (1, 2, 7) for more in ("", "+")])
def test_without_a_library_our_own_kernels_do_it(machine, case, words, name):
    machine.configure(words)
    assert outcome(case, name) == ""


# The library's way for each convolution of the tower, which is not taken where nothing was measured.
CONVOLUTIONS = "".join(f"emulated32.1/miopen3.5.1/{kind}/conv3x3/b{size}/{shape} miopen 1\n" for kind in ("float", "half") for size in range(1, 5)
                       for shape in ("i112/o32", "i32/o32", "i32/o32/se8/skip", "i32/o80"))


@pytest.mark.parametrize("case", ["tower"], indirect=True)
@pytest.mark.parametrize("name", ["rocm", "rocm-fp16"])
@pytest.mark.parametrize("n, more", [(n, more) for n in (1, 2, 7) for more in ("", "+")])
def test_convolutions_without_their_library_likewise(machine, case, name, n, more):
    before = machine.calls("conv")["conv"]
    machine.configure(f"fail=conv:{n}{more}")
    assert outcome(case, name, plans=CONVOLUTIONS) == ""
    assert machine.calls("conv")["conv"] - before >= n, "none of these has failed"


@pytest.mark.parametrize("kind", ["alloc", "copy", "launch", "fault"])
def test_the_nth_failure_is_survived_or_said(machine, case, kind):
    said = []
    for n in PLACES:
        machine.configure(f"fail={kind}:{n}")
        said.append(outcome(case))
        machine.reset()
        assert outcome(case, passes=1) == "", "nothing of the failure may stay behind"
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


# Faults of a game, each late enough to come in play, and where it goes on. scripts/fault_games plays whole games with many more.
GAMES = {"fail=fault:2500": "cpu", "fail=launch:150+": "cpu", "fail=copy:120+": "cpu", "fail=hang:2500": "cpu", "fail=wrong:50": "cpu",
         "fail=alloc:250+": "gpu", "fail=gemm:40+": "gpu", "fail=capture:1+": "gpu", "fail=plan:20+": "gpu", "fail=launch:150": "either"}


@pytest.mark.usefixtures("emulated_gpu")
@pytest.mark.parametrize("words", GAMES)
def test_a_game_goes_on(tmp_path, caplog, monkeypatch, words):
    """Through python-chess: each move is legal and comes in time, at most one error is told, and the process ends when it is told to."""
    write_net("attention", tmp_path / "net.pb")
    monkeypatch.setenv("ROCM_EMULATED", words)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caplog.set_level(logging.DEBUG, "chess.engine")
    board, clock = chess.Board(), 60.0
    command = [sys.executable, "-m", "lc0rocm", "--config=", f"--weights={tmp_path}/net.pb", "--backend=rocm", "--minibatch-size=4",
               "--backend-opts=max_batch=4,warm_up=false"]
    with chess.engine.SimpleEngine.popen_uci(command, cwd=tmp_path, timeout=60) as engine:
        for _ in range(6):
            begin = time.monotonic()
            board.push(engine.play(board, chess.engine.Limit(white_clock=clock, black_clock=clock, nodes=100)).move)  # raises for an illegal one
            clock -= time.monotonic() - begin
            assert clock > 0
        engine.quit()
    lines = [record.getMessage().partition(">> ")[2] for record in caplog.records]
    errors = [line for line in lines if "error" in line]
    assert any("runs on emulated GPU" in line for line in lines)
    moved = sum("going on with back end cpu" in line for line in lines)
    assert len(errors) == moved == {"cpu": 1, "gpu": 0}.get(GAMES[words], len(errors)), lines
    assert all(line.startswith("info string error: ") for line in errors)


def check_it_gives_up(script, net, timeout_s):
    """In a process of its own, which ends with 7 where it was told so: its device is lost."""
    run = subprocess.run([sys.executable, "-c", script, net], capture_output=True, text=True, timeout=timeout_s, cwd=net.parent,
                         env=os.environ | {"PYTHONPATH": os.path.dirname(__file__), "ROCM_EMULATED": ""})
    assert run.returncode == 7, run.stderr


def test_a_kernel_that_hangs_while_ways_are_measured(machine, tmp_path):
    """It is given up there too: the trial's memory is not freed, which would wait for it."""
    write_net("attention", tmp_path / "net.pb")
    script = """if True:
        import sys
        from emulated import Machine
        from lc0rocm import _core, _rocm
        from lc0rocm.netfile import net
        machine, network = Machine(), net.load(sys.argv[1]).core()
        planes = tuple(part[None] for part in _core.Game().planes(1))

        def work(measure):
            before = machine.calls("hang")["hang"]
            backend = _core.Backend("rocm", network, {"max_batch": 1, "streams": 1, "warm_up": False, "measure": measure})
            backend.evaluate(*planes)
            return machine.calls("hang")["hang"] - before

        plain, measured = work(0), work(600)
        assert measured > 5 * plain
        machine.configure(f"fail=hang:{measured // 2}")  # how many there are depends on times: far from both ends
        try:
            work(600)
        except _core.Error as error:
            assert "is given up" in str(error), error
            sys.exit(7)
    """
    check_it_gives_up(script, tmp_path / "net.pb", 300)


def test_a_gpu_that_hangs_as_its_memory_ends(machine, tmp_path):
    """What the failed pass took is not freed before the rest of it has come back: that would wait for ever."""
    write_net("attention", tmp_path / "net.pb")
    script = """if True:
        import sys
        import numpy as np
        from emulated import Machine
        from lc0rocm import _core, _rocm
        from lc0rocm.netfile import net
        from test_rocm_memory import hungry_plans
        machine, network = Machine(), net.load(sys.argv[1]).core()
        backend = _core.Backend("rocm", network, {"max_batch": 8, "streams": 1, "warm_up": False, "plans": hungry_plans(network, 8)})
        machine.configure("fail=alloc:2+ fail=hang:1")
        try:
            backend.evaluate(*(np.repeat(part[None], 8, 0) for part in _core.Game().planes(1)))
        except _core.Error as error:
            assert "is given up" in str(error), error
            sys.exit(7)
    """
    check_it_gives_up(script, tmp_path / "net.pb", 300)


@pytest.mark.usefixtures("emulated_gpu")
def test_a_gpu_that_hangs_while_it_is_loaded_keeps_no_process(tmp_path):
    """The CPU plays; at quit nobody waits for the two minutes that a first pass may take, and nobody has accused the GPU before."""
    write_net("attention", tmp_path / "net.pb")
    engine = subprocess.Popen([sys.executable, "-m", "lc0rocm", "--config=", f"--weights={tmp_path}/net.pb", "--backend=rocm",
                               "--backend-opts=max_batch=4,warm_up=false"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                              env=os.environ | {"ROCM_EMULATED": "fail=hang:9+", "XDG_CACHE_HOME": str(tmp_path)})
    engine.stdin.write("isready\ngo nodes 20\nwait\n")
    engine.stdin.flush()
    time.sleep(8)
    said, _ = engine.communicate("quit\n", timeout=90)
    assert engine.returncode == 0 and "bestmove" in said and "runs on CPU" in said and "given up" not in said, said


@pytest.mark.parametrize("case", ["tower"], indirect=True)
def test_a_larger_batch_than_was_ever_met_has_more_time(machine, case):
    """A slow GPU is not given up for that."""
    machine.configure("blocks=0 slow=8000")  # microseconds: a pass takes a third of a second
    before = machine.calls("hang")["hang"]
    backend = _core.Backend("rocm", case[0], SMALL | {"max_batch": 32})
    works = (machine.calls("hang")["hang"] - before) // 4
    machine.configure(f"blocks=0 slow={9_000_000 // works}")
    backend.evaluate(*(np.resize(part, (32, *part.shape[1:])) for part in case[1]))


def test_a_process_that_was_stopped_accuses_no_gpu(machine):
    """Work was not done when it looked; it was stopped; then it looks again before it trusts the clock."""
    calls = Calls(32)
    calls.reopen()
    machine.configure("stop=300")
    calls.check(calls.lib.wait_for_two_fills(100))
    calls.lib.close_stream()


def test_a_gpu_that_hangs_is_given_up(machine, tmp_path):
    """No call waits for it any more, nothing of it is freed, and the process ends as it likes."""
    write_net("attention", tmp_path / "net.pb")
    script = """if True:
        import sys, threading, time
        import numpy as np
        from emulated import Machine
        from lc0rocm import _core, _rocm
        from lc0rocm.netfile import net
        machine, network = Machine(), net.load(sys.argv[1]).core()
        planes = tuple(part[None] for part in _core.Game().planes(1))
        backend = _core.Backend("rocm", network, {"max_batch": 4, "warm_up": False})
        backend.evaluate(*planes)
        machine.configure("fail=hang:1+")
        told = []
        def attempt(what, told=told):
            begin = time.monotonic()
            try:
                what()
            except _core.Error as error:
                told.append((str(error), time.monotonic() - begin))
        late = []
        def works():
            return machine.calls("hang")["hang"]
        def wait_too(before=works()):
            while works() == before:
                time.sleep(0.01)
            time.sleep(3)
            attempt(lambda: backend.evaluate(*planes), late)
        other = threading.Thread(target=wait_too)
        other.start()
        attempt(lambda: backend.evaluate(*planes))
        other.join()
        calls = machine.calls("copy", "launch")
        attempt(lambda: backend.evaluate(*planes))
        assert machine.calls("copy", "launch") == calls, "nothing more is asked of it"
        attempt(lambda: _core.Backend("rocm", network, {"max_batch": 4}))
        live = machine.live_objects()
        del backend
        assert machine.live_objects() == live
        assert all("is given up" in text for text, _ in told) and len(told) == 3, told
        assert told[0][1] > 4 and told[1][1] < 4 and told[2][1] < 4, told
        assert "is given up" in late[0][0] and late[0][1] < 4, late  # its own five seconds are not over
        print("the output is not lost", end="")
        sys.exit(7)
    """
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "net.pb"], capture_output=True, text=True, timeout=120, cwd=tmp_path,
                         env=os.environ | {"PYTHONPATH": os.path.dirname(__file__), "ROCM_EMULATED": ""})
    assert (run.returncode, run.stdout) == (7, "the output is not lost"), run.stderr
