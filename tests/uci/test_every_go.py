"""Every go is answered, for the position that was sent, with the options in force, by as many visits as were asked for: what people send,
each with the right answer. test_stateful.py searches for what nobody has thought of."""
import re
import subprocess
import sys
import time

import chess
import pytest

AFTER_E4 = chess.Board("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1")


def legal(board):
    return {move.uci() for move in board.legal_moves}


def moves(lines):
    return [line.split()[1] for line in lines if line.startswith("bestmove")]


def nodes(lines):
    return int(re.findall(r"^info depth.* nodes (\d+)", "\n".join(lines), re.M)[-1])


# one bestmove a go ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", ["go infinite\nstop", "go infinite", "go nodes 100000", "go nodes 20", "go ponder", "go movetime 20000", "go"])
@pytest.mark.parametrize("then", ["position startpos moves e2e4", "ucinewgame", "isready\nstop", "go nodes 5", "position nowhere",
                                  "setoption name Threads value 2\nposition startpos", "setoption name Backend value trivial\nstop\nisready"])
def test_what_follows_in_the_same_write(engine, first, then):
    engine.send("position startpos", *first.split("\n"), *then.split("\n"), "isready")
    lines = engine.until("readyok", 20) + (engine.until("readyok") if "isready" in then else [])
    more = engine.until("bestmove", 20) if len(moves(lines)) < 1 + then.startswith("go") else []
    found = moves(lines + more)
    assert len(found) == 1 + then.startswith("go") and set(found) <= legal(chess.Board())
    assert moves(engine.sync()) == []


@pytest.mark.parametrize("go", ["go wtime 1000 btime 1000 foo 3", "go wtime 600.0 btime 600.0", "go\tnodes 3", "\tgo \t nodes\t3", "go nodes 3.0",
                                "go nodes 3 nodes 4", "go foo bar nodes 3", "go movetime 1e3", "go nodes many", "go depth", "go wtime x btime 500",
                                "go searchmoves", "go searchmoves nodes 3", "go nodes 3 searchmoves e2e5", "go wtime -1000", "go movetime 0", "go perft 3",
                                "go movetime=100", "go wtime:1000 btime:1000", "go nodes 1,000", "go wtime null btime null", "joho go depth 1"])
def test_a_go_that_is_hard_to_read_is_answered(engine, go):
    engine.send("position startpos", go)
    if go == "go searchmoves":  # no limit at all
        engine.send("stop")
    assert engine.until("bestmove", 20)[-1].split()[1] in legal(chess.Board())
    assert moves(engine.sync()) == []


def test_a_time_that_is_infinite_waits_for_stop(engine):
    engine.send("position startpos", "go movetime infinite")
    time.sleep(0.3)
    assert moves(engine.sync()) == []
    engine.ask("stop")


def test_what_is_not_understood_is_said_once(engine):
    said = [line for line in engine.ask("position startpos", "go wtime 500 btime 500 foo 3") if "foo" in line]
    assert len(said) == 1 and said[0].startswith("info string error: go does not know 'foo 3'")


def test_rounding(engine):
    assert nodes(engine.ask("position startpos", "go nodes 6.5")) == 7


def test_waiting_for_a_search_that_waits_for_stop_is_refused(engine):
    engine.send("position startpos", "go infinite", "wait", "stop")
    assert "stop" in [line for line in engine.until("bestmove") if "error" in line][0]


@pytest.mark.parametrize("go", ["go infinite", "go ponder"])
@pytest.mark.parametrize("position", ["position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "position nowhere"])
def test_where_there_is_nothing_to_search_it_waits_for_stop_too(engine, position, go):
    engine.send(position, go)
    assert moves(engine.sync()) == []
    assert moves(engine.ask("stop")) == ["(none)"]
    assert moves(engine.sync()) == []


# for that position ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("bad", ["position startpos moves e2e4 e2e4", "position fen x", "position", "position startpos e2e4",
                                 "position fen 8/8/8/8/8/8/8/8 w - - 0 1", "position startpos moves e2e4 e7e5 x"])
def test_after_a_refused_position(engine, bad):
    engine.send("position startpos moves d2d4", bad)
    for _ in range(2):
        lines = engine.ask("go nodes 5")
        assert moves(lines) == ["(none)"] and any("refused" in line for line in lines)
    assert engine.ask("position startpos moves e2e4", "go nodes 5")[-1].split()[1] in legal(AFTER_E4)


def test_a_ponder_miss(engine):
    engine.send("position startpos moves e2e4", "go ponder wtime 1000 btime 1000", "stop")
    assert engine.until("bestmove")[-1].split()[1] in legal(AFTER_E4)
    engine.send("ponderhit")
    assert any("ponderhit without go ponder" in line for line in engine.sync())


def test_a_ponder_hit_has_its_own_clock(engine):
    engine.send("setoption name SmartPruningFactor value 0", "position startpos moves e2e4", "go ponder movetime 1000")
    time.sleep(1.2)
    assert moves(engine.sync()) == []
    before = time.monotonic()
    engine.ask("ponderhit")  # pruning would end it at once where what was pondered has settled the move
    assert 0.5 < time.monotonic() - before < 8


@pytest.mark.parametrize("position,last", [
    ("position startpos moves g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1", "f6g8"),
    ("position fen 4k3/8/8/8/8/8/R7/4K3 w - - 98 80 moves a2b2", "e8d8")])
def test_what_was_played_before_counts(engine, position, last):
    engine.send("setoption name UCI_ShowWDL value true", position)
    line = engine.ask(f"go nodes 9 searchmoves {last}")[-2]
    assert " score cp 0 wdl 0 1000 0 " in line, "a draw by the rules"


@pytest.mark.parametrize("moves,clocks", [("", "wtime 100 btime 600000"), (" moves e2e4", "wtime 600000 btime 100")])
def test_the_clock_is_that_of_the_side_to_move(start, moves, clocks):
    engine = start("--backend=random", "--backend-opts=delay=5", "--smart-pruning-factor=0")
    before = time.monotonic()
    engine.ask("position startpos" + moves, "go " + clocks, seconds=60)
    assert time.monotonic() - before < 10, "the other one allows 20 s and more"


def test_the_clock_starts_when_go_arrives(start):
    engine = start("--backend=random", "--backend-opts=delay=2000", "--threads=1")
    engine.sync()
    engine.send("position startpos", "go nodes 5", "position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "go nodes 1")
    engine.until("bestmove")
    line = engine.until("bestmove")[-2]
    assert int(re.search(r" time (\d+)", line)[1]) >= 1000, "it came while the engine waited for an evaluation of 2 s"


def test_a_search_for_mate_ends_with_it(engine):
    assert moves(engine.ask("position fen 6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1", "go mate 1")) == ["a1a8"]


# with the options in force --------------------------------------------------------------------------------------------

CHANGES = ["BackendOptions value seed=7", "PolicyTemperature value 3", "HistoryFill value no", "WDLCalibrationElo value 1500", "Backend value trivial",
           "Contempt value 200", "WDLDrawRateReference value 0.8", "TwoFoldDraws value false", "DirichletNoiseEpsilon value 0.5", "ClearTree"]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_outlives_its_cause(start, change):
    """After a change the same go answers like an engine that never was otherwise."""
    engine, other = (start("--backend=random", "--threads=1", "--minibatch-size=1", "--verbose-move-stats") for _ in range(2))
    engine.ask("position startpos", "go nodes 300")
    engine.send(f"setoption name {change}")
    engine.sync()
    again = engine.ask("go nodes 100")
    assert nodes(again) == 100
    if "Dirichlet" in change:
        return
    other.send(f"setoption name {change}")
    other.sync()
    assert stats(other.ask("position startpos", "go nodes 100")) == stats(again)


def test_a_tree_of_one_side_s_contempt_is_not_the_other_side_s(engine):
    engine.send("setoption name Contempt value 200", "setoption name WDLCalibrationElo value 2000")
    engine.ask("position startpos", "go nodes 500")
    assert nodes(engine.ask("position startpos moves g1f3", "go nodes 2")) == 2


def test_options_that_act_at_once_reach_the_search_however_soon_they_come(engine):
    for _ in range(20):
        engine.send("position startpos", "go infinite", "setoption name MultiPV value 3", "setoption name UCI_ShowWDL value true")
        engine.sync()
        last = engine.ask("stop")[-2]
        assert " multipv 3 " in last and " wdl " in last
        engine.send("setoption name MultiPV value 1", "setoption name UCI_ShowWDL value false")


def stats(lines):
    """The visits of the moves and their values; which others the cache knows is not part of the answer."""
    return [line.partition("(V:")[0] for line in lines if " (P: " in line]


def test_another_network_answers_at_once(start, reference):
    nets = [reference / "nets" / f"{name}.pb.gz" for name in ("maia-1500", "maia-1900")]
    both, alone = (start("--backend=cpu", "--threads=1", "--minibatch-size=1", "--verbose-move-stats", f"--weights={net}") for net in nets)
    both.ask("position startpos", "go nodes 200", seconds=60)
    both.send(f"setoption name WeightsFile value {nets[1]}")
    changed = stats(both.ask("go nodes 50", seconds=60))
    assert changed == stats(alone.ask("position startpos", "go nodes 50", seconds=60))


def test_a_new_clock_with_the_game_going_on(engine):
    engine.send("setoption name MoveOverheadMs value 0")
    engine.ask("position startpos", "go wtime 840000 btime 840000 depth 1")
    before = time.monotonic()
    engine.ask("position startpos moves e2e4 e7e5", "go wtime 3000 btime 3000")
    assert time.monotonic() - before < 2  # 0.2 s; it was 2.6 s


# as many visits as were asked for -------------------------------------------------------------------------------------

@pytest.mark.parametrize("flags", ["", "--minibatch-size=32", "--minibatch-size=256 --threads=4", "--threads=3 --no-out-of-order-eval"])
def test_nodes_alone_are_exact(start, flags):
    engine = start("--backend=random", *flags.split())
    for number in (1, 2, 5, 50, 100, 777):
        for more in ("", " searchmoves e2e4"):
            engine.send("ucinewgame")
            assert nodes(engine.ask("position startpos", f"go nodes {number}{more}")) == number
    engine.send("ucinewgame")
    assert nodes(engine.ask("position fen 7k/8/8/8/8/8/1r6/K7 w - - 0 1", "go nodes 60")) == 60, "with one legal move"


def test_visits_that_are_kept_count(engine):
    assert nodes(engine.ask("position startpos", "go nodes 50")) == 50
    assert nodes(engine.ask("go nodes 80")) == 80
    assert nodes(engine.ask("go nodes 10")) == 80, "known already"
    engine.send("setoption name NodesAsPlayouts value true")
    assert nodes(engine.ask("go nodes 10")) == 90


@pytest.mark.parametrize("go", ["go mate 5 movetime 300", "go mate 5 nodes 300", "go mate 3 wtime 1000 btime 1000"])
def test_a_mate_that_is_not_there_has_its_limits(engine, go):
    engine.ask("position startpos", go)


def test_less_time_than_is_kept_back(engine):
    engine.send("setoption name MoveOverheadMs value 2000")
    before = time.monotonic()
    lines = engine.ask("position startpos", "go movetime 600")
    assert 0.25 < time.monotonic() - before < 5 and nodes(lines) > 1


def test_without_time_the_tree_answers(engine):
    engine.ask("position startpos", "go nodes 200")
    lines = engine.ask("go wtime 10 btime 10")
    assert nodes(lines) == 200, "no visit was made"


def test_with_next_to_no_time_a_position_that_the_tree_does_not_know_needs_no_network(start):
    engine = start("--backend=random", "--backend-opts=delay=6000", "--threads=1")
    before = time.monotonic()
    lines = engine.ask("position startpos moves e2e4 d7d5", "go wtime 50 btime 50")
    assert time.monotonic() - before < 5.5 and any("without the network" in line for line in lines)
    assert moves(lines)[0] == "e4d5", "captures first"
    assert nodes(engine.ask("go nodes 1", seconds=60)) == 1 and time.monotonic() - before > 6, "nothing of it is in the tree"


# the end of the input -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text,visits", [("position startpos\ngo nodes 300\n", 300), ("position startpos\ngo nodes 300", 300),
                                         ("position startpos\ngo depth 2\n", None), ("position startpos\ngo infinite\n", None),
                                         ("position startpos\ngo\n", None), ("position startpos\ngo ponder nodes 5\n", None)])
def test_the_end_of_the_input(text, visits, tmp_path):
    command = [sys.executable, "-m", "lc0rocm", "--config=", "--backend=random", "--threads=1"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and moves(lines) and moves(lines[-1:])[0] in legal(chess.Board())
    if visits:
        assert nodes(lines) == visits
