"""The games file and the generator: what is written comes back, a torn file loses its last game only, labels are legal moves."""
import random

import chess
import games
import make_data
import numpy as np
import pytest
import starts


def sample_game(index: int, plies: int) -> games.Game:
    entries = np.frombuffer(np.random.default_rng(index).bytes(plies * games.PLY.itemsize), games.PLY)
    return games.Game(index, chess.STARTING_FEN, index % 3, entries)


def test_games_come_back(tmp_path):
    path = tmp_path / "x.games"
    path.write_bytes(b"".join(games.to_bytes(sample_game(i, 40 + i)) for i in range(3)))
    for i, game in enumerate(games.read_games(path)):
        source = sample_game(i, 40 + i)
        assert (game.index, game.fen, game.result) == (i, source.fen, source.result)
        assert game.plies.tobytes() == source.plies.tobytes()


def test_torn_file_keeps_whole_games(tmp_path):
    path = tmp_path / "x.games"
    whole = b"".join(games.to_bytes(sample_game(i, 10)) for i in range(2))
    for cut in (1, 11, 60, 200):
        path.write_bytes(whole + games.to_bytes(sample_game(2, 10))[:cut])
        assert [game.index for game in games.read_games(path)] == [0, 1]


def test_foreign_file_is_refused(tmp_path):
    path = tmp_path / "x.games"
    path.write_bytes(b"no games here, but long enough")
    with pytest.raises(ValueError, match="no game at byte 0"):
        games.read_games(path)


def test_moves_and_gaps_survive_packing():
    for text in ("e2e4", "e1g1", "a7a8q", "h2h1n", "b7c8r", "g2f1b"):
        assert games.move_name(games.pack_move(chess.Move.from_uci(text))) == text
    exact = [games.unpack_gap(games.pack_gap(gap)) for gap in range(1600)]
    assert np.abs(exact - np.arange(1600)).max() < 15
    assert np.abs(exact[:31] - np.arange(31)).max() < 0.5


def test_start_boards_are_playable_and_varied():
    boards = [starts.start_board(random.Random(i)) for i in range(200)]
    assert all(board.is_valid() and not board.is_game_over() for board in boards)
    assert all(board.root().is_valid() for board in boards)
    men = [chess.popcount(board.occupied) for board in boards]
    assert min(men) <= 5 and sum(count >= 31 for count in men) > 100
    assert len({board.fen() for board in boards}) > 150


def test_first_search_names_the_best_move():
    """The second gives distances alone: none is above the best, and a mate that only the first saw stays the best by far."""
    line = make_data.Line
    several = [line("b2b3", 60, 0, 0), line("a2a3", 50, 0, 0), line("c2c3", -40, 0, 0)]
    merged = make_data.merge([line("a2a3", 30, 600, 100)], several)
    assert merged[0] == line("a2a3", 30, 600, 100)
    assert [(other.move, other.score) for other in merged[1:]] == [("b2b3", 30), ("c2c3", -60)]
    mate = make_data.merge([line("a2a3", games.MATE - 50, 1000, 0)], several)
    assert [other.score for other in mate] == [games.MATE - 50, 60, -40]
    assert make_data.merge([], []) == []


def test_generated_games_replay(games_folder):
    """Every move is legal, every labelled move too, and a game that the rules ended has their result."""
    indices, ended = [], 0
    for path in games_folder.glob("*.games"):
        for game in games.read_games(path):
            board = chess.Board(game.fen)
            indices.append(game.index)
            for ply in game.plies:
                labels = [games.move_name(code) for code in ply["moves"] if code]
                assert all(chess.Move.from_uci(name) in board.legal_moves for name in labels)
                assert (ply["score"] == games.UNSEARCHED) == (not labels)
                board.push_uci(games.move_name(ply["played"]))
            outcome = board.outcome(claim_draw=False)
            if outcome:
                ended += 1
                assert game.result == {"1-0": 2, "0-1": 0, "1/2-1/2": 1}[outcome.result()]
    assert sorted(indices) == list(range(70)) and ended > 10
