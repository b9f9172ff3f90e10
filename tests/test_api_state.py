"""Any order of calls on networks and engines, from any thread and process, against what they promise.

LC0ROCM_STEPS=200000 pytest tests/test_api_state.py takes so many steps in place of the short form's."""
import contextlib
import math
import os
import pathlib
import random
import signal
import threading
import time

import chess
import hypothesis
import lc0rocm
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

NET = pathlib.Path(__file__).parents[1] / "nets/random-attention.pb.gz"
STEPS = int(os.environ.get("LC0ROCM_STEPS", 600))
STEPS_EACH = 30
NETWORKS: dict[str, lc0rocm.Network] = {}

FENS = [chess.STARTING_FEN, "8/8/8/4k3/8/8/4P3/4K3 w - - 0 1", "R5k1/5ppp/8/8/8/8/8/4K3 b - - 0 1", "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1",
        "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1", "8/P6k/8/8/8/8/7p/K7 w - - 0 1"]
WRONG_LIMITS = [{}, {"nodes": 0}, {"nodes": -5}, {"time": -1}, {"time": math.nan}, {"depth": 0}, {"nodes": "5"}, {"nodes": 5, "multipv": 0},
                {"nodes": 5, "searchmoves": ["a1a1"]}, {"nodes": 5, "searchmoves": [3]},
                {"nodes": np.array([1, 2])}, {"nodes": 5, "multipv": np.array([1])}, {"nodes": 5, "searchmoves": b"e2e4"}]
WRONG_POSITIONS = [3, None, "no FEN", [chess.Board(None)], [chess.Board("4k3/8/8/8/8/8/4R3/4K3 w - - 0 1")], [FENS[1] + " moves e2e5"], b"FEN",
                   {"a": chess.Board()}, np.array(FENS[0])]
PATIENCE_S = 60


def network(name: str) -> lc0rocm.Network:
    if name not in NETWORKS:
        NETWORKS[name] = lc0rocm.Network(NET, backend=name)
    return NETWORKS[name]


def in_child(work) -> str:
    """What a forked process says of a call: "done" or the text of its Error; "hangs" if it says nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            said = "done"
        except lc0rocm.Error as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    end = time.monotonic() + PATIENCE_S
    os.set_blocking(read, False)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return "hangs"
        time.sleep(0.005)
    said = os.read(read, 10000).decode()
    os.close(read)
    return said


def in_threads(works) -> list:
    """The results of calls made at the same time; an exception stands for itself."""
    results: list = [None] * len(works)

    def run(i, work):
        try:
            results[i] = work()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a call hangs"
    return results


def check_result(board: chess.Board, result: lc0rocm.SearchResult, allowed=None) -> None:
    """What holds of every result, whatever came before."""
    legal = set(board.legal_moves)
    assert set(result.visits) == legal and list(result.visits.values()) == sorted(result.visits.values(), reverse=True)
    assert min(result.wdl) >= 0 and sum(result.wdl) == pytest.approx(1, abs=1e-4) and abs(result.q) <= 1
    if not legal:
        expected = (-1, (0, 0, 1)) if board.is_check() else (0, (0, 1, 0))
        assert (result.best_move, result.pv, result.q, result.wdl) == (None, [], *expected)
        return
    assert result.best_move in (allowed or legal) and result.pv[0] == result.best_move and result.lines[0].moves == result.pv
    assert result.nodes >= 1 and result.q == result.lines[0].q
    for line in result.lines:
        after = board.copy(stack=False)
        for move in line.moves:
            assert move in after.legal_moves
            after.push(move)
    if result.ponder:
        after = board.copy(stack=False)
        after.push(result.best_move)
        assert result.ponder in after.legal_moves


boards = st.tuples(st.sampled_from(FENS), st.lists(st.integers(0, 217), max_size=12))


def board_of(drawn) -> chess.Board:
    """A position and a game from it: each number picks a legal move."""
    fen, picks = drawn
    board = chess.Board(fen)
    for pick in picks:
        if moves := list(board.legal_moves):
            board.push(moves[pick % len(moves)])
    return board


class Calls(RuleBasedStateMachine):
    @initialize(name=st.sampled_from(["cpu", "random"]), temperature=st.sampled_from([0.0, 2.0]), threads=st.integers(1, 2))
    def start(self, name, temperature, threads):
        self.net = network(name)
        self.engine = lc0rocm.Engine(self.net, {"Temperature": temperature, "Threads": threads, "NNCacheSize": 1000})
        self.board = chess.Board()

    @rule(drawn=boards)
    def place(self, drawn):
        self.board = board_of(drawn)

    @rule(nodes=st.integers(1, 60), multipv=st.none() | st.integers(1, 5))
    def search(self, nodes, multipv):
        result = self.engine.search(self.board, nodes=nodes, multipv=multipv)
        check_result(self.board, result)
        assert not self.board.legal_moves or len(result.lines) == min(multipv or 1, self.board.legal_moves.count())

    @rule(pick=st.integers(0, 217), as_text=st.booleans())
    def search_one_move(self, pick, as_text):
        if moves := list(self.board.legal_moves):
            move = moves[pick % len(moves)]
            result = self.engine.search(self.board, nodes=10, searchmoves=[move.uci() if as_text else move])
            check_result(self.board, result, {move})

    @rule()
    def play_on(self):
        result = self.engine.search(self.board, nodes=20)
        check_result(self.board, result)
        if result.best_move:
            self.board.push(result.best_move)

    @rule(after=st.integers(0, 3))
    def stop_in_a_callback(self, after):
        told = []

        def on_update(update):
            told.append(update)
            if len(told) > after:
                self.engine.stop()

        check_result(self.board, self.engine.search(self.board, time=0.3 + after, on_update=on_update))

    @rule(delay_ms=st.integers(0, 30))
    def stop_from_another_thread(self, delay_ms):
        def stop():
            while not done.is_set():
                time.sleep(delay_ms / 1000)
                self.engine.stop()

        done = threading.Event()
        thread = threading.Thread(target=stop)
        thread.start()
        try:
            check_result(self.board, self.engine.search(self.board, time=math.inf))
        finally:
            done.set()
            thread.join()

    @rule(delay_ms=st.integers(0, 60))
    def interrupt(self, delay_ms):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
        timer = threading.Timer(delay_ms / 1000, signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            self.engine.search(self.board, time=math.inf)
            time.sleep(PATIENCE_S)  # a game that is over
        timer.join()

    @rule()
    def new_game(self):
        self.engine.new_game()

    @rule(limits=st.sampled_from(WRONG_LIMITS))
    def search_wrongly(self, limits):
        with pytest.raises(lc0rocm.Error):
            self.engine.search(self.board, **limits)

    @rule(positions=st.sampled_from(WRONG_POSITIONS))
    def evaluate_wrongly(self, positions):
        for method in (self.net.evaluate, self.net.policies, self.net.move_indices):
            with pytest.raises(lc0rocm.Error):
                method(positions)

    @rule(drawn=boards, field=st.sampled_from(["turn", "halfmove_clock"]))
    def change_a_board(self, drawn, field):
        board = board_of(drawn)
        moves = len(board.move_stack)
        setattr(board, field, not board.turn if field == "turn" else board.halfmove_clock + 1)
        for call in (lambda: self.net.evaluate(board), lambda: self.engine.search(board, nodes=1)):
            with pytest.raises(lc0rocm.Error) if moves else contextlib.suppress(lc0rocm.Error):  # without moves it is a position, good or bad
                call()

    @rule(drawn=st.lists(boards, max_size=5), form=st.sampled_from([list, tuple, iter]))
    def evaluate(self, drawn, form):
        given = [board_of(one) for one in drawn]
        out = self.net.evaluate(form(given))
        assert len(out) == len(given) and np.isfinite(out.policy).all() and (out.wdl >= 0).all()
        for board, policy in zip(given, self.net.policies(form(given))):
            assert set(policy) == set(board.legal_moves) and (not policy or sum(policy.values()) == pytest.approx(1))

    @rule(threads=st.integers(2, 4), seed=st.integers(0, 1000))
    def share(self, threads, seed):
        dice = random.Random(seed)
        given = [board_of((dice.choice(FENS), [dice.randrange(218) for _ in range(dice.randrange(8))])) for _ in range(threads)]
        alone = self.net.evaluate(given)
        works = [lambda board=board: (self.engine.search(board, nodes=15), self.net.evaluate(board)) for board in given]
        for i, (board, found) in enumerate(zip(given, in_threads(works))):
            assert not isinstance(found, Exception), found
            check_result(board, found[0])
            np.testing.assert_allclose(found[1].q[0], alone.q[i], atol=1e-4)

    @rule(call=st.sampled_from(["evaluate", "policy", "search", "new_game", "engine"]))
    def fork(self, call):
        said = in_child({"evaluate": lambda: self.net.evaluate(chess.Board()), "policy": lambda: self.net.policy(chess.Board()),
                         "search": lambda: self.engine.search(chess.Board(), nodes=5), "new_game": self.engine.new_game,
                         "engine": lambda: lc0rocm.Engine(self.net).search(chess.Board(), nodes=5)}[call])
        assert "forked" in said

    @invariant()
    def nothing_is_left_behind(self):
        assert threading.active_count() <= 2  # none of ours
        end = time.monotonic() + PATIENCE_S
        while self.engine._search.running:  # it has been told to stop
            assert time.monotonic() < end, "a search goes on"
            time.sleep(0.001)


Calls.TestCase.settings = hypothesis.settings(max_examples=max(1, STEPS // STEPS_EACH), stateful_step_count=STEPS_EACH,
                                              suppress_health_check=list(hypothesis.HealthCheck))
TestCalls = Calls.TestCase
