"""lc0rocm.analyse: the same from Python, in plain loops and asynchronous ones."""
import asyncio
import threading

import chess
import pytest

import lc0rocm

from .asking import ANSWER


@pytest.fixture(scope="module")
def net():
    with lc0rocm.Network(backend="random") as network:
        yield network


def queries(count, **more):
    return ({"id": n, "moves": ["e2e4"], "nodes": 5, **more} for n in range(count))


def test_every_query_is_answered(net):
    answers = list(lc0rocm.analyse(queries(50), net))
    assert sorted(answer["id"] for answer in answers) == list(range(50))
    for answer in answers:
        ANSWER.validate(answer)


def test_more_than_wait_at_once(net):
    assert sum(1 for _ in lc0rocm.analyse(queries(3000, nodes=1), net, searches=2)) == 3000


def test_queries_are_taken_when_there_is_room(net):
    taken = 0

    def source():
        nonlocal taken
        for query in queries(10**9):
            taken += 1
            yield query

    answers = iter(lc0rocm.analyse(source(), net, searches=2))
    for _ in range(10):
        next(answers)
    assert taken < 5000
    answers.close()


def test_one_query_and_wrong_ones(net):
    assert [answer["nodes"] for answer in lc0rocm.analyse({"id": 1, "fen": "startpos"}, net, nodes=7)] == [7]
    answers = list(lc0rocm.analyse([{"id": 1}, {}, None, {"id": 2, "fen": "startpos", "nodes": 1, "plies": "all"}], net))
    assert len(answers) == 4 and sum("error" in answer for answer in answers) == 3


def test_what_the_source_raises_comes_through(net):
    def source():
        yield {"id": 1, "fen": "startpos", "nodes": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(lc0rocm.analyse(source(), net))


def test_leaving_the_loop_ends_the_searches(net):
    before = threading.active_count()
    for _ in lc0rocm.analyse(queries(4, nodes=10**8, report_every=0.02), net):
        break
    for thread in threading.enumerate():
        if thread.name == "analysis":
            thread.join(60)
    assert threading.active_count() <= before


@pytest.mark.parametrize("arguments,words", [((5,), "queries are dictionaries"), (("text",), "queries are dictionaries"),
                                             (([], 7), "an lc0rocm.Network, not int")])
def test_wrong_arguments_are_said_at_once(arguments, words):
    with pytest.raises(lc0rocm.Error, match=words):
        lc0rocm.analyse(*arguments)


def test_wrong_options_are_said_at_once(net):
    with pytest.raises(lc0rocm.Error, match="Cpukt"):
        lc0rocm.analyse([], net, options={"Cpukt": 1})


def test_asynchronously(net):
    async def collect(source):
        return [answer["id"] async for answer in lc0rocm.analyse(source, net, searches=3)]

    async def live():
        for query in queries(20):
            await asyncio.sleep(0)
            yield query

    assert sorted(asyncio.run(collect(live()))) == sorted(asyncio.run(collect(queries(20)))) == list(range(20))
    assert asyncio.run(collect([])) == []


def test_a_live_source_hears_the_answer_before_it_asks_again(net):
    async def talk():
        line, ready = queries_of_a_game(), asyncio.Event()
        ready.set()

        async def source():
            for query in line:
                await ready.wait()
                ready.clear()
                yield query

        count = 0
        async for _ in lc0rocm.analyse(source(), net):
            count += 1
            ready.set()
        return count

    def queries_of_a_game():
        board = chess.Board()
        for n, move in enumerate(("e2e4", "e7e5", "g1f3")):
            board.push_uci(move)
            yield {"id": n, "fen": board.fen(), "policy_only": True}

    assert asyncio.run(asyncio.wait_for(talk(), 60)) == 3


def test_asynchronous_trouble(net):
    async def broken():
        yield {"id": 1, "fen": "startpos", "nodes": 1}
        raise ZeroDivisionError

    async def collect(source):
        return [answer async for answer in lc0rocm.analyse(source, net)]

    async def leave():
        async for answer in lc0rocm.analyse(queries(4, nodes=10**8, report_every=0.02), net):
            return answer

    for _ in range(20):  # the answer may come before it, with it or after it
        with pytest.raises(ZeroDivisionError):
            asyncio.run(collect(broken()))
    assert asyncio.run(leave())["final"] is False
    with pytest.raises(lc0rocm.Error, match="async for"):
        list(lc0rocm.analyse(broken(), net))
