"""Games out of files as ChessBase, lichess, chess.com, TWIC and people write them."""
import io
import os
import random

import chess
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc0rocm import Error
from lc0rocm.analysis import split
from lc0rocm.annotation import games

TWO = ["a", "d4 d5"], ["c", "e4"]
CASES = {
    "one blank line": ('[White "a"]\n\n1. d4 d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "two blank lines after the headers": ('[White "a"]\n\n\n1. d4 d5 *\n\n\n\n[White "c"]\n\n\n1. e4 *\n', *TWO),
    "none between games": ('[White "a"]\n\n1. d4 d5 *\n[White "c"]\n\n1. e4 *\n', *TWO),
    "none after the headers": ('[White "a"]\n1. d4 d5 *\n\n[White "c"]\n1. e4 *\n', *TWO),
    "no result": ('[White "a"]\n\n1. d4 d5\n\n[White "c"]\n\n1. e4\n', *TWO),
    "blank lines within the moves": ('[White "a"]\n\n1. d4\n\n1... d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a blank line in a comment": ('[White "a"]\n\n1. d4 {x\n\n[White "c"]\n\ny} d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "braces in a comment": ('[White "a"]\n\n1. d4 {a {b} c} d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a brace in a comment to the end of the line": ('[White "a"]\n\n1. d4 ; { no\n d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a result in a comment": ('[White "a"]\n\n1. d4 {drawn, 1/2-1/2\n} {0-1} d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a comment behind the result": ('[White "a"]\n\n1. d4 d5 1-0\n{White wins}\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "text before the first game": ('{ A file of mine }\n\n[White "a"]\n\n1. d4 d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "no headers": ("1. d4 d5 *\n\n1. e4 *\n", ["?", "d4 d5"], ["?", "e4"]),
    "no headers and no results": ("1. d4 d5\n\n1. e4\n", ["?", "d4 d5"], ["?", "e4"]),
    "two games pasted without a blank line": ("1. d4 d5 *\n1. e4 *\n", ["?", "d4 d5"], ["?", "e4"]),
    "Windows' lines": ('\ufeff[White "a"]\r\n\r\n1. d4 d5 *\r\n\r\n[White "c"]\r\n\r\n1. e4 *', *TWO),
    "files put together, each with its mark": ('\ufeff[White "a"]\n\n1. d4 d5 *\n\n\ufeff[White "c"]\n\n1. e4 *\n', *TWO),
    "a line for other programs": ('[White "a"]\n\n% {\n1. d4 d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a header that is not ended": ('[White "a"]\n[Event "b\n[Site "x"]\n\n1. d4 d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "a comment that is not ended": ('[Event "x"]\n\n1. d4 {a d5 *\n\n[Event "y"]\n[White "c"]\n\n1. e4 *\n', "never closed", ["c", "e4"]),
    "lichess": ('[Event "Rated blitz game"]\n[White "a"]\n\n1. d4 { [%eval 0.2] [%clk 0:03:00] } 1... d5 { [%eval 0.1] [%clk 0:03:00] } { D00 Queen\'s Pawn }'
                " 1/2-1/2\n\n\n", ["a", "d4 d5"]),
    "chess.com": ('[Event "Live Chess"]\n[White "a"]\n[ECOUrl "https://www.chess.com/openings/x"]\n[CurrentPosition "rnbqkbnr/8 w"]\n\n'
                  "1. d4 {[%clk 0:02:59.9]} 1... d5 {[%clk 0:02:58.1]} 1-0\n", ["a", "d4 d5"]),
    "TWIC": ('[Event "x"]\n[White "a"]\n[WhiteFideId "123"]\n[EventDate "2024.01.01"]\n\n1.d4 d5 1/2-1/2\n\n', ["a", "d4 d5"]),
    "ChessBase": ('[Event "?"]\n[White "a"]\n[Annotator "x"]\n[PlyCount "2"]\n\n{[#]} 1. d4 $1 {[%csl Gd4][%cal Gd2d4]} (1. e4 $5 e5 (1... c5 $13) 2. Nf3)'
                  " 1... d5 $146 1-0\n\n", ["a", "d4 d5"]),
    "forfeited": ('[White "a"]\n[Result "1-0"]\n\n1-0\n\n[White "c"]\n\n1. e4 *\n', ["a", ""], ["c", "e4"]),
    "headers alone": ('[White "a"]\n[Result "*"]\n', ["a", ""]),
    "headers alone, and another game": ('[White "a"]\n[Result "*"]\n\n[White "c"]\n\n1. e4 *\n', ["a", ""], ["c", "e4"]),
    "headers and a comment alone": ('[White "a"]\n\n{not played}\n\n[Event "x"]\n[White "c"]\n\n1. e4 *\n', ["a", ""], ["c", "e4"]),
    "a blank line within the headers": ('[White "a"]\n\n[Black "x"]\n\n1. d4 d5 *\n\n[White "c"]\n\n1. e4 *\n', *TWO),
    "headers in one line, and moves behind them": ('[Event "x"][White "a"] [Black "b"] 1. d4 d5 *\n[Event"y"] [ White "c" ]\n1. e4 *\n', *TWO),
    "points as one sign": ('[White "a"]\n\n1\u2026 d4 1\u2026d5 *\n', ["a", "d4 d5"]),
    "a variation that is not ended": ('[White "a"]\n\n1. d4 (1. e4 d5 *\n\n[White "c"]\n\n1. e4 *\n', "( is never closed", ["c", "e4"]),
    "a result and points without blanks": ('[White "a"]\n\n1.d4 ...d5*\n\n[White "c"]\n\n1.e4*', *TWO),
    "signs of books, and words": ('[White "a"]\n\n1. d4\u2192 TN 1.00 d5\u25a1, \u00bd-\u00bd\n', ["a", "d4 d5"]),
    "German": ("1. e4 e5 2. Sf3 *\n", "'Sf3' is no move in standard notation"),
    "figurines": ("1. e4 e5 2. \u2658f3 *\n", "is no move in standard notation"),
    "UCI moves, zeros, en passant, signs": ("1. e2e4 e7e5 2. Ng1-f3 Nf6!? 3. Bc4 Be7+/= 4. 0-0 d5!? 5. exd5 c5?! 6. dxc6ep $6 *\n",
                                            ["?", "e4 e5 Nf3 Nf6 Bc4 Be7 O-O d5 exd5 c5 dxc6"]),
    "no chess": ("Dear Sir,\nhow do you do?\n", "no game in this text"),
    "an illegal move": ("1. e4 e5 2. Ke3 *\n", "illegal"),
}


def read(path, text):
    path.write_bytes(text.encode())
    found = []
    for entry in games.read_games(str(path)):
        if entry.game:
            board, words = entry.game.board(), []
            for move in entry.game.mainline_moves():
                words.append(board.san(move))
                board.push(move)
            found.append([entry.game.headers["White"], " ".join(words)])
        else:
            found.append(entry.problem)
    return found


@pytest.mark.parametrize("case", CASES)
def test_games(tmp_path, case):
    text, *wanted = CASES[case]
    found = read(tmp_path / "games.pgn", text)
    assert len(found) == len(wanted)
    for was, want in zip(found, wanted):
        assert want in was if isinstance(want, str) else was == want


@pytest.mark.parametrize("word", ["o-o", "OO", "\u041e-\u041e", "O\u2013O-O", "O-O-0", "5.OOO+", "ed", "exd!", "gh", "12.baep", "PxP",
                                  "P-K4", "N-KB3", "E4", "NF3"])
def test_no_move_is_passed_over(tmp_path, word):
    """Of all these python-chess reads nothing, or half, and says nothing."""
    problem, = read(tmp_path / "games.pgn", f"1. Nf3 Nf6 2. g3 g6 3. Bg2 Bg7 4. {word} *\n")
    assert f"'{word}' is no move in standard notation" in problem


@pytest.mark.parametrize("word", ["be", "ch", "eg", "ad", "ha", "mate", "dis.", "N", "D", "TN", "and"])
def test_words_that_can_be_no_move_are_passed_over(tmp_path, word):
    """Old files say check and mate in letters, and people write between moves."""
    assert read(tmp_path / "games.pgn", f"1. e4 {word} e5 2. Qh5 Ke7 3. Qxe5 {word} *\n") == [["?", "e4 e5 Qh5 Ke7 Qxe5#"]]


def test_check_and_mate_in_letters(tmp_path):
    assert read(tmp_path / "games.pgn", "1. e4 d6 2. Bb5ch c6 3. Qf3!? Kd7 4. Qxf7mate. *\n") == [["?", "e4 d6 Bb5+ c6 Qf3 Kd7 Qxf7"]]


def test_a_game_without_an_end_takes_no_memory():
    lines = (line for part in (['[White "a"]\n'], ("x" * 999 + "\n" for _ in range(20_000)), ['[White "b"]\n', "1. e4 *\n"]) for line in part)
    long, short = split.split(lines)
    assert "longer than" in long.problem and len(long.pgn) <= split.MOST and not short.problem


def test_signs_of_an_old_encoding(tmp_path):
    (tmp_path / "games.pgn").write_bytes('[White "a"]\n\n1. d4\u00b1 1\u2026d5\u00b1 *\n'.encode("cp1252"))
    game, = games.read_games(str(tmp_path / "games.pgn"))
    assert not game.problem and len(list(game.game.mainline_moves())) == 2


# What people and programs write in PGN files, with no end of combinations -----------------------------------------------

COMMENTS = ["a comment", "[%clk 0:01:30]", "[%eval -3.00,20]", "[%csl Ge4]", "1. e4 e5", "1-0", '[White "x"]', ";", "(", ")", "{", "\\", "%", "$4",
            "\u00e9", "*", "--", '"', "\0", "word " * 300, "\n", "\n\n"]
HEADERS = ['Event "x"', 'Date "2024.??.??"', r'Black "Neil \"x\" \\"', 'Annotator "[a]"', 'Opening "a; b {c"',
           'Event  "two  blanks"', 'EventType "swiss" ', 'FOO_bar-1 "x"']


def comment(rng):
    return "{" + " ".join(rng.choices(COMMENTS, k=rng.randrange(4))) + "}"


def written(rng, board, move):
    san, parts = board.san(move), [chess.square_name(move.from_square), chess.square_name(move.to_square)]
    promotes = "=" + chess.piece_symbol(move.promotion).upper() if move.promotion else ""
    piece = board.piece_at(move.from_square).symbol().upper().replace("P", "")
    forms = [san, san.rstrip("+#"), move.uci()]
    if san.startswith("O"):
        forms.append(san.replace("O", "0"))
    else:
        forms += [san.replace("=", ""), piece + ("x" if board.is_capture(move) else "-").join(parts) + promotes]
    number = [f"{board.fullmove_number}{dots}" for dots in ([". ", ".", ".\n"] if board.turn else ["... ", "...", ". ... ", "\u2026"])]
    return rng.choice(number if board.turn else ["", *number]) + rng.choice(forms) + rng.choice(["", "", "", "!", "?!", "+-", " $14", " $255", " =", "\u00b1"])


def line(rng, board, plies, depth=0):
    """Text, and the moves of it that are played."""
    words, moves = [], []
    for _ in range(plies):
        if not (legal := list(board.legal_moves)):
            break
        rare = [move for move in legal if move.promotion or board.is_castling(move) or board.is_en_passant(move)]
        move = rng.choice(rare if rare and rng.random() < 0.3 else legal)
        words.append(written(rng, board, move))
        if rng.random() < 0.2:
            words.append(rng.choice([comment(rng), f"; {rng.choice(COMMENTS[:-2])} }} (\n"]))
        if depth < 4 and rng.random() < 0.12:
            words.append(f"({line(rng, board.copy(), rng.randrange(1, 5), depth + 1)[0]})")
        board.push(move)
        moves.append(move)
    return "".join(word + rng.choice([" ", " ", "\n", "\t", "\n\n"]) for word in words), moves


def game(rng, name):
    """Text, and what is in it."""
    headers, board = [f'White "{name}"', *rng.sample(HEADERS, rng.randrange(4))], chess.Board()
    if rng.random() < 0.15:
        board = chess.Board.from_chess960_pos(rng.randrange(960))
        headers += [f'FEN "{rng.choice([board.fen(), board.shredder_fen()])}"', f'Variant "{rng.choice(["Chess960", "chess 960", "Fischerandom"])}"']
    elif rng.random() < 0.2:
        line(rng, board, rng.randrange(60))
        board = chess.Board(board.fen())
        headers += [f'FEN "{board.fen()}"', *rng.sample(['SetUp "1"', 'Variant "From Position"'], rng.randrange(3))]
    rng.shuffle(headers)
    start = board.copy()
    moves, played = line(rng, board, rng.choice([0, 1, 2, 5, 20, 60]))
    text = "".join(f"[{header}]" + rng.choice(["\n", "\n", " \n"]) for header in headers) + rng.choice(["\n", "\n\n", ""]) + moves
    text += rng.choice(["*", "1-0", "1/2-1/2"]) + rng.choice(["\n", "\n\n", "\n \n"])
    return text, (name, start.board_fen(), [start.uci(move, chess960=True) for move in played])


@given(st.integers(0, 2**32))
def test_all_is_read_however_it_is_written(seed):
    rng, wanted, text = random.Random(seed), [], ""
    for name in "abcd"[:rng.randrange(1, 5)]:
        more, what = game(rng, name)
        wanted.append(what)
        text += more
    text = rng.choice(["", "\ufeff"]) + text.replace("\n", rng.choice(["\n", "\r\n"]))
    found = [games.entry(games.Raw(1, part, 0)) for part in split.split(io.StringIO(text, newline=None))]
    assert not any(entry.problem for entry in found), (text, found)
    assert len(found) == len(wanted)
    for entry, (name, start, moves) in zip(found, wanted):
        board = entry.game.board()
        assert entry.game.headers["White"] == name and board.board_fen() == start
        assert [board.uci(move, chess960=True) for move in entry.game.mainline_moves()] == moves


@given(st.integers(0, 2**32), st.lists(st.sampled_from(["\n", "\n\n", "\n\n\n"]), min_size=1, max_size=6))
def test_blank_lines_decide_nothing_where_there_are_headers(seed, gaps):
    rng, texts = random.Random(seed), []
    for number, gap in enumerate(gaps):
        board, words = chess.Board(), []
        for _ in range(rng.randrange(6)):
            move = rng.choice(list(board.legal_moves))
            words.append(board.san(move) + rng.choice(["", " ", "\n", "\n\n", " {a\n\nb} ", " ; c {\n", " $1 (--)\n"]))
            board.push(move)
        texts.append(f'[White "{number}"]\n[Black "x"]{gap}{" ".join(words)} {rng.choice(["*", "1-0"])}{rng.choice(gaps)}')
    found = list(split.split("".join(texts).splitlines(keepends=True)))
    assert [text.pgn.split('"')[1] for text in found] == [str(number) for number in range(len(gaps))]
    assert not any(text.problem for text in found)


def test_a_file_that_becomes_shorter_is_no_file_without_games(tmp_path):
    (path := tmp_path / "games.pgn").write_text('[Event "x"]\n\n1. e4 e5 *\n\n' * 10_000)
    read = games.read_games(str(path))
    next(read)
    os.truncate(path, 100_000)
    with pytest.raises(Error, match="games.pgn has become shorter while it was read"):
        list(read)
