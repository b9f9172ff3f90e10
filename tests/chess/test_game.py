"""Moves as text, repetitions, hashes and dead positions."""
import random

import numpy as np
import pytest

from lc0rocm import _core

CASTLING = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 3 20"


@pytest.mark.parametrize("move,fen", [
    ("e1g1", "r3k2r/8/8/8/8/8/8/R4RK1 b kq - 4 20"),
    ("e1h1", "r3k2r/8/8/8/8/8/8/R4RK1 b kq - 4 20"),
    ("e1c1", "r3k2r/8/8/8/8/8/8/2KR3R b kq - 4 20"),
    ("e1a1", "r3k2r/8/8/8/8/8/8/2KR3R b kq - 4 20"),
    ("h1h8", "r3k2R/8/8/8/8/8/8/R3K3 b Qq - 0 20"),
])
def test_rook_and_king_moves_in_both_notations(move, fen):
    assert _core.Game(CASTLING, [move]).fen() == fen


@pytest.mark.parametrize("move,written", [("e8g8", "e8g8"), ("e8h8", "e8g8"), ("e8a8", "e8c8"), ("e8d8", "e8d8")])
def test_castling_is_written_as_the_gui_wants_it(move, written):
    game = _core.Game(CASTLING.replace(" w ", " b "))
    assert game.uci(move, False) == written
    assert game.uci(move, True) == {"e8g8": "e8h8", "e8c8": "e8a8"}.get(written, written)


@pytest.mark.parametrize("fen,move", [
    ("1k6/8/8/8/8/8/8/4K1R1 w K - 0 1", "e1g1"),
    ("1k6/8/8/8/8/8/8/5K1R w K - 0 1", "f1h1"),
])
def test_castling_from_other_files_stays_king_takes_rook(fen, move):
    assert _core.Game(fen).uci(move, False) == move


@pytest.mark.parametrize("move,man", [("a7a8q", "Q"), ("a7a8r", "R"), ("a7a8b", "B"), ("a7a8n", "N"), ("a7a8Q", "Q"), ("A7A8N", "N")])
def test_promotions(move, man):
    assert _core.Game("8/P6k/8/8/8/8/8/K7 w - - 5 9", [move]).fen() == f"{man}7/7k/8/8/8/8/8/K7 b - - 0 9"


def test_a_promotion_without_its_letter_is_no_move():
    with pytest.raises(_core.Error, match="'a7a8' needs the letter of its piece: a7a8q"):
        _core.Game("8/P6k/8/8/8/8/8/K7 w - - 5 9", ["a7a8"])
    with pytest.raises(_core.Error, match="'h2h1' needs .* h2h1n"):
        _core.Game("8/8/8/8/8/k7/7p/K7 b - - 5 9", ["h2h1"])


@pytest.mark.parametrize("move", [
    "", "e2", "e2e5", "e7e5", "e1e1", "a1h8", "e2e4q", "0000", "e1g1", "é2e4", "e2e4 ",
])
def test_illegal_moves(move):
    with pytest.raises(_core.Error, match="^illegal move "):
        _core.Game().push(move)


def test_a_failed_push_leaves_the_game_as_it_was():
    game = _core.Game(moves=["e2e4"])
    with pytest.raises(_core.Error):
        game.push("e2e4")
    assert game.fen() == "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"


def test_only_pseudo_legal_games_may_step_into_check():
    moves = ["e1g1", "e8c8", "g1h1"]  # the rook on h8 attacks h1
    with pytest.raises(_core.Error, match="^illegal move 'g1h1'"):
        _core.Game(CASTLING, moves)
    game = _core.Game(CASTLING, moves, pseudo_legal=True)
    assert "h8h1" not in game.legal_moves()
    with pytest.raises(_core.Error, match="^illegal move 'h8h1'"):
        game.push("h8h1")


def test_repetitions_count_up():
    game = _core.Game()
    shuffle = ["g1f3", "g8f6", "f3g1", "f6g8"]
    counts = []
    for move in shuffle * 3:
        game.push(move)
        counts.append(game.repetitions)
    assert counts == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert game.rule50 == 12


def test_lost_castling_rights_make_a_new_position():
    game = _core.Game(CASTLING, ["h1h2", "a8b8", "h2h1", "b8a8"])
    assert game.repetitions == 0


def test_the_position_after_a_pawn_move_counts():
    game = _core.Game(moves=["a2a3", "b8c6", "g1f3", "c6b8", "f3g1"])
    assert (game.repetitions, game.rule50) == (1, 4)


def test_en_passant_needs_a_pawn_beside_it():
    assert _core.Game(moves=["e2e4"]).fen().split()[3] == "-"
    assert _core.Game(moves=["e2e4", "a7a6", "e4e5", "d7d5"]).fen().split()[3] == "d6"


def test_hash_is_of_the_position_alone():
    one = _core.Game(moves=["g1f3", "g8f6", "b1c3"])
    other = _core.Game(moves=["b1c3", "g8f6", "g1f3"])
    assert one.hash == other.hash


def test_hash_tells_side_castling_and_en_passant():
    men = "r3k2r/8/8/3pP3/8/8/8/R3K2R"
    states = ["w KQkq -", "b KQkq -", "w KQk -", "w KQq -", "w Qkq -", "w Kkq -", "w KQkq d6"]
    fens = [f"{men} {state}" for state in states]
    fens.append("r3k2r/8/8/8/3Pp3/8/8/R3K2R b KQkq -")  # the first with colours swapped
    assert len({_core.Game(fen).hash for fen in fens}) == len(fens)


def test_no_two_of_a_hundred_thousand_positions_hash_alike():
    rng = random.Random(1)
    hashes = {}
    while len(hashes) < 100_000:
        game = _core.Game()
        for _ in range(150):
            if not (moves := game.legal_moves()):
                break
            game.push(rng.choice(moves))
            position = " ".join(game.fen().split()[:4])
            assert hashes.setdefault(position, game.hash) == game.hash  # however it came about
    assert len(set(hashes.values())) == len(hashes)


@pytest.mark.parametrize("men,dead", [
    ("k7/8/8/8/8/8/8/7K", True),
    ("k7/8/8/8/8/8/8/6NK", True),
    ("k7/8/8/8/8/8/8/6BK", True),
    ("k7/8/8/8/8/8/8/5NNK", False),
    ("kn6/8/8/8/8/8/8/6NK", False),
    ("kn6/8/8/8/8/8/8/6BK", False),
    ("kb6/8/8/8/8/8/8/6BK", True),   # both on dark squares
    ("kb6/8/8/8/8/8/8/5B1K", False),
    ("kb6/8/8/8/8/8/5B2/2B1B1BK", True),
    ("k7/8/8/8/8/8/P7/7K", False),
    ("k7/8/8/8/8/8/8/6RK", False),
    ("k7/8/8/8/8/8/8/6QK", False),
])
def test_insufficient_material(men, dead):
    assert _core.Game(f"{men} b - - 0 1").insufficient_material == dead


def test_a_copy_goes_its_own_way():
    game = _core.Game(moves=["e2e4", "e7e5"])
    copy = game.copy()
    copy.push("g1f3")
    assert (game.ply, copy.ply) == (2, 3) and game.hash != copy.hash


def test_a_game_is_an_input_with_its_history():
    moves = ["g1f3", "g8f6", "f3g1", "f6g8", "e2e4"]
    games = _core.Inputs([_core.Game(moves=moves[:i]) for i in range(6)], 1)
    texts = _core.Inputs([f"{_core.STARTPOS} moves {' '.join(moves[:i])}" for i in range(6)], 1)
    assert (games.planes == texts.planes).all() and (games.indices == texts.indices).all() and games.moves == texts.moves


def test_an_earlier_position_of_a_game():
    moves = ["g1f3", "g8f6", "f3g1", "f6g8", "e2e4"]
    game = _core.Game(moves=moves)
    for count in range(len(moves) + 1):
        earlier, again = game.at(count), _core.Game(moves=moves[:count])
        assert (earlier.fen(), earlier.repetitions, earlier.rule50) == (again.fen(), again.repetitions, again.rule50)
    game.at(2).push("e2e3")
    assert game.fen() == _core.Game(moves=moves).fen()
    for count in (-1, 6):
        with pytest.raises(_core.Error, match=f"the game has 5 moves, and not {count}"):
            game.at(count)


def test_a_policy_by_name():
    game = _core.Game("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1")
    shares = np.random.default_rng(1).dirichlet(np.ones(len(game.legal_moves()))).astype(np.float32)
    for chess960 in (False, True):
        policy = game.policy(shares, chess960)
        wanted = {game.uci(move, chess960): round(float(share), 6) for move, share in zip(game.legal_moves(), shares)}
        assert policy == wanted and list(policy.values()) == sorted(policy.values(), reverse=True)
    assert "e1g1" in game.policy(shares, False) and "e1h1" in game.policy(shares, True)
    with pytest.raises(_core.Error, match="a number for each legal move"):
        game.policy(shares[1:], False)
