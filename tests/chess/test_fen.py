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
])
def test_bad_fen_names_the_field(fen, field, reason):
    with pytest.raises(_core.Error, match=f"^bad FEN, {field} .*: .*{re.escape(reason)}"):
        _core.Game(fen)


@pytest.mark.parametrize("given,played,remark", [
    # castling rights: no rook, no king, no letter, twice
    ("4k3/8/8/8/8/8/8/4K3 w K - 0 1", "4k3/8/8/8/8/8/8/4K3 w - - 0 1", "castling right K (there is no rook"),
    ("4k3/8/8/8/8/8/4K3/7R w K - 0 1", "4k3/8/8/8/8/8/4K3/7R w - - 0 1", "castling right K (its king is not on its first rank"),
    (f"{MIDDLE} w KQkqX - 0 1", f"{MIDDLE} w KQkq - 0 1", "castling right X (rights are"),
    (f"{MIDDLE} w BE - 0 1", f"{MIDDLE} w - - 0 1", "right E (there is no rook"),
    (f"{CHESS960} w GE - 0 1", f"{CHESS960} w KQ - 0 1".replace(" KQ ", " K "), "right E (another rook"),
    ("2b1k1nB/1p3p1p/n4b2/1NPp4/P7/8/2r1PPPP/R3KBNR b KQk - 0 14", "2b1k1nB/1p3p1p/n4b2/1NPp4/P7/8/2r1PPPP/R3KBNR b KQ - 0 14", "right k"),
    # en-passant squares
    (f"{MIDDLE} w - e9 0 1", f"{MIDDLE} w - - 0 1", "square e9 (it is no square"),
    (f"{MIDDLE} w - e3 0 1", f"{MIDDLE} w - - 0 1", "square e3 (with White to move"),
    (f"{MIDDLE} b - e6 0 1", f"{MIDDLE} b - - 0 1", "square e6 (with Black to move"),
    (f"{MIDDLE} w - c6 0 1", f"{MIDDLE} w - - 0 1", "square c6 (no pawn has just passed"),
    ("4k3/4p3/8/4p3/8/8/8/4K3 w - e6", "4k3/4p3/8/4p3/8/8/8/4K3 w - - 0 1", "square e6 (no pawn"),
    ("4k3/8/4n3/4p3/8/8/8/4K3 w - e6", "4k3/8/4n3/4p3/8/8/8/4K3 w - - 0 1", "square e6 (no pawn"),
    # clocks, and what databases write behind
    (f"{MIDDLE} w - - -1 5", f"{MIDDLE} w - - 0 5", "halfmove clock -1"),
    (f"{MIDDLE} w - - 99999999999999999999 5", f"{MIDDLE} w - - 0 5", "halfmove clock 9999"),
    (f"{MIDDLE} w - - 0 1.5", f"{MIDDLE} w - - 0 1", "move number 1.5"),
    (f"{MIDDLE} w - - - 7", f"{MIDDLE} w - - 0 7", ""),
    (f'{MIDDLE} w KQkq - bm Nf7; id "BK.01";', f"{MIDDLE} w KQkq - 0 1", """'bm Nf7; id "BK.01";'"""),
    (f"{MIDDLE} w - - 0 1 e2e4", f"{MIDDLE} w - - 0 1", "the end 'e2e4'"),
    # no faults at all
    (f"{MIDDLE} W KQkq E-", f"{MIDDLE} w KQkq - 0 1", "square E-"),
    (f"{MIDDLE} black KQkq - 3 4", f"{MIDDLE} b KQkq - 3 4", ""),
    (f'"{MIDDLE} w KQkq - 3 4"', f"{MIDDLE} w KQkq - 3 4", ""),
    (f"{MIDDLE}_w_KQkq_-_3_4", f"{MIDDLE} w KQkq - 3 4", ""),
    (f"{MIDDLE} w kqKQ - 3 4", f"{MIDDLE} w KQkq - 3 4", ""),
])
def test_what_means_nothing_is_left_out_and_said(given, played, remark):
    game = _core.Game(given)
    assert game.fen() == played
    assert remark in game.remarks and bool(remark) == bool(game.remarks) and "\n" not in game.remarks
    assert _core.Game(played).remarks == ""


@pytest.mark.parametrize("men,rights,kept", [
    ("r3k2r/pppppppp/8/8/8/8/PPPPPPPP/R2K3R", "KQkq", "kq"), ("r2qk2r/pppppppp/8/8/8/8/PPPPPPPP/R2KQ2R", "KQkq", "kq"),
    ("rnbqkbnr/pppppppp/8/8/8/5BN1/PPPPPPPP/RNBQ1RK1", "HQkq", "kq"), ("r3k2r/8/8/8/8/8/8/R3K2R", "HAha", "KQkq"),
    ("4k3/8/8/8/8/8/8/4K1R1", "K", "-"), ("4k3/8/8/8/8/8/8/1R2K2R", "KQ", "K"),
])
def test_without_chess960_kings_castle_from_e_with_rooks_on_a_and_h(men, rights, kept):
    game = _core.Game(f"{men} b {rights} - 0 1", chess960=False)
    assert game.fen().split()[2] == kept and bool(game.remarks) == (rights != "HAha")
    if kept != "KQkq" and "4k3" not in men:
        assert "UCI_Chess960 is off" in game.remarks


@settings(max_examples=300)
@given(st.randoms(use_true_random=False), st.booleans(), st.text("KQkqAHahBGbgCF", max_size=4),
       st.sampled_from([chess.square_name(square) for square in range(64)] + ["-"]), st.integers(0, 3))
def test_rights_and_squares_mean_what_they_mean_to_python_chess(dice, chess960, rights, square, displaced):
    board = chess.Board.from_chess960_pos(dice.randrange(960)) if chess960 else chess.Board()
    for _ in range(dice.randrange(60)):
        if moves := list(board.legal_moves):
            board.push(dice.choice(moves))
    for _ in range(displaced):  # as people do who set up positions
        from_square, to_square = dice.choice(list(board.piece_map())), dice.randrange(64)
        if board.piece_type_at(to_square) != chess.KING and (board.piece_type_at(from_square) != chess.PAWN or 8 <= to_square < 56):
            board.set_piece_at(to_square, board.remove_piece_at(from_square))
    sides = [dict.fromkeys(c for c in rights if c.isupper() == upper and (c in "KQkq" or not chess960)) for upper in (True, False)]
    rights = "".join(letter for side in sides for letter in [*side][:2]) or "-"
    fen = f"{board.board_fen()} {'w' if board.turn else 'b'} {rights} {square} 0 1"
    expected = chess.Board(fen, chess960=chess960)
    expected.castling_rights = expected.clean_castling_rights()
    if expected.status() & chess.STATUS_INVALID_EP_SQUARE:
        expected.ep_square = None
    if expected.was_into_check():
        with pytest.raises(_core.Error, match="just moved is in check"):
            _core.Game(fen, chess960=chess960)
        return
    game = _core.Game(fen, chess960=chess960)
    assert set(game.legal_moves()) == {expected.uci(move, chess960=True) for move in expected.legal_moves}
    assert game.fen() == expected.fen(en_passant="fen")
    assert ("en-passant" in game.remarks) == (expected.ep_square is None and square != "-")
    if set(game.fen().split()[2]) >= set(rights):
        assert "castling" not in game.remarks
    elif game.fen().split()[2] == "-":
        assert "castling" in game.remarks


def survives(fen, chess960):
    """Parses to a position that can be written, read and played, or raises Error."""
    try:
        game = _core.Game(fen, chess960=chess960)
    except _core.Error:
        return
    again = _core.Game(game.fen(), chess960=chess960)
    assert again.fen() == game.fen() and again.remarks == "" and len(game.remarks) < 1000
    assert len(game.legal_moves()) == _core.perft(game.fen(), 1)
    _core.perft(game.fen(), 2)
    for fill in ("no", "fen_only", "always"):
        game.planes(5, fill)


@given(st.text(), st.booleans())
def test_any_text(text, chess960):
    survives(text, chess960)


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
        survives("".join(text), rng.random() < 0.5)
