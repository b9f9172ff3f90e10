"""Standard input, standard output and the log file, as lines."""
import contextlib
import os
import queue
import select
import sys
import threading
import time
from typing import Sequence, TextIO

from lc0rocm import report
from lc0rocm._core import Error

_MAX_LINE = 1 << 20  # bytes; a game of 500 moves has 5 KB


class Input:
    """The lines of standard input, whatever bytes they hold, each with the time at which it came: a thread of its own reads them, so that
    a clock counts from the arrival of go also if the engine was busy then. What is beyond _MAX_LINE of a line is dropped. ended: by end(),
    not by the end of the input."""

    def __init__(self) -> None:
        if sys.stdin is None:
            raise Error("standard input is closed; UCI commands come there")
        self._lines: queue.Queue = queue.Queue(1000)
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self):
        while not self.ended and (entry := self._lines.get()) and not self.ended:
            yield entry

    def end(self) -> None:
        """No more lines. From any thread."""
        self.ended = True
        with contextlib.suppress(queue.Full):  # then nobody waits for a line
            self._lines.put_nowait(None)

    def _read(self) -> None:
        rest = b""
        try:
            while data := _read(0):
                now = time.monotonic()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._lines.put((_text(line), now))
                rest = rest[:_MAX_LINE]
        except OSError:
            pass  # a terminal that is gone
        self._lines.put((_text(rest), time.monotonic()))
        self._lines.put(None)


class Output:
    """Writes lines to standard output, each call's in one piece and at once. failure: why that is not possible any more."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise Error("standard output is closed; the answers to UCI commands go there")
        self.failure: OSError | None = None

    def write(self, lines: Sequence[str]) -> None:
        data = "".join(report.printable(line) + "\n" for line in lines).encode("utf-8", "replace")
        while data and not self.failure:
            try:
                data = data[os.write(1, data):]
            except BlockingIOError:  # somebody has made a shared pipe or terminal non-blocking
                select.select([], [1], [])
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
                self._file = sys.stderr if name == "<stderr>" else open(name, "a", encoding="utf-8")
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


def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, 1 << 16)
        except BlockingIOError:
            select.select([descriptor], [], [])


def _text(line: bytes) -> str:
    return line[:_MAX_LINE].decode("utf-8-sig", "replace").strip()
