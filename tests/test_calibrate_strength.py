"""scripts/calibrate_strength.py: what a match's games say of a level."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "scripts"))
import calibrate_strength


def write(path, level, results):
    """results: of White; we are White in the first game and every second one."""
    sides = f"UCI_Elo {level}", f"Stockfish {max(level, 1350)}"
    path.write_text("".join(f'[White "{sides[i % 2]}"]\n[Black "{sides[1 - i % 2]}"]\n[Result "{result}"]\n\n1. e4 {result}\n\n'
                            for i, result in enumerate(results)))
    return calibrate_strength.read(path)


def test_points_are_ours_with_either_colour(tmp_path):
    games = write(tmp_path / "2000.pgn", 2000, ["1-0", "1-0", "0-1", "0-1", "1/2-1/2"])
    assert [game["points"] for game in games] == [1, 0, 0, 1, 0.5]
    assert {(game["name"], game["level"]) for game in games} == {("UCI_Elo 2000", 2000)}


def test_a_rating_is_on_the_other_side_s_scale(tmp_path):
    """Three of four points are 191 Elo; 1320 meets the lowest level that there is."""
    games = write(tmp_path / "1320.pgn", 1320, ["1-0", "0-1", "1-0", "1-0"] * 100)
    rating, error, count = calibrate_strength.ratings(games)["UCI_Elo 1320"]
    assert count == 400 and rating == pytest.approx(1350 + 190.8, abs=2) and error == pytest.approx(20, abs=1)


def test_the_picture_has_every_level(tmp_path):
    pytest.importorskip("matplotlib")
    goal = tmp_path / "strength.svg"
    calibrate_strength.draw({"UCI_Elo 1400": (1390, 30, 100), "UCI_Elo 2400": (2420, 30, 100), "nodes=64": (2100, 30, 100)}, str(goal))
    assert goal.read_text().rstrip().endswith("</svg>")
