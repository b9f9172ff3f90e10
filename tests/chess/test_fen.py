"""FEN in and out."""
import random
import re

import chess
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import _core

MIDDLE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R"
CHESS960 = "1rk1r3/8/8/8/8/8/8/R1K1R1R1"  # two rooks on White's kingside


@pytest.mark.parametrize("fen", [
    chess.STARTING_FEN,
    f"{MIDDLE} b Kq - 12 34",
    "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 3",
    "rnbqkbnr/1ppppppp/8/pP6/8/8/P1PPPPPP/RNBQKBNR w KQkq a6 0 3",
    f"{CHESS960} w KQkq - 0 1",
    f"{CHESS960} w EQkq - 0 1",
    "8/8/8/8/8/8/8/K1k5 w - - 149 200",
])
def test_fen_comes_back(fen):
    assert _core.Game(fen).fen() == fen


@pytest.mark.parametrize("rights,same", [
    ("GAeb", "KQkq"), ("EAeb", "EQkq"), ("Eb", "Eq"), ("QKqk", "KQkq"), ("AG", "KQ"),
])
def test_castling_rights_by_rook_file(rights, same):
    assert _core.Game(f"{CHESS960} w {rights} - 0 1").fen() == f"{CHESS960} w {same} - 0 1"


def test_games_fens_equal_those_of_python_chess():
    rng = random.Random(7)
    for number in range(40):
        board = chess.Board.from_chess960_pos(rng.randrange(960)) if number % 2 else chess.Board()
        board.chess960 = True
        game = _core.Game(board.fen())
        while not board.is_game_over(claim_draw=False) and board.ply() < 120:
            move = rng.choice(list(board.legal_moves))
            board.push(move)
            game.push(move.uci())
            assert game.fen() == board.fen(en_passant="xfen")
            assert game.ply == board.ply()


@pytest.mark.parametrize("fen,whole", [
    (f"{MIDDLE}", f"{MIDDLE} w - - 0 1"),
    (f"{MIDDLE} b", f"{MIDDLE} b - - 0 1"),
    (f"{MIDDLE} b KQkq", f"{MIDDLE} b KQkq - 0 1"),
    (f"{MIDDLE} w - - 7", f"{MIDDLE} w - - 7 1"),
    (f"  {MIDDLE}  w - -\t7  8 \n", f"{MIDDLE} w - - 7 8"),
    (f"{MIDDLE} w - - 7 0", f"{MIDDLE} w - - 7 1"),
])
def test_missing_fields_and_spaces(fen, whole):
    assert _core.Game(fen).fen() == whole


@pytest.mark.parametrize("fen,ply", [(chess.STARTING_FEN, 0), (f"{MIDDLE} b - - 0 1", 1), (f"{MIDDLE} w - - 0 40", 78)])
def test_ply_follows_the_move_number(fen, ply):
    assert _core.Game(fen).ply == ply


@pytest.mark.parametrize("fen,field,reason", [
    ("", "piece placement", "8 ranks of 8"),
    ("hello", "piece placement", "men are the letters"),
    ("8/8/8/8/8/8/8/K1k4 w", "piece placement", "8 ranks of 8"),
    ("8/8/8/8/8/8/8/K1k6 w", "piece placement", "8 squares"),
    ("8/8/8/8/8/8/8/K1k4p1 w", "piece placement", "8 squares"),
    ("8/8/8/8/8/8/K1k5 w", "piece placement", "8 ranks of 8"),
    ("8/8/8/8/8/8/8/8/K1k5 w", "piece placement", "8 ranks"),
    ("8/8/8/8/8/8/8/K1k4é w", "piece placement", "men are the letters"),
    ("8/8/8/8/8/8/8/K7 w", "piece placement", "one king"),
    ("8/8/8/8/8/8/8/K1kk4 w", "piece placement", "one king"),
    ("P7/8/8/8/8/8/8/K1k5 w", "piece placement", "first or last rank"),
    ("8/8/8/8/8/8/8/K1k4p w", "piece placement", "first or last rank"),
    ("8/8/8/8/P7/PPPPPPPP/8/K1k5 w", "piece placement", "8 pawns"),
    ("8/8/8/8/N7/NNNNNNNN/NNNNNNN1/K1k5 w", "piece placement", "16 men"),
    ("8/8/8/8/8/8/8/KRk5 w", "piece placement", "just moved is in check"),
    ("8/8/8/8/8/8/8/Kk6 w", "piece placement", "just moved is in check"),
    (f"{MIDDLE} x", "side to move", "w or b"),
    (f"{MIDDLE} w X", "castling rights", "KQkq"),
    (f"{MIDDLE} w KK", "castling rights", "same wing"),
    (f"{CHESS960} w GE", "castling rights", "same wing"),
    (f"{MIDDLE} w B", "castling rights", "no rook"),
    (f"{MIDDLE} w E", "castling rights", "no rook"),
    ("4k3/8/8/8/8/8/8/4K3 w K", "castling rights", "no rook"),
    ("4k3/8/8/8/8/8/4K3/7R w K", "castling rights", "king is not on its first rank"),
    (f"{MIDDLE} w - e9", "en-passant square", "a square or -"),
    (f"{MIDDLE} w - e66", "en-passant square", "a square or -"),
    (f"{MIDDLE} w - e3", "en-passant square", "rank 6"),
    (f"{MIDDLE} b - e6", "en-passant square", "rank 3"),
    (f"{MIDDLE} w - c6", "en-passant square", "no pawn"),
    ("4k3/4p3/8/4p3/8/8/8/4K3 w - e6", "en-passant square", "empty"),
    ("4k3/8/4n3/4p3/8/8/8/4K3 w - e6", "en-passant square", "empty"),
    (f"{MIDDLE} w - - x", "halfmove clock", "number"),
    (f"{MIDDLE} w - - -1", "halfmove clock", "number"),
    (f"{MIDDLE} w - - 99999999999999999999", "halfmove clock", "number"),
    (f"{MIDDLE} w - - 0 1.5", "move number", "number"),
    (f"{MIDDLE} w - - 0 1 e2e4", "end", "nothing may follow"),
])
def test_bad_fen_names_the_field(fen, field, reason):
    with pytest.raises(_core.Error, match=f"^bad FEN, {field} .*: .*{re.escape(reason)}"):
        _core.Game(fen)


def survives(fen):
    """Parses to a position that can be written, read and played, or raises Error."""
    try:
        game = _core.Game(fen)
    except _core.Error:
        return
    assert _core.Game(game.fen()).fen() == game.fen()
    assert len(game.legal_moves()) == _core.perft(fen, 1)
    _core.perft(fen, 2)
    for fill in ("no", "fen_only", "always"):
        game.planes(5, fill)


@settings(deadline=None)
@given(st.text())
def test_any_text(text):
    survives(text)


def test_damaged_fens():
    rng = random.Random(3)
    sources = [f"{MIDDLE} w KQkq - 0 1", f"{CHESS960} w EAeb - 3 9", "8/8/8/1k1pP3/8/8/8/1K6 w - d6 0 2"]
    for _ in range(20000):
        text = list(rng.choice(sources))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            noise = rng.choice(["", rng.choice("pnbrqkPNBRQK18/ -wbKQe36x"), chr(rng.randrange(1, 256))])
            text[at : at + rng.randint(0, 2)] = noise
            text = text or ["8"]
        survives("".join(text))
