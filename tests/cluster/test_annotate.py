"""`lc0rocm annotate --ray`: the file is that of one machine, whatever is killed on the way."""
import io
import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import chess
import chess.pgn
import chess.polyglot
import pytest

PATIENCE_S = 180
FLAGS = ["--backend=random", "--nodes=30", "--minibatch-size=1", "--nncache=0", "--searches=4"]  # by batches and caches runs differ


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Games, some broken, and what becomes of them on one machine."""
    folder, rng, texts = tmp_path_factory.mktemp("games"), random.Random(1), []
    for number in range(90):
        game = chess.pgn.Game({"Event": f"game {number}"})
        node = game
        for _ in range(rng.randrange(30)):
            node = node.add_variation(rng.choice(list(node.board().legal_moves)))
            if node.board().is_game_over():
                break
        texts.append("1. e4 e5 2. Ke3 *" if number % 20 == 7 else str(game))
    (folder / "games.pgn").write_text("\n\n".join(texts) + "\n")
    assert finish(start(folder / "games.pgn", folder / "one.pgn"))["skipped"] == 5
    return folder / "games.pgn", (folder / "one.pgn").read_bytes()


def start(source, goal, *flags):
    command = [sys.executable, "-I", "-m", "lc0rocm", "annotate", str(source), "-o", str(goal), "--json", *FLAGS, *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err.decode()
    assert all(line.startswith("lc0rocm: ") for line in err.decode().splitlines()), err.decode()
    return json.loads(out)


def wait_for_games(process, goal, least):
    """Until so many are in the file's record."""
    record, end = pathlib.Path(f"{goal}.part.json"), time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if record.exists() and json.loads(record.read_text())["games"] >= least:
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1].decode())


def test_a_node_is_killed_in_the_middle(cluster, collection, tmp_path):
    source, one = collection
    process = start(source, tmp_path / "many.pgn", f"--ray={cluster.address}")
    wait_for_games(process, tmp_path / "many.pgn", 8)
    cluster.replace()
    assert finish(process)["games"] == 85
    assert (tmp_path / "many.pgn").read_bytes() == one


def test_the_driver_is_killed_and_started_again(cluster, collection, tmp_path):
    """The last time on one machine: what was begun on a cluster goes on anywhere."""
    source, one = collection
    for least, how, code in ((4, signal.SIGKILL, -signal.SIGKILL), (12, signal.SIGTERM, -signal.SIGTERM)):
        process = start(source, tmp_path / "many.pgn", f"--ray={cluster.address}")
        wait_for_games(process, tmp_path / "many.pgn", least)
        process.send_signal(how)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code and all(line.startswith(b"lc0rocm: ") for line in err.splitlines()), err
    assert finish(start(source, tmp_path / "many.pgn"))["games"] == 85
    assert (tmp_path / "many.pgn").read_bytes() == one


def test_books_and_people_that_only_the_driver_has(cluster, reference, tmp_path):
    game = chess.pgn.read_game(io.StringIO("1. e4 e5 2. Nf3 Nc6 3. Bb5 *"))
    (tmp_path / "one.pgn").write_text(f"{game}\n")
    with open(tmp_path / "book.bin", "wb") as book:
        key = chess.polyglot.zobrist_hash(chess.Board())
        book.write(key.to_bytes(8, "big") + (0x031C).to_bytes(2, "big") + bytes([0, 1]) + bytes(4))
    flags = [f"--weights={reference}/nets/maia-1900.pb.gz", f"--human={reference}/nets/maia-1500.pb.gz", f"--book={tmp_path}/book.bin", "--backend=cpu",
             "--nodes=2"]
    finish(start(tmp_path / "one.pgn", tmp_path / "here.jsonl", *flags))
    finish(start(tmp_path / "one.pgn", tmp_path / "there.jsonl", *flags, f"--ray={cluster.address}"))
    here, there = ((tmp_path / f"{name}.jsonl").read_bytes() for name in ("here", "there"))
    assert here == there and b'"human"' in here and b'"book": true' in here
