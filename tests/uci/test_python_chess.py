"""The client that most Python programs use."""
import sys
import time

import chess
import chess.engine
import pytest


@pytest.fixture
def client(tmp_path):
    command = [sys.executable, "-m", "lc0rocm", "--config=", "--backend=random", "--threads=1", "--show-hidden"]
    with chess.engine.SimpleEngine.popen_uci(command, cwd=tmp_path, timeout=20) as client:
        yield client


@pytest.mark.parametrize("start", [None, 518, 0])
def test_a_game(client, start):
    board = chess.Board() if start is None else chess.Board.from_chess960_pos(start)
    # Enough on the clock for a machine that is busy with other things; `lc0rocm match` plays faster, whole games.
    clocks = {chess.WHITE: 3.0, chess.BLACK: 3.0}
    while not board.is_game_over(claim_draw=True) and board.ply() < 24:
        limit = chess.engine.Limit(white_clock=clocks[chess.WHITE], black_clock=clocks[chess.BLACK], white_inc=0.1,
                                   black_inc=0.1)
        before = time.monotonic()
        played = client.play(board, limit, game=start)
        clocks[board.turn] -= time.monotonic() - before
        assert clocks[board.turn] > 0, f"time lost at ply {board.ply()}"
        clocks[board.turn] += 0.1
        assert played.move in board.legal_moves
        board.push(played.move)
    assert board.ply() == 24 or board.is_game_over(claim_draw=True)


def test_analysis_with_multipv(client):
    board = chess.Board("r1bqkbnr/pppp1ppp/2n5/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R w KQkq - 2 3")
    lines = client.analyse(board, chess.engine.Limit(nodes=400), multipv=5)
    assert [line["multipv"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(line["pv"][0] in board.legal_moves and "score" in line for line in lines)


def test_infinite_analysis(client):
    with client.analysis(chess.Board(), chess.engine.Limit()) as analysis:
        assert analysis.next() is not None
        analysis.stop()
        assert analysis.wait().move in chess.Board().legal_moves


def test_ponder_game(client):
    board = chess.Board()
    for _ in range(6):
        played = client.play(board, chess.engine.Limit(white_clock=2, black_clock=2), ponder=True)
        board.push(played.move)
    assert board.ply() == 6


# What bots and scripts set by habit, all at once: what is not listed cannot be set at all.
HABITS = {"Hash": 64, "Move Overhead": 100, "Threads": 2, "SyzygyPath": "./syzygy/", "UCI_ShowWDL": True, "UCI_AnalyseMode": True,
          "Clear Hash": None, "SyzygyProbeLimit": 6, "SyzygyProbeDepth": 1, "Syzygy50MoveRule": True, "OwnBook": False, "Slow Mover": 84,
          "UCI_LimitStrength": False, "UCI_Elo": 1500, "UCI_Opponent": "GM 2800 human Magnus", "Contempt": 24,
          "MinibatchSize": 8, "MaxPrefetch": 0, "TaskWorkers": 4, "NNCacheSize": 20000, "MoveOverheadMs": 50, "WeightsFile": "x.pb.gz",
          "Backend": "random", "BackendOptions": "", "RamLimitMb": 100, "ScoreType": "centipawn", "LogFile": "", "ConfigFile": "x",
          "SmartPruningFactor": 0, "VerboseMoveStats": False, "StrictTiming": False, "CPuct": 2.1, "PolicyTemperature": 1.4}


def test_options_that_are_set_by_habit(tmp_path):
    with chess.engine.SimpleEngine.popen_uci([sys.executable, "-m", "lc0rocm", "--config="], cwd=tmp_path, timeout=20) as client:
        client.configure(HABITS)
        assert client.play(chess.Board(), chess.engine.Limit(nodes=20)).move in chess.Board().legal_moves
