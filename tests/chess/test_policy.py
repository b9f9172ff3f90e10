"""Moves <-> policy indices, and where the heads hold them."""
import json

import pytest

from lc0rocm import _core

FILES = "abcdefgh"


def split(name):
    """from-square, to-square, promotion letter or ''."""
    square = [FILES.index(name[i]) + 8 * (int(name[i + 1]) - 1) for i in (0, 2)]
    return (*square, name[4:])


def test_names(reference):
    assert _core.policy_moves() == (reference / "spec/policy_index.txt").read_text().split()


def test_convolution_map():
    """docs/spec/networks.md 5.4, walked from the planes: go there from the square, and find the move of that name."""
    expected = {}
    steps = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    jumps = [(2, 1), (1, 2), (-1, 2), (-2, 1), (-2, -1), (-1, -2), (1, -2), (2, -1)]
    planes = [(dr * n, df * n, "") for dr, df in steps for n in range(1, 8)] + [(dr, df, "") for dr, df in jumps]
    planes += [(1, df, letter) for df in (-1, 0, 1) for letter in "rbq"]
    for plane, (dr, df, letter) in enumerate(planes):
        for square in range(64):
            rank, file = square // 8 + dr, square % 8 + df
            if 0 <= rank < 8 and 0 <= file < 8 and (not letter or rank == 7):
                expected[square, 8 * rank + file, letter] = 64 * plane + square
    assert [expected[split(name)] for name in _core.policy_moves()] == _core.convolution_policy_map().tolist()


def test_attention_map():
    expected = [4096 + 24 * (a % 8) + 3 * (b % 8) + "qrb".index(letter) if letter else 64 * a + b
                for a, b, letter in map(split, _core.policy_moves())]
    assert expected == _core.attention_policy_map().tolist()


@pytest.mark.parametrize("file", ["spec/expected_maia1900.jsonl", "spec/nets/expected.jsonl"])
def test_indices_of_reference_logits(reference, file):
    with open(reference / file) as lines:
        for v in map(json.loads, lines):
            game = _core.Game(v["fen"], v["moves"])
            input_format = next(f for f in (1, 3) if game.transform(f) == v["transform"])
            names = [game.uci(move, False) for move in game.legal_moves()]
            expected = {move: index for move, (index, _) in v["logits"].items()}
            assert dict(zip(names, game.policy_indices(input_format))) == expected


@pytest.mark.parametrize("king,transform", [
    ("f1", 0), ("c1", 1), ("f8", 2), ("c8", 3), ("h3", 4), ("a3", 5), ("h6", 6), ("a6", 7),
])
def test_policy_moves_the_way_the_planes_do(king, transform):
    """Our king is one bit of plane 5: every king move starts there, whatever the transform."""
    file, rank = FILES.index(king[0]), int(king[1]) - 1
    ranks = ["8", "8", "8", "3kq3", "8", "8", "8", "8"]
    ranks[7 - rank] = f"{file or ''}K{7 - file or ''}"
    game = _core.Game("/".join(ranks) + " w - - 0 1")
    assert game.transform(3) == transform
    square = int(game.planes(3)[0][5]).bit_length() - 1
    indices = game.policy_indices(3)
    assert {split(_core.policy_moves()[i])[0] for i in indices} == {square}
    assert len(set(indices)) == len(game.legal_moves())
