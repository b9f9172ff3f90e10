"""What a GUI sends and what it must get back, in time."""
import re
import threading
import time

import chess
import pytest

INFO = re.compile(r"info depth \d+ seldepth \d+ time \d+ nodes \d+ score (cp|mate) -?\d+( wdl \d+ \d+ \d+)?( movesleft \d+)?"
                  r"( nps \d+)?( eps \d+)? tbhits \d+( multipv \d+)?( pv( [a-h][1-8][a-h][1-8][qrbn]?)+)?$")


def infos(lines):
    return [line for line in lines if line.startswith("info depth")]


def best(lines):
    return lines[-1].split()[1]


def test_answers_uci_and_isready_at_once(start):
    before = time.monotonic()
    engine = start()
    engine.send("uci")
    lines = engine.until("uciok", 5)
    # Half a second on an idle machine: tests/uci/test_startup.py has the measurement that does not depend on load.
    assert time.monotonic() - before < 3
    assert "Lc0" in lines[0] and lines[0].startswith("id name ") and lines[1].startswith("id author ")
    assert all(line.startswith("option name ") for line in lines[2:-1])
    assert "option name MultiPV type spin default 1 min 1 max 500" in lines
    assert "option name UCI_ShowWDL type check default false" in lines
    assert not any("Temperature type" in line and "Policy" not in line for line in lines)


def test_hidden_options_and_flags_as_defaults(start):
    engine = start("uci", "--show-hidden", "--cpuct=2.5")
    engine.send("uci")
    lines = engine.until("uciok")
    assert "option name Temperature type string default 0.000000" in lines
    assert "option name CPuct type string default 2.500000" in lines


@pytest.mark.parametrize("go", ["go nodes 50", "go depth 2", "go movetime 300", "go wtime 2000 btime 2000",
                                "go btime 300",
                                "go wtime 100", "go wtime 2000 btime 2000 winc 10 binc 10 movestogo 3", "go nodes 1",
                                "go nodes 0",
                                "go wtime -5 btime -5", "go movetime 1", "go nodes 30 searchmoves e2e4 d2d4",
                                "go nodes 99999999999999999999999 movetime 300", "go mate 1 nodes 40", "go depth -1"])
def test_every_go_has_a_score_and_one_bestmove(engine, go):
    lines = engine.ask("position startpos", go)
    assert any(" score " in line for line in infos(lines))
    assert all(INFO.match(line) for line in infos(lines)), lines
    assert chess.Move.from_uci(best(lines)) in chess.Board().legal_moves
    assert not any(line.startswith("bestmove") for line in engine.sync())


def test_go_without_position(engine):
    assert best(engine.ask("go nodes 10")) != "(none)"


def test_infinite_ends_with_stop_only(engine):
    engine.send("position startpos", "go infinite nodes 20")
    lines = engine.until("info string the search has reached")
    assert "waits for stop" in lines[-1]
    time.sleep(0.2)
    assert not any(line.startswith("bestmove") for line in lines + engine.sync())
    assert best(engine.ask("stop")) != "(none)"


def test_position_ends_a_search(engine):
    engine.send("position startpos", "go infinite")
    engine.until("info depth")
    engine.send("position startpos moves e2e4")
    assert [line for line in engine.sync() if line.startswith("bestmove")][0].split()[1][1] in "12"  # of the first search
    assert chess.Move.from_uci(best(engine.ask("go nodes 10"))) in chess.Board(
        "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1").legal_moves


def test_a_second_go_gets_its_own_bestmove(engine):
    engine.send("position startpos", "go infinite", "go nodes 20")
    engine.until("bestmove")
    engine.until("bestmove")


def test_quit_says_the_bestmove(engine):
    engine.send("position startpos", "go infinite")
    engine.until("info depth")
    engine.send("quit")
    engine.until("bestmove")
    assert engine.process.wait(5) == 0


def test_end_of_input_ends_the_engine(engine):
    engine.send("position startpos", "go infinite")
    engine.process.stdin.close()
    assert engine.process.wait(5) == 0


def test_wait(engine):
    engine.send("position startpos", "go nodes 20", "wait", "isready")
    lines = engine.until("readyok")
    assert lines[-2].startswith("bestmove")


@pytest.mark.parametrize("fen,score", [("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "score cp 0"),
                                       ("7k/6Q1/6K1/8/8/8/8/8 b - - 0 1", "score mate 0")])
def test_end_of_game(engine, fen, score):
    lines = engine.ask(f"position fen {fen}", "go nodes 10")
    assert score in lines[-2] and lines[-1] == "bestmove (none)"


def test_mate_in_one(engine):
    lines = engine.ask("position fen 7k/8/6K1/8/8/8/8/R7 w - - 0 1", "go nodes 300")
    assert "score mate 1 " in infos(lines)[-1] and best(lines) == "a1a8"


def test_multipv_lines_come_in_order(engine):
    engine.send("setoption name MultiPV value 500", "setoption name UCI_ShowWDL value true")
    lines = infos(engine.ask("position startpos", "go nodes 200"))
    assert len(lines) % 20 == 0
    for number, line in enumerate(lines):
        assert INFO.match(line) and f" multipv {number % 20 + 1} " in line
        assert sum(map(int, re.search(r"wdl (\d+) (\d+) (\d+)", line).groups())) == 1000
    assert len({line.split(" pv ")[1].split()[0] for line in lines[-20:]}) == 20


def test_verbose_move_stats(engine):
    engine.send("setoption name VerboseMoveStats value true")
    lines = engine.ask("position startpos", "go nodes 100")
    stats = [line for line in lines if line.startswith("info string ")][-21:]
    moves = [line.split()[2] for line in stats]
    assert set(moves[:-1]) == {move.uci() for move in chess.Board().legal_moves} and moves[-1] == "node"
    visits = [int(re.search(r"N: +(\d+) ", line)[1]) for line in stats]
    assert visits[:-1] == sorted(visits[:-1]) and visits[-1] == sum(visits[:-1]) + 1
    assert all(line.endswith(" ") for line in stats)
    assert lines.index(stats[-1]) == len(lines) - 2


def keys(line, kind):
    assert line.startswith(f"info string {kind} ")
    return dict(word.split("=") for word in line.split()[3:])


@pytest.mark.parametrize("nodes", [1, 100])
def test_moves_with_probabilities(start, reference, nodes):
    """As a program reads them: they are the network's own policy, and what the search made of it."""
    import lc0rocm
    net = reference / "nets/maia-1900.pb.gz"
    engine = start("--backend=cpu", f"--weights={net}", "--threads=1", "--move-stats", "--policy-softmax-temp=1")
    lines = engine.ask("position startpos moves e2e4 e7e5 g1f3 b8c6 f1c4 g8f6", f"go nodes {nodes}")
    found = [keys(line, "movestats") for line in lines if "movestats" in line]
    assert lines[-len(found) - 1:-1] == [line for line in lines if "movestats" in line] and len(found) == 33
    board = chess.Board()
    for move in "e2e4 e7e5 g1f3 b8c6 f1c4 g8f6".split():
        board.push_uci(move)
    with lc0rocm.Network(net, "cpu") as network:
        for move, policy in network.policy(board).items():
            line = next(line for line in found if line["move"] == move.uci())
            assert float(line["policy"]) == pytest.approx(policy, rel=0.01, abs=2e-4)
    assert sum(float(line["policy"]) for line in found) == pytest.approx(1, abs=1e-3)
    visits = [int(line["visits"]) for line in found]
    assert visits == sorted(visits, reverse=True) and sum(visits) == nodes - 1
    for line in found:
        assert ("q" in line) == (int(line["visits"]) > 0)
        if "q" in line:
            win, draw, loss = (float(line[key]) for key in ("win", "draw", "loss"))
            assert win + draw + loss == pytest.approx(1, abs=1e-5) and float(line["q"]) == pytest.approx(win - loss, abs=1e-5)
    if nodes > 1:
        assert best(lines) == found[0]["move"]


@pytest.mark.parametrize("chess960,written", [("false", "e1g1"), ("true", "e1h1")])
def test_move_stats_castle_as_the_gui_does(engine, chess960, written):
    engine.send(f"setoption name UCI_Chess960 value {chess960}", "setoption name MoveStats value true")
    lines = engine.ask(CASTLE, "go nodes 30")
    assert written in [keys(line, "movestats")["move"] for line in lines if "movestats" in line]


def test_speed_stats_follow_the_info_lines(start):
    engine = start("--backend=random", "--threads=2", "--backend-opts=delay=2", "--speed-stats")
    lines = engine.ask("position startpos", "go nodes 500")
    after = [keys(lines[i + 1], "speed") for i, line in enumerate(lines) if line.startswith("info depth")]
    assert set(after[-1]) == {"nps", "eps", "batch", "cachehits", "idle"}
    assert float(after[-1]["batch"]) >= 1 and all(0 <= float(after[-1][share]) < 1 for share in ("cachehits", "idle"))
    engine.send("ucinewgame")
    lines = engine.ask("position startpos", "go nodes 500")
    engine.send("setoption name ClearTree")
    again = keys(engine.ask("position startpos", "go nodes 500")[-2], "speed")
    assert float(again["cachehits"]) > float(keys(lines[-2], "speed")["cachehits"])


def test_live_stats_follow_the_info_lines(start):
    engine = start("--backend=random", "--threads=1", "--backend-opts=delay=2", "--log-live-stats", "--verbose-move-stats")
    engine.send("position startpos", "go infinite")
    seen = [line for _ in range(3) for line in engine.until("info depth")]
    lines = seen + engine.ask("stop")
    after_info = [lines[i + 1] for i, line in enumerate(lines) if line.startswith("info depth")]
    assert len(after_info) > 1 and all(" (U: " in line for line in after_info)


def test_live_stats_alone_go_to_the_log_file(engine, tmp_path):
    log = tmp_path / "log"
    engine.send(f"setoption name LogFile value {log}", "setoption name LogLiveStats value true")
    lines = engine.ask("position startpos", "go nodes 2000")
    assert not any(" (U: " in line for line in lines) and " (U: " in log.read_text()


def test_a_mistake_in_a_report_does_not_lose_the_move(monkeypatch):
    def wrong(*_, **__):
        raise ZeroDivisionError("a mistake")

    from lc0rocm import options
    from lc0rocm.engine import play, request, run, scores
    monkeypatch.setattr(scores, "info_lines", wrong)
    sent = []
    settings = options.Settings(options.ENGINE)
    settings.values |= {"Backend": "random", "WeightsFile": "<built in>"}
    player = play.Player(run.Voice(settings, sent.extend, sent.extend))
    player.go(request.Request(nodes=100), time.monotonic())
    player.wait()
    assert any("ZeroDivisionError" in line for line in sent) and sent[-1].startswith("bestmove ") and len(sent[-1]) > 12


class Lines(list):
    failure = None
    write = list.extend


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("go", ["go infinite", "go ponder", "go nodes 10000000", "go movetime 100", "go wtime 60000 btime 60000",
                                "go searchmoves a2a4"])
def test_where_no_thread_is_to_be_had_each_command_is_answered(go, loaded):
    from lc0rocm import options
    from lc0rocm.engine import uci
    settings, sent = options.Settings(options.ENGINE), Lines()
    settings.values |= {"Backend": "random", "WeightsFile": "<built in>"}
    engine = uci.Uci(settings, False, sent)
    if loaded:
        engine.handle("isready", time.monotonic())
    before = threading.stack_size(1 << 47)  # for which no machine has the address space
    try:
        for line in ("position startpos", "isready", go, "isready"):
            engine.handle(line, time.monotonic())
    finally:
        threading.stack_size(before)
    assert not any("internal" in line for line in sent) and any("no more threads" in line for line in sent)
    (bestmove,) = [line.split()[1] for line in sent if line.startswith("bestmove ")]
    legal = {"a2a4"} if "a2a4" in go else {move.uci() for move in chess.Board().legal_moves}
    assert sent.count("readyok") == 2 + loaded and bestmove in (legal if loaded else {"(none)"})


@pytest.mark.parametrize("says_so", [True, False])
def test_another_game_has_a_time_manager_of_its_own(says_so):
    from lc0rocm import options
    from lc0rocm.engine import play, request, run
    settings = options.Settings(options.ENGINE)
    settings.values |= {"Backend": "random", "WeightsFile": "<built in>"}

    player = play.Player(run.Voice(settings, [].extend, [].extend))

    def manager(fen, moves=()):
        player.set_position(fen, moves)
        player.go(request.Request(wtime=60000, btime=60000, nodes=1), time.monotonic())
        player.wait()
        return player.run.task.manager

    first = manager(chess.STARTING_FEN)
    assert manager(chess.STARTING_FEN, ["e2e4", "e7e5"]) is first, "what was saved counts"
    if says_so:
        player.new_game()
    assert manager("rnbqkb1r/pppppppp/5n2/8/8/5N2/PPPPPPPP/RNBQKB1R w KQkq - 2 2") is not first


@pytest.mark.parametrize("go", ["go wtime 60000 btime 60000", "go movetime 2000", "go nodes 1000", "go depth 90"])
def test_a_limit_of_nodes_holds_for_every_go(engine, go):
    engine.send("setoption name NodesLimit value 7", "position startpos")
    assert re.search(r" nodes (\d+) ", engine.ask(go)[-2])[1] == "7"
    engine.send("ucinewgame", "setoption name NodesLimit value 0")
    assert re.search(r" nodes (\d+) ", engine.ask("go nodes 20")[-2])[1] == "20"


def test_a_limit_of_nodes_ends_an_analysis_that_waits_for_stop(engine):
    engine.send("setoption name NodesLimit value 7", "position startpos", "go infinite")
    time.sleep(0.2)
    assert not any(line.startswith("bestmove") for line in engine.sync())
    assert int(re.search(r" nodes (\d+) ", engine.ask("stop")[-2])[1]) <= 7


def test_searchmoves(engine):
    assert best(engine.ask("position startpos", "go searchmoves a2a3 nodes 30")) == "a2a3"
    lines = engine.ask("go nodes 30 searchmoves a1a8 e7e5")
    assert any("searchmoves" in line for line in lines) and best(lines) != "a1a8"


def test_tree_reuse_counts_old_visits(engine):
    first = engine.ask("position startpos", "go nodes 300")
    reply = re.search(r"bestmove (\S+) ponder (\S+)", first[-1])
    lines = infos(engine.ask(f"position startpos moves {reply[1]} {reply[2]}", "go nodes 301"))
    assert int(re.search(r"nodes (\d+)", lines[0])[1]) > 1


CASTLE = "position fen r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"


@pytest.mark.parametrize("typed", ["e1g1", "e1h1"])
@pytest.mark.parametrize("chess960,written", [("false", "e1g1"), ("true", "e1h1")])
def test_castling_both_ways(engine, typed, chess960, written):
    engine.send(f"setoption name UCI_Chess960 value {chess960}", "setoption name VerboseMoveStats value true")
    lines = engine.ask(CASTLE, f"go nodes 30 searchmoves {typed}")
    assert best(lines) == written
    assert infos(lines)[-1].split(" pv ")[1].split()[0] == written
    assert any(line.startswith("info string e1h1 ") for line in lines)
    engine.send(f"{CASTLE} moves {typed}")
    assert engine.sync() == []


def test_chess960_castling_of_a_king_off_the_e_file(engine):
    engine.send("setoption name UCI_Chess960 value true")
    fen = "rk5r/pppppppp/8/8/8/8/PPPPPPPP/RK5R w HAha - 0 1"
    assert best(engine.ask(f"position fen {fen}", "go nodes 30 searchmoves b1h1")) == "b1h1"


def test_ponder(engine):
    engine.send("setoption name Ponder value true", "position startpos moves e2e4 e7e5",
                "go ponder wtime 2000 btime 2000")
    pondered = int(re.search(r"nodes (\d+)", engine.until("info depth")[-1])[1])
    engine.send("ponderhit")
    lines = engine.until("bestmove")
    after = chess.Board("rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2")
    assert chess.Move.from_uci(best(lines)) in after.legal_moves
    assert all(int(re.search(r"nodes (\d+)", line)[1]) >= pondered for line in infos(lines)), "what was found is kept"


def test_stop_while_pondering_answers_for_the_position_that_was_sent(engine):
    engine.send("setoption name Ponder value true", "position startpos moves e2e4 e7e5",
                "go ponder wtime 2000 btime 2000")
    engine.until("info depth")
    assert chess.Move.from_uci(best(engine.ask("stop"))) in chess.Board(
        "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2").legal_moves


def test_movetime_is_kept(engine):
    engine.send("setoption name MoveOverheadMs value 0")
    engine.sync()
    before = time.monotonic()
    engine.ask("position startpos", "go movetime 500")
    assert 0.45 < time.monotonic() - before < 2


def test_no_network_is_said_and_survived(start):
    engine = start("--backend=cpu", "--weights=/nowhere/net.pb.gz")
    assert any("/nowhere/net.pb.gz" in line for line in engine.sync())
    lines = engine.ask("position startpos", "go nodes 10")
    assert any("/nowhere/net.pb.gz" in line for line in lines) and lines[-1] == "bestmove (none)"
    engine.send("setoption name Backend value random")
    assert best(engine.ask("go nodes 10")) != "(none)"


def test_the_choice_of_auto_is_one_line(start, reference):
    engine = start("--weights=" + str(reference / "nets" / "ab-pemap-64x2.pb.gz"))
    lines = [line for line in engine.sync() if "chosen by auto" in line]
    assert len(lines) == 1 and "cpu" in lines[0] or "rocm" in lines[0]
    assert best(engine.ask("position startpos", "go nodes 20")) != "(none)"


def test_another_network_without_restart(start, reference):
    engine = start("--backend=cpu", "--weights=" + str(reference / "nets" / "ab-pemap-64x2.pb.gz"))
    engine.ask("position startpos", "go nodes 10")
    engine.send("setoption name WeightsFile value " + str(reference / "nets" / "se-relu-32x2.pb.gz"))
    assert any("se-relu-32x2" in line for line in engine.sync())
    assert best(engine.ask("position startpos", "go nodes 10")) != "(none)"


def test_who_has_read_bestmove_finds_the_search_ended(start, reference):
    """Also at once: isready loads what the options name by then."""
    nets = [reference / "nets" / f"{name}.pb.gz" for name in ("ab-pemap-64x2", "se-relu-32x2")]
    engine = start("--backend=cpu", f"--weights={nets[0]}")
    for i in range(1, 21):
        engine.ask("position startpos", "go nodes 10")
        engine.send(f"setoption name WeightsFile value {nets[i % 2]}")
        assert any(str(nets[i % 2]) in line for line in engine.sync())


def test_log_file(start, tmp_path):
    engine = start("--backend=random", f"--logfile={tmp_path / 'log.txt'}")
    engine.ask("position startpos", "go nodes 5")
    engine.sync()
    text = (tmp_path / "log.txt").read_text()
    assert "> go nodes 5\n" in text and "< bestmove " in text


@pytest.mark.parametrize("search", ["classic", "dag"])
def test_a_tree_is_saved_and_loaded(start, tmp_path, search):
    engine = start(search, "--backend=random")
    path = tmp_path / "a tree"
    engine.ask("position startpos moves e2e4 e7e5", "go nodes 500")
    engine.send(f'savetree "{path}"')
    assert any(f"500 nodes is in {path}" in line for line in engine.sync())
    other = start(search, "--backend=random")
    other.send(f"loadtree {path}")
    assert any("500 nodes" in line and line.endswith("moves e2e4 e7e5") for line in other.sync())
    assert " nodes 700 " in other.ask("go nodes 700")[-2]
    other.send("setoption name PolicyTemperature value 2", f"loadtree {path}", f"loadtree {path}x", "loadtree", f"savetree {path}/x")
    complaints = [line for line in other.sync() if "error" in line]
    assert len(complaints) == 4 and "PolicyTemperature" in complaints[0] and "write: savetree FILE" in complaints[2]
    engine.send("position startpos", "go infinite", f"savetree {path}")
    assert any("is in" in line for line in engine.sync()), "while it grows"
    engine.ask("stop")
