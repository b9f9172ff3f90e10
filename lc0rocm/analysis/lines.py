"""`lc0rocm analyse`: queries on standard input, answers on standard output, a JSON object a line."""
from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from lc0rocm import loading, report, threads
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis import answer
from lc0rocm.analysis.answer import Answer
from lc0rocm.analysis.pool import Pool
from lc0rocm.analysis.query import Reader, Refused
from lc0rocm.engine.stream import Output
from lc0rocm.options import Settings

MAX_LINE = 1 << 20  # bytes
_WATCH_S = 0.1
text_of = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Terminated(BaseException):
    """SIGTERM."""


def run(settings: Settings) -> int:
    """Answers until the input ends and all is answered; at SIGINT and SIGTERM it ends at once, after a whole line."""
    if sys.stdin is None:
        raise Error("standard input is closed; queries come there")
    loaded = loading.load_for(settings, unplayable=True)
    for message in loaded.messages:
        report.say(message)
    output, lock, over = Output(), threading.Lock(), threading.Event()

    def emit(found: Answer) -> None:
        line = text_of(found)
        with lock:
            output.write([line])
        if output.failure:
            pool.stop()
            over.set()

    def read() -> None:
        try:
            for number, line in enumerate(lines_of_input(), 1):
                try:
                    pool.ask(parse(line))
                except Refused as refused:
                    emit(answer.refusal(refused) | {"line": number})
            pool.finish()
        finally:
            over.set()

    network = str(loaded.net.path) if loaded.net else None
    pool = Pool(loaded.backend, Reader(options_of(settings), {"nodes": settings["nodes"]}), emit, settings["searches"], settings["RamLimitMb"],
                {"version": VERSION, "backend": loaded.backend.name, "network": network})
    report.say(f'up to {pool.searches} searches at once; a query is a line like {{"id": 1, "fen": "startpos", "nodes": 100}}')
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        # Signals come to this thread, which holds no lock and writes no line.
        threads.begin(threading.Thread(target=read, name="queries", daemon=True))
        while not over.wait(_WATCH_S):  # a signal that comes as the wait begins would be heard at its end alone
            pass
    except (KeyboardInterrupt, Terminated) as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        pool.stop()
        lock.acquire(timeout=1)  # no line is half written, unless nobody reads it
        return 130 if isinstance(interrupt, KeyboardInterrupt) else 143
    finally:
        signal.signal(signal.SIGTERM, before)
    if output.failure:
        raise output.failure
    return 0


def options_of(settings: Settings) -> dict[str, Any]:
    """The search options of a command line, by UCI name."""
    return {option.name: settings[option.name] for option in settings.options
            if option.name and option.name not in ("WeightsFile", "Backend", "BackendOptions", "RamLimitMb")}


def parse(line: bytes) -> Any:
    """Raises Refused for what is not JSON. NaN and the like are read, for then it can be said which field holds them."""
    if len(line) > MAX_LINE:
        raise Refused(f"a line of more than {MAX_LINE} bytes; give a long game as pgn or in parts")
    try:
        return json.loads(line.decode("utf-8-sig"))
    except RecursionError:
        raise Refused("the line is nested too deep") from None
    except ValueError as error:
        raise Refused(f"not JSON: {error}") from None


def lines_of_input() -> Iterator[bytes]:
    """Of standard input, empty ones left out. Of a line that is too long comes the beginning, one byte more than is allowed."""
    rest = b""
    while True:
        try:
            data = os.read(0, 1 << 16)
        except BlockingIOError:  # somebody has made a shared pipe or terminal non-blocking
            select.select([0], [], [])
            continue
        except OSError:
            data = b""  # a terminal that is gone
        *lines, rest = (rest + data).split(b"\n")
        yield from (line[:MAX_LINE + 1] for line in lines if line.strip())
        rest = rest[:MAX_LINE + 1]
        if not data:
            if rest.strip():
                yield rest
            return


def _terminate(*_: object) -> None:
    raise Terminated
