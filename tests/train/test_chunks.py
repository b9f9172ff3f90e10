"""Games of `lc0rocm selfplay` as positions for the training."""
import json
import shutil
import subprocess
import sys

import chess
import games
import numpy as np
import positions
import pytest

from lc0rocm.selfplay import records


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder of short games, the positions made of them, and the moves."""
    folder = tmp_path_factory.mktemp("selfplay") / "games"
    subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "selfplay", "-o", folder, "--games=6", "--visits=40", "--backend=random", "--max-moves=15",
                    "--nncache=1000"], check=True, timeout=120)
    told = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()[1:]]
    return folder, sorted(told, key=lambda game: game["block"])


@pytest.fixture(scope="module")
def made(run_script, played, tmp_path_factory):
    out = tmp_path_factory.mktemp("chunks")
    run_script("chunks.py", played[0], "--out", out)
    return out


def test_positions_are_those_of_the_games(played, made):
    folder, told = played
    found = positions.load(made, "positions")
    legal, at, children = positions.legal_moves(found), 0, 0
    for number, game in enumerate(told):
        board = chess.Board(game["fen"], chess960=True)
        for ply, record in enumerate(records.read(folder / game["files"][0])):
            one, moves = found[at], game["moves"].split()
            assert one["game"] == number and one["rule50"] == board.halfmove_clock and legal[at].sum() == board.legal_moves.count()
            assert one["left"] == (positions.UNKNOWN if "drawn after" in game["reason"] else len(moves) - ply)
            assert one["win"] / 250 - one["loss"] / 250 == pytest.approx(record["root_q"], abs=0.005)
            shares = np.sort(record["probabilities"][record["probabilities"] > 0])[::-1][:positions.LISTED]
            assert one["count"] == len(shares) and all(legal[at][one["moves"][:one["count"]]])
            temperature = 25 * (1 + min(abs(int(one["score"])), 1000) / 400)
            target = np.exp(-games.unpack_gap(one["gaps"][:one["count"]]) / temperature)
            assert target / target.sum() == pytest.approx(shares / shares.sum(), abs=0.03)  # a byte holds a gap
            board.push_uci(moves[ply])
            children += record["best_idx"] != record["played_idx"]
            at += 1
    assert at == len(found) and len(positions.load(made, "children")) == children > 0


def test_a_game_that_was_made_again_is_there_once(run_script, played, made, tmp_path):
    """With the moves of the last time; and a line that is being written is none yet."""
    folder = shutil.copytree(played[0], tmp_path / "games")
    told = (folder / "manifest.jsonl").read_text().splitlines(keepends=True)
    before = json.loads(told[3]) | {"moves": "e2e4", "positions": 1}
    (folder / "manifest.jsonl").write_text("".join([told[0], json.dumps(before) + "\n", *told[1:], told[1][:-9]]))
    run_script("chunks.py", folder, "--out", tmp_path / "out")
    for kind in ("positions", "children"):
        assert np.array_equal(positions.load(tmp_path / "out", kind), positions.load(made, kind))


def test_training_takes_them(run_script, made, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: it trains the net")
    run_script("train.py", made, "--out", tmp_path, "--steps", 4, "--batch", 16, "--children-batch", 8, "--device", "cpu", "--no-compile", "--best", 0,
               "--embedding", 16, "--encoders", 1, "--heads", 2, "--dff", 16, "--hidden", 8, "--generated", 8, "--policy-size", 8)
    assert len(json.loads((tmp_path / "log.json").read_text())["training"])
