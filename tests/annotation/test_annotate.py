"""`lc0rocm annotate`: files of games as they are found, in every order of interruptions."""
import builtins
import bz2
import fcntl
import gzip
import io
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import chess
import chess.pgn
import pyarrow.parquet as pq
import pytest
import zstandard

from lc0rocm import cli
from lc0rocm._core import Error
from lc0rocm.annotation import forms, output, parquet

PATIENCE_S = 120
FLAGS = ["--backend=random", "--nodes=8", "--minibatch-size=1", "--nncache=0", "--searches=8"]  # with one leaf at a time and nothing remembered runs are alike


def annotate(source, goal, *flags, code=0):
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "annotate", str(source), "-o", str(goal), *FLAGS, *flags], text=True,
                          capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == code, done.stderr
    return done


BROKEN = ['[Event "illegal"]\n\n1. e4 e5 2. Ke3 *', '[Event "variant"]\n[Variant "Crazyhouse"]\n\n1. e4 e5 *', '[Event "null"]\n\n1. e4 -- 2. d4 *',
          '[Event "fen"]\n[FEN "nonsense"]\n[SetUp "1"]\n\n1. e4 *']


def collection(count, seed, broken=0.1):
    """Text of a file, and the good games in it."""
    rng, texts, good = random.Random(seed), [], []
    for number in range(count):
        if rng.random() < broken:
            texts.append(rng.choice(BROKEN))
            continue
        chess960 = rng.random() < 0.2
        board = chess.Board.from_chess960_pos(rng.randrange(960)) if chess960 else chess.Board()
        game = chess.pgn.Game()
        game.setup(board)
        game.headers["Event"] = f"game {number} é"
        node = game
        for _ in range(rng.randrange(12)):
            legal = list(node.board().legal_moves)
            if not legal:
                break
            parent, node = node, node.add_variation(rng.choice(legal))
            if rng.random() < 0.2:
                node.comment = rng.choice(["a comment", "[%clk 0:01:30]", "[%eval 3.00] old"])
            if rng.random() < 0.2:
                node.nags.add(rng.choice([1, 14]))
            if rng.random() < 0.2 and len(legal) > 1:
                line = parent.add_variation(next(move for move in legal if move != node.move), comment="a side line")
                if replies := list(line.board().legal_moves):
                    line.add_variation(replies[0])
        texts.append(str(game))
        good.append(chess.pgn.read_game(io.StringIO(str(game))))
    return "\n\n".join(texts) + "\n", good


def games_of(text):
    stream, games = io.StringIO(text), []
    while game := chess.pgn.read_game(stream):
        assert not game.errors
        games.append(game)
    return games


def lines_of(node):
    """Of a game all moves, side lines too, as paths."""
    return {child.uci() + rest for child in node.variations for rest in ["", *(" " + line for line in lines_of(child))]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A collection, what it holds, and what becomes of it without interruptions."""
    folder = tmp_path_factory.mktemp("games")
    text, good = collection(30, 1)
    (folder / "games.pgn").write_text(text)
    annotate(folder / "games.pgn", folder / "whole.pgn")
    return folder, text, good


def test_every_game_comes_out_in_its_order_with_all_that_was_in_it(files):
    folder, text, good = files
    out = games_of((folder / "whole.pgn").read_text())
    assert [game.headers["Event"] for game in out] == [game.headers["Event"] for game in good]
    for before, after in zip(good, out):
        assert list(before.mainline_moves()) == list(after.mainline_moves()) and lines_of(before) <= lines_of(after)
        assert before.headers.items() <= after.headers.items()
        for old, new in zip(before.mainline(), after.mainline()):
            kept = re.sub(r"\[%eval [^]]*\]", "", old.comment).strip()
            assert kept in new.comment and old.nags <= new.nags
            assert new.board().is_checkmate() or new.eval() is not None
            assert new.comment.count("[%eval") <= 1
            win, draw, loss = map(int, re.search(r"\[%wdl (\d+),(\d+),(\d+)\]", new.comment).groups())
            assert abs(win + draw + loss - 1000) <= 2
        if len(list(after.mainline())) > 1:
            assert 0 <= float(after.headers["WhiteAccuracy"]) <= 100 and "BlackAccuracy" in after.headers
    assert not list(folder.glob("*.part*"))


def test_broken_games_are_reported_and_left_out(files, tmp_path):
    folder, text, good = files
    done = annotate(folder / "games.pgn", tmp_path / "out.pgn", "--json")
    told = json.loads(done.stdout)
    assert told["games"] == len(good) and told["skipped"] == len(re.findall(r"^lc0rocm: game \d+ is skipped: ", done.stderr, re.M)) > 0


def test_compressed_files(files, tmp_path):
    folder, text, _ = files
    whole = (folder / "whole.pgn").read_bytes()
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("zst", zstandard.compress)):
        path = tmp_path / f"games.{ending}"
        path.write_bytes(pack(text.encode()))
        annotate(path, tmp_path / f"{ending}.pgn")
        assert (tmp_path / f"{ending}.pgn").read_bytes() == whole
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(text.encode())[:-100])
    done = annotate(cut, tmp_path / "cut.pgn", code=2)
    assert "cannot read" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_games_as_json(files, tmp_path):
    folder, _, good = files
    annotate(folder / "games.pgn", tmp_path / "out.jsonl")
    games = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [game["headers"]["Event"] for game in games] == [game.headers["Event"] for game in good]
    for told, game in zip(games, good):
        assert [move["uci"] for move in told["moves"]] == [node.uci() for node in game.mainline()]
        assert all(move["judgement"] is None or move["loss"] >= 0.05 for move in told["moves"])


def test_no_games_are_an_output_too(tmp_path):
    (tmp_path / "games.pgn").write_text("")
    for form, wanted in ((".jsonl.zst", b""), (".parquet", []), (".html", None)):
        annotate(tmp_path / "games.pgn", tmp_path / f"out{form}")
        assert contents(tmp_path / f"out{form}") == wanted or form == ".html" and "0 games" in (tmp_path / "out.html").read_text()
    assert (tmp_path / "out.jsonl.zst").stat().st_size  # a frame of nothing


def test_a_row_of_parquet_is_a_move_of_json(files, tmp_path, monkeypatch):
    folder, _, _ = files
    annotate(folder / "games.pgn", tmp_path / "out.jsonl")
    annotate(folder / "games.pgn", tmp_path / "out.parquet")
    moves = [game | move for game in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines()) for move in game["moves"]]
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(rows) == len(moves) > 50 and pq.read_schema(tmp_path / "out.parquet") == parquet.schema()
    for row, move in zip(rows, moves):
        assert all(row[key] == move.get(key) for key in (
            "game", "annotator", "ply", "san", "uci", "fen", "judgement", "phase", "best_move", "best", "nags", "comment"))
        assert row["loss"] == pytest.approx(move["loss"]) and [row["wdl_win"], row["wdl_draw"], row["wdl_loss"]] == pytest.approx(move["wdl"])
        assert (row["cp"], row["mate"]) == (move["score"].get("cp"), move["score"].get("mate")) and row["Event"] == move["headers"]["Event"]
        assert row["color"] == ("white" if row["fen"].split()[1] == "b" else "black")

    monkeypatch.setattr(parquet, "_ROWS", 40)
    part = tmp_path / "part"
    part.write_bytes(gzip.compress((tmp_path / "out.jsonl").read_bytes()))
    parquet.write(str(part), str(tmp_path / "small.parquet"), 1)
    assert pq.ParquetFile(tmp_path / "small.parquet").num_row_groups > 1 and pq.read_table(tmp_path / "small.parquet").to_pylist() == rows


def test_what_is_annotated_is_annotated_again_without_growing(files, tmp_path):
    folder, _, _ = files
    annotate(folder / "whole.pgn", tmp_path / "again.pgn")
    assert (tmp_path / "again.pgn").read_bytes() == (folder / "whole.pgn").read_bytes()


FORMS = (".pgn", ".pgn.gz", ".jsonl", ".jsonl.bz2", ".jsonl.zst", ".parquet", ".html")


def contents(goal):
    """What an output holds, whatever the blocks in which it was written."""
    name, data = goal.name, goal.read_bytes()
    if name.endswith(".parquet"):
        return pq.read_table(goal).to_pylist()
    if name.endswith(".html"):
        return {path.name: path.read_bytes() for path in [goal, *goal.parent.glob(f"{goal.stem}_pages/*")]}
    unpack = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".zst": lambda data: zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(data), read_across_frames=True).read()}
    return unpack.get(goal.suffix, bytes)(data)


def kill_again_and_again(source, goal, whole, kills, seed, how=signal.SIGKILL):
    """Starts, kills at a random moment, goes on, until it is done: the output is that of one run."""
    rng, killed = random.Random(seed), 0
    command = [sys.executable, "-I", "-m", "lc0rocm", "annotate", str(source), "-o", str(goal), *FLAGS]
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        end = time.monotonic() + rng.uniform(0.2, 1.5)
        while killed < kills and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        if is_hit := killed < kills:
            process.send_signal(how)
            killed += 1
        process.communicate(timeout=PATIENCE_S)
        part, record = pathlib.Path(f"{goal}.part"), pathlib.Path(f"{goal}.part.json")
        if goal.exists() and not record.exists():  # also if the process was ended on its last steps
            break
        assert is_hit or process.returncode == 0
        if part.exists() and record.exists() and goal.suffix == ".pgn":
            assert whole.startswith(part.read_bytes()[:json.loads(record.read_text())["bytes"]])
    assert contents(goal) == whole and not list(goal.parent.rglob("*.part*"))


@pytest.mark.parametrize("form,how", [(".pgn", signal.SIGKILL), (".pgn", signal.SIGINT), (".jsonl.zst", signal.SIGKILL), (".parquet", signal.SIGKILL),
                                      (".html", signal.SIGKILL)])
def test_killed_at_any_moment_it_goes_on(files, tmp_path, form, how):
    folder, _, _ = files
    (tmp_path / "whole").mkdir()
    annotate(folder / "games.pgn", tmp_path / "whole" / f"out{form}")
    kill_again_and_again(folder / "games.pgn", tmp_path / f"out{form}", contents(tmp_path / "whole" / f"out{form}"), 3, 1, how)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("form", [".pgn", ".jsonl.gz", ".parquet", ".html"])
def test_killed_before_any_change_of_names_it_goes_on(files, tmp_path, monkeypatch, form):
    """And between any two: as many runs, each killed one step later, as there are steps."""
    folder, _, _ = files
    annotate(folder / "games.pgn", tmp_path / "games.jsonl")
    texts = (tmp_path / "games.jsonl").read_text().splitlines(keepends=True)[:3]

    def write(goal):
        made = output.Output(str(goal), forms.of_name(goal.name, ""), {}, False)
        if not made.finished:
            for text in texts[made.games:]:
                made.write(text)
                made.keep()
        made.finish()

    def limited(change, steps):
        def changed(*arguments, **keywords):
            if next(steps, None) is None:
                raise Killed
            return change(*arguments, **keywords)
        return changed

    goals = []
    for deadline in itertools.count():
        goal = tmp_path / str(deadline) / f"out{form}"
        goal.parent.mkdir()
        steps = iter(range(deadline))
        with monkeypatch.context() as patched:
            for name in ("replace", "remove", "unlink"):
                patched.setattr(os, name, limited(getattr(os, name), steps))
            try:
                write(goal)
                was_killed = False
            except Killed:
                was_killed = True
        if was_killed:
            write(goal)
        assert not list(goal.parent.rglob("*.part*"))
        goals.append(contents(goal))
        if not was_killed:
            break
    assert deadline > 4 and all(made == goals[-1] for made in goals)


def test_nothing_is_overwritten_or_mixed_unless_it_is_said(files, tmp_path):
    folder, text, _ = files
    goal = tmp_path / "out.pgn"
    goal.write_text("mine")
    assert "is there already; --again replaces it" in annotate(folder / "games.pgn", goal, code=2).stderr
    assert goal.read_text() == "mine"
    annotate(folder / "games.pgn", goal, "--again")
    assert goal.read_bytes() == (folder / "whole.pgn").read_bytes()

    other = tmp_path / "other.pgn"
    (tmp_path / "other.pgn.part").write_bytes(b"xyz")
    (tmp_path / "other.pgn.part.json").write_text(json.dumps({"identity": {}, "games": 1, "skipped": 0, "bytes": 3}))
    assert "another version, input, network or options" in annotate(folder / "games.pgn", other, code=2).stderr
    for broken in ("{", "null", "[1]"):
        (tmp_path / "other.pgn.part.json").write_text(broken)
        assert "--again begins anew" in annotate(folder / "games.pgn", other, code=2).stderr
    annotate(folder / "games.pgn", other, "--again")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_goes_on_leading_where_it_led(files, tmp_path, is_there):
    folder, _, _ = files
    (tmp_path / "disk").mkdir()
    if is_there:
        (tmp_path / "disk/real.pgn").write_text("old")
    (tmp_path / "out.pgn").symlink_to("disk/real.pgn")
    annotate(folder / "games.pgn", tmp_path / "out.pgn", *["--again"] * is_there)
    assert (tmp_path / "out.pgn").is_symlink() and (tmp_path / "disk/real.pgn").read_bytes() == (folder / "whole.pgn").read_bytes()


def test_two_do_not_write_one_file(files, tmp_path):
    folder, _, _ = files
    with open(tmp_path / "out.pgn.part", "ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        assert "another lc0rocm is writing" in annotate(folder / "games.pgn", tmp_path / "out.pgn", code=2).stderr
    annotate(folder / "games.pgn", tmp_path / "out.pgn")


@pytest.mark.parametrize("moment", ["before it opens the part", "before it locks the part"])
def test_one_that_ends_while_another_begins(tmp_path, monkeypatch, moment):
    """The output of the one that has ended stays as it is."""
    def begun():
        return output.Output(str(goal), forms.of_name(goal.name, ""), {}, False)

    goal = tmp_path / "out.pgn"
    first = begun()
    first.write("1. e4 *\n\n")
    first.keep()
    first.write("1. d4 *\n\n")
    opens, locks = open, fcntl.flock

    def end():
        monkeypatch.undo()
        first.finish()

    def opening(path, *mode, **how):
        if str(path) == f"{goal}.part":
            end()
        return opens(path, *mode, **how)

    if moment == "before it opens the part":
        monkeypatch.setattr(builtins, "open", opening)
    else:
        monkeypatch.setattr(fcntl, "flock", lambda *arguments: (end(), locks(*arguments)))
    with pytest.raises(Error, match="is there already|another lc0rocm is writing"):
        begun()
    assert goal.read_text() == "1. e4 *\n\n1. d4 *\n\n" and list(tmp_path.iterdir()) == [goal]


@pytest.mark.parametrize("arguments,words", [(["missing.pgn", "-o", "out.pgn"], "cannot read missing.pgn: No such file"), (["x.pgn"], "where to"),
                                             (["x.pgn", "-o", "out.doc"], "ends in .pgn, .jsonl, .parquet or .html"),
                                             (["x.pgn", "-o", "x.pgn"], "output is the input"),
                                             (["pipe", "-o", "out.pgn"], "pipe is no regular file: save the games in one"),
                                             ([".", "-o", "out.pgn"], "no regular file"),
                                             (["x.pgn", "-o", "no/such/folder/out.pgn"], "cannot write")])
def test_wrong_usage_is_one_sentence(tmp_path, arguments, words):
    """And the first one: nothing has been loaded for it."""
    (tmp_path / "x.pgn").write_text("1. e4 *\n")
    os.mkfifo(tmp_path / "pipe")
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "annotate", *arguments, *FLAGS], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S)
    sentence, = done.stderr.splitlines()
    assert done.returncode == 2 and words in sentence and {path.name for path in tmp_path.iterdir()} == {"x.pgn", "pipe"}


def test_odd_files(tmp_path):
    """No games, no end of the last line, another encoding, Windows' lines."""
    files = {"empty": (b"", 0), "blank": (b"\n\n\n", 0), "cut": (b"1. e4 e5", 1), "bom": (b"\xef\xbb\xbf1. e4 *\n", 1),
             "latin": ('[White "Müller"]\n\n1. e4 *\n'.encode("latin-1"), 1),
             "utf16": ('[White "Müller"]\n\n1. e4 *\n'.encode("utf-16"), 1),
             "utf16le": ('[White "Müller"]\n\n1. e4 *\n'.encode("utf-16-le"), 1), "utf16be": ("1. e4 *\n".encode("utf-16-be"), 1),
             "windows": (b'[White "x"]\r\n\r\n1. e4 e5\r\n2. Nf3 *\r\n\r\n[White "y"]\r\n\r\n1. d4 *\r\n', 2)}
    for name, (data, count) in files.items():
        (tmp_path / f"{name}.pgn").write_bytes(data)
        assert cli.main(["annotate", str(tmp_path / f"{name}.pgn"), "-o", str(tmp_path / f"{name}.out.pgn"), *FLAGS]) == 0
        out = (tmp_path / f"{name}.out.pgn").read_bytes()
        assert out.count(b"[%eval") >= count and len(games_of(out.decode("latin-1"))) == count
        if name == "latin":
            assert "Müller".encode("latin-1") in out
            assert cli.main(["annotate", str(tmp_path / "latin.pgn"), "-o", str(tmp_path / "latin.jsonl"), *FLAGS]) == 0
            assert json.loads((tmp_path / "latin.jsonl").read_text())["headers"]["White"] == "Müller"


def test_a_queen_thrown_away_is_a_blunder(tmp_path):
    (tmp_path / "in.pgn").write_text("1. e4 e5 2. Qh5 Nc6 3. Qxe5+ Be7 4. Qxe7+ Qxe7 *\n")
    annotate(tmp_path / "in.pgn", tmp_path / "out.pgn", "--backend=trivial", "--nodes=200")
    game, = games_of((tmp_path / "out.pgn").read_text())
    nodes = list(game.mainline())
    assert 4 in nodes[6].nags and "Blunder" in nodes[6].comment and len(nodes[5].variations) > 1
    assert not nodes[7].nags & {2, 4}
