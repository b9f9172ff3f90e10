"""Training records against the published layout, by a reader of their own: positions of all kinds, every input format, whole games."""
import importlib.util
import pathlib
import random

import chess
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lc0rocm import Error, _core
from lc0rocm.selfplay import records
from lc0rocm.selfplay.play import Setup, Shared, Table

spec = importlib.util.spec_from_file_location("reader", pathlib.Path(__file__).with_name("reader.py"))
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)

FORMATS = (1, 2, 3, 4, 5)
WEIGHTS = np.random.default_rng(1).normal(size=(112, 1861)).astype(np.float32)
STARTS = [chess.STARTING_FEN, "r3k2r/pppq1ppp/2npbn2/2b1p3/2B1P3/2NPBN2/PPPQ1PPP/R3K2R w KQkq - 0 1",  # both may castle
          "r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 3 40", "rn2k1r1/ppp1pp1p/3p2p1/5bn1/P7/2N2B2/1PPPPP2/2BNK1RR w Gkq - 4 11",  # Chess960
          "4k3/8/8/3Pp3/8/8/8/4K3 w - e6 0 2", "8/6P1/8/8/k7/8/1p6/3K4 w - - 0 1", "8/8/2k5/8/8/4Q3/8/K7 b - - 0 1", "8/8/5k2/8/3N4/2K5/8/6b1 w - - 9 60",
          "7k/8/8/8/8/8/3q4/K7 w - - 0 1"]


def network(format):
    """Some function of the planes, and so with an opinion."""
    def evaluate(masks, values):
        seen = np.array([[int(mask).bit_count() for mask in row] for row in masks], np.float32) * values / 64
        found = np.tanh(seen @ WEIGHTS)
        q, d = found[:, -3], (1 - np.abs(found[:, -3])) * (found[:, -2] + 1) / 2
        return 2 * found[:, :1858], np.stack([q, d, 40 + 30 * found[:, -1]], 1)
    return _core.Backend.of_function("some", evaluate, device="here", input_format=format, wdl=True, moves_left=True, half=False, cpu=True,
                                     max_batch=32, best_batch=8, unasked_options=[])


BACKENDS = {format: network(format) for format in FORMATS}


def walk(fen, seed, plies):
    board, dice = chess.Board(fen, chess960=True), random.Random(seed)
    for _ in range(plies):
        moves = list(board.legal_moves)
        if len(moves) < 2 or board.halfmove_clock > 90:
            break
        quiet = [move for move in moves if not board.is_zeroing(move)]
        board.push(dice.choice(quiet if quiet and dice.random() < 0.5 else moves))
    if not any(board.legal_moves) and board.move_stack:
        board.pop()
    return board


KNIGHTS = [move for _ in range(2) for move in ("g1f3", "g8f6", "f3g1", "f6g8")]


@settings(max_examples=120)
@given(st.sampled_from(STARTS) | st.integers(0, 959).map(lambda number: chess.Board.from_chess960_pos(number).fen()), st.integers(0, 10**6),
       st.integers(0, 60), st.sampled_from(FORMATS), st.integers(2, 30))
@example(None, 0, 0, 4, 8)
def test_positions_of_all_kinds(fen, seed, plies, format, visits):
    board = walk(fen, seed, plies) if fen else chess.Board(chess960=True)
    for move in KNIGHTS if not fen else []:
        board.push_uci(move)
    backend = BACKENDS[format]
    search = _core.Search()
    search.set_backend(backend, "no", 1.0, 0)
    start, moves = board.root().fen(en_passant="fen"), [move.uci() for move in board.move_stack]
    game = _core.Game(start, moves)
    search.set_position(start, moves, keep=False)
    search.start({"MinibatchSize": 1, "SmartPruningFactor": 0.0, "DirichletNoiseEpsilon": 0.25}, {"nodes": visits})
    played = search.result()["best_move"]
    made = records.record(game, backend, "no", search.move_stats(), played)
    found, = reader.read(records.pack(made))
    reader.check(found, board, format, visits)
    transform = found["invariance"] & 7
    assert found["played_idx"] == reader.index(board, chess.Move.from_uci(played), transform)
    seen = {reader.index(board, chess.Move.from_uci(stats["move"]), transform): stats for stats in search.move_stats()[:-1]}
    best, other = seen[found["best_idx"]], seen[found["played_idx"]]  # the same, but for ties of which the search knows more digits
    assert (best["visits"], best["q"]) == (other["visits"], pytest.approx(other["q"], abs=1e-6))

    masks, values = game.planes(format, "no")
    logits, q, d, m = (part[0].astype(float) for part in backend.evaluate(masks[None], values[None]))
    assert [found["orig_q"], found["orig_d"], found["orig_m"]] == pytest.approx([q, d, m])
    legal = [reader.index(board, move, transform) for move in board.legal_moves]
    policy = np.exp(logits[legal]) / np.exp(logits[legal]).sum()
    shares = np.array(found["probabilities"])[legal]
    assert found["policy_kld"] == pytest.approx(sum(share * np.log(share / p) for share, p in zip(shares, policy) if share), abs=2e-5)
    counts = {stats["move"]: stats["visits"] for stats in search.move_stats()[:-1]}
    if any(counts.values()):
        assert [counts[move.uci()] / sum(counts.values()) for move in board.legal_moves] == pytest.approx(list(shares))


SETUP = Setup({"MinibatchSize": 1, "Temperature": 1.0, "DirichletNoiseEpsilon": 0.25, "SmartPruningFactor": 0.0, "NNCacheSize": 1000, "HistoryFill": "no"},
              6, "", False, 0, 1, 100, False, 0.0, 0.0, 0, 12)


def check_game(played, format, visits):
    """Each record against the board of its moment; the result and the plies that are left against the end."""
    found, facts = reader.read(played.data), played.facts
    board = chess.Board(facts["fen"], chess960=True)
    for word in facts["opening"].split():
        board.push_uci(word)
    moves = facts["moves"].split()
    assert len(found) == facts["positions"] == len(moves) + (facts["reason"].endswith("resigns"))
    for number, record in enumerate(found):
        reader.check(record, board, format, visits)
        white = {"1-0": 1, "0-1": -1, "1/2-1/2": 0}[facts["result"]]
        assert record["result_q"] == (white if board.turn else -white) and record["result_d"] == (white == 0)
        assert record["plies_left"] == pytest.approx(found[-1]["best_m"] + len(found) - 1 - number)
        is_long = "moves" in facts["reason"] and "drawn after" in facts["reason"]
        assert record["invariance"] & 48 == (48 if is_long else 32 if facts["reason"].endswith("resigns") else 0)
        if number < len(moves):
            move = board.parse_uci(moves[number])
            assert record["played_idx"] == reader.index(board, move, record["invariance"] & 7)
            board.push(move)
    if not record["invariance"] & 32:
        outcome = board.outcome(claim_draw=False)
        assert board.is_repetition(3) or board.halfmove_clock >= 100 or outcome.result() == facts["result"]
    return facts


@pytest.mark.parametrize("format", FORMATS)
def test_whole_games(format):
    table = Table(Shared(BACKENDS[format], SETUP))
    for number in range(2):
        check_game(table.work(number)[1], format, 6)


def test_chess960_openings_and_resignation(tmp_path):
    (tmp_path / "book.pgn").write_text("1. e4 c5 2. Nf3 *\n\n1. d4 Nf6 *\n")
    for setup, least in ((SETUP._replace(chess960=True), 0), (SETUP._replace(openings=str(tmp_path / "book.pgn")), 0), (SETUP._replace(resign=49.0), 1),
                         (SETUP._replace(resign=49.0, playthrough=100.0), 0), (SETUP._replace(plies=4, resign=49.0, earliest=4), 0)):
        table = Table(Shared(BACKENDS[4], setup))
        facts = [check_game(table.work(number)[1], 4, 6) for number in range(3)]
        assert sum(told["reason"].endswith("resigns") and told["positions"] < 24 for told in facts) >= least
        if setup.openings:
            assert [told["opening"] for told in facts] == ["e2e4 c7c5 g1f3", "d2d4 g8f6", "e2e4 c7c5 g1f3"]
        if setup.chess960:
            assert len({told["fen"] for told in facts}) == 3
        if setup.playthrough:
            assert not any(told["reason"].endswith("resigns") for told in facts)


def test_files_that_are_none(tmp_path):
    with pytest.raises(Error, match="cannot be read"):
        records.read(tmp_path / "missing.gz")
    (tmp_path / "text.gz").write_text("text")
    with pytest.raises(Error, match="cannot be read"):
        records.read(tmp_path / "text.gz")
    good = Table(Shared(BACKENDS[1], SETUP)).work(0)[1].data
    (tmp_path / "good.gz").write_bytes(good)
    assert records.pack(records.read(tmp_path / "good.gz")) == good
    for at in range(0, len(good), len(good) // 60):  # a flipped bit is what it is, or told
        (tmp_path / "flipped.gz").write_bytes(good[:at] + bytes([good[at] ^ 16]) + good[at + 1:])
        try:
            assert records.pack(records.read(tmp_path / "flipped.gz")) == good
        except Error as error:
            assert "flipped.gz: cannot be read" in str(error)
    for name, data in (("cut", good[:-20]), ("short", records.pack(np.zeros(100, np.uint8))), ("old", records.pack(np.zeros(1, records.RECORD)))):
        (tmp_path / f"{name}.gz").write_bytes(data)
        with pytest.raises(Error, match=f"{name}.gz: "):
            records.read(tmp_path / f"{name}.gz")
