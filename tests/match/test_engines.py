"""Engines that misbehave: what they do costs them the game, and is told of them."""
import json
import shlex
import sys

import pytest

from lc0rocm._core import Error
from lc0rocm.games import play
from lc0rocm.games.limit import parse
from lc0rocm.games.player import CRASH, ILLEGAL, SILENT, TIME
from lc0rocm.games.verdict import Adjudication, Judge
from lc0rocm.match.foreign import Foreign

from .matches import games_of, match

SHORT = Adjudication(most_moves=5)
ENGINE = __file__.replace("test_engines.py", "engine.py")


def command(*words):
    return [sys.executable, ENGINE, *words]


@pytest.mark.parametrize("kind, limit, ending, words", [
    ("crash", "nodes=1", CRASH, "exit code 1; its last words: assertion failed: king is lost"),
    ("hang", "nodes=1", SILENT, "does not answer"), ("hang", "movetime=50", TIME, "does not answer"), ("hang", "tc=0.5", TIME, "does not answer"),
    ("late", "movetime=100", TIME, "more than the 100 ms"), ("late", "tc=0.5", TIME, "lost on time"),
    ("illegal", "nodes=1", ILLEGAL, "e1e5"), ("garbage", "nodes=1", ILLEGAL, "no legal move"), ("none", "nodes=1", ILLEGAL, "no legal move"),
    ("null", "nodes=1", ILLEGAL, "no legal move")])
def test_misbehaviour_loses_its_game_alone(kind, limit, ending, words, monkeypatch):
    monkeypatch.setattr("lc0rocm.match.foreign._LATE_S", 0.3 if kind == "hang" else 5)
    bad, good = Foreign(command(f"{kind}:2"), {}, "bad", 1.5), Foreign(command(), {}, "good")
    free = parse("nodes=1")
    limits = (parse(limit) if kind in ("late", "hang") else free, free)
    try:
        first = play.play(play.Start(), (bad, good), (free, free), Judge(SHORT))
        assert (first.ending, len(first.moves)) == ("adjudication", 10)
        second = play.play(play.Start(), (bad, good), limits, margin_ms=300)
        assert (second.result, second.ending) == ("0-1", ending) and second.reason.startswith("bad ") and words in second.reason
        assert len(second.moves) == 4
        third = play.play(play.Start(), (good, bad), (free, free), Judge(SHORT))  # it is another process, in its first game
        assert len(third.moves) == 10
    finally:
        bad.close()
        good.close()


def test_what_is_no_move_is_passed_over():
    talker, good = Foreign(command("mumble"), {}), Foreign(command(), {})
    try:
        over = play.play(play.Start(), (talker, good), [parse("nodes=1")] * 2, Judge(SHORT))
        assert len(over.moves) == 10 and over.moves[0].found.score == ("cp", 12) and over.moves[0].found.depth == 3
        assert talker.name == "Fake"
    finally:
        talker.close()
        good.close()


@pytest.mark.parametrize("words, options, says", [
    (command("stillborn"), {}, "it ends before it answers uci; its last words: cannot find my network"),
    (command(), {"Strength": "3"}, "Strength"), (command(), {"Level": "12"}, "at most 9"), (command(), {"UCI_Chess960": "true"}, "UCI_Chess960"),
    (["/nowhere/engine"], {}, "No such file"), ([ENGINE], {}, "Permission denied")])
def test_an_engine_that_does_not_start(words, options, says):
    with pytest.raises(Error, match="cannot play: ") as error:
        Foreign(words, options)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_engine(monkeypatch):
    monkeypatch.setattr("lc0rocm.match.foreign._START_S", 1.0)
    with pytest.raises(Error, match="does not answer uci"):
        Foreign(command("dumb"), {})


def test_an_engine_that_does_not_play_the_openings_loses_no_game(tmp_path):
    (tmp_path / "book.epd").write_text("bqnbnrkr/pppppppp/8/8/8/8/PPPPPPPP/BQNBNRKR w HFhf -\n")
    told = match(tmp_path / "m.pgn", f"--second={shlex.join(command('classical'))}", f"--openings={tmp_path}/book.epd", code=2)
    assert "Fake does not play Chess960, of which there are openings" in told.stderr and not (tmp_path / "m.pgn").exists()


def test_faults_are_counted_and_attributed(tmp_path):
    goal = tmp_path / "m.pgn"
    bad = shlex.join(command("crash:2"))
    told = match(goal, f"--second={bad}", "--second-name=bad", "--games=4", "--concurrency=1", "--json")
    answer = json.loads(told.stdout)
    assert [side["crash"] for side in answer["faults"]] == [0, 2]
    assert told.stderr.count("bad has ended in the middle of the game with exit code 1") == 2
    terminations = [game.headers["Termination"] for game in games_of(goal)]
    assert sorted(terminations) == ["abandoned", "abandoned", "adjudication", "adjudication"]
    lost = [game for game in games_of(goal) if game.headers["Termination"] == "abandoned"]
    assert all(game.headers["Result"] == ("0-1" if game.headers["White"] == "bad" else "1-0") for game in lost)
    assert "its last words" in lost[0].end().comment
