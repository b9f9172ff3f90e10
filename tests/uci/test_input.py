"""What GUIs, bots and people send although it means nothing or contradicts something: it is used or named, and play goes on."""
import os
import re
import time

import chess
import pytest


def move_of(lines):
    return lines[-1].split()[1]


@pytest.mark.parametrize("fen,left_out", [
    ("r3k2r/pppppppp/8/8/8/8/PPPPPPPP/R2K3R w KQkq - 0 1", "castling right K"),
    ("r2qk2r/pppppppp/8/8/8/8/PPPPPPPP/R2KQ2R w KQkq - 0 1", "UCI_Chess960 is off"),
    ("rnbqkbnr/pppppppp/8/8/8/5BN1/PPPPPPPP/RNBQ1RK1 b HQkq - 0 1", "castling right H"),
    ("2b1k1nB/1p3p1p/n4b2/1NPp4/P7/8/2r1PPPP/R3KBNR b KQk - 0 14", "castling right k"),
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq e6 0 1", "en-passant square e6"),
    ('rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - bm e4; id "x";', "bm e4"),
])
def test_fens_of_guis_and_databases(engine, fen, left_out):
    engine.send("setoption name MultiPV value 500", f"position fen {fen}")
    said = engine.sync()
    assert len(said) == 1 and said[0].startswith("info string left out of the FEN: ") and left_out in said[0]
    legal = chess.Board(" ".join(fen.split()[:4]))  # where no rook can castle either
    legal.castling_rights = legal.clean_castling_rights()
    legal.ep_square = None
    lines = engine.ask("go nodes 60")
    shown = {line.split(" pv ")[1].split()[0] for line in lines if " pv " in line}
    assert shown == {move.uci() for move in legal.legal_moves} and chess.Move.from_uci(move_of(lines)) in legal.legal_moves


@pytest.mark.parametrize("fen", ["8/8/8/8/8/8/8/8 w - - 0 1", "4k3/8/8/8/8/8/4R3/4K3 w - - 0 1", "hello", "kk6/8/8/8/8/8/8/K7 w - - 0 1"])
def test_what_cannot_be_played_is_one_sentence(engine, fen):
    engine.send(f"position fen {fen}")
    said = engine.sync()
    assert len(said) == 1 and said[0].startswith("info string error: bad FEN, ")


def test_promotions_in_capitals(engine):
    fen = "position fen 8/P6k/8/8/8/8/8/K7 w - - 0 1"
    engine.send(fen + " moves a7a8Q h7g7")
    assert engine.sync() == []
    assert move_of(engine.ask("go searchmoves a8a7 nodes 20")) == "a8a7"  # as queens move
    engine.send(fen + " moves a7a8")
    assert "needs the letter" in engine.sync()[0]


@pytest.mark.parametrize("name,value,words", [
    ("SyzygyProbeLimit", "6", "SyzygyProbeLimit has no effect"), ("TaskWorkers", "3", "TaskWorkers has no effect"),
    ("StrictTiming", "true", "no effect"), ("ConfigFile", "/some/file", "read when the program starts"),
    ("LogFile", "/nowhere/at/all", "cannot write the LogFile /nowhere/at/all"), ("EvalFile", "x.nnue", "no option 'EvalFile'"),
    ("Threads", "1_0", "Threads takes"), ("CPuct", "nan", "CPuct takes"),
])
def test_one_sentence_for_what_has_no_effect(engine, name, value, words):
    engine.send(f"setoption name {name} value {value}")
    said = engine.sync()
    assert len(said) == 1 and words in said[0]


def test_an_option_that_another_makes_idle_is_named_once(engine):
    engine.send("setoption name FpuValueAtRoot value 0.5")
    sentence = "info string FpuValueAtRoot has no effect while FpuStrategyAtRoot is same"
    assert engine.ask("position startpos", "go nodes 5").count(sentence) == 1
    assert sentence not in engine.ask("go nodes 9")


@pytest.mark.parametrize("flags", [[], ["--nncache=1000", "--move-overhead=37", "--slowmover=1.004", "--temperature=1.00000001"]])
def test_every_option_sent_back_changes_nothing_and_costs_no_word(start, flags):
    engine = start("--backend=random", "--show-hidden", *flags)
    engine.sync()
    engine.send("uci")
    lines = [line for line in engine.until("uciok") if line.startswith("option name ")]
    for line in lines:
        match = re.match(r"option name (.+) type (\S+)(?: default (.*?))?(?: (?:min|var) .*)?$", line)
        engine.send(f"setoption name {match[1]}" + ("" if match[2] == "button" else f" value {match[3]}"))
    assert engine.sync() == []
    assert len(engine.ask("position startpos", "go nodes 20")) >= 2
    engine.send("uci")
    assert [line for line in engine.until("uciok") if line.startswith("option name ")] == lines


def test_names_of_other_engines_act(engine):
    engine.send("setoption name Hash value 1", "setoption name Move Overhead value 7", "setoption name Clear Hash", "uci")
    lines = engine.until("uciok")
    assert any(line.startswith("option name NNCacheSize type spin default 7489 ") for line in lines)
    assert any(line.startswith("option name MoveOverheadMs type spin default 7 ") for line in lines)
    assert any(line.startswith("option name Hash type spin default 1 ") for line in lines)


def visits(lines):
    return int(re.search(r" nodes (\d+)", [line for line in lines if line.startswith("info depth")][-1])[1])


@pytest.mark.parametrize("line,words", [("joho isready", "unknown command 'joho isready'"), ("1128 12:10 >> isready", "unknown command"),
                                        ("\x07\x1b isready now", "unknown command")])
def test_words_before_a_command_are_skipped(engine, line, words):
    engine.send(line)
    said = engine.until("readyok")
    assert len(said) == 2 and words in said[0]
    assert move_of(engine.ask("joho position startpos moves e2e4", "go joho nodes 3"))[1] in "78"


def test_searchmoves_in_capitals(engine):
    assert move_of(engine.ask("position fen startpos", "go nodes 9 searchmoves A2A3")) == "a2a3"


def test_a_memory_limit_below_the_cache_leaves_room_to_search(engine):
    engine.send("setoption name RamLimitMb value 200")
    assert visits(engine.ask("position startpos", "go nodes 500")) >= 500


def test_an_overhead_above_the_movetime_leaves_time_to_think(engine):
    engine.send("setoption name MoveOverheadMs value 2000", "setoption name SmartPruningFactor value 0")
    engine.sync()
    before = time.monotonic()
    engine.ask("position startpos", "go movetime 600")
    assert 0.25 < time.monotonic() - before < 5


def test_ratings_at_the_end_of_their_range_play(engine):
    engine.send("setoption name WDLCalibrationElo value 9000")
    assert move_of(engine.ask("position startpos", "go nodes 50")) != "(none)"


def test_paths_in_quotes(start, tmp_path):
    engine = start("--backend=random")
    engine.send(f'setoption name LogFile value "{tmp_path / "a log"}"')
    assert engine.sync()[-1:] != [] and (tmp_path / "a log").exists()


def test_a_log_that_nobody_reads_keeps_nobody_waiting(start, tmp_path):
    """A pipe without a reader, and one whose reader sleeps."""
    os.mkfifo(pipe := tmp_path / "pipe")
    engine = start("--backend=random")
    engine.send(f"setoption name LogFile value {pipe}")
    assert any("cannot write the LogFile" in line for line in engine.sync())
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        engine.send("setoption name LogFile value", f"setoption name LogFile value {pipe}")
        assert not any("LogFile" in line for line in engine.sync())
        for _ in range(300):
            engine.send(f"setoption name {'x' * 500} value 1")
        assert engine.sync()
        assert os.read(reader, 20)
    finally:
        os.close(reader)
