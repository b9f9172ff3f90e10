"""Reading games and writing what has become of them: here, or in processes of their own. Two thirds of what Python does for an annotation is this,
and a process runs one line of Python at a time: searches on a fast GPU would wait for it."""
from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from lc0rocm._core import Error
from lc0rocm.annotation import forms, games
from lc0rocm.annotation.annotate import Annotated
from lc0rocm.annotation.games import Entry, Raw
from lc0rocm.annotation.known import Book
from lc0rocm.annotation.people import Choice

_KEPT = 256  # games between reading and writing; one that is not there any more is read again
_AHEAD = 8  # games that each process has read before anybody asks, or may have written before their turn


class Moves(NamedTuple):
    """Of a game. moves: as the analysis writes them, castling as king takes rook; problem: why it cannot be annotated, or ""."""
    fen: str
    moves: list[str]
    problem: str


class Findings(NamedTuple):
    """About a game: as Annotated takes them."""
    answers: Sequence[dict[str, Any]]
    choices: Sequence[Choice]
    instead: dict[int, dict[str, Any]]


class Clerk:
    """goal: of its name is the form; book: a file, or ""."""

    def __init__(self, goal: str, annotator: str, book: str):
        self._form, self._book = forms.of_name(goal, annotator), Book(book) if book else None
        self._kept: collections.OrderedDict[int, Entry] = collections.OrderedDict()

    def read(self, raw: Raw) -> Moves:
        entry = games.entry(raw)
        if not entry.game:
            return Moves("", [], entry.problem)
        self._kept[raw.number] = entry
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        board, moves = entry.game.board(), []
        for move in entry.game.mainline_moves():
            moves.append(board.uci(move, chess960=True))
            board.push(move)
        return Moves(entry.game.board().fen(en_passant="fen"), moves, "")

    def write(self, raw: Raw, findings: Findings) -> str:
        game = (self._kept.pop(raw.number, None) or games.entry(raw)).game
        assert game, "it has been read"
        return self._form.text(Annotated(raw.number, game, *findings, self._book))


class Clerks:
    """processes: 0 for none but this one. The rest: of a Clerk. Raises Error."""

    def __init__(self, processes: int, goal: str, annotator: str, book: str):
        self.ahead = _AHEAD * processes
        self._clerk = Clerk(goal, annotator, book)
        self._pool = concurrent.futures.ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _begin, (goal, annotator, book)) if processes else None

    def read(self, texts: Iterable[Raw]) -> Iterator[tuple[Raw, Moves]]:
        reading: collections.deque[tuple[Raw, Future[Moves]]] = collections.deque()
        for raw in texts:
            reading.append((raw, self._submit(_read, self._clerk.read, raw)))
            if len(reading) > self.ahead:
                yield _next(reading)
        while reading:
            yield _next(reading)

    def write(self, raw: Raw, findings: Findings) -> Future[str]:
        return self._submit(_write, self._clerk.write, raw, findings)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, there: Callable[..., Any], here: Callable[..., Any], *arguments: Any) -> Future[Any]:
        try:
            if self._pool:
                return self._pool.submit(there, *arguments)
        except concurrent.futures.BrokenExecutor:
            raise _broken() from None
        done: Future[Any] = Future()
        done.set_result(here(*arguments))
        return done


def result(future: Future[Any]) -> Any:
    """Of one of these. Raises Error where its process has ended."""
    try:
        return future.result()
    except concurrent.futures.BrokenExecutor:
        raise _broken() from None


def _next(reading: collections.deque[tuple[Raw, Future[Moves]]]) -> tuple[Raw, Moves]:
    raw, future = reading.popleft()
    return raw, result(future)


def _broken() -> Error:
    return Error("a process that reads and writes games has ended, perhaps for want of memory; the same command goes on, with --processes=0 without such")


# in such a process ----------------------------------------------------------------------------------------------------

_clerk: Clerk


def _begin(*arguments: Any) -> None:
    global _clerk
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _clerk = Clerk(*arguments)


def _end_with_parent() -> None:
    """Who is killed cannot say that nothing more will come."""
    if parent := multiprocessing.parent_process():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _read(raw: Raw) -> Moves:
    return _clerk.read(raw)


def _write(raw: Raw, findings: Findings) -> str:
    return _clerk.write(raw, findings)
