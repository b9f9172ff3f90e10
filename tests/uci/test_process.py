"""The process: interrupts, closed and full streams. One sentence and exit code 2, never 1, which says that `check` found a difference."""
import contextlib
import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

COMMAND = [sys.executable, "-m", "lc0rocm"]
PLAY = [*COMMAND, "--config=", "--backend=random", "--threads=1"]


def shell(line, folder, **more):
    """In sh, with $LC0ROCM as the command."""
    return subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LC0ROCM": " ".join(PLAY), "PROGRAM": " ".join(COMMAND)}, **more)


def play(folder, handling=signal.default_int_handler):
    """handling: of SIGINT, as the engine inherits it; of a shell's background job it is signal.SIG_IGN."""
    before = signal.signal(signal.SIGINT, handling)
    try:
        return subprocess.Popen(PLAY, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("go", ["go infinite", "go movetime 100000", "go ponder"])
@pytest.mark.parametrize("gap", [0, 0.01, 0.1])
def test_two_interrupts(tmp_path, go, gap):
    engine = play(tmp_path)
    engine.stdin.write(f"position startpos\n{go}\n")
    engine.stdin.flush()
    assert any(line.startswith("info depth") for line in engine.stdout)
    engine.send_signal(signal.SIGINT)
    time.sleep(gap)
    if engine.poll() is None:
        engine.send_signal(signal.SIGINT)
    out, err = engine.communicate(timeout=30)
    assert out.splitlines()[-1].startswith("bestmove ") and out.count("bestmove") == 1
    assert (engine.returncode, err) == (0, "")


def test_an_interrupt_that_its_parent_has_it_ignore(tmp_path):
    engine = play(tmp_path, signal.SIG_IGN)
    engine.stdin.write("go infinite\n")
    engine.stdin.flush()
    assert any(line.startswith("info depth") for line in engine.stdout)
    engine.send_signal(signal.SIGINT)
    out, err = engine.communicate("isready\nquit\n", timeout=30)
    assert "readyok" in out and out.count("bestmove") == 1 and (engine.returncode, err) == (0, "")


@pytest.mark.parametrize("command", ["stop", "position startpos moves e2e4", "ucinewgame", "quit", ""])
def test_commands_act_while_nobody_reads(tmp_path, command):
    engine = play(tmp_path)
    fcntl.fcntl(engine.stdout, fcntl.F_SETPIPE_SZ, 4096)
    engine.stdin.write("setoption name MultiPV value 30\nposition startpos\ngo infinite\n")
    engine.stdin.flush()
    before, end = 0, time.monotonic() + 60
    while not before or _unread(engine.stdout) != before or not _threads_that_run(engine.pid):  # until it waits for a reader, or says little
        assert time.monotonic() < end, "it says nothing"
        before = _unread(engine.stdout)
        time.sleep(0.5)
    if command:
        engine.stdin.write(command + "\n")
        engine.stdin.flush()
    else:
        engine.stdin.close()
    end = time.monotonic() + 60
    while _threads_that_run(engine.pid):  # for the search, nothing is to be waited for
        assert time.monotonic() < end, "it searches on"
        time.sleep(0.05)
    out = engine.stdout.read() if not command else engine.communicate(timeout=30)[0]
    assert out.count("bestmove ") == 1 and engine.wait(30) == 0


def _unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"    "))[0]


def _threads_that_run(pid):
    """How often one did in five looks: a search that is asleep for a moment is not over."""
    running = 0
    for _ in range(5):
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # one that has ended
                running += path.read_text().rpartition(")")[2].split()[0] == "R"
        time.sleep(0.002)
    return running


@pytest.mark.parametrize("line", ["$LC0ROCM <&-", "echo uci | $LC0ROCM >&-", "echo uci | $LC0ROCM >/dev/full",
                                  "(echo 'go infinite'; sleep 2) | $LC0ROCM >/dev/full",
                                  "$PROGRAM backends >/dev/full", "$PROGRAM backends >&-", "$PROGRAM options --json >/dev/full",
                                  "$PROGRAM --help >/dev/full", "$PROGRAM bench --backend=random --nodes=10 >/dev/full"])
def test_no_place_for_the_answers(tmp_path, line):
    done = shell(line, tmp_path)
    assert done.returncode == 2, done
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("lc0rocm: ") and len(done.stderr) < 200, done.stderr


@pytest.mark.parametrize("line", ["echo uci | $LC0ROCM 2>&-", "$PROGRAM backends 2>&-", "$PROGRAM backends <&-"])
def test_what_is_not_needed_may_be_closed(tmp_path, line):
    done = shell(line, tmp_path)
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 3, done


@pytest.mark.parametrize("line", ["(echo uci; echo 'go infinite'; sleep 1) | $LC0ROCM | head -1", "$PROGRAM options --json | head -1"])
def test_a_reader_that_has_seen_enough(tmp_path, line):
    done = shell(line, tmp_path)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1


def test_an_engine_whose_gui_is_gone_does_not_search_on(tmp_path):
    engine = subprocess.Popen(PLAY, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    engine.stdin.write(b"position startpos\ngo nodes 4000000000\n")
    engine.stdin.flush()
    engine.stdout.readline()
    engine.stdout.close()
    engine.stdin.close()
    assert engine.wait(30) == 0
    assert engine.stderr.read() == b""


@pytest.mark.parametrize("name", ["/nowhere/at/all", "/", "/dev/full"])
def test_a_log_file_that_cannot_be_written(tmp_path, name):
    done = shell(f"printf 'setoption name LogFile value {name}\\nposition startpos\\ngo nodes 5\\n' | $LC0ROCM", tmp_path)
    said = [line for line in done.stdout.splitlines() if name in line]
    assert done.returncode == 0 and "bestmove" in done.stdout and (name == "/dev/full" or len(said) == 1)
    done = shell(f"echo uci | $LC0ROCM --logfile={name}", tmp_path)
    assert "uciok" in done.stdout and (name == "/dev/full" or name in done.stdout)
