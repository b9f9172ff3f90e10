"""Where training games start: mostly the opening, also unequal middlegames and endings with few pieces."""
import random

import chess

MIDDLEGAME, ENDING = 0.08, 0.1  # shares of games; the others start from the initial position


def random_moves(board: chess.Board, count: int, rng: random.Random) -> None:
    """Plays `count` random legal moves, fewer if the game ends."""
    for _ in range(count):
        moves = list(board.legal_moves)
        if not moves:
            return
        board.push(rng.choice(moves))


def thinned_board(rng: random.Random) -> chess.Board:
    """A shuffled opening from which each side has lost up to nine men, not the same ones."""
    board = chess.Board()
    random_moves(board, rng.randint(8, 24), rng)
    removed = rng.randint(0, 8)
    for color in chess.COLORS:
        men = list(chess.SquareSet(board.occupied_co[color] & ~board.kings))
        for square in rng.sample(men, removed + rng.randint(0, 1)):
            board.remove_piece_at(square)
    return board


def ending_board(rng: random.Random) -> chess.Board:
    """Two kings and one to eight other men anywhere, half of the men pawns."""
    board = chess.Board(None)
    squares = rng.sample(range(64), 10)
    for color in chess.COLORS:
        board.set_piece_at(squares.pop(), chess.Piece(chess.KING, color))
    for _ in range(rng.randint(1, 8)):
        square = squares.pop()
        pawn = rng.random() < 0.5 and 0 < chess.square_rank(square) < 7
        kind = chess.PAWN if pawn else rng.choice((chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN))
        board.set_piece_at(square, chess.Piece(kind, rng.random() < 0.5))
    board.turn = rng.random() < 0.5
    return board


def start_board(rng: random.Random) -> chess.Board:
    """A board whose root is the game's start position; its move stack holds the random opening moves."""
    kind = rng.random()
    if kind >= MIDDLEGAME + ENDING:
        board = chess.Board()
        random_moves(board, rng.choice((0, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 6, 8)), rng)
        return board
    while True:
        board = thinned_board(rng) if kind < MIDDLEGAME else ending_board(rng)
        board = chess.Board(board.fen(en_passant="legal"))  # drops castling rights without a rook, and the history
        if board.is_valid() and not board.is_game_over():
            board.halfmove_clock, board.fullmove_number = 0, max(1, 40 - chess.popcount(board.occupied))
            return board
