"""Many games at once: so many threads, each with players of its own, take one task after the other."""
from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from lc0rocm import threads

Task = TypeVar("Task", contravariant=True)
Done = TypeVar("Done", covariant=True)


class Worker(Protocol[Task, Done]):
    """Of one thread, which makes and closes it."""

    def work(self, task: Task) -> Done:
        """Raises what ends everything."""

    def close(self) -> None:
        """From any thread, more than once: work() ends soon."""


class Many(Generic[Task, Done]):
    """Yields what becomes of the tasks, in the order in which it does. Tasks are taken when a thread is free for one; the first exception of a
    worker comes out here, after the rest has been stopped."""

    def __init__(self, tasks: Iterable[Task], worker: Callable[[], Worker[Task, Done]], at_once: int):
        self._tasks, self._worker = iter(tasks), worker
        self._lock, self._closed = threading.Lock(), False
        self._workers: list[Worker[Task, Done]] = []
        self._results: queue.SimpleQueue[tuple[Done | None, BaseException | None, bool]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name="game", daemon=True) for _ in range(at_once)]

    def __iter__(self) -> Iterator[Done]:
        try:
            going = len([threads.begin(thread) for thread in self._threads])
            while going:
                done, error, ends = self._results.get()
                if error:
                    raise error
                if ends:
                    going -= 1
                else:
                    yield done  # type: ignore[misc]
        finally:
            self.close()

    def close(self) -> None:
        """Stops what goes on, and waits until it has."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.close()
        for thread in self._threads:
            if thread.ident:
                thread.join()

    def _run(self) -> None:
        try:
            worker = self._worker()
            with self._lock:
                self._workers.append(worker)
            try:
                while (task := self._take()) is not None:
                    self._results.put((worker.work(task), None, False))
            finally:
                worker.close()
            self._results.put((None, None, True))
        except BaseException as error:
            self._results.put((None, error, True))

    def _take(self) -> Task | None:
        with self._lock:
            return None if self._closed else next(self._tasks, None)
