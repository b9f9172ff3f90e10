"""Where games begin: files of openings in all forms, and random ones."""
import gzip

import chess
import pytest

from lc0rocm._core import Error
from lc0rocm.match.openings import Openings

EPD = """rnbqkbnr/pp1ppppp/8/2p5/4P3/8/PPPP1PPP/RNBQKBNR w KQkq c6 id "Sicilian"; hmvc 0; fmvn 2;
rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2

rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w
7k/5Q2/6K1/8/8/8/8/8 b - -
8/8/8/8/8/4k3/8/4K2R w K -
"""
PGN = """[Event "a"]\n[ECO "C60"]\n[Opening "Ruy Lopez"]\n\n1. e4 (1. d4 d5) e5 2. Nf3 Nc6 3. Bb5 a6 *\n
[Event "broken"]\n\n1. e4 e5 2. Ke3 *\n
[Event "over"]\n\n1. f3 e5 2. g4 Qh4# 0-1\n
[Event "from a position"]\n[FEN "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"]\n[SetUp "1"]\n\n1. O-O O-O-O *\n"""


def openings(path="", shuffled=False, seed=1, plies=0, chess960=False, most=1000):
    return Openings(str(path), shuffled, seed, plies, chess960, most)


@pytest.mark.parametrize("packed", [False, True])
def test_epd(tmp_path, packed, capsys):
    path = tmp_path / ("book.epd.gz" if packed else "book.epd")
    path.write_bytes(gzip.compress(EPD.encode()) if packed else EPD.encode())
    book = openings(path)
    assert len(book) == 3 and book[0].name == "Sicilian" and [book[i].fen.split()[0] for i in range(3)] == [
        line.split()[0] for line in EPD.splitlines() if line][:2] + ["8/8/8/8/8/4k3/8/4K2R"]
    assert book[3] == book[0] and book[1].fen.endswith(" 0 2")
    said = capsys.readouterr().err
    assert "line 4 is left out: an EPD has four fields" in said and "line 5 is left out: the game is over there (stalemate)" in said


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path, encoding, capsys):
    path = tmp_path / "book.txt"
    path.write_bytes(f"{chess.STARTING_FEN}\nM\u00fcller \u00e9 \u00e9 \u00e9 \u00e9\n".encode(encoding))
    assert len(openings(path)) == 1 and "line 2 is left out: bad FEN" in capsys.readouterr().err


@pytest.mark.parametrize("line, fen, name", [
    ('{start} w KQkq - bm Zz9; acd 12; id "a; b"; c0 "x', "w KQkq - 0 1", "a; b"), ("{start} w KQkq - id plain; hmvc 3; fmvn 7;", "w KQkq - 3 7", "plain"),
    ('{start} w KQkq - 3 7; ce 23; id "a"', "w KQkq - 3 7", "a"), ("{start} w KQkq -;", "w KQkq - 0 1", ""),
    ("  {start}\tw  HAha - 0 1 ; words", "w KQkq - 0 1", "")])
def test_operations_that_say_nothing_of_the_position(tmp_path, line, fen, name):
    (tmp_path / "book.epd").write_text(line.format(start=chess.STARTING_FEN.split()[0]) + "\n")
    start = openings(tmp_path / "book.epd")[0]
    assert (start.fen, start.name, start.chess960) == (f"{chess.STARTING_FEN.split()[0]} {fen}", name, False)


@pytest.mark.parametrize("castling", ["HFhf", "KQkq"])
def test_positions_of_chess960_are_played_as_what_they_are(tmp_path, castling):
    (tmp_path / "book.epd").write_text(f"{chess.STARTING_FEN}\nbqnbnrkr/pppppppp/8/8/8/8/PPPPPPPP/BQNBNRKR w {castling} - id x\n")
    book = openings(tmp_path / "book.epd")
    assert [(book[i].chess960, book[i].fen.split()[2]) for i in range(2)] == [(False, "KQkq"), (True, "KQkq")] and book.have_chess960


def test_pgn(tmp_path, capsys):
    path = tmp_path / "book.pgn"
    path.write_text(PGN)
    book = openings(path)
    assert len(book) == 2 and book[0].name == "C60 Ruy Lopez" and book[0].moves == ("e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6")
    assert book[1].moves == ("e1h1", "e8a8")
    said = capsys.readouterr().err
    assert "game 2 is left out" in said and "game 3 is left out: it is over (Black mates)" in said
    assert openings(path, plies=3)[0].moves == ("e2e4", "e7e5", "g1f3")
    assert len(openings(path, plies=2)) == 3, "the game that ends with mate has not ended by then"


def test_shuffled_is_another_order_of_all_by_the_seed(tmp_path):
    path = tmp_path / "book.epd"
    path.write_text("".join(f"4k3/8/8/8/8/8/8/R3K3 w - - 0 {n}\n" for n in range(1, 60)))
    plain, one, same, other = openings(path), openings(path, True), openings(path, True), openings(path, True, seed=2)
    lists = [[book[i].fen for i in range(59)] for book in (plain, one, same, other)]
    assert lists[1] == lists[2] != lists[3] and lists[0] != lists[1] and sorted(lists[0]) == sorted(lists[1]) == sorted(lists[3])
    assert len(openings(path, most=7)) == 7 and len(openings(path, True, most=7)) == 59
    assert openings(path).identity != openings(path, True).identity


def test_random_ones_differ_and_are_even():
    book, ends = openings(), set()
    for pair in range(20):
        board = chess.Board()
        for move in book[pair].moves:
            board.push_uci(move)
        assert not board.is_check() and board.ply() == 6
        ends.add(board.fen())
    assert len(ends) == 20 and book[3] == openings()[3] != openings(seed=2)[3]
    assert len(openings(plies=2)[0].moves) == 2


def test_random_start_positions_of_chess960():
    book = openings(chess960=True)
    assert len({book[i].fen for i in range(20)}) > 15 and all(book[i].chess960 for i in range(20))


@pytest.mark.parametrize("text", ["", "nonsense\n"])
def test_what_is_no_book(tmp_path, text):
    path = tmp_path / "book.epd"
    path.write_text(text)
    with pytest.raises(Error, match="holds no opening"):
        openings(path)
    with pytest.raises(Error, match="cannot read"):
        openings(tmp_path / "missing.pgn")
