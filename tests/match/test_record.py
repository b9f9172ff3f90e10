"""The PGN of a match: whatever happens to the process that writes it, each game is there once and whole."""
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lc0rocm._core import Error
from lc0rocm.annotation.games import said
from lc0rocm.games import play
from lc0rocm.games.limit import parse
from lc0rocm.games.player import CRASH, ILLEGAL, SILENT, TIME, Found
from lc0rocm.match.record import Record

from .matches import RANDOM, games_of, match

LIMITS = (parse("tc=60+0.6"), parse("nodes=800"))
NAMES = ("a net", 'the "other" \\ one')


def played(result="1-0", ending="", moves=3, start=None):
    """The moves of a longer game; they need not fit the result."""
    start = start or play.Start()
    words = "e2e4 e7e5 g1f3 b8c6 f1c4 f8c5 e1h1 g8f6".split()[:moves]
    scores = [("cp", 31), ("cp", -20), ("mate", 3), ("mate", -2), None, ("cp", 0), ("cp", 5), ("cp", 5)]
    found = [Found(word, score, 7 if i % 2 else None, 100) for i, (word, score) in enumerate(zip(words, scores))]
    return play.Game(start, [play.Played(move, 0.25, 59.75 if i % 2 == 0 else None) for i, move in enumerate(found)], result, ending, "why { it } ended")


class Machine(RuleBasedStateMachine):
    """A record and what should be in it. cut() is a process that was killed while it wrote."""
    folder = None

    def __init__(self):
        super().__init__()
        Machine.number = getattr(Machine, "number", 0) + 1
        self.path = str(self.folder / f"{Machine.number}.pgn")
        self.record, self.games = Record(self.path, "id", False), {}

    @rule(number=st.integers(0, 30), result=st.sampled_from(["1-0", "0-1", "1/2-1/2"]),
          ending=st.sampled_from(["", "adjudication", TIME, CRASH, ILLEGAL, SILENT]), moves=st.integers(0, 8))
    def write(self, number, result, ending, moves):
        if number in self.games:
            return
        told = self.record.write(number, played(result, ending, moves), NAMES, LIMITS)
        self.games[number] = told

    @rule()
    def go_on(self):
        self.record.close()
        self.record = Record(self.path, "id", False)

    @precondition(lambda self: self.games)
    @rule(share=st.floats(0, 0.999999), number=st.integers(31, 60))
    def cut(self, share, number):
        before = os.path.getsize(self.path)
        self.record.write(number, played(), NAMES, LIMITS)
        self.record.close()
        os.truncate(self.path, before + int(share * (os.path.getsize(self.path) - before)))
        self.record = Record(self.path, "id", False)

    @invariant()
    def all_is_there(self):
        assert self.record.results == self.games

    def teardown(self):
        self.record.close()


def test_any_order_of_kills(tmp_path):
    Machine.folder = tmp_path
    from hypothesis.stateful import run_state_machine_as_test
    run_state_machine_as_test(Machine, settings=settings(max_examples=40, stateful_step_count=15))


def test_headers_are_as_the_standard_has_them(tmp_path):
    """The seven tags of the roster first and in their order, a backslash before quotes and backslashes, no line of more than 80."""
    names = 'the "other" \\ one', '\\'
    record = Record(str(tmp_path / "m.pgn"), "id", False)
    record.write(0, played(moves=8, start=play.Start(name='C50 "Italian"')), names, LIMITS)
    record.close()
    lines = (tmp_path / "m.pgn").read_text().splitlines()
    tags = [re.fullmatch(r'\[(\w+) "((?:[^"\\]|\\["\\])*)"\]', line).groups() for line in lines[:lines.index("")]]
    assert [name for name, _ in tags[:7]] == ["Event", "Site", "Date", "Round", "White", "Black", "Result"] and max(map(len, lines)) <= 80
    told = {name: re.sub(r"\\(.)", r"\1", value) for name, value in tags}
    assert (told["White"], told["Black"], told["Opening"]) == (*names, 'C50 "Italian"')


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_a_first_game_that_is_cut(tmp_path, cut):
    path = tmp_path / "m.pgn"
    record = Record(str(path), "id", False)
    record.write(0, played(), NAMES, LIMITS)
    record.close()
    assert 400 < path.stat().st_size
    os.truncate(path, min(cut, path.stat().st_size - 1))
    assert Record(str(path), "id", False).results == {} and path.read_bytes() == b""


@pytest.mark.parametrize("moves", [0, 3])
def test_a_second_game_of_which_a_few_bytes_are_there(tmp_path, moves):
    path = tmp_path / "m.pgn"
    record = Record(str(path), "id", False)
    first = record.write(0, played(moves=moves), NAMES, LIMITS)
    whole = path.stat().st_size
    record.write(1, played(), NAMES, LIMITS)
    record.close()
    both = path.read_bytes()
    for more in range(30):
        path.write_bytes(both[:whole + more])
        record = Record(str(path), "id", False)
        assert record.results == {0: first} and path.read_bytes() == both[:whole]
        record.close()


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_that_has_room_again(tmp_path, room):
    """A game that could not be written is not there, nor a piece of it: what is there can be gone on with."""
    record = Record(str(tmp_path / "m.pgn"), "id", False)
    record.write(0, played(), NAMES, LIMITS)
    whole = (tmp_path / "m.pgn").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + room, hard))
    try:
        with pytest.raises(Error, match="cannot write .*m.pgn"):
            record.write(1, played(), NAMES, LIMITS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    record.close()
    assert (tmp_path / "m.pgn").read_bytes() == whole and list(Record(str(tmp_path / "m.pgn"), "id", False).results) == [0]


def test_what_a_game_says(tmp_path):
    path = tmp_path / "m.pgn"
    start = play.Start("r3k2r/pppppppp/8/8/8/8/PPPPPPPP/R3K2R w HAha - 0 1", ("e1h1",), True, "an opening")
    Record(str(path), "id", False).write(3, played("0-1", TIME, 0, start), NAMES, LIMITS)
    record = Record(str(tmp_path / "other.pgn"), "id", False)
    record.write(2, played("1-0"), NAMES, LIMITS)
    first, second = games_of(path)[0], games_of(tmp_path / "other.pgn")[0]
    assert first.headers["Variant"] == "Chess960" and first.headers["Round"] == "2.2" and first.headers["Opening"] == "an opening"
    assert first.headers["Termination"] == "time forfeit" and first.board().castling_xfen() == "KQkq"
    assert [node.san() for node in first.mainline()] == ["O-O"]
    assert (said(second.headers["White"]), said(second.headers["Black"])) == NAMES
    assert (second.headers["WhiteTimeControl"], second.headers["BlackTimeControl"]) == ("60+0.6", "-")
    e4, e5, nf3 = second.mainline()
    assert e4.clock() == 59.75 and e5.clock() is None and e4.emt() == 0.25
    assert (e4.eval().white().score(), e5.eval().white().score(), nf3.eval().white().mate()) == (31, 20, 3)
    assert e5.eval_depth() == 7 and "why { it ) ended" in nf3.comment


@pytest.mark.parametrize("text, says", [("nonsense\n", "no PGN file of a match"), ('[Event "mine"]\n[Result "1-0"]\n\n1. e4 1-0\n\n', "not of a match"),
                                        ('[Event "mine"]\n\n1. e4 1-0', "no PGN file of a match")])
def test_files_of_others_are_left_alone(tmp_path, text, says):
    path = tmp_path / "m.pgn"
    path.write_text(text)
    with pytest.raises(Error, match=says):
        Record(str(path), "id", False)
    assert path.read_text() == text
    Record(str(path), "id", True)
    assert path.read_text() == ""


def test_another_match_and_another_process(tmp_path):
    path = str(tmp_path / "m.pgn")
    record = Record(path, "id", False)
    with pytest.raises(Error, match="another lc0rocm is writing"):
        Record(path, "id", True)
    record.write(0, played(), NAMES, LIMITS)
    record.close()
    with pytest.raises(Error, match="games of another match"):
        Record(path, "other", False)


def test_kills_at_any_moment(tmp_path):
    """Until all games are there the process is killed again and again; what was there is there still."""
    dice, goal, before = random.Random(5), tmp_path / "m.pgn", ""
    command = [sys.executable, "-I", "-m", "lc0rocm", "match", *RANDOM, "-o", str(goal), "--games=40", "--backend-opts=delay=1", "--concurrency=8"]
    for _ in range(6):
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.4, 1.5))
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        whole = goal.read_text() if goal.exists() else ""
        assert whole.startswith(before)
        before = whole[:whole.rfind("\n\n[Event ") + 2] if "\n\n[Event " in whole else ""
    match(goal, "--games=40", "--backend-opts=delay=1", "--concurrency=8")
    assert goal.read_text().startswith(before)
    rounds = [game.headers["Round"] for game in games_of(goal)]
    assert sorted(rounds) == sorted(f"{pair}.{game}" for pair in range(1, 21) for game in (1, 2))


def test_an_interrupt_keeps_what_is_over(tmp_path):
    goal = tmp_path / "m.pgn"
    command = [sys.executable, "-I", "-m", "lc0rocm", "match", *RANDOM, "-o", str(goal), "--games=1000", "--backend-opts=delay=2", "--concurrency=4"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a background job ignores it
    until = time.monotonic() + 60
    while not (goal.exists() and goal.stat().st_size > 4000) and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130 and "Traceback" not in said
    games = games_of(goal)
    assert 1 < len(games) < 1000 and all(re.fullmatch(r"\d+\.[12]", game.headers["Round"]) for game in games)
