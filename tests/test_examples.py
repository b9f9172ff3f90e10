"""The examples do what they say: run as a user does, on a small net."""
import pathlib
import runpy
import subprocess
import sys
import types
import xml.etree.ElementTree as xml

import chess
import lc0rocm
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
NET = ROOT / "nets/random-attention.pb.gz"
BLACK = "r1bqkb1r/pppp1Qpp/2n2n2/4p3/2B1P3/8/PPPP1PPP/RNB1K1NR b KQkq - 0 4"


def run(name, *arguments, cwd=None):
    done = subprocess.run([sys.executable, str(ROOT / "examples" / name), *arguments, f"--weights={NET}", "--backend=cpu"], cwd=cwd,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def module(name):
    return types.SimpleNamespace(**runpy.run_path(str(ROOT / "examples" / f"{name}.py")))


@pytest.fixture(scope="module")
def net():
    with lc0rocm.Network(NET, "cpu") as net:
        yield net


def test_logit_lens_prints_a_line_a_depth():
    lines = run("logit_lens.py")
    assert [line.split()[0] for line in lines] == ["after", "embedding", "encoder.0", "encoder.1", "encoder.2"]
    assert lines[-1].split()[-1] in ("0.000", "-0.000")  # the last is the net itself


def test_logit_lens_ends_with_what_the_net_says(net):
    board = chess.Board()
    depths = module("logit_lens").lens(net, board)
    policy = net.policy(board)
    assert depths[-1][1] == pytest.approx(policy, abs=1e-4)
    assert max(abs(depths[0][1][move] - policy[move]) for move in policy) > 1e-3


def test_ablated_heads_are_sorted_by_what_they_do(net):
    lines = run("ablate_heads.py", chess.STARTING_FEN, "--top=5")
    bits = [float(line.split()[-2]) for line in lines[1:]]
    assert len(bits) == 5 and bits == sorted(bits, reverse=True) and bits[0] > 0
    effects = module("ablate_heads").ablate(net, chess.Board())
    assert {name: len(of_heads) for name, of_heads in effects.items()} == {f"encoder.{i}": 4 for i in range(3)}

    def without(heads):
        heads[:, :, 3] = 0

    one = net.evaluate(chess.Board(), replace={"encoder.1.heads": without})
    np.testing.assert_allclose(effects["encoder.1"][3, 1], one.q[0] - net.evaluate(chess.Board()).q[0], atol=1e-5)


def test_attention_is_drawn_on_the_squares_of_the_board(net, tmp_path):
    assert run("attention_board.py", "e8", f"--fen={BLACK}", "--head=1", cwd=tmp_path)[0].startswith("board.svg: e8 looks at ")
    assert xml.parse(tmp_path / "board.svg").getroot().tag.endswith("svg")
    shares = module("attention_board").attention_from(net, chess.Board(BLACK), chess.E8, "encoder.0", 1)
    weights = net.evaluate(chess.Board(BLACK), "encoder.0.attention").layers["encoder.0.attention"][0, 1]
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares[chess.F7] == weights[chess.square_mirror(chess.E8), chess.square_mirror(chess.F7)]
