"""What is told of moves beside the search: phases, the book, the tables, and what people would have played."""
import io
import json
import struct

import chess
import chess.pgn
import chess.polyglot
import chess.syzygy
import pytest

from .test_annotate import annotate, games_of
from lc0rocm import _core, strength
from lc0rocm.annotation import known, phases

CPU = ["--backend=cpu", "--nodes=4"]


@pytest.mark.parametrize("fen,phase", [
    (chess.STARTING_FEN, "opening"),
    ("r1bqk2r/pppp1ppp/2n2n2/2b1p3/2B1P3/2N2N2/PPPP1PPP/R1BQK2R w KQkq - 0 1", "opening"),  # five and five on the first ranks
    ("r4rk1/pppqbppp/2npbn2/4p3/4P3/2NPBN2/PPPQBPPP/R4RK1 w - - 0 1", "middlegame"),  # three there
    ("rnbqk3/8/8/8/8/8/8/RNBQKB2 w - - 0 1", "middlegame"),  # ten pieces or fewer
    ("rnbk4/pppppppp/8/8/8/8/PPPPPPPP/RNBK4 w - - 0 1", "endgame"),  # six
    ("4k3/8/8/8/8/8/8/4K2Q w - - 0 1", "endgame")])
def test_phases_by_the_definition(fen, phase):
    assert phases.Phases().of(chess.Board(fen)) == phase


def test_a_game_does_not_go_back():
    game = phases.Phases()
    assert [game.of(chess.Board(fen)) for fen in ("4k3/8/8/8/8/8/8/4K2Q w - - 0 1", chess.STARTING_FEN)] == ["endgame", "endgame"]


def write_book(path, lines):
    entries = []
    for line in lines:
        board = chess.Board()
        for word in line.split():
            move = board.parse_san(word)
            to, origin = (chess.H1 if board.is_kingside_castling(move) else move.to_square), move.from_square
            entries.append((chess.polyglot.zobrist_hash(board), to | origin << 6))
            board.push(move)
    path.write_bytes(b"".join(struct.pack(">QHHI", key, move, 1, 0) for key, move in sorted(set(entries))))


def test_the_book(tmp_path):
    write_book(tmp_path / "book.bin", ["e4 e5 Nf3 Nc6 Bc4 Nf6 O-O"])
    (tmp_path / "in.pgn").write_text("1. e4 e5 2. Nf3 Nc6 3. Bc4 Nf6 4. O-O Be7 5. d3 *\n\n1. d4 *\n")
    annotate(tmp_path / "in.pgn", tmp_path / "out.jsonl", f"--book={tmp_path}/book.bin")
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [move["book"] for move in first["moves"]] == [True] * 7 + [False] * 2 and [move["book"] for move in second["moves"]] == [False]
    annotate(tmp_path / "in.pgn", tmp_path / "out.pgn", f"--book={tmp_path}/book.bin")
    first, second = games_of((tmp_path / "out.pgn").read_text())
    assert ["book ends" in node.comment for node in first.mainline()] == [False] * 6 + [True] + [False] * 2
    assert "book" not in str(second)


@pytest.mark.parametrize("data,words", [(b"", "is no opening book"), (b"x" * 17, "is no opening book"), (None, "cannot read the book")])
def test_no_book(tmp_path, data, words):
    (tmp_path / "in.pgn").write_text("1. e4 *\n")
    if data is not None:
        (tmp_path / "book.bin").write_bytes(data)
    assert words in annotate(tmp_path / "in.pgn", tmp_path / "out.pgn", f"--book={tmp_path}/book.bin", code=2).stderr


def test_the_tables_decide_where_they_know(tmp_path, reference):
    # Won, and mate; won, and stalemate; stalemate at once. A search of one node knows nothing of it.
    (tmp_path / "in.pgn").write_text('[FEN "7k/8/5K2/8/8/8/8/3Q4 w - - 0 1"]\n\n1. Qd2 Kg8 2. Qd7 Kf8 3. Qf7# *\n\n'
                                     '[FEN "7k/8/5K2/8/8/8/8/3Q4 w - - 0 1"]\n\n1. Qd7 Kg8 2. Qf7+ Kh8 3. Kg5 *\n\n'
                                     '[FEN "7k/8/8/5KQ1/8/8/8/8 w - - 0 1"]\n\n1. Qg6 *\n')
    annotate(tmp_path / "in.pgn", tmp_path / "out.jsonl", f"--syzygy-paths={reference}/syzygy", "--nodes=1")
    won, late, thrown = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    oracle = chess.syzygy.open_tablebase(str(reference / "syzygy"))
    for game in (won, late, thrown):
        for move in game["moves"]:
            board = chess.Board(move["fen"])
            if move["tables"]:
                number = oracle.probe_wdl(board) * (1 if board.turn else -1)
                assert move["tables"] == {2: "win", 0: "draw", -2: "loss"}[number] and move["q"] == number / 2
                assert move["score"]["cp"] * number > 0 if "cp" in move["score"] and number else True
    assert all(move["loss"] == 0 for game in (won, late) for move in game["moves"][:4]) and won["white"]["blunder"] == 0
    for game in (late, thrown):
        assert game["moves"][-1]["judgement"] == "blunder" and game["moves"][-1]["loss"] == pytest.approx(0.5)
    annotate(tmp_path / "in.pgn", tmp_path / "out.pgn", f"--syzygy-paths={reference}/syzygy", "--nodes=1")
    assert "Tables: White wins" not in str(games_of((tmp_path / "out.pgn").read_text())[0])  # they said so before the first move


def test_a_win_that_takes_too_long_is_a_draw():
    class Tables:
        largest = 5

        def wdl(self, fen):
            return 1

    white, black = "8/8/8/8/8/8/1k6/3QK3 w - - 0 1", "8/8/8/8/8/8/1k6/3QK3 b - - 0 1"
    for fen, word in ((white, "cursed win"), (black, "blessed loss")):
        found = known.by_tables(Tables(), {"fen": fen, "q": 0.9, "score": {"mate": 9}})
        assert found["tables"] == word and found["q"] == 0 and found["score"] == {"cp": 0} and found["wdl"] == [0, 1, 0]


def test_what_people_would_have_played(tmp_path, reference):
    text = "1. e4 e5 2. Nf3 Nc6 3. Bc4 Bc5 4. O-O Nf6 5. h4 *\n"
    (tmp_path / "in.pgn").write_text(text)
    flags = [*CPU, f"--weights={reference}/nets/maia-1900.pb.gz", f"--human={reference}/nets/maia-1500.pb.gz", "--searches=4"]
    annotate(tmp_path / "in.pgn", tmp_path / "out.jsonl", *flags)
    game = json.loads((tmp_path / "out.jsonl").read_text())
    import lc0rocm
    board, same = chess.Board(), {True: [], False: []}
    with lc0rocm.Network(reference / "nets/maia-1500.pb.gz", "cpu") as net:
        for told, move in zip(game["moves"], chess.pgn.read_game(io.StringIO(text)).mainline_moves()):
            policy = net.policy(board)
            likeliest = next(iter(policy))
            human = told["human"]
            assert (human["uci"], human["san"]) == (likeliest.uci(), board.san(likeliest))
            assert human["probability"] == pytest.approx(policy[likeliest], abs=2e-4) and human["played"] == pytest.approx(policy[move], abs=2e-4)
            if likeliest == move:
                assert human["loss"] == told["loss"]
            assert 0 <= human["loss"] <= 1
            same[board.turn].append(likeliest == move)
            board.push(move)
    for side, name in ((True, "white"), (False, "black")):
        assert game[name]["human"] == pytest.approx(sum(same[side]) / len(same[side]), abs=1e-3)
    assert game["moves"][-1]["human"]["played"] < 0.05 and not same[True][-1]
    assert game["annotator"].endswith(", maia-1900.pb.gz, 4 nodes; people by maia-1500.pb.gz")


@pytest.mark.parametrize("rating,name", [(1500, "maia-1500"), (1000, "maia-1100"), (1960, "maia-1900"), (1240, "maia-1200")])
def test_the_people_of_a_rating(rating, name):
    assert strength.net_of_people(rating) == name


@pytest.mark.parametrize("who,words", [("900", "rated 1100 to 1900, not 900"), ("no-such-net", "No such file")])
def test_no_such_people(tmp_path, who, words):
    (tmp_path / "in.pgn").write_text("1. e4 *\n")
    assert words in annotate(tmp_path / "in.pgn", tmp_path / "out.pgn", *CPU, f"--human={who}", code=2).stderr


def test_the_prober_is_asked_in_the_view_of_white(reference):
    tables = _core.Tables([str(reference / "syzygy")])
    for fen, word in (("7k/8/5K2/8/8/8/8/3Q4 w - - 0 1", "win"), ("7K/8/5k2/8/8/8/8/3q4 b - - 0 1", "loss"), ("8/8/8/4k3/8/8/8/4K2B b - - 0 1", "draw")):
        assert known.by_tables(tables, {"fen": fen, "q": 0.0, "score": {"cp": 0}})["tables"] == word
