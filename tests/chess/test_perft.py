"""Legal moves: perft tables, and python-chess on random positions."""
import random

import chess
import pytest

from lc0rocm import _core

# The six usual positions with their published counts.
PUBLISHED = [
    (chess.STARTING_FEN, [20, 400, 8902, 197281, 4865609]),
    ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", [48, 2039, 97862, 4085603]),
    ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", [14, 191, 2812, 43238, 674624, 11030083]),
    ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", [6, 264, 9467, 422333, 15833292]),
    ("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", [44, 1486, 62379, 2103487]),
    ("r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10", [46, 2079, 89890, 3894594]),
]

# By number of the start position; counts by python-chess.
CHESS960 = [
    (0, [20, 400, 9006, 201143, 4975808]),
    (33, [20, 400, 8840, 194817, 4714873]),
    (137, [19, 361, 7832, 169493, 4114218]),
    (210, [20, 400, 8858, 195449, 4789695]),
    (300, [19, 361, 7759, 165888, 3968770]),
    (404, [20, 400, 9072, 204305, 5116256]),
    (606, [19, 361, 7797, 167695, 4036570]),
    (731, [20, 400, 9020, 202821, 5042399]),
    (842, [19, 361, 7820, 167965, 4035028]),
    (900, [19, 361, 7710, 163798, 3914548]),
    (959, [20, 400, 9006, 201143, 4973573]),
]


@pytest.mark.parametrize("fen,counts", PUBLISHED)
def test_published_counts(fen, counts):
    assert [_core.perft(fen, depth) for depth in range(1, len(counts) + 1)] == counts


@pytest.mark.parametrize("number,counts", CHESS960)
def test_chess960_start_positions(number, counts):
    fen = chess.Board.from_chess960_pos(number).fen()
    assert [_core.perft(fen, depth) for depth in range(1, len(counts) + 1)] == counts


def test_perft_of_depth_0_is_the_position_itself():
    assert _core.perft(chess.STARTING_FEN, 0) == 1


def game_positions(rng, count, chess960):
    """Every position of random games."""
    boards = []
    while len(boards) < count:
        board = chess.Board.from_chess960_pos(rng.randrange(960)) if chess960 else chess.Board()
        board.chess960 = True  # castling as king takes rook
        for _ in range(150):
            moves = list(board.legal_moves)
            if not moves:
                break
            castlings = [move for move in moves if board.is_castling(move)]
            board.push(rng.choice(castlings or moves))
            boards.append(board.copy(stack=False))
    return rng.sample(boards, count)


def scattered_positions(rng, count):
    """Random men on random squares: checks, pins, promotions and en passant are everywhere."""
    boards = []
    while len(boards) < count:
        board = chess.Board(None, chess960=True)
        board.turn = rng.random() < 0.5
        squares = rng.sample(range(64), rng.randint(3, 24))
        for i, square in enumerate(squares):
            board.set_piece_at(square, chess.Piece(rng.choice([1, 1, 2, 3, 4, 5]) if i > 1 else chess.KING, i % 2 == 0))
        fifth_rank = 4 if board.turn else 3
        fifth = [s for s in board.pieces(chess.PAWN, not board.turn) if chess.square_rank(s) == fifth_rank]
        if fifth:
            board.ep_square = fifth[0] + (8 if board.turn else -8)
        for color, home in ((True, chess.BB_RANK_1), (False, chess.BB_RANK_8)):
            if board.pieces_mask(chess.KING, color) & home:
                rooks = board.pieces_mask(chess.ROOK, color) & home
                king = board.king(color)
                wings = [[s for s in chess.SquareSet(rooks) if (s > king) == east] for east in (False, True)]
                board.castling_rights |= sum(chess.BB_SQUARES[rng.choice(wing)] for wing in wings if wing)
        if board.is_valid():
            boards.append(board)
    return boards


@pytest.fixture(scope="module")
def random_positions():
    rng = random.Random(20261120)
    return game_positions(rng, 700, False) + game_positions(rng, 700, True) + scattered_positions(rng, 600)


def test_legal_moves_of_2000_random_positions(random_positions):
    for board in random_positions:
        expected = sorted(move.uci() for move in board.legal_moves)
        assert sorted(_core.Game(board.fen()).legal_moves()) == expected, board.fen()


def test_perft_2_of_random_positions(random_positions):
    for board in random_positions[::10]:
        leaves = 0
        for move in board.legal_moves:
            board.push(move)
            leaves += board.legal_moves.count()
            board.pop()
        assert _core.perft(board.fen(), 2) == leaves, board.fen()


def test_check_in_random_positions(random_positions):
    for board in random_positions:
        assert _core.Game(board.fen()).in_check == board.is_check(), board.fen()


@pytest.mark.parametrize("fen", [
    "R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1",  # 218, the most of any reachable position
    "1Q5Q/3Q4/Q4Q2/2Q4Q/6Q1/1Q1Q4/4Q1Q1/k1Q1Q2K b - - 0 1",
    "QQQQQ3/Q7/Q6Q/Q6Q/7Q/k6Q/7Q/1K5Q b - - 0 1",
])
def test_positions_with_many_queens(fen):
    assert len(_core.Game(fen).legal_moves()) == chess.Board(fen).legal_moves.count()
