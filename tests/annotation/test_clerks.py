"""Games that other processes read and write: the same output, and nobody is left behind."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from .test_annotate import FLAGS, PATIENCE_S, annotate, collection, contents


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / "games.pgn"
    path.write_text(collection(30, 3)[0])
    return path


@pytest.mark.parametrize("form", [".pgn", ".jsonl"])
def test_the_same_output(source, tmp_path, form):
    for processes in (0, 2):
        done = annotate(source, tmp_path / f"{processes}{form}", f"--processes={processes}")
        assert "is skipped: there are null moves" in done.stderr
    assert contents(tmp_path / f"0{form}") == contents(tmp_path / f"2{form}")


@pytest.fixture
def going(source, tmp_path):
    """A process that annotates for longer than a test, and those that read and write for it."""
    command = [sys.executable, "-I", "-m", "lc0rocm", "annotate", str(source), "-o", str(tmp_path / "out.pgn"), *FLAGS,
               "--processes=1", "--backend-opts=delay=20"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    part, deadline = tmp_path / "out.pgn.part", time.monotonic() + PATIENCE_S
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = [int(child) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir() for child in (task / "children").read_text().split()]
    yield process, [child for child in children if b"spawn_main" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes()]
    process.kill()
    process.wait()
    process.stderr.close()


def wait_for_the_end_of(pid):
    deadline = time.monotonic() + PATIENCE_S
    while pathlib.Path(f"/proc/{pid}/status").exists() and "Z (zombie)" not in pathlib.Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("how, code", [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_they_end_with_the_one_that_asks(going, how, code):
    process, (child,) = going
    if how == signal.SIGINT:  # as a terminal does it
        os.kill(child, how)
    process.send_signal(how)
    assert process.wait(PATIENCE_S) == code and "Traceback" not in process.stderr.read()
    wait_for_the_end_of(child)


def test_one_that_is_lost_is_said_and_nothing_else(going, source, tmp_path):
    process, (child,) = going
    os.kill(child, signal.SIGKILL)
    assert process.wait(PATIENCE_S) == 2
    *_, last = process.stderr.read().splitlines()
    assert "the same command goes on, with --processes=0" in last and "Traceback" not in last
    annotate(source, tmp_path / "out.pgn", "--backend-opts=delay=20", "--processes=0")
    annotate(source, tmp_path / "whole.pgn", "--processes=0")
    assert contents(tmp_path / "out.pgn") == contents(tmp_path / "whole.pgn")
