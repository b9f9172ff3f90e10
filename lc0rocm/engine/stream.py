"""Where commands come from and answers go, standard input and output or a socket, and the log file, as lines."""
import contextlib
import os
import queue
import select
import sys
import threading
import time
from typing import Sequence, TextIO

from lc0rocm import report, threads
from lc0rocm._core import Error


class Input:
    """The lines of standard input, or of another descriptor, whatever bytes they hold, each with the time at which it came: a thread of its
    own reads them, so that a clock counts from the arrival of go also if the engine was busy then. What is beyond `most` bytes of a line is
    dropped. first: bytes that have been read already; rest_s: that follow each line at least, and as long as it kept the processor busy: so
    others get their turn. ended: by end(), not by the end of the input."""

    def __init__(self, descriptor: int = 0, first: bytes = b"", most: int = 1 << 20, rest_s: float = 0) -> None:
        if descriptor == 0 and sys.stdin is None:
            raise Error("standard input is closed; UCI commands come there")
        self._lines: queue.Queue = queue.Queue(1000)
        self._most, self._rest_s = most, rest_s
        self.ended = False
        self._thread = threads.begin(threading.Thread(target=self._read, args=(descriptor, first), daemon=True))

    def __iter__(self):
        while not self.ended and (entry := self._lines.get()) and not self.ended:
            before = time.thread_time()
            yield entry
            if self._rest_s:
                time.sleep(max(self._rest_s, time.thread_time() - before))

    def close(self) -> None:
        """Until nothing reads the descriptor any more, which is at its end: another file may get its number."""
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._lines.get_nowait()
            self._thread.join(0.01)

    def end(self) -> None:
        """No more lines. From any thread."""
        self.ended = True
        with contextlib.suppress(queue.Full):  # then nobody waits for a line
            self._lines.put_nowait(None)

    def _read(self, descriptor: int, first: bytes) -> None:
        rest = b""
        try:
            while data := first or _read(descriptor):
                first = b""
                now = time.monotonic()
                *lines, rest = (rest + data.replace(b"\r", b"\n")).split(b"\n")  # UCI: either ends a line
                for line in lines:
                    self._lines.put((_text(line[:self._most]), now))
                rest = rest[:self._most]
        except OSError:
            pass  # a terminal that is gone
        self._lines.put((_text(rest), time.monotonic()))
        self._lines.put(None)


class Output:
    """Writes lines to standard output, or to another descriptor, each call's in one piece and at once. patience_s: for one that takes nothing;
    None: for ever. failure: why writing is not possible any more."""

    def __init__(self, descriptor: int = 1, patience_s: float | None = None) -> None:
        if descriptor == 1 and sys.stdout is None:
            raise Error("standard output is closed; the answers to UCI commands go there")
        self._descriptor, self._patience_s = descriptor, patience_s
        self.failure: OSError | None = None

    def write(self, lines: Sequence[str]) -> None:
        data = "".join(report.printable(line) + "\n" for line in lines).encode("utf-8", "replace")
        while data and not self.failure:
            try:
                data = data[os.write(self._descriptor, data):]
            except BlockingIOError:  # a socket, or a pipe or terminal that somebody has made non-blocking
                if not select.select([], [self._descriptor], [], self._patience_s)[1]:
                    self.failure = TimeoutError("nobody reads")
            except OSError as error:
                self.failure = error


class Log:
    """Everything that is received and sent, in the file that LogFile names."""

    def __init__(self) -> None:
        self._name = ""
        self._file: TextIO | None = None

    def open(self, name: str) -> None:
        """"" closes it. Raises Error; then there is no log."""
        if name == self._name:
            return
        if self._file not in (None, sys.stderr):
            self._file.close()
        self._name, self._file = name, None
        try:
            if name:
                self._file = sys.stderr if name == "<stderr>" else open(name, "a", encoding="utf-8", opener=_without_waiting)
        except (OSError, ValueError) as error:
            raise Error(f"cannot write the LogFile {name}: {getattr(error, 'strerror', None) or error}") from None

    def write(self, mark: str, lines: Sequence[str]) -> None:
        if not self._file:
            return
        now = time.time()
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
        try:
            self._file.writelines(f"{stamp} {mark} {report.printable(line)}\n" for line in lines)
            self._file.flush()
        except (OSError, ValueError):
            self._file = None  # a full disk is no reason to stop playing


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK, 0o666)  # nor for somebody who reads a pipe


def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, 1 << 16)
        except BlockingIOError:
            select.select([descriptor], [], [])


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", "replace").strip()
