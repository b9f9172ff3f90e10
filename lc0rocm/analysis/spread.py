"""`lc0rocm analyse --ray`: the same lines, answered by the workers of a cluster, some queries at a time."""
from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lc0rocm import _core, threads
from lc0rocm.analysis import answer
from lc0rocm.analysis.answer import Answer
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.lines import lines_of_input, options_of, parse, text_of
from lc0rocm.analysis.query import Reader, Refused
from lc0rocm.cluster import workers
from lc0rocm.engine.stream import Output
from lc0rocm.loading import Loaded
from lc0rocm.options import Settings

_BLOCK = 32  # queries
_UNREAD = 1000  # lines that no worker has taken

Line = tuple[int, bytes]  # with its number


def run(settings: Settings) -> int:
    """Answers until the input ends and all is answered. The cluster is left at an interrupt, and when nobody reads the answers."""
    work = workers.job(settings, worker, (options_of(settings), settings["nodes"], settings["searches"]), _BLOCK)
    output = Output()
    with contextlib.closing(workers.run(settings["ray"], work, _blocks())) as results:
        for _, answers in results:
            output.write(list(map(text_of, answers)))
            if output.failure:
                raise output.failure
    return 0


def _blocks() -> Iterator[tuple[int, list[Line]] | None]:
    """What there is on standard input, as much as a block holds; None while there is nothing."""
    waiting: queue.Queue[Line | None] = queue.Queue(_UNREAD)

    def read() -> None:
        try:
            for line in enumerate(lines_of_input(), 1):
                waiting.put(line)
        finally:
            waiting.put(None)

    threads.begin(threading.Thread(target=read, name="queries", daemon=True))
    number, more = 0, True
    while more:
        block: list[Line] = []
        with contextlib.suppress(queue.Empty):  # more may come
            while len(block) < _BLOCK and more:
                if line := waiting.get_nowait():
                    block.append(line)
                else:
                    more = False
        if block:
            yield number, block
            number += 1
        elif more:
            yield None


def worker(loaded: Loaded, ram_mb: int, files: Mapping[str, str], options: dict[str, Any], nodes: int, searches: int) -> Callable[[list[Line]], list[Answer]]:
    """What a worker does with a block: the answers, as they are found."""
    backend = _core.Backend("multiplexing", None, {"shared": loaded.backend})  # of the blocks that it has at once
    reader = Reader(options, {"nodes": nodes})

    def work(lines: list[Line]) -> list[Answer]:
        queries, refused = [], []
        for number, line in lines:
            try:
                queries.append(parse(line))
                if isinstance(queries[-1], dict) and "action" in queries[-1]:
                    raise Refused("actions are for one machine: a cluster answers queries", queries.pop().get("id"), "action")
            except Refused as error:
                refused.append(answer.refusal(error) | {"line": number})
        return refused + list(Analysis(queries, backend, reader, searches, ram_mb // 2))

    return work
