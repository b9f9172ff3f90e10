"""Many games at once, in threads."""
import threading
import time

import pytest

from lc0rocm import Error
from lc0rocm.games.many import Many


class Squares:
    made, open, lock = 0, 0, threading.Lock()

    def __init__(self):
        with Squares.lock:
            Squares.made += 1
            Squares.open += 1
        self._is_open, self._closed = True, threading.Event()

    def work(self, task):
        if task == 13:
            raise ValueError("thirteen")
        if task == 99:
            self._closed.wait()
        return task * task

    def close(self):
        self._closed.set()
        with Squares.lock:
            Squares.open -= self._is_open
            self._is_open = False


@pytest.fixture(autouse=True)
def counted():
    Squares.made = Squares.open = 0
    yield
    assert Squares.open == 0


def test_each_task_once():
    assert sorted(Many(range(1, 13), Squares, 4)) == [n * n for n in range(1, 13)]
    assert Squares.made == 4


def test_no_tasks():
    assert list(Many([], Squares, 3)) == []


def test_an_error_stops_the_others():
    with pytest.raises(ValueError, match="thirteen"):
        list(Many([99, 99, 13], Squares, 3))


def test_an_error_while_a_worker_is_made():
    with pytest.raises(ZeroDivisionError):
        list(Many([1], lambda: 1 // 0, 2))


def test_who_has_heard_enough_waits_for_nothing():
    many = Many([99, 1, 2, 3, *range(100, 10_000)], Squares, 2)
    assert next(iter(many)) == 1
    many.close()
    assert not any(thread.is_alive() for thread in threading.enumerate() if thread.name == "game")


def test_tasks_are_taken_when_they_are_begun():
    taken = []

    def tasks():
        for n in range(1, 10):
            taken.append(n)
            yield n

    results = iter(Many(tasks(), Slow, 1))
    next(results)
    assert len(taken) <= 3
    results.close()


class Slow(Squares):
    def work(self, task):
        time.sleep(0.05)
        return task


def test_where_no_thread_is_to_be_had():
    before = threading.stack_size(1 << 47)  # for which no machine has the address space
    try:
        with pytest.raises(Error, match="the system gives no more threads"):
            list(Many([1, 2], Squares, 2))
    finally:
        threading.stack_size(before)
