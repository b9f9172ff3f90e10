"""Matches: statistics, openings, and a real match that is resumed."""
import shutil

import chess
import match
import pytest


def test_elo_of_scores():
    assert match.elo(0.5) == 0 and match.elo(10 / 11) == pytest.approx(400) and match.elo(1.0) == 1200


def test_error_is_that_of_pairs():
    """Every pair split 1 : 1 leaves no doubt; the same results in other pairs do."""
    split = {number: float(number % 2) for number in range(100)}
    swept = {number: float(number // 2 % 2) for number in range(100)}
    assert match.mean_and_error(split) == (0.5, 0.0)
    assert match.mean_and_error(swept)[1] == pytest.approx(1.96 * 0.5 / 50 ** 0.5)


def test_openings_differ_and_are_even():
    ends = set()
    for pair in range(20):
        board = chess.Board()
        for move in match.opening(pair, 1):
            board.push(move)
        assert not board.is_check() and board.ply() == match.OPENING_PLIES
        ends.add(board.fen())
    assert len(ends) == 20 and match.opening(3, 1) == match.opening(3, 1)


def test_match_resumes(run_script, tmp_path):
    stockfish = shutil.which("stockfish", path="/usr/games:/usr/bin:/usr/local/bin")
    if not stockfish:
        pytest.skip("no stockfish to play a match")
    path = tmp_path / "m.pgn"
    sides = ["--first", stockfish, "--first-limit", "nodes=400", "--second", stockfish, "--second-limit", "nodes=20",
             "--max-plies", 60]
    run_script("match.py", path, "--games", 2, *sides)
    before = path.read_text()
    done = run_script("match.py", path, "--games", 4, "--concurrency", 2, *sides)
    assert path.read_text().startswith(before) and path.read_text().count("[Event") == 4
    assert "4/4 games" in done.stdout
