"""Benchmarks: their positions, their numbers, their formats."""
import json

import chess
import pytest

from lc0rocm import bench, cli, positions

RANDOM = ["--backend=random", "--threads=1"]


def boards():
    for text in positions.POSITIONS:
        fen, moves = positions.split(text)
        board = chess.Board(fen)
        assert board.is_valid(), text
        for move in moves:
            board.push_uci(move)
        yield board


def test_positions_are_playable():
    for board in boards():
        assert any(board.legal_moves) and not board.is_insufficient_material()


def test_positions_are_the_usual_mix():
    played = list(boards())
    assert len(set(positions.POSITIONS)) == len(played) == 34
    many = [len(board.piece_map()) > 20 for board in played]
    assert sum(many) == 18 and many[:10].count(False) == 1
    assert sorted(len(positions.split(text)[1]) for text in positions.POSITIONS)[-4:] == [0, 1, 1, 4]
    assert sum(board.is_repetition(2) for board in played) == 1
    assert {40, 93} <= {board.halfmove_clock for board in played}
    assert sum(board.turn for board in played) > 17


def test_batch_statistics():
    # Two threads, four batches of 8 each. Samples are the gaps, halved: 0.5, 0.5, 1, 0.5, 0.5, 0.5 s.
    row = bench.batch_statistics(8, [[1.0, 2.0, 3.0, 5.0], [1.5, 2.5, 3.5, 4.5]], max_batch=3)
    assert row["mean_nps"] == pytest.approx(8 * 6 / 3.5)
    assert row["mean_ms"] == pytest.approx(3500 / 6)
    assert row["sdev_ms"] == pytest.approx(204.124, abs=1e-3)
    assert row["cv"] == pytest.approx(0.34993, abs=1e-5)
    assert (row["max_nps"], row["median_nps"], row["min_nps"]) == (16, 16, 8)
    assert (row["first_max_ms"], row["first_mean_ms"]) == (1000, 750)
    assert row["evals_per_second"] == pytest.approx(8 * 8 / 5)
    assert row["mean_batch"] == pytest.approx(8 / 3)


def test_batch_line():
    row = bench.batch_statistics(8, [[1.0, 2.0, 3.0, 5.0]], max_batch=1024)
    assert bench.batch_line(row) == ("   8,        6,    1333,577.3503, 0.4330,       8,       8,       4, 1000.0000,  1000.0000,"
                                     "       6,        8.0")


def test_bench(capsys):
    assert cli.main(["bench", *RANDOM, "--num-positions=2", "--nodes=50", "--movetime=-1"]) == 0
    out = capsys.readouterr().out
    assert f"\nPosition: 2/2 {positions.POSITIONS[1]}\nBenchmark time " in out
    assert out.count("\nbestmove ") == 2
    total = [line for line in out.splitlines() if line.startswith("Nodes searched  : ")]
    assert 98 <= int(total[0].split(":")[1]) <= 200


def test_bench_json(capsys):
    fen = "8/8/8/8/8/4k3/4p3/4K3 w - - 0 1"
    assert cli.main(["bench", *RANDOM, "--json", "--nodes=20", "--fen=" + positions.POSITIONS[2]]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["backend"] == "random" and found["nodes"] == sum(entry["nodes"] for entry in found["positions"])
    assert chess.Move.from_uci(found["positions"][0]["best_move"]) in chess.Board(positions.POSITIONS[2]).legal_moves
    assert cli.main(["bench", *RANDOM, "--fen=" + fen]) == 2 and "stalemate" in capsys.readouterr().err


def test_backendbench(capsys):
    flags = ["--batches=4", "--max-batch-size=5", "--batch-step=2", "--threads=2"]
    assert cli.main(["backendbench", "--backend=random", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("size, mean nps, mean ms,   sdev,"))
    assert [line.split(",")[0].strip() for line in lines[header + 1:]] == ["1", "3", "5"]


def test_check_of_a_back_end_with_itself(capsys):
    flags = ["--backend=random", "--against=random", "--positions=40"]
    assert cli.main(["check", *flags, "--against-opts=seed=0"]) == 0
    assert "within the tolerance" in capsys.readouterr().out
    assert cli.main(["check", *flags, "--against-opts=seed=1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["positions"] == 40 and not found["within_tolerance"] and found["outputs"][0]["worst"] > 0
