"""The tables' prober against positions whose values are known, python-chess's prober, and damaged files."""
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading

import chess
import chess.syzygy
import pytest

from lc0rocm import _core


@pytest.fixture(scope="module")
def tables(reference):
    return _core.Tables([str(reference / "syzygy")])


@pytest.fixture(scope="module")
def oracle(reference):
    with chess.syzygy.open_tablebase(str(reference / "syzygy")) as oracle:
        yield oracle


def test_what_is_there(tables):
    assert (tables.largest, tables.wdl_files, tables.dtz_files, tables.take_problems()) == (4, 35, 35, [])


def test_known_positions(reference, tables):
    """Thousands of positions of every ending, en passant and promotions among them."""
    with gzip.open(reference / "spec/syzygy_positions.jsonl.gz", "rt") as lines:
        cases = [json.loads(line) for line in lines]
    assert len(cases) > 4000
    wrong = [case["fen"] for case in cases if (tables.wdl(case["fen"]), tables.dtz(case["fen"])) != (case["wdl"], case["dtz"])]
    assert wrong == []


def random_board(dice):
    """Two to four men anywhere, with an en-passant square now and then."""
    while True:
        board = chess.Board(None)
        for piece in "Kk" + "".join(dice.choices("QRBNPqrbnp", k=dice.randrange(3))):
            board.set_piece_at(dice.randrange(64), chess.Piece.from_symbol(piece))
        board.turn = dice.random() < 0.5
        pushed = [s for s in board.pieces(chess.PAWN, not board.turn) if chess.square_rank(s) == (4 if board.turn else 3)]
        if pushed:
            board.ep_square = pushed[0] + (8 if board.turn else -8)
            if not board.is_valid():
                board.ep_square = None
        if board.is_valid():
            return board


def test_like_python_chess(tables, oracle):
    dice = random.Random(1)
    for _ in range(1500):
        board = random_board(dice)
        fen = board.fen(en_passant="fen")
        assert (tables.wdl(fen), tables.dtz(fen)) == (oracle.probe_wdl(board), oracle.probe_dtz(board)), fen


def test_colours_exchanged(tables):
    dice = random.Random(2)
    for _ in range(300):
        board = random_board(dice)
        fen, mirrored = board.fen(en_passant="fen"), board.mirror().fen(en_passant="fen")
        assert (tables.wdl(fen), tables.dtz(fen)) == (tables.wdl(mirrored), tables.dtz(mirrored)), fen


@pytest.mark.parametrize("fen", ["4k3/8/8/8/8/8/8/R3K3 w Q - 0 1", "4k3/8/8/8/8/3PP3/3PP3/4K3 w - - 0 1", chess.STARTING_FEN])
def test_nothing_is_known(tables, fen):
    """Castling is possible, or more men than the largest table has."""
    assert tables.wdl(fen) is None and tables.dtz(fen) is None and tables.rank_root(fen)["best"] == []


def test_kings_alone(tables):
    assert tables.wdl("4k3/8/8/8/8/8/8/4K3 w - - 0 1") == 0 == tables.dtz("4k3/8/8/8/8/8/8/4K3 w - - 0 1")


@pytest.mark.parametrize("fen,fast,rank,best", [  # docs/spec/syzygy.md 12
    ("8/8/8/8/q7/2kRK3/8/8 b - - 39 60", False, 1000, "c3c2 c3b2"), ("8/8/8/8/q7/2kRK3/8/8 b - - 41 60", False, 900, "c3c2 c3b2"),
    ("8/8/8/8/q7/2kRK3/8/8 b - - 0 60", True, 941, "c3c2 c3b2"), ("1kq5/8/8/8/3K4/8/4R3/8 w - - 0 1", False, -940, "e2b2"),
    ("1kq5/8/8/8/3K4/8/4R3/8 w - - 41 1", False, -899, "e2b2"), ("8/8/8/k2Pp3/8/8/8/4K3 w - e6 0 2", False, 1000, "d5e6"),
    ("6k1/4P3/6K1/8/8/8/8/8 w - - 0 1", False, 1000, "e7e8q e7e8r g6f6"), ("8/8/8/8/8/3P1k2/8/4K3 w - - 0 1", False, 1000, "e1d2")])
def test_root_moves(tables, fen, fast, rank, best):
    found = tables.rank_root(fen, fast=fast)
    assert (found["rank"], set(found["best"]), found["by_distance"]) == (rank, set(best.split()), True)


def test_a_repetition_makes_the_root_strict(tables):
    """With a repetition behind, only the shortest way is left."""
    fen = "8/2K5/4B3/3N4/8/8/4k3/8 w - - 0 1"
    free, strict = tables.rank_root(fen), tables.rank_root(fen, ["c7b7", "e2f2", "b7c7", "f2e2"])
    assert free["rank"] == 1000 > strict["rank"] >= 1000 - 50 - 4
    assert len(free["best"]) > len(strict["best"])


def test_won_endings_are_won(tables):
    """Playing the first of the root's moves against the longest defence mates or captures in time."""
    dice = random.Random(3)
    for fen in ("8/8/8/8/q7/2kRK3/8/8 b - - 0 1", "8/2K5/4B3/3N4/8/8/4k3/8 w - - 0 1", "7K/7Q/8/8/3k4/1b6/8/8 w - - 0 1"):
        board = chess.Board(fen)
        men = len(board.piece_map())
        while len(board.piece_map()) == men and not board.is_game_over():
            best = tables.rank_root(fen, [move.uci() for move in board.move_stack])["best"]
            board.push(chess.Move.from_uci(dice.choice(best)))
            assert board.halfmove_clock < 100
        assert not board.is_game_over() or board.is_checkmate()


def test_without_distances_the_root_ranks_by_results(reference, tmp_path):
    for file in (reference / "syzygy").glob("*.rtbw"):
        shutil.copy(file, tmp_path)
    found = _core.Tables([str(tmp_path)]).rank_root("8/8/8/8/8/3P1k2/8/4K3 w - - 0 1")
    assert (found["rank"], found["best"], found["by_distance"]) == (1000, ["e1d2"], False)


# files that are not as they should be ---------------------------------------------------------------------------------

KRK = "8/8/8/3k4/8/6R1/8/K7 w - - 0 1"


@pytest.mark.parametrize("change,reason", [
    (lambda data: b"", "it is empty"), (lambda data: data[:100], "its length is not that of a table"),
    (lambda data: b"rtbw" + data[4:], "it does not begin like a table"), (lambda data: data[:128] + data[-16:], "it ends too early")])
def test_a_bad_file_is_named_once_and_missing(reference, tmp_path, change, reason):
    path = tmp_path / "KRvK.rtbw"
    path.write_bytes(change((reference / "syzygy/KRvK.rtbw").read_bytes()))
    tables = _core.Tables([str(tmp_path)])
    assert tables.wdl(KRK) is None is tables.wdl(KRK)
    assert tables.take_problems() == [f"Syzygy file {path} is not used: {reason}"]
    assert tables.take_problems() == []


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "KRvK.rtbw")
    tables = _core.Tables([str(tmp_path)])
    assert tables.wdl(KRK) is None and tables.take_problems() == [f"Syzygy file {tmp_path}/KRvK.rtbw is not used: it is no file"]


def test_names_that_are_no_text(reference, tmp_path):
    """Names of files are bytes."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    shutil.copy(reference / "syzygy/KRvK.rtbw", folder + b"/KRvK.rtbw")
    for name in (b"/caf\xe9.rtbw", b"/KRvK.rtbz"):
        with open(folder + name, "wb") as file:
            file.write(b"no table")
    tables = _core.Tables([os.fsdecode(folder)])
    assert tables.wdl(KRK) == 2 and tables.dtz(KRK) is None
    assert {problem.partition(" is not used: ")[0] for problem in tables.take_problems()} == {
        f"Syzygy file {os.fsdecode(folder + name)}" for name in (b"/caf\xe9.rtbw", b"/KRvK.rtbz")}


def test_files_with_each_others_names(reference, tmp_path):
    shutil.copy(reference / "syzygy/KQvK.rtbw", tmp_path / "KRvK.rtbw")
    shutil.copy(reference / "syzygy/KRvK.rtbz", tmp_path / "KQvK.rtbw")
    shutil.copy(reference / "syzygy/KRvK.rtbz", tmp_path / "KvKR.rtbz")
    tables = _core.Tables([str(tmp_path)])
    assert tables.wdl(KRK) is None is tables.wdl(KRK.replace("R", "Q"))
    assert [problem.partition(": ")[2] for problem in sorted(tables.take_problems())] == [
        "it does not begin like a table", "it is another ending's", "its name is not that of an ending"]


def test_folders(reference, tmp_path):
    """The first folder that has a file counts; one that is not there is named."""
    (tmp_path / "KRvK.rtbw").write_bytes(b"")
    good, missing = str(reference / "syzygy"), str(tmp_path / "no such folder")
    tables = _core.Tables([missing, good, str(tmp_path)])
    assert tables.wdl(KRK) == 2
    assert tables.take_problems() == [f"Syzygy folder {missing} cannot be read: No such file or directory"]
    assert _core.Tables([str(tmp_path), good]).wdl(KRK) is None


def test_many_threads_start_cold(reference):
    with gzip.open(reference / "spec/syzygy_positions.jsonl.gz", "rt") as lines:
        cases = [json.loads(line) for line in lines][::20]
    tables, wrong = _core.Tables([str(reference / "syzygy")]), []

    def probe(cases):
        wrong.extend(case["fen"] for case in cases if (tables.wdl(case["fen"]), tables.dtz(case["fen"])) != (case["wdl"], case["dtz"]))

    threads = [threading.Thread(target=probe, args=(random.Random(seed).sample(cases, len(cases)),)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_damaged_files_never_crash(reference):
    """The short form of the fuzzer, which needs a process of its own: a crash is what it looks for."""
    script = reference.parents[1] / "scripts/fuzz_tables.py"
    done = subprocess.run([sys.executable, "-P", script, reference / "syzygy", "--count", "300"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("300 damages: ")
