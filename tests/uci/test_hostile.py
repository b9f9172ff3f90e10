"""Bad input: every line is answered by at most an `info string`, and the engine lives."""
import random

import pytest

from lc0rocm.engine import stream

BAD = ["xyzzy", "setoption", "setoption name", "setoption name Nothing value 1", "setoption name Threads value many",
       "setoption name Threads value 99999999999999999999", "setoption name Backend value abacus",
       "setoption value name",
       "setoption name BackendOptions value a=(", "setoption name TimeManager value fast",
       "setoption name Contempt value x",
       "setoption name Slowmover value 1e400", "setoption name LogFile value /nowhere/at/all",
       "position", "position fen", "position fen x", "position here", "position startpos moves e2e5",
       "position startpos moves",
       "position startpos moves e2e4 e2e4", "position startpos moves \0", "position fen 8/8/8/8/8/8/8/8 w - - 0 1",
       "position fen kkkkkkkk/8/8/8/8/8/8/K7 w - - 0 1", "position fen " + "8" * 10000, "position startpos e2e4",
       "go depth", "go depth x", "go nodes 1e5", "go wtime \u0663", "go frobnicate", "go movetime",
       "go searchmoves nodes",
       "ponderhit", "stop", "stop stop", "wait", "isready now", "UCI", "uci\0", "debug on", "register later", "é" * 100]


@pytest.mark.parametrize("line", BAD)
def test_bad_line(engine, line):
    engine.send(line)
    for answer in engine.sync():
        assert answer.startswith(("info ", "bestmove ")), answer
        assert "Traceback" not in answer and "internal error" not in answer
    assert engine.ask("position startpos", "go nodes 5")[-1].startswith("bestmove ")


def test_a_bad_position_leaves_none(engine):
    engine.send("position startpos moves e2e4", "position startpos moves e2e4 e2e4")
    engine.sync()
    lines = engine.ask("go nodes 10")
    assert lines[-1] == "bestmove (none)" and "refused" in lines[0] and "e2e4" in lines[0]
    assert engine.ask("position startpos moves e2e4", "go nodes 10")[-1].split()[1][1] in "78"  # a move of Black's


def test_random_bytes(engine):
    dice = random.Random(7)
    for _ in range(200):
        data = bytes(dice.randrange(256) for _ in range(dice.randrange(200)))
        engine.send_bytes(data.replace(b"quit", b"") + b"\n")
    assert all(line.startswith("info string error: ") for line in engine.sync())


def test_half_commands(engine):
    words = ["go", "position", "fen", "startpos", "moves", "nodes", "5", "e2e4", "setoption", "name", "value",
             "Threads", "-1",
             "ponder", "searchmoves", "mate", "rnbqkbnr/8/8/8/8/8/8/RNBQKBNR", "w", "-", "depth", "stop", "uci"]
    dice = random.Random(3)
    for _ in range(300):
        engine.send(" ".join(dice.choices(words, k=dice.randrange(1, 7))))
    engine.send("stop")
    lines = engine.sync()
    assert not any("internal error" in line for line in lines)
    assert engine.ask("position startpos", "go nodes 5")[-1].startswith("bestmove ")


def test_a_line_of_three_megabytes(engine):
    engine.send("position startpos moves " + "e2e4 " * 600_000)
    assert len(engine.sync()) == 1
    engine.send_bytes(b"\0" * 3_000_000 + b"\n")
    assert len(engine.sync()) == 1


def test_invalid_utf8(engine):
    engine.send_bytes(b"setoption name WeightsFile value /tmp/\xff\xfe\0.pb\n\xc3\n\x80\x80\n")
    lines = engine.sync()
    assert len(lines) >= 2 and all(line.startswith("info string ") for line in lines)
    assert not any("internal error" in line for line in lines)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\r", b"\r"])
def test_ends_of_lines(engine, end):
    engine.send_bytes(end.join([b"position startpos moves e2e4", b"go nodes 5", b"wait", b"isready", b""]))
    lines = engine.until("readyok")
    assert lines[-2].startswith("bestmove ") and lines[-2].split()[1][1] in "78" and not any("error" in line for line in lines)


def test_a_last_line_without_an_end(engine):
    engine.send_bytes(b"position startpos\ngo nodes 5\nwait\nisready")
    engine.process.stdin.close()
    engine.until("readyok")
    assert engine.process.wait(5) == 0


def test_the_name_of_a_file_adds_no_line(capfd):
    """That of a network, for one, which comes from an archive of somebody else."""
    stream.Output().write(["info string network /nets/a\nbestmove a2a4\r\x1b[2J.pb.gz", "readyok \u00e9"])
    assert capfd.readouterr().out == "info string network /nets/a?bestmove a2a4??[2J.pb.gz\nreadyok \u00e9\n"
