"""A difference that the back end check finds in a game is told, and play goes on."""
import pathlib

import chess
import pytest

NET = pathlib.Path(__file__).parents[2] / "nets/random-attention.pb.gz"


@pytest.mark.parametrize("options, goes_on", [
    ("freq=1,atol=0,rtol=0,(backend=random),(backend=random,seed=1)", "bestmove"),  # no network: the move is the tree's, or any
    ("freq=1,(backend=cpu),(backend=random)", "going on with back end cpu"),
])
def test_a_difference_does_not_lose_the_game(start, options, goes_on):
    engine = start("--backend=check", f"--backend-opts={options}", f"--weights={NET}", "--threads=1")
    board = chess.Board()
    for _ in range(3):
        lines = engine.ask("position startpos moves " + " ".join(move.uci() for move in board.move_stack), "go nodes 10", seconds=60)
        said = "\n".join(lines)
        if not board.move_stack or goes_on == "bestmove":
            assert "info string error: check: " in said and goes_on in said
        board.push_uci(lines[-1].split()[1])  # which has to be legal
