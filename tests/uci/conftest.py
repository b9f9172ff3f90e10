"""The engine as a GUI sees it: a process, lines in and lines out, each wait with a limit."""
import os
import queue
import subprocess
import sys
import threading
import time

import pytest


class Engine:
    def __init__(self, flags, folder):
        self.command = [sys.executable, "-m", "lc0rocm", *flags, "--config="]
        environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_DATA_DIRS": str(folder)}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(self.command, cwd=folder, env=environment, **pipes)
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def send(self, *lines):
        self.send_bytes("".join(line + "\n" for line in lines).encode())

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def until(self, start, seconds=10.0):
        """Lines up to the first that begins with `start`, that one included."""
        end, seen = time.monotonic() + seconds, []
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no '{start}' within {seconds} s after {seen[-5:]}") from None
            if line is None:
                raise AssertionError(f"the engine ended after {seen[-5:]}: {self.process.stderr.read().decode()}")
            seen.append(line)
            if line.startswith(start):
                return seen

    def sync(self):
        """What came before the answer to isready."""
        self.send("isready")
        return self.until("readyok")[:-1]

    def ask(self, *lines, seconds=10.0):
        """Sends lines that end in a go; what comes up to bestmove."""
        self.send(*lines)
        return self.until("bestmove", seconds)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


@pytest.fixture
def start(tmp_path):
    """start(*flags): an engine, gone after the test."""
    engines = []

    def begin(*flags):
        engines.append(Engine(flags, tmp_path))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(start):
    """One that needs no network, loaded."""
    engine = start("--backend=random", "--threads=1")
    assert engine.sync() == ["info string back end random, as set"]
    return engine
