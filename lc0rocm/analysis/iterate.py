"""lc0rocm.analyse: queries as dictionaries, answers as dictionaries, for loops and asynchronous ones."""
from __future__ import annotations

import asyncio
import atexit
import contextlib
import queue
import time
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from lc0rocm import _core
from lc0rocm.analysis.answer import Answer
from lc0rocm.analysis.pool import Pool
from lc0rocm.analysis.query import Reader
from lc0rocm.evaluating import Network
from lc0rocm.options import ANALYSIS

_UNREAD = 1000  # answers that the caller has not taken yet; of unfinished searches no more are kept
_PATIENCE_S = 5  # at the end of the process, for a back end that does not answer

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """Before the interpreter stops daemon threads wherever they are, with whatever locks they have: a loop that is left after that would
    wait for them for ever."""
    pools, end = list(_pools), time.monotonic() + _PATIENCE_S
    for pool in pools:
        pool.stop()
    for pool in pools:
        pool.join(max(0.0, end - time.monotonic()))


def analyse(queries: Mapping[str, Any] | Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]], network: Network | None = None, *,
            options: Mapping[str, Any] | None = None, nodes: int = 800, searches: int = 0) -> Analysis:
    """The answers to queries, as they are found: for `for` and for `async for`.

    queries: dictionaries with the fields of docs/analysis.md, one or any iterable of them; one is taken when there is room for it.
    network: None for the one that comes with the package. options: of all searches, by UCI name. nodes: visits of a search whose query
    has no limit. searches: at once; 0 for as many as fill the back end's batches.

    A query that is wrong gets an answer with "error". Raises Error for wrong arguments; what `queries` raises comes through. Leaving the
    loop ends the searches.
    """
    if not isinstance(network, (Network, type(None))):
        raise _core.Error(f"positions are analysed with an lc0rocm.Network, not {type(network).__name__}")
    if isinstance(queries, Mapping):
        queries = [queries]
    if not isinstance(queries, (Iterable, AsyncIterable)) or isinstance(queries, (str, bytes)):
        raise _core.Error(f'queries are dictionaries like {{"id": 1, "fen": "startpos"}}, not {type(queries).__name__}')
    used = network or Network()
    reader = Reader({"HistoryFill": used.history_fill, **ANALYSIS, **(options or {})}, {"nodes": nodes})
    return Analysis(queries, used.backend, reader, searches, at_end=lambda: None if network else used.close())


class Analysis:
    """Answers to come; made by analyse(). For one loop."""

    def __init__(self, queries: Iterable[Any] | AsyncIterable[Any], backend: _core.Backend, reader: Reader, searches: int, ram_mb: int = 0,
                 at_end: Callable[[], object] = lambda: None):
        self._queries, self._backend, self._reader = queries, backend, reader
        self._searches, self._ram_mb, self._at_end = searches, ram_mb, at_end

    def __iter__(self) -> Iterator[Answer]:
        if not isinstance(self._queries, Iterable):
            raise _core.Error("these queries come asynchronously: use async for")
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        with self._pool(answers.put, answers.qsize) as pool:
            queries, more, due = iter(self._queries), True, 0
            while True:
                pool.check()
                while more and due < pool.most_waiting:
                    try:
                        due += pool.ask(next(queries))
                    except StopIteration:
                        more = False
                if not due:
                    return
                found = answers.get()
                due -= found.get("final", True)
                yield found

    async def __aiter__(self) -> AsyncIterator[Answer]:
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        room = asyncio.Event()
        due = 0

        def put(found: Answer) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(answers.put_nowait, found)

        async def feed(pool: Pool) -> None:
            nonlocal due
            try:
                async for fields in _asynchronously(self._queries):
                    while due >= pool.most_waiting:
                        room.clear()
                        await room.wait()
                    count = await asyncio.to_thread(pool.ask, fields)
                    due += count  # not in one: the loop below changes it meanwhile
            finally:
                answers.put_nowait(None)

        with self._pool(put, answers.qsize) as pool:
            feeder = asyncio.create_task(feed(pool))
            try:
                while not feeder.done() or due:
                    pool.check()
                    found = await answers.get()
                    if found is None:
                        await feeder  # raises what the queries have raised
                        continue
                    due -= found.get("final", True)
                    room.set()
                    yield found
                await feeder  # also what they have raised after the last answer
            finally:
                feeder.cancel()

    @contextlib.contextmanager
    def _pool(self, put: Callable[[Answer], object], unread: Callable[[], int]) -> Iterator[Pool]:
        def emit(found: Answer) -> None:
            if found.get("final", True) or unread() < _UNREAD:
                put(found)

        pool = Pool(self._backend, self._reader, emit, self._searches, self._ram_mb)
        _pools.add(pool)
        try:
            yield pool
        finally:
            pool.stop()
            pool.join()
            self._at_end()


async def _asynchronously(queries: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(queries, AsyncIterable):
        async for fields in queries:
            yield fields
    else:
        for fields in queries:
            yield fields
            await asyncio.sleep(0)
