"""`lc0rocm selfplay --ray`: a node is killed in the middle, and each game is there once."""
import json
import subprocess
import sys
import time

PATIENCE_S = 180


def test_a_node_is_killed_in_the_middle(cluster, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "book.pgn").write_text("1. e4 e5 *\n\n1. d4 d5 *\n\n1. c4 *\n")
    process = subprocess.Popen([sys.executable, "-I", "-m", "lc0rocm", "selfplay", "-o", out, "--games=24", "--backend=random", "--visits=200",
                                "--max-moves=15", f"--openings={tmp_path}/book.pgn", f"--ray={cluster.address}", "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and len(list(out.glob("game_*.gz"))) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    cluster.replace()
    told, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and json.loads(told)["games"] == 24, err
    games = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    assert sorted(game["block"] for game in games) == list(range(24))
    openings = {game["block"]: game["opening"] for game in games}
    assert [openings[number] for number in range(6)] == ["e2e4 e7e5", "d2d4 d7d5", "c2c4"] * 2
