"""Training records read as docs/spec/training_data.md describes them, and compared with boards of python-chess: nothing of the package's own."""
import gzip
import math
import pathlib
import struct

import chess

LAYOUT = struct.Struct("<II1858f104Q4B4B15fIHHff")
VALUES = ("root_q", "best_q", "root_d", "best_d", "root_m", "best_m", "plies_left", "result_q", "result_d", "played_q", "played_d", "played_m",
          "orig_q", "orig_d", "orig_m")
INDEX = {name: i for i, name in enumerate((pathlib.Path(__file__).parents[1] / "reference/spec/policy_index.txt").read_text().split())}
PIECES = [chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING]
MIRROR, TURN, REFLECT = 1, 2, 4
ALL = set(range(64))


def read(data: bytes) -> list[dict]:
    data = gzip.decompress(data)
    assert len(data) % 8356 == 0 and LAYOUT.size == 8356
    return [fields(LAYOUT.unpack_from(data, at)) for at in range(0, len(data), 8356)]


def fields(numbers: tuple) -> dict:
    numbers = list(numbers)
    take = lambda count: [numbers.pop(0) for _ in range(count)]
    record = {"version": take(1)[0], "format": take(1)[0], "probabilities": take(1858), "planes": [squares(plane) for plane in take(104)],
              "castling": take(4)}
    record |= dict(zip(("side", "rule50", "invariance", "zero"), take(4))) | dict(zip(VALUES, take(15)))
    record |= dict(zip(("visits", "played_idx", "best_idx", "policy_kld", "q_st"), take(5)))
    assert not numbers
    return record


def squares(plane: int) -> set[int]:
    """Of a plane: a byte a rank, the first file its highest bit."""
    return {8 * rank + file for rank in range(8) for file in range(8) if plane >> (8 * rank + 7 - file) & 1}


def moved(square: int, transform: int) -> int:
    rank, file = divmod(square, 8)
    if transform & MIRROR:
        file = 7 - file
    if transform & TURN:
        rank = 7 - rank
    return 8 * (7 - file) + 7 - rank if transform & REFLECT else 8 * rank + file


def loses(board: chess.Board, move: chess.Move, moves: int = 2) -> bool:
    """Whether the other side mates within so many moves of its own."""
    board = board.copy(stack=False)
    board.push(move)
    for reply in list(board.legal_moves):
        board.push(reply)
        answers = list(board.legal_moves)
        if board.is_checkmate() or moves > 1 and answers and all(loses(board, answer, moves - 1) for answer in answers):
            return True
        board.pop()
    return False


def check(record: dict, board: chess.Board, format: int, visits: int) -> None:
    """All that a board says of its record. board: with the moves before it; of Chess960."""
    canonical, black = format >= 3, board.turn == chess.BLACK
    transform = record["invariance"] & 7
    assert (record["version"], record["format"], record["zero"], record["q_st"], record["visits"]) == (6, format, 0, 0, visits)
    assert record["invariance"] >> 7 == (canonical and black) and not record["invariance"] & 64
    check_transform(transform, board, canonical)

    past, seen = board.copy(), []
    while True:
        seen.append(past.copy())
        if not past.move_stack:
            break
        past.pop()
    if format == 5:  # of the earlier boards those alone that had been there before
        seen = seen[:1] + [earlier for earlier in seen[1:] if earlier.is_repetition(2)]
    is_there = True
    for i in range(8):
        planes = record["planes"][13 * i:13 * i + 13]
        if i < len(seen) and any(planes):
            assert is_there and planes[:12] == men(seen[i], black, transform)
        else:
            # Before the start of a game there is nothing, but for a pawn's double step in the FEN.
            assert not any(planes) or not canonical and i == len(seen) and seen[-1].ep_square is not None
            assert i and (i >= len(seen) or canonical)
            is_there = False
    if not any(position.ep_square for position in seen):
        assert record["planes"][12] == (ALL if board.is_repetition(2) else set())

    assert record["castling"] == castling(board, format) and record["rule50"] == board.halfmove_clock
    if not canonical:
        assert record["side"] == black
    elif board.ep_square is None or not board.has_pseudo_legal_en_passant() and board.move_stack:
        assert record["side"] == 0
    else:
        assert record["side"] == 1 << (moved(board.ep_square, transform) & 7)

    legal = {index(board, move, transform): move for move in board.legal_moves}
    shares = record["probabilities"]
    assert {i for i, share in enumerate(shares) if share != -1} == legal.keys() and all(0 <= shares[i] <= 1 for i in legal)
    assert math.isclose(sum(shares[i] for i in legal), 1, abs_tol=1e-5)
    assert {record["played_idx"], record["best_idx"]} <= legal.keys()
    if not record["invariance"] & 8:
        most = legal[max(legal, key=lambda i: shares[i])]
        assert shares[record["best_idx"]] == max(shares) or loses(board, most)  # then the search knows better than its visits
    for name in ("root", "best", "played", "result"):
        q, d = record[f"{name}_q"], record[f"{name}_d"]
        assert -1 <= q <= 1 and 0 <= d <= 1 and abs(q) + d <= 1 + 1e-6
    assert all(math.isfinite(record[name]) for name in VALUES) and record["policy_kld"] > 0


def check_transform(transform: int, board: chess.Board, canonical: bool) -> None:
    if not canonical or board.castling_rights:
        assert transform == 0
        return
    king = board.king(board.turn) ^ (56 if board.turn == chess.BLACK else 0)
    assert bool(transform & MIRROR) == (king & 7 <= 3)
    if board.pawns:
        assert transform <= MIRROR
    else:
        rank, file = divmod(moved(king, transform), 8)
        assert file >= 4 and rank <= 3 and rank + file <= 7


def men(board: chess.Board, black: bool, transform: int) -> list[set[int]]:
    ours = chess.BLACK if black else chess.WHITE
    return [{moved(square ^ (56 if black else 0), transform) for square in board.pieces(kind, side)} for side in (ours, not ours) for kind in PIECES]


def castling(board: chess.Board, format: int) -> list[int]:
    found = []
    for side in (board.turn, not board.turn):
        rooks = [square & 7 for square in chess.SquareSet(board.castling_rights & (chess.BB_RANK_1 if side else chess.BB_RANK_8))]
        king = (board.king(side) or 0) & 7
        for wing in ([file for file in rooks if file < king], [file for file in rooks if file > king]):
            found.append((1 << wing[0] if format > 1 else 1) if wing else 0)
    return found


def index(board: chess.Board, move: chess.Move, transform: int) -> int:
    """Of a move of a board of Chess960, whose castling is king takes rook."""
    turned = 56 if board.turn == chess.BLACK else 0
    name = "".join(chess.square_name(moved(square ^ turned, transform)) for square in (move.from_square, move.to_square))
    return INDEX[name + ("" if move.promotion in (None, chess.KNIGHT) else chess.piece_symbol(move.promotion))]
