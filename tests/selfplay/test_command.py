"""`lc0rocm selfplay`: whatever is killed on the way, each game is there once; and the same on a cluster."""
import importlib.util
import json
import pathlib
import signal
import subprocess
import sys
import time

import chess
import pytest

spec = importlib.util.spec_from_file_location("reader", pathlib.Path(__file__).with_name("reader.py"))
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)

PATIENCE_S = 180
FLAGS = ["--backend=random", "--visits=40", "--max-moves=12", "--nncache=1000", "--parallelism=3", "--json"]


def start(out, *flags):
    return subprocess.Popen([sys.executable, "-I", "-m", "lc0rocm", "selfplay", "-o", str(out), *FLAGS, *flags], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(process, code=0):
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    assert all(line.startswith("lc0rocm: ") for line in err.splitlines()), err
    return json.loads(out) if code == 0 else err


def kill_after(process, out, least):
    """Once so many games are there."""
    end = time.monotonic() + PATIENCE_S
    while len(list(out.glob("game_*.gz"))) < least:
        assert time.monotonic() < end and process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def check(out, games):
    """Each game is in the manifest once, with a file that its moves belong to."""
    told = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    assert sorted(game["block"] for game in told) == list(range(games))
    assert {path.name for path in out.glob("game_*")} == {f"game_{number:06}.gz" for number in range(games)}
    for game in told:
        found = reader.read((out / game["files"][0]).read_bytes())
        board = chess.Board(game["fen"], chess960=True)
        for move in game["opening"].split():
            board.push_uci(move)
        for record, move in zip(found, game["moves"].split()):
            reader.check(record, board, found[0]["format"], 40)
            board.push_uci(move)
        assert len(found) == game["positions"]
    return told


def test_killed_and_started_again(tmp_path):
    for least in (1, 4):
        kill_after(start(tmp_path / "out", "--games=8"), tmp_path / "out", least)
    done = finish(start(tmp_path / "out", "--games=8"))
    told = check(tmp_path / "out", 8)
    assert done["games"] == 8 and done["positions"] == sum(game["positions"] for game in told) and sum(done["results"].values()) == 8
    before = (tmp_path / "out/game_000003.gz").read_bytes()
    assert finish(start(tmp_path / "out", "--games=9"))["games"] == 9  # more may be asked for
    assert (tmp_path / "out/game_000003.gz").read_bytes() == before
    assert "another input, network or options; --again" in finish(start(tmp_path / "out", "--games=9", "--cpuct=3"), 2)
    assert finish(start(tmp_path / "out", "--games=2", "--cpuct=3", "--again"))["games"] == 2
    check(tmp_path / "out", 2)


def test_openings_that_begin_late_or_are_long(tmp_path):
    """Each game has records, for no move of the opening's counts among --max-moves=12."""
    (tmp_path / "late.epd").write_text("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 300\n")
    (tmp_path / "long.pgn").write_text("Nf3 Nf6 Rg1 Rg8 Rh1 Rh8 Ng1 Ng8 a3 a6 Nc3 Nc6 Rb1 Rb8 Ra1 Ra8 Nb1 Nb8 a4 a5 h3 h6 g3 g6 f3 f6 *\n")
    for name in ("late.epd", "long.pgn"):
        finish(start(tmp_path / f"{name}.out", "--games=2", f"--openings={tmp_path / name}"))
        check(tmp_path / f"{name}.out", 2)


@pytest.mark.parametrize("flags, sentence", [
    ([], "where to? lc0rocm selfplay -o"), (["-o", "{}/file"], "cannot write"), (["-o", "{}/new", "--openings={}/missing.pgn"], "cannot read"),
    (["-o", "{}/new", "--openings={}/file.pgn"], "holds no opening"), (["-o", "{}/new", "--backend=cpu", "--weights={}/none.pb"], "none.pb: cannot be read"),
    (["-o", "{}"], "name a new folder")])
def test_one_sentence(tmp_path, flags, sentence):
    (tmp_path / "file").write_text("")
    (tmp_path / "file.pgn").write_text("no games")
    flags = [flag.replace("{}", str(tmp_path)) for flag in flags]
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "selfplay", "--backend=random", "--games=1", "--visits=2", *flags], capture_output=True,
                          text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and sentence in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr, done.stderr
