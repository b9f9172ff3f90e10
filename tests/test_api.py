"""The Python API as its docstrings promise it."""
import copy
import math
import pathlib
import pickle
import random
import threading
import time

import chess
import chess.variant
import lc0rocm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_a_null_move_that_the_network_no_longer_sees(net):
    board = chess.Board()
    board.push(chess.Move.null())
    for move in "e5 e4 Nf6 Nf3 d6 d4 Nc6 h3 a6 a3".split():
        board.push_san(move)
    assert len(net.evaluate(board)) == 1
    with pytest.raises(lc0rocm.Error, match=r"null move.* board.copy\(stack=8\)"):
        lc0rocm.Engine(net).search(board, nodes=1)
    assert lc0rocm.Engine(net).search(board.copy(stack=8), nodes=1).best_move


@pytest.mark.parametrize("field, value", [("halfmove_clock", 10**20), ("halfmove_clock", 2**32), ("fullmove_number", 10**20), ("fullmove_number", 2**32),
                                          ("ep_square", "e3"), ("pawns", -1), ("pawns", 2**64), ("pawns", "e2"), ("occupied_co", None),
                                          ("occupied_co", [1]), ("move_stack", None), ("castling_rights", 0.5)])
def test_attributes_that_no_board_has(net, field, value):
    board = chess.Board()
    setattr(board, field, value)
    for call in (lambda: net.evaluate([chess.Board(), board]), lambda: lc0rocm.Engine(net).search(board, nodes=1)):
        with pytest.raises(lc0rocm.Error, match="has an attribute that no chess.Board has: .|cannot be played"):
            call()


def test_moves_of_the_stack_that_are_none(net):
    board = played("e4", "e5")
    board.move_stack[1] = "e7e5"
    with pytest.raises(lc0rocm.Error, match="position 0: the board has an attribute"):
        net.evaluate(board)


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


# what callers mean, and what they are told -----------------------------------------------------------------------------

FEN = "8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"


@pytest.mark.parametrize("boards, count", [
    (chess.Board(), 1), (FEN, 1), ([FEN], 1), ((chess.Board(), FEN), 2), ((chess.Board() for _ in range(3)), 3), (iter([FEN]), 1),
    ({"a": chess.Board()}.values(), 1), (np.array([chess.Board(), chess.Board()], dtype=object), 2), (np.array([FEN] * 3), 3),
    (FEN + " moves e2e4 e5d6", 1), ([], 0),
])
def test_positions_may_come_as_a_caller_has_them(net, boards, count):
    assert len(net.evaluate(boards)) == count


def test_text_means_the_same_position_as_a_board(net):
    board = chess.Board(FEN)
    board.push_uci("e2e4")
    for text in (board.fen(), FEN + " moves e2e4"):
        np.testing.assert_allclose(net.evaluate(text).q, net.evaluate(chess.Board(board.fen()) if text == board.fen() else board).q, atol=1e-6)


@pytest.mark.parametrize("boards, expected", [
    (5, "positions are chess.Board objects or FEN text, one or several, not int"), (None, "not NoneType"), ([chess.Board(), 5], "position 1: .* not int"),
    (["no FEN"], "position 0: bad FEN"), ([chess.Move.from_uci("e2e4")], "position 0: .* not .*Move"), ([None], "not NoneType"),
    ([chess.Board(None)], "position 0: .* one king"), ([chess.Board("8/8/8/8/8/8/8/K1k5 w - - 0 1")], None),
    ([chess.Board("4k3/8/8/8/8/8/4R3/4K3 w - - 0 1")], "side that has just moved is in check"), (b"fen", "not bytes"),
    ({FEN: 1}, "not dict"), (np.array(FEN), "not ndarray"), (np.array([[FEN]]), "position 0: .* not numpy.ndarray"),
    ([FEN + " moves e2e5"], "position 0: illegal move"),
])
def test_wrong_positions_are_named(net, boards, expected):
    for method in (net.evaluate, net.planes, net.policies, net.move_indices):
        if expected is None:
            method(boards)
            continue
        with pytest.raises(lc0rocm.Error, match=expected):
            method(boards)


def test_an_illegal_move_of_the_game_is_named(net):
    board = chess.Board()
    board.push(chess.Move.from_uci("e2e5"))
    with pytest.raises(lc0rocm.Error, match="position 1: .* illegal move e2e5"):
        net.evaluate([chess.Board(), board])


@pytest.mark.parametrize("field, value", [("turn", chess.WHITE), ("castling_rights", chess.BB_EMPTY), ("halfmove_clock", 30),
                                          ("castling_rights", chess.BB_A1)])
def test_a_board_that_its_moves_do_not_lead_to_is_refused(net, field, value):
    board = played("Nf3", "e5", "a3", "e4", "d4")
    setattr(board, field, value)
    with pytest.raises(lc0rocm.Error, match="position 0: the board was changed after its last move; board.clear_stack"):
        net.evaluate(board)
    with pytest.raises(lc0rocm.Error, match="changed after its last move; board.clear_stack"):
        lc0rocm.Engine(net).search(board, nodes=1)


@given(st.integers(0, 10**9), st.booleans())
@settings(max_examples=60)
def test_no_board_that_is_played_is_refused(net, seed, chess960):
    dice = random.Random(seed)
    board = chess.Board.from_chess960_pos(dice.randrange(960)) if chess960 else chess.Board()
    for _ in range(dice.randrange(120)):
        if not (moves := list(board.legal_moves)):
            break
        special = [move for move in moves if board.is_castling(move) or board.is_en_passant(move) or move.promotion]
        board.push(dice.choice(special or moves))
        net.planes(board)
    for _ in range(dice.randrange(3)):
        if board.move_stack:
            board.pop()
            net.planes([board, board.copy(), board.copy(stack=False), board.copy(stack=2)])


def test_what_a_generator_raises_comes_through(net):
    def boards():
        yield chess.Board()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        net.evaluate(boards())


@pytest.mark.parametrize("arguments, expected", [
    ({"nodes": 0}, "nodes must be an integer from 1"), ({"nodes": -5}, "nodes must be"), ({"nodes": 1.5}, "nodes must be"),
    ({"nodes": True}, "nodes must be"), ({"nodes": np.True_}, "nodes must be"), ({"nodes": np.array([1, 2])}, "nodes must be"),
    ({"nodes": 1, "multipv": np.array([1])}, "multipv must be"), ({"time": np.array([1, 2])}, "time must be"),
    ({"nodes": 1, "searchmoves": b"e2e4"}, "not bytes"), ({"nodes": "10"}, "nodes must be"), ({"time": -1}, "time must be a number of 0 or more"),
    ({"time": math.nan}, "time must be"), ({"time": "1"}, "time must be"), ({"depth": 0}, "depth must be"), ({"depth": -3}, "depth must be"),
    ({"nodes": 1, "multipv": 0}, "multipv must be an integer from 1 to 500"), ({"nodes": 1, "multipv": 501}, "multipv must be"), ({}, "limit"),
    ({"nodes": 1, "searchmoves": ["e2e5"]}, "'e2e5' is no legal move"), ({"nodes": 1, "searchmoves": "0000"}, "'0000' is no legal move"),
    ({"nodes": 1, "searchmoves": ["--"]}, "'--' is no legal move"), ({"nodes": 1, "searchmoves": [5]}, "a move is a chess.Move"),
    ({"nodes": 1, "searchmoves": [chess.Move.from_uci("e7e5")]}, "'e7e5' is no legal move"),
    ({"nodes": 1, "searchmoves": 5}, "searchmoves are"), ({"nodes": 1, "on_update": 5}, "on_update is a function"),
])
def test_wrong_limits_are_named(net, arguments, expected):
    with pytest.raises(lc0rocm.Error, match=expected):
        lc0rocm.Engine(net).search(chess.Board(), **arguments)


@pytest.mark.parametrize("arguments, expected", [
    ({"weights": 5}, "path of a network file, not int"), ({"backend": 5}, "backend is text"), ({"backend_options": {"threads": 1}}, "not dict"),
    ({"history_fill": None}, "history_fill is text"), ({"history_fill": "maybe"}, "no, fen_only or always"), ({"backend": "gpu"}, "no back end 'gpu'"),
    ({"weights": str(NET.parent)}, None), ({"weights": bytes(NET)}, ""), ({"weights": str(NET)}, ""),
    ({"weights": "a\0b"}, "cannot be read"),
])
def test_a_network_says_what_it_wants(arguments, expected):
    arguments = {"weights": NET, "backend": "cpu"} | arguments
    if expected == "":
        assert lc0rocm.Network(**arguments).info.name == NET.name
        return
    with pytest.raises(lc0rocm.Error, match=expected):
        lc0rocm.Network(**arguments)


@pytest.mark.parametrize("options, expected", [([("Threads", 1)], "dictionary"), ({5: 1}, "no option '5'"), ({"Threads": None}, "Threads"),
                                               ({"Threads": 10**6}, "Threads")])
def test_an_engine_says_what_it_wants(net, options, expected):
    with pytest.raises(lc0rocm.Error, match=expected):
        lc0rocm.Engine(net, options)
    with pytest.raises(lc0rocm.Error, match="searches with an lc0rocm.Network, not str"):
        lc0rocm.Engine("net.pb.gz")


@pytest.mark.parametrize("board, expected", [(5, "not int"), (None, "not NoneType"), ("no FEN", "FEN"), (FEN + " moves e2e5", "illegal"),
                                             ([chess.Board()], "not list")])
def test_a_search_says_what_it_wants(net, board, expected):
    with pytest.raises(lc0rocm.Error, match=expected):
        lc0rocm.Engine(net).search(board, nodes=1)


def test_large_limits_are_limits(net):
    engine = lc0rocm.Engine(net)
    assert engine.search(chess.Board(), nodes=10**30, time=0.05).stopped_by == "time"
    assert engine.search(chess.Board(), nodes=np.int64(20)).nodes >= 20
    assert engine.search(FEN, nodes=10, depth=10**30, time=1e300).best_move


@pytest.mark.parametrize("moves", [["e2e4"], "e2e4", [chess.Move.from_uci("e2e4")], chess.Move.from_uci("e2e4"), ["e4"],
                                   np.array(["e2e4", "e4"]), np.array([chess.Move.from_uci("e2e4")] * 2, dtype=object), {"e2e4": 1}.keys()])
def test_searchmoves_may_be_text(net, moves):
    assert lc0rocm.Engine(net).search(chess.Board(), nodes=10, searchmoves=moves).best_move.uci() == "e2e4"


# policies and indices --------------------------------------------------------------------------------------------------


def test_temperature_0_is_the_best_move(net):
    board = played("e4", "c5")
    cold, warm = net.policy(board, temperature=0), net.policy(board)
    assert set(cold) == set(warm) and list(cold.values())[:2] == [1, 0] and next(iter(cold)) == next(iter(warm))
    assert net.policy(board, temperature=1e-30) == cold


@pytest.mark.parametrize("temperature", [-0.1, math.nan, "1", None])
def test_a_temperature_below_0_is_an_error(net, temperature):
    with pytest.raises(lc0rocm.Error, match="temperature must be a number of 0 or more"):
        net.policy(chess.Board(), temperature=temperature)


def test_policies_of_many_boards_are_those_of_each(net):
    boards = [chess.Board(), played("e4", "c5", "Nf3"), chess.Board("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1"), chess.Board.from_chess960_pos(17)]
    for board, policy in zip(boards, net.policies(boards, 1.5)):
        assert policy == pytest.approx(net.policy(board, 1.5), abs=1e-4)


def test_a_policy_is_the_softmax_of_the_logits_at_the_moves_places(net):
    board = played("d4", "d5", "c4")
    logits, places = net.evaluate(board).policy[0].astype(float), net.move_indices(board)[0]
    weights = {move: math.exp(logits[place] / 1.5) for move, place in places.items()}
    total = sum(weights.values())
    assert net.policy(board, 1.5) == pytest.approx({move: weight / total for move, weight in weights.items()}, rel=1e-4)


@pytest.mark.parametrize("board", [chess.Board("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"), played("e4"), chess.Board("8/P6k/8/8/8/8/7p/K7 w - - 0 1"),
                                   chess.Board("bnqbnrkr/pppppppp/8/8/8/8/PPPPPPPP/BNQBNRKR w HFhf - 0 1", chess960=True)])
def test_moves_and_indices_are_inverse(net, board):
    from lc0rocm import _core
    names = _core.policy_moves()
    for move in board.legal_moves:
        index = net.move_to_index(board, move)
        assert net.index_to_move(board, index) == move and net.move_to_index(board, move.uci()) == index
        if board.turn and move.promotion is None and not board.is_castling(move):
            assert names[index] == move.uci()
    with pytest.raises(lc0rocm.Error, match="no legal move has policy index"):
        net.index_to_move(board, next(i for i in range(1858) if i not in net.move_indices(board)[0].values()))
    for move in (chess.Move.from_uci("a3a4"), chess.Move.null(), "0000", "--", ""):
        with pytest.raises(lc0rocm.Error, match="no legal move"):
            net.move_to_index(board, move)


@pytest.mark.parametrize("index", [-1, "5", None, True, np.array([1, 2]), 10**30])
def test_what_is_no_index_of_a_legal_move_is_an_error(net, index):
    with pytest.raises(lc0rocm.Error, match="policy index"):
        net.index_to_move(chess.Board(), index)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_cannot_be_copied_says_what_to_do(net, copied):
    for thing, words in ((net, "make an lc0rocm.Network there"), (lc0rocm.Engine(net), "make an lc0rocm.Engine there")):
        with pytest.raises(lc0rocm.Error, match=words):
            copied(thing)


def test_results_can_be_sent_to_other_processes(net):
    results = lc0rocm.Engine(net).search(chess.Board(), nodes=3), net.info, lc0rocm.Error("text")
    assert [repr(result) for result in pickle.loads(pickle.dumps(results))] == [repr(result) for result in results]
    evaluation = net.evaluate(chess.Board())
    assert evaluation == evaluation and pickle.loads(pickle.dumps(evaluation)).q == evaluation.q


def test_what_is_known_of_a_network(net):
    info = net.info
    assert (info.name, info.path, info.input_format, info.backend) == ("random-attention.pb.gz", NET, 1, "cpu")
    assert info.parameters == info.description["Weights"]["Elements"] > 10**5 and info.wdl and info.policy_heads == ("vanilla",)
    heads = lc0rocm.Network(NET.parent / "attention-dense-multihead.pb.gz", backend="cpu", backend_options="policy_head=soft").info
    assert {"vanilla", "soft"} < set(heads.policy_heads) and "winner" in heads.value_heads
    empty = lc0rocm.Network(backend="random").info
    assert (empty.name, empty.path, empty.parameters, empty.policy_heads) == ("", None, 0, ())


@pytest.mark.parametrize("output", ["policy", "value"])
def test_outputs_that_are_no_numbers_are_an_error(tmp_path, output):
    import gzip

    from lc0rocm.netfile import netproto
    message = netproto.Net()
    name = {"policy": "classical-relu.pb.gz", "value": "random-attention.pb.gz"}[output]
    message.ParseFromString(gzip.decompress((NET.parent / name).read_bytes()))
    layer = message.weights.ip_pol_w if output == "policy" else message.weights.ip2_val_w
    layer.min_val, layer.max_val = 1e38, 1.2e38  # sums of them are beyond what a float holds
    broken = tmp_path / "broken.pb"
    broken.write_bytes(message.SerializeToString())
    with lc0rocm.Network(broken, backend="cpu") as net:
        with pytest.raises(lc0rocm.Error, match="no numbers for position 0"):
            net.evaluate([chess.Board(), played("e4")])
        if output == "policy":
            with pytest.raises(lc0rocm.Error, match="no numbers for position 0"):
                net.policies([chess.Board()])
        with pytest.raises(lc0rocm.Error, match="no numbers"):
            lc0rocm.Engine(net).search(chess.Board(), nodes=10)


def test_shares_are_never_below_0():
    with lc0rocm.Network(backend="random") as net:
        games = [chess.Board()]
        for i in range(300):
            games.append(games[-1].copy() if games[-1].legal_moves.count() else chess.Board())
            if moves := list(games[-1].legal_moves):
                games[-1].push(moves[i * 7 % len(moves)])
        wdl = net.evaluate(games).wdl
    assert wdl.min() >= 0 and wdl.max() <= 1
    np.testing.assert_allclose(wdl.sum(axis=1), 1, atol=1e-6)


# searches --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fen, q, wdl", [("R5k1/5ppp/8/8/8/8/8/4K3 b - - 0 1", -1, (0, 0, 1)), ("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", 0, (0, 1, 0))])
def test_a_game_that_is_over_has_its_result(net, fen, q, wdl):
    result = lc0rocm.Engine(net).search(fen, nodes=10)
    assert (result.best_move, result.q, result.wdl, result.pv, result.lines) == (None, q, wdl, [], [])


def test_many_lines(net):
    result = lc0rocm.Engine(net).search(chess.Board(), nodes=400, multipv=4)
    firsts = [line.moves[0] for line in result.lines]
    assert len(firsts) == len(set(firsts)) == 4 and firsts[0] == result.best_move and result.lines[0].moves == result.pv
    visits = [line.visits for line in result.lines]
    assert visits == sorted(visits, reverse=True) == [result.visits[move] for move in firsts]
    for line in result.lines:
        board = chess.Board()
        for move in line.moves:
            board.push(move) if move in board.legal_moves else pytest.fail(f"{move} in {line}")
        assert min(line.wdl) >= 0 and sum(line.wdl) == pytest.approx(1, abs=1e-5) and line.wdl[0] - line.wdl[2] == pytest.approx(line.q, abs=1e-5)


def test_with_temperature_the_result_is_that_of_the_move_that_is_played(net):
    engine = lc0rocm.Engine(net, {"Temperature": 5.0})
    chosen = set()
    for _ in range(12):
        engine.new_game()
        result = engine.search(chess.Board(), nodes=60, multipv=20)
        chosen.add(result.best_move)
        line = result.lines[0]
        assert (result.pv[0], line.moves[0]) == (result.best_move, result.best_move)
        assert (result.q, result.wdl, line.visits) == (line.q, line.wdl, result.visits[result.best_move])
        assert len({other.moves[0] for other in result.lines}) == 20
    assert len(chosen) > 1


def test_updates_come_to_the_caller_and_stop_ends_the_search(net):
    engine, seen = lc0rocm.Engine(net), []

    def on_update(update):
        seen.append((update, threading.get_ident()))
        if update.nodes >= 200:
            engine.stop()

    result = engine.search(chess.Board(), time=math.inf, multipv=2, on_update=on_update)
    assert result.stopped_by == "stop" and result.best_move and {thread for _, thread in seen} == {threading.get_ident()}
    assert [update.nodes for update, _ in seen] == sorted(update.nodes for update, _ in seen)
    assert all(len(update.lines) == 2 and update.depth >= 1 and update.time >= 0 for update, _ in seen)


def test_what_a_callback_raises_ends_the_search_and_not_the_engine(net):
    engine = lc0rocm.Engine(net)
    for work in (lambda: 1 / 0, lambda: engine.search(chess.Board(), nodes=1), engine.new_game):
        with pytest.raises((ZeroDivisionError, lc0rocm.Error), match="division|callback"):
            engine.search(chess.Board(), time=math.inf, on_update=lambda _, work=work: work())
        end = time.monotonic() + 60
        while engine._search.running:
            assert time.monotonic() < end, "it searches on"
    assert engine.search(chess.Board(), nodes=10).best_move


def test_a_board_may_be_played_on_while_it_is_searched(net):
    board = chess.Board()
    result = lc0rocm.Engine(net).search(board, nodes=60, on_update=lambda _: board.move_stack or board.push_san("e4"))
    assert board.move_stack and set(result.visits) == set(chess.Board().legal_moves) and result.best_move in result.visits


def test_stop_from_another_thread(net):
    engine = lc0rocm.Engine(net)
    engine.stop()  # nothing to stop
    timer = threading.Timer(0.2, engine.stop)
    timer.start()
    assert engine.search(chess.Board(), time=math.inf).stopped_by == "stop"
    timer.join()


def test_threads_that_share_an_engine_take_turns(net):
    engine, wrong = lc0rocm.Engine(net, {"Threads": 1}), []
    boards = [played("e4"), played("d4", "d5"), chess.Board(FEN), chess.Board("6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1")]

    def work(board):
        for i in range(6):
            result = engine.search(board, nodes=30 + i)
            if set(result.visits) != set(board.legal_moves) or result.best_move != result.pv[0] or result.nodes < 30:
                wrong.append((board.fen(), result))

    threads = [threading.Thread(target=work, args=(board,)) for board in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_history_fill_of_the_options_holds(net):
    board = chess.Board(FEN)
    fills = [{"HistoryFill": fill, "Threads": 1, "MinibatchSize": 1} for fill in ("no", "always")]
    assert len({lc0rocm.Engine(net, options).search(board, nodes=2).q for options in fills}) == 2


def test_every_public_name_is_told_in_the_docs():
    text = (pathlib.Path(__file__).parents[1] / "docs/python.md").read_text()
    for name in lc0rocm.__all__:
        value = getattr(lc0rocm, name)
        members = [member for member in vars(value) if not member.startswith("_")] if isinstance(value, type) else []
        missing = [word for word in [name, *members, *getattr(value, "__dataclass_fields__", ())] if f"`{word}" not in text and f".{word}" not in text]
        assert not missing or name == "Error", (name, missing)
