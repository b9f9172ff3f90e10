"""A GPU in a game: at the first start it is checked and measured while the CPU plays, then it takes over; and it may fail."""
import subprocess
import sys
import time

import chess
import pytest

SMALL = "--backend-opts=max_batch=2,streams=1,warm_up=false"

pytestmark = pytest.mark.usefixtures("emulated_gpu")


@pytest.fixture
def weights(tiny_net, tmp_path, monkeypatch):
    """A net that this machine has never met."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return f"--weights={tiny_net}"


def test_a_slow_gpu_keeps_nobody_waiting(start, weights, monkeypatch):
    """At a first start readyok comes 5 s later at most than that of the CPU alone, which takes its time on a machine that is busy."""
    monkeypatch.setenv("ROCM_EMULATED", "slow=100000")  # microseconds a kernel: the check takes minutes

    def ready(backend):
        begun = time.monotonic()
        engine = start(weights, f"--backend={backend}", SMALL)
        engine.send("isready")
        return engine, engine.until("readyok", 60), time.monotonic() - begun

    alone = ready("cpu")[2]
    engine, lines, took = ready("rocm-auto")
    assert took < 2 * alone + 5
    assert any("GPU 0 rocm-fp16: first use of this network: 0/1" in line for line in lines)
    assert any("the CPU plays until the GPU is ready; runs on CPU" in line for line in lines) or took > 3.5
    assert engine.ask("go nodes 5", seconds=60)[-1].startswith("bestmove")
    engine.send("quit")
    assert engine.process.wait(20) == 0


def test_the_gpu_takes_over(start, weights, tmp_path):
    engine = start(weights, "--backend=rocm-auto", SMALL)
    engine.sync()
    engine.ask("go nodes 5", seconds=60)
    engine.until("info string the GPU is ready", 120)
    lines = engine.ask("go nodes 5", seconds=60)
    assert any("rocm-auto takes rocm" in line for line in lines) and any("runs on emulated GPU" in line for line in lines)
    again = start(weights, "--backend=rocm-auto", SMALL)
    assert not any("checking" in line for line in again.sync())


def test_the_gpu_takes_over_in_an_infinite_search(start, weights):
    engine = start(weights, "--backend=rocm-auto", SMALL)
    engine.sync()
    engine.send("go infinite")
    assert any("takes over" in line and "in an infinite search at once" in line for line in engine.until("info string back end rocm-auto", 120))
    engine.until("info depth", 60)
    assert sum(line.startswith("bestmove") for line in engine.ask("stop", seconds=60)) == 1


@pytest.mark.parametrize("backend, words, options, said", [
    ("rocm", "fail=alloc:1+", SMALL, "memory"),
    ("rocm-fp16", "devices=0", SMALL, "rocm-fp16 cannot run here"),
    ("rocm", "", "gpu=3", "there is no GPU 3"),
    ("rocm", "", "max_batch=0", "back-end option max_batch is 0"),
    ("demux", "devices=1", f"a(backend=rocm,{SMALL}),b(backend=rocm,gpu=1,{SMALL})", "there is no GPU 1"),
])
def test_a_gpu_that_cannot_be_loaded_loses_no_game(start, weights, monkeypatch, backend, words, options, said):
    """The CPU plays, and one line says so and why; what is not played raises."""
    monkeypatch.setenv("ROCM_EMULATED", words)
    options = options.replace("--backend-opts=", "")
    engine = start(weights, f"--backend={backend}", f"--backend-opts={options}")
    engine.send("isready")
    line = engine.until("info string error: ", 60)[-1]
    assert said in line and ("the CPU plays instead" in line or "the CPU goes on" in line)  # where the CPU was needed before it failed
    board = chess.Board()
    for _ in range(2):
        lines = engine.ask(f"position startpos moves {' '.join(map(str, board.move_stack))}", "go wtime 60000 btime 60000 nodes 5", seconds=60)
        board.push_uci(lines[-1].split()[1])
        assert not any("error" in line for line in lines)
    done = subprocess.run([sys.executable, "-m", "lc0rocm", "bench", weights, f"--backend={backend}", f"--backend-opts={options}"],
                          cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and said in done.stderr and "CPU plays" not in done.stderr


@pytest.mark.parametrize("fault,said", [("fail=fault:150@1", "has failed and is left out; the others go on"),
                                        ("fail=hang:150@1", "has failed and is left out; the others go on"),
                                        ("fail=fault:500+", "going on with back end cpu")])
def test_a_game_outlives_its_gpus(start, weights, monkeypatch, fault, said):
    """One of two, and both."""
    monkeypatch.setenv("ROCM_EMULATED", f"devices=2 {fault}")
    parts = ",".join(f"{name}(backend=rocm,gpu={gpu},max_batch=2,streams=1,warm_up=false)" for gpu, name in enumerate("ab"))
    engine = start(weights, "--backend=demux", f"--backend-opts={parts}")
    engine.sync()
    board, lines = chess.Board(), []
    for _ in range(6):
        moves = " ".join(move.uci() for move in board.move_stack)
        lines += engine.ask(f"position startpos moves {moves}", "go nodes 8", seconds=60)
        board.push_uci(lines[-1].split()[1])  # raises for an illegal one
    assert sum(said in line for line in lines) == 1 and sum(line.startswith("bestmove") for line in lines) == 6
    assert not any("error" in line for line in lines) or "cpu" in said


def test_a_load_that_failed_costs_no_go_anything(start, tmp_path):
    """It is tried again at isready."""
    engine = start(f"--weights={tmp_path / 'none.pb'}", "--backend=cpu")
    assert any("none.pb" in line for line in engine.sync())
    (tmp_path / "none.pb").write_bytes(b"no network")
    for _ in range(2):
        assert any("No such file" in line or "cannot read" in line for line in engine.ask("go nodes 5"))
    assert any("none.pb" in line and "No such file" not in line for line in engine.sync())
