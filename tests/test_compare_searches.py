"""scripts/compare_searches.py: what several runs wrote is added up, and a position is solved from the step on from which the move stays."""
import json
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import chess

import lc0rocm

SCRIPT = pathlib.Path(__file__).parents[1] / "scripts/compare_searches.py"
sys.path.insert(0, str(SCRIPT.parent))
import compare_searches  # noqa: E402


def test_runs_add_up(tmp_path):
    """A position of both runs counts once; one that is not solved as twice the most."""
    lines = [{"fen": fen, "most": 100, "dag": dag, "classic": classic} for fen, dag, classic in (("a", 25, 50), ("b", 50, 50), ("c", None, 100))]
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    files[0].write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    files[1].write_text("".join(json.dumps(line) + "\n" for line in lines[1:]))
    done = subprocess.run([sys.executable, "-P", SCRIPT, "--add", *files], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("3 positions: dag solves 2, 63 nodes"), done.stderr  # the cube root of 25 * 50 * 200
    assert "classic solves 3, 63 nodes" in done.stdout and "dag needs 1.00 times the nodes" in done.stdout
    assert "fewer in 1 and more in 1" in done.stdout


def test_what_is_solved_and_what_is_not(reference):
    board = chess.Board("6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1")
    with lc0rocm.Network(reference / "nets" / "maia-1500.pb.gz", backend="cpu") as network:
        mate, other = (compare_searches.solve(network, board, chess.Move.from_uci(move), SimpleNamespace(most=100, minibatch=8)) for move in ("d1d8", "g1h1"))
    assert all(nodes in (12, 18, 25, 35, 50, 71, 100) for nodes in mate.values()) and other == {"dag": None, "classic": None}
