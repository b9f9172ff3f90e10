"""The searches that run at once, and the queries that wait for a place among them."""
from __future__ import annotations

import functools
import heapq
import itertools
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from lc0rocm import _core, memory, tables, threads
from lc0rocm._core import Error
from lc0rocm.analysis import answer
from lc0rocm.analysis.answer import Answer, Report
from lc0rocm.analysis.query import Action, Query, Reader, Refused

_MOST_SEARCHES = 256
_LEAVES = 8  # that a search among many asks for at a time: fewer cost more switches between threads, more are visits made in the dark
_NODE_BYTES = 64 + 30 * 4  # as the core counts
_KEPT_NODES = 20_000  # a larger tree's memory is given back after the search
_CACHES = 4  # kept, of different history fills and policy temperatures


class Job:
    """A position of a query. terminated: somebody wants its answer now."""
    __slots__ = ("ply", "query", "search", "terminated")

    def __init__(self, query: Query, ply: int):
        self.query, self.ply = query, ply
        self.search: _core.Search | None = None
        self.terminated = False

    def terminate(self) -> None:
        self.terminated = True
        if self.search:
            self.search.stop()


class Pool:
    """Takes queries and gives answers in the order in which they are found. Its threads share the back end's batches.

    backend: any; emit: takes answers, from any thread and several at a time; while it blocks, so does the search that has the answer.
    searches: at once, 0 for as many as fill the back end's batches. ram_mb: for all trees together, 0 for half of what there is for us."""

    def __init__(self, backend: _core.Backend, reader: Reader, emit: Callable[[Answer], object], searches: int = 0, ram_mb: int = 0,
                 about: Mapping[str, Any] | None = None):
        info = backend.info
        self.searches = searches or max(4, min(_MOST_SEARCHES, info["best_batch"]))  # so several batches gather while one is evaluated
        self._most_nodes = max(1000, (ram_mb * 10**6 or memory.granted() // 2) // self.searches // _NODE_BYTES)
        self.most_waiting = max(1000, 4 * self.searches)
        self._backend = backend if backend.name == "multiplexing" else _core.Backend("multiplexing", None, {"shared": backend})
        self._info, self._reader, self._emit, self._about = info, reader, emit, dict(about or {})
        self._policy_workers = min(self.searches, max(1, info["threads"]))
        self._policy_batch = info["best_batch"] if info["cpu"] else info["max_batch"]

        lock = threading.RLock()  # of what follows
        self._wanted = threading.Condition(lock)  # work is there: for the pool's threads, of which as many wake as are needed
        self._done = threading.Condition(lock)  # a position has been begun or answered: for those who ask
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, Job]] = []  # heaps: to search, ...
        self._unread: list[tuple[int, int, Job]] = []  # ... and to evaluate once
        self._running: set[Job] = set()
        self._evaluators = 0  # threads that evaluate
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._process = os.getpid()
        self._caches: OrderedDict[tuple, _core.Cache] = OrderedDict()

    # for those who ask -----------------------------------------------------------------------------------------------

    def ask(self, fields: Any) -> int:
        """A query or an action as JSON has it. Waits while as many positions wait as are allowed to. Gives the number of answers that will
        come, but for those of unfinished searches."""
        try:
            asked = self._reader.read(fields)
        except Refused as refused:
            self._emit(answer.refusal(refused))
            return 1
        if isinstance(asked, Action):
            self._act(asked)
            return 1
        self._enqueue(asked)
        return len(asked.plies)

    def finish(self) -> None:
        """Waits until all is answered, and ends."""
        with self._done:
            self._done.wait_for(lambda: self._closed or not (self._waiting or self._unread or self._running))
        self.stop()

    def check(self) -> None:
        """Raises Error where no answer comes any more."""
        if os.getpid() != self._process:
            raise Error("an analysis has no threads in a forked process; begin one there, or start processes by the method 'spawn'")
        if self._closed and threading.current_thread() is threading.main_thread():  # any other waits until it is stopped with the interpreter
            raise Error("the process is ending: nothing is analysed any more")

    def join(self, patience_s: float | None = None) -> None:
        """After stop(): until nothing uses the back end any more, so long at most."""
        # The garbage collector leaves loops too: in any thread, in a forked process, and when the interpreter has stopped all others.
        if os.getpid() != self._process or sys.is_finalizing() or threading.current_thread() in self._threads:
            return
        end = time.monotonic() + patience_s if patience_s is not None else None
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()) if end is not None else None)

    def stop(self) -> None:
        """Ends without the answers that are not there yet. Waits for nothing."""
        if os.getpid() != self._process:
            return  # a thread that is not here may have had the lock
        with self._done:
            self._closed = True
            self._waiting.clear()
            self._unread.clear()
            running = list(self._running)
            self._wanted.notify_all()
            self._done.notify_all()
        for job in running:
            job.terminate()

    def _enqueue(self, query: Query) -> None:
        with self._done:
            self._done.wait_for(lambda: self._closed or len(self._waiting) + len(self._unread) < self.most_waiting)
            if self._closed:
                return
            heap = self._unread if query.policy_only else self._waiting
            for ply in query.plies:
                heapq.heappush(heap, (-query.priority, next(self._order), Job(query, ply)))
            wanted = len(self._waiting) + min(len(self._unread), self._policy_workers) - self._idle
            for _ in range(min(wanted, self.searches - len(self._threads))):
                try:
                    self._threads.append(threads.begin(threading.Thread(target=self._work, name="analysis", daemon=True)))
                except Error:  # those that there are do the work
                    if not self._threads:
                        raise
                    break
            self._wanted.notify(len(query.plies))

    def _act(self, action: Action) -> None:
        reply: Answer = {"id": action.id, "action": action.action}
        if action.action == "terminate":
            reply["terminated"] = self._terminate(action.target)
        elif action.action == "clear_cache":
            with self._done:
                self._caches.clear()  # searches that run keep theirs
        else:
            reply |= self._about | {"device": self._info["device"], "searches": self.searches}
        self._emit(reply)

    def _terminate(self, key: str | None) -> int:
        """The number of positions whose last answer now comes early."""
        def is_meant(job: Job) -> bool:
            return key is None or job.query.key == key

        with self._done:
            dropped = [entry[2] for heap in (self._waiting, self._unread) for entry in heap if is_meant(entry[2])]
            for heap in (self._waiting, self._unread):
                heap[:] = [entry for entry in heap if not is_meant(entry[2])]
                heapq.heapify(heap)
            running = [job for job in self._running if is_meant(job)]
            self._running.update(dropped)  # until their answers are out
            self._done.notify_all()
        for job in running:
            job.terminate()
        for job in dropped:
            self._answer(job, Report.never_begun)
        return len(running) + len(dropped)

    # on the pool's threads -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        search: _core.Search | None = None
        while jobs := self._take():
            if jobs[0].query.policy_only:
                self._evaluate(jobs)
                with self._wanted:
                    self._evaluators -= 1
                    self._wanted.notify()  # this one may go on with a search
            else:
                search = search or _core.Search()
                self._answer(jobs[0], self._search, jobs[0], search)

    def _take(self) -> list[Job]:
        """The next position to search, or several to evaluate together; none at the end."""
        with self._wanted:
            self._idle += 1
            self._wanted.wait_for(lambda: self._closed or self._waiting or self._may_evaluate())
            self._idle -= 1
            if self._closed:
                return []
            if self._may_evaluate() and (not self._waiting or self._unread[0] < self._waiting[0]):
                self._evaluators += 1
                jobs = [heapq.heappop(self._unread)[2]]
                evaluation = jobs[0].query.setup.evaluation
                while len(jobs) < self._policy_batch and self._unread and self._unread[0][2].query.setup.evaluation == evaluation:
                    jobs.append(heapq.heappop(self._unread)[2])
            else:
                jobs = [heapq.heappop(self._waiting)[2]]
            self._running.update(jobs)
            self._done.notify_all()
            return jobs

    def _may_evaluate(self) -> bool:
        # Few threads: what comes while they are at work makes the next batch.
        return bool(self._unread) and self._evaluators < self._policy_workers

    def _answer(self, job: Job, work: Callable[..., Answer], *arguments: Any) -> None:
        """Gives the last answer about a position, whatever happens: what `work` makes of its Report."""
        self._give(job, lambda: work(Report(job.query, job.ply, self._info), *arguments))
        self._end([job])

    def _give(self, job: Job, work: Callable[[], Answer]) -> None:
        try:
            found = work()
        except Exception as error:  # a mistake of ours must not harm other queries
            sentence = str(error) if isinstance(error, Error) else f"internal error: {type(error).__name__}: {error}"
            found = answer.failure(job.query, job.ply, sentence)
        if not self._closed:
            self._emit(found)

    def _end(self, jobs: list[Job]) -> None:
        with self._done:
            self._running.difference_update(jobs)
            self._done.notify_all()

    def _search(self, report: Report, job: Job, search: _core.Search) -> Answer:
        query = job.query
        if not report.game.legal_moves():
            return report.over()
        setup = query.setup
        job.search = search
        parameters = setup.parameters[report.game.black_to_move] | {"RamLimitMb": 0}
        if not parameters["MinibatchSize"]:
            parameters["MinibatchSize"] = self._minibatch()
        limits = dict(query.limits)
        most = self._nodes_of(setup.values["RamLimitMb"])
        limits["nodes"] = min(limits.get("nodes", most), most)
        if query.searchmoves:
            limits["searchmoves"] = query.searchmoves
        # A small search takes less time than to start its threads; what must watch the clock needs them.
        lend = not query.report_every and "time_ms" not in limits and parameters["Threads"] == 1
        search.begin(self._backend, *setup.evaluation, self._cache(setup.evaluation), tables.open_tables(setup.values["SyzygyPath"]),
                     query.line.fen, query.line.moves[:job.ply], parameters, limits, lend)
        if job.terminated:  # before there was a search to stop
            search.stop()
        if query.report_every:
            self._report(query.report_every, search, report)
        result, update = search.finish(report.chess960)
        if job.terminated:
            result["stopped_by"] = "terminate"
        elif result["stopped_by"] == "nodes" and limits["nodes"] < query.limits.get("nodes", most + 1):
            result["stopped_by"] = "ram"
        found = report.searched(search, update, result)
        if update["nodes"] > _KEPT_NODES:
            search.clear(keep_cache=True)
        return found

    def _report(self, every: float, search: _core.Search, report: Report) -> None:
        due = time.monotonic() + every
        while search.running:
            search.wait(max(0.0, due - time.monotonic()))  # which ends with any news
            if time.monotonic() >= due and search.root_visits and search.running:
                if not self._closed:
                    self._emit(report.searched(search, search.update(report.chess960)))
                due = max(due + every, time.monotonic())

    def _evaluate(self, jobs: list[Job]) -> None:
        """Positions of one evaluation setup, in one batch."""
        try:
            reports = [Report(job.query, job.ply, self._info) for job in jobs]
            fill, temperature = jobs[0].query.setup.evaluation
            inputs = _core.Inputs([report.game for report in reports], self._info["input_format"], fill)
            policy, q, wdl, m = self._backend.policies(inputs, temperature)
        except Exception as error:  # each position says so
            for job in jobs:
                self._give(job, functools.partial(_raise, error))
        else:
            first = inputs.first_move.tolist()
            for job, report, begin, end, *value in zip(jobs, reports, first, first[1:], q.tolist(), wdl[:, 1].tolist(), m.tolist()):
                self._give(job, functools.partial(report.evaluated, policy[begin:end], *value) if begin < end else report.over)
        self._end(jobs)

    def _minibatch(self) -> int:
        """Leaves of a search that begins: the fewer there are, the more each has to ask for to fill batches."""
        with self._done:
            searches = min(self.searches, len(self._running) + len(self._waiting))
        return min(self._info["best_batch"], max(_LEAVES, _LEAVES * self._info["best_batch"] // searches))

    def _nodes_of(self, ram_mb: int) -> int:
        """That a tree may have."""
        return min(self._most_nodes, ram_mb * 10**6 // _NODE_BYTES or self._most_nodes)

    def _cache(self, evaluation: tuple[str, float]) -> _core.Cache:
        with self._done:
            if evaluation not in self._caches:
                while len(self._caches) >= _CACHES:
                    self._caches.popitem(last=False)
                base = self._reader.setup
                self._caches[evaluation] = _core.Cache(base.values["NNCacheSize"] // (1 if evaluation == base.evaluation else 10))
            self._caches.move_to_end(evaluation)
            return self._caches[evaluation]


def _raise(error: Exception) -> Answer:
    raise error
