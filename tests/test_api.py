"""The Python API as its docstrings promise it."""
import pathlib

import chess
import chess.variant
import lc0rocm
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("error")


NET = pathlib.Path(__file__).parents[1] / "nets/random-attention.pb.gz"


@pytest.fixture(scope="module")
def net():
    with lc0rocm.Network(NET, backend="cpu") as net:
        yield net


def played(*moves: str) -> chess.Board:
    board = chess.Board()
    for move in moves:
        board.push_san(move)
    return board


def test_evaluate_gives_the_documented_shapes(net):
    out = net.evaluate([chess.Board(), played("e4"), played("e4", "c5", "Nf3")])
    assert [a.shape for a in (out.policy, out.q, out.wdl, out.moves_left)] == [(3, 1858), (3,), (3, 3), (3,)]
    assert all(a.dtype == np.float32 for a in (out.policy, out.q, out.wdl, out.moves_left))
    np.testing.assert_allclose(out.wdl.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(out.wdl[:, 0] - out.wdl[:, 2], out.q, atol=1e-6)


def test_evaluate_takes_no_boards_too(net):
    assert net.evaluate([]).policy.shape == (0, 1858)


def test_a_batch_gives_what_single_boards_give(net):
    boards = [chess.Board(), played("d4", "d5"), chess.Board("8/8/8/4k3/8/8/4P3/4K3 w - - 0 1")]
    together = net.evaluate(boards)
    for i, board in enumerate(boards):
        np.testing.assert_allclose(net.evaluate([board]).policy[0], together.policy[i], atol=1e-4)


def test_planes_show_the_start_position(net):
    planes = net.planes([chess.Board()])
    assert planes.shape == (1, 112, 8, 8) and planes.dtype == np.float32
    assert planes[0, 0, 1].all() and planes[0, 0].sum() == 8  # our pawns on the second rank
    assert planes[0, 5, 0, 4] == 1  # our king on e1


def test_planes_hold_the_history(net):
    planes = net.planes([played("e4", "e5")])[0]
    assert planes[0, 3, 4] == 1 and planes[13, 3, 4] == 1 and planes[26, 3, 4] == 0  # our pawn stands on e4 for two plies


def test_policy_is_a_distribution_over_the_legal_moves(net):
    board = played("e4", "e5", "Nf3", "Nc6", "Bb5", "Nf6")
    policy = net.policy(board)
    assert set(policy) == set(board.legal_moves)
    assert sum(policy.values()) == pytest.approx(1)
    assert list(policy.values()) == sorted(policy.values(), reverse=True)


def test_policy_follows_the_temperature(net):
    board = chess.Board()
    assert max(net.policy(board, temperature=5).values()) < max(net.policy(board, temperature=0.5).values())


def test_policy_of_a_finished_game_is_empty(net):
    assert net.policy(chess.Board("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1")) == {}


@pytest.mark.parametrize("board", [chess.Board.from_chess960_pos(518), chess.Board.from_chess960_pos(17)])
def test_chess960_boards_are_understood(net, board):
    assert set(net.policy(board)) == set(board.legal_moves)


def test_castling_is_given_in_the_notation_of_the_board(net):
    fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
    assert chess.Move.from_uci("e1g1") in net.policy(chess.Board(fen))
    assert chess.Move.from_uci("e1h1") in net.policy(chess.Board(fen, chess960=True))


def test_null_moves_and_variants_are_refused(net):
    board = chess.Board()
    board.push(chess.Move.null())
    with pytest.raises(lc0rocm.Error, match="null move"):
        net.evaluate([board])
    with pytest.raises(lc0rocm.Error, match="Chess960, not atomic"):
        net.evaluate([chess.variant.AtomicBoard()])


def test_a_closed_network_says_so():
    net = lc0rocm.Network(backend="cpu")
    net.close()
    with pytest.raises(lc0rocm.Error, match="closed"):
        net.evaluate([chess.Board()])


def test_the_net_of_the_package_is_the_default():
    with lc0rocm.Network(backend="cpu") as net:
        assert "of the package" in net.messages[0]
        assert next(iter(net.policy(chess.Board("6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1")))) == chess.Move.from_uci("a1a8")


@pytest.mark.parametrize("backend, options, told", [
    ("random", "seed=1,sede=2", ["sede"]),
    ("cpu", "threads=1,policy_head=vanilla,min_batch=4", ["min_batch"]),
    ("demux", "seed=1,delay=0,(backend=random,sede=2),(backend=random)", ["[0].sede"]),
    ("demux", "sede=1,(backend=random),(backend=random,seed=2)", ["sede"]),
])
def test_options_that_no_back_end_knows_are_named(backend, options, told):
    with lc0rocm.Network(NET, backend=backend, backend_options=options) as net:
        lines = [line for line in net.messages if "has no effect" in line]
    assert [line.split()[2] for line in lines] == told


def test_a_missing_file_is_named():
    with pytest.raises(lc0rocm.Error, match="no-such-net.pb.gz"):
        lc0rocm.Network("no-such-net.pb.gz", backend="cpu")


def test_search_finds_mate_in_one(net):
    result = lc0rocm.Engine(net).search(chess.Board("6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1"), nodes=400)
    assert result.best_move == chess.Move.from_uci("a1a8")
    assert result.q == 1 and result.pv == [result.best_move]


def test_search_reports_what_it_did(net):
    board = played("e4", "e5")
    result = lc0rocm.Engine(net, {"SmartPruningFactor": 0.0}).search(board, nodes=100)
    assert set(result.visits) == set(board.legal_moves)
    assert result.best_move == next(iter(result.visits)) == result.pv[0]
    assert result.nodes >= 100 and result.stopped_by == "nodes"
    assert sum(result.wdl) == pytest.approx(1, abs=1e-5)


def test_search_goes_on_with_its_tree(net):
    engine, board = lc0rocm.Engine(net, {"SmartPruningFactor": 0.0}), chess.Board()
    board.push(engine.search(board, nodes=200).best_move)
    kept = engine.search(board, nodes=1)
    assert kept.nodes > 10
    engine.new_game()
    assert engine.search(board, nodes=1).nodes < kept.nodes


def test_search_castles_in_the_notation_of_the_board(net):
    board = chess.Board("4k3/8/8/8/8/8/8/4K2R w K - 0 1")
    move = chess.Move.from_uci("e1g1")
    assert lc0rocm.Engine(net).search(board, nodes=10, searchmoves=[move]).best_move == move


def test_search_of_a_finished_game_has_no_move(net):
    assert lc0rocm.Engine(net).search(chess.Board("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1"), nodes=10).best_move is None


def test_search_wants_a_limit_and_known_options(net):
    with pytest.raises(lc0rocm.Error, match="limit"):
        lc0rocm.Engine(net).search(chess.Board())
    with pytest.raises(lc0rocm.Error, match="CPuctt"):
        lc0rocm.Engine(net, {"CPuctt": 1.0})
