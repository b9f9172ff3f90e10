"""Benchmarks: their positions, their numbers, their formats."""
import hashlib
import json
import math
import random
import sys

import chess
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import bench, cli, compare, plot, positions, suggest
from lc0rocm._core import Error

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


# numbers to share -----------------------------------------------------------------------------------------------------

BATCHES = ["backendbench", "--backend=random", "--batches=20", "--max-batch-size=8", "--batch-step=3"]


def result(capsys, tmp_path, name, *arguments):
    """What a command gives as JSON, and the file that it is in."""
    assert cli.main([*arguments, "--json"]) in (0, 1)
    text = capsys.readouterr().out
    (tmp_path / name).write_text(text)
    return json.loads(text), str(tmp_path / name)


@pytest.mark.parametrize("arguments", [["bench", *RANDOM, "--num-positions=2", "--nodes=50"], BATCHES,
                                       ["check", "--backend=random", "--against=random", "--positions=4"]])
def test_results_carry_the_whole_context(capsys, tmp_path, arguments):
    found, _ = result(capsys, tmp_path, "a.json", *arguments)
    context = found["context"]
    assert context["version"] and context["backend"] == "random" and context["network"] is None and context["options"]["Backend"] == "random"
    assert context["cpu"] and context["kernel"].startswith("Linux") and context["processors"] >= 1 and context["date"][:3] == "202"
    assert {"commit", "os", "python", "gpus", "driver", "rocm", "libraries", "variables", "device", "load"} <= context.keys()
    assert {flag.partition("=")[0][2:] for flag in arguments if flag.startswith("--")} <= {
        next(option.flag for option in cli.COMMANDS[arguments[0]].options if option.key == key) for key in context["options"]}


def test_the_network_is_named_by_its_hash(capsys, tmp_path, reference):
    net = reference / "nets/se-relu-32x2.pb.gz"
    found, _ = result(capsys, tmp_path, "a.json", "bench", "--backend=cpu", "--num-positions=1", "--nodes=5", f"--weights={net}")
    assert found["context"]["network"] == {"name": net.name, "sha256": hashlib.sha256(net.read_bytes()).hexdigest()}
    assert found["cache_hits"] is not None and 0 <= found["idle"] < 1


def test_compare(capsys, tmp_path):
    first, one = result(capsys, tmp_path, "a.json", *BATCHES)
    first["context"]["gpus"] = []  # a process in which another test has loaded the emulated GPU has some
    for row in first["sizes"]:
        row["cv"] = 0.1  # whatever else the machine does
    (tmp_path / "a.json").write_text(json.dumps(first))
    other = json.loads(json.dumps(first))
    other["context"] |= {"cpu": "another", "gpus": [{"name": "a card"}], "date": "later"}
    other["context"]["options"]["Threads"] = 7
    for row in other["sizes"]:
        row["mean_ms"] /= 100
        row["mean_nps"] *= 100
    other["sizes"].pop()
    (tmp_path / "b.json").write_text(json.dumps(other))
    found, _ = result(capsys, tmp_path, "c.json", "compare", one, str(tmp_path / "b.json"))
    assert {entry["what"] for entry in found["differences"]} == {"cpu", "gpus", "options.Threads"}
    assert [row["what"] for row in found["measures"]] == ["positions/s, batch 1", "positions/s, batch 4"]
    assert all(row["gain"]["times"] == pytest.approx(100) and row["gain"]["noise"] > 0 for row in found["measures"])
    assert cli.main(["compare", one, str(tmp_path / "b.json")]) == 0
    text = capsys.readouterr().out
    assert "another" in text and "+9900.0 % +- " in text and "within the noise" not in text
    assert cli.main(["compare", one, one]) == 0
    text = capsys.readouterr().out
    assert "Nothing differs" in text and text.count("within the noise") == len(first["sizes"])


def test_compare_of_searches_is_by_position(capsys, tmp_path):
    first, one = result(capsys, tmp_path, "a.json", "bench", *RANDOM, "--num-positions=4", "--nodes=50")
    for factor, sure in ((2.0, True), (1.0, False)):
        other = json.loads(json.dumps(first))
        for number, entry in enumerate(other["positions"]):
            first["positions"][number]["time_ms"] = 100
            entry |= {"time_ms": 100, "nodes": factor * first["positions"][number]["nodes"] * (1 + 0.01 * number)}
        (tmp_path / "a.json").write_text(json.dumps(first))
        (tmp_path / "b.json").write_text(json.dumps(other))
        gain = result(capsys, tmp_path, "c.json", "compare", one, str(tmp_path / "b.json"))[0]["measures"][0]["gain"]
        assert gain["times"] == pytest.approx(factor * 1.015, abs=0.002) and 0.005 < gain["noise"] < 0.03 * factor
        assert (abs(gain["times"] - 1) > 0.1) == sure


@settings(max_examples=60)
@given(data=st.data())
def test_files_that_are_no_results_cost_one_sentence(data, tmp_path_factory):
    good = {"command": "backendbench", "context": {"version": "1"}, "sizes": [{"size": 1, "mean_ms": 1.0, "mean_nps": 1.0, "cv": 0.1, "samples": 4}]}
    values = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["command", "context", "sizes", "positions", "outputs", "size", "mean_ms"]), inner, max_size=3), max_leaves=5)
    key = data.draw(st.sampled_from([*good, "mean_ms", "cv", "samples", None]))
    wrong = json.loads(json.dumps(good))
    if key is None:
        wrong = data.draw(values)
    elif key in good:
        wrong[key] = data.draw(values)
    else:
        wrong["sizes"][0][key] = data.draw(values)
    path = tmp_path_factory.mktemp("results") / "x.json"
    path.write_text(json.dumps(wrong))
    try:
        assert compare.read(str(path))["command"] in ("bench", "backendbench", "check")
    except Error as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_compare_says_what_to_do(capsys, tmp_path):
    _, one = result(capsys, tmp_path, "a.json", *BATCHES)
    _, other = result(capsys, tmp_path, "b.json", "bench", *RANDOM, "--num-positions=1", "--nodes=5")
    for arguments, sentence in (([], "compare two result files"), ([one], "compare two result files"), ([one, other], "compare like with like"),
                                ([one, str(tmp_path)], "cannot be read"), ([one, "no such"], "cannot be read"),
                                ([one, one, "--plot=x.pdf"], "ends in .png or .svg"), ([other, other, f"--plot={tmp_path}/x.png"], "can be drawn"),
                                ([one, one, "--plot=/no/such/x.png"], "cannot be written"), ([one, one, one], "unexpected")):
        assert cli.main(["compare", *arguments]) == 2
        assert sentence in capsys.readouterr().err, arguments


@pytest.mark.parametrize("name", ["x.png", "x.svg"])
def test_pictures(capsys, tmp_path, name):
    path = tmp_path / name
    found, one = result(capsys, tmp_path, "a.json", *BATCHES, f"--plot={path}")
    start = path.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if name == "x.png" else b"<?xml" in start
    path.unlink()
    assert cli.main(["compare", one, one, f"--plot={path}"]) == 0 and path.stat().st_size > 1000
    rows = found["sizes"]
    least = plot.floor(rows, [row["size"] for row in rows])
    assert all(low <= row["mean_ms"] * 1.000001 for low, row in zip(least, rows)) and min(least) == min(row["mean_ms"] for row in rows)


def test_without_matplotlib_nothing_is_measured(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main([*BATCHES, f"--plot={tmp_path}/x.png"]) == 2
    out, err = capsys.readouterr()
    assert "pip install matplotlib" in err and not out


# what makes it faster -------------------------------------------------------------------------------------------------

@given(best=st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from([1, 2, 4, 8, 16, 32])), noise=st.floats(0, 0.002), seed=st.integers(0, 9))
def test_the_climb_finds_the_top_of_a_hill(best, noise, seed):
    dice = random.Random(seed)

    def measure(setting):
        far = abs([1, 2, 3, 4].index(setting.threads) - [1, 2, 3, 4].index(best[0])) + abs(math.log2(setting.minibatch / best[1]))
        return [1000 * level * 0.9**far * (1 + dice.uniform(-noise, noise)) for level in (1, 2, 5)]

    advice = suggest.climb(measure, suggest.Setting(2, 8), [1, 2, 3, 4], [1, 2, 4, 8, 16, 32])
    assert advice.best == best
    assert f"--threads={best[0]} --minibatch-size={best[1]}" in str(advice) or best == (2, 8) and "nothing was surely faster" in str(advice)


def test_noise_is_no_reason_to_change_anything():
    dice = random.Random(1)
    advice = suggest.climb(lambda _: [dice.uniform(500, 1500) for _ in range(6)], suggest.Setting(1, 8), [1, 2, 3], [4, 8, 16])
    assert advice.best == (1, 8)


def test_a_benchmark_ends_with_advice(capsys):
    flags = ["benchmark", "--backend=random", "--backend-opts=delay=1", "--num-positions=2", "--movetime=50"]
    assert cli.main(flags) == 0
    out = capsys.readouterr().out
    assert "Cache hits      : " in out and "Back end idle   : " in out and "Threads  MinibatchSize  nodes/s  against the defaults" in out
    assert "Recommended: " in out.splitlines()[-2] + out.splitlines()[-1]
    assert cli.main([*flags, "--json", "--no-suggest"]) == 0
    assert json.loads(capsys.readouterr().out)["suggestion"] is None
