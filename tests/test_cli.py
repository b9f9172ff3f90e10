"""The command line: flags, commands, exit codes."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys

import pytest

from lc0rocm import cli, flags, options
from lc0rocm._core import Error


def parse(*arguments):
    settings, warnings = options.Settings(options.ENGINE), []
    positional = flags.parse(arguments, settings, warnings)
    return settings, positional, warnings


@pytest.mark.parametrize("arguments,name,value", [
    (["--threads=3"], "Threads", 3), (["--threads", "3"], "Threads", 3), (["-t", "3"], "Threads", 3),
    (["--threads=1", "--threads=2"], "Threads", 2), (["--verbose-move-stats"], "VerboseMoveStats", True),
    (["--verbose-move-stats=false"], "VerboseMoveStats", False), (["-v"], "VerboseMoveStats", True),
    (["-v", "-v"], "VerboseMoveStats", False), (["--no-out-of-order-eval"], "OutOfOrderEval", False),
    (["--weights="], "WeightsFile", ""), (["-w", "a b.pb.gz"], "WeightsFile", "a b.pb.gz"), (["-w", ""], "WeightsFile",
                                                                                             ""),
    (["--temp-visit-offset", "-1"], "TempVisitOffset", -1.0), (["--backend=auto"], "Backend", "auto"),
])
def test_flags(arguments, name, value):
    assert parse(*arguments)[0][name] == value


def test_flags_of_lc0_without_a_meaning_here():
    settings, positional, warnings = parse("--task-workers=0", "--no-search-spin-backoff", "word")
    assert (len(warnings), positional) == (2, ["word"])


@pytest.mark.parametrize("argument,advice", [
    ("--thread=3", "--threads"), ("--MultiPV=3", "--multipv"), ("--zzzzzzz", "--help"), ("--threads=many", "128"),
    ("--threads", "needs a value"), ("--history-fill=maybe", "fen_only"), ("-x", "--help"), ("--no-threads", "--"),
])
def test_bad_flags_say_what_to_do(argument, advice):
    with pytest.raises(Error, match=advice):
        parse(argument)


@pytest.mark.parametrize("arguments", [
    ["benhc"], ["--bad"], ["bench", "--bad"], ["bench", "--movetime=x"], ["--weights=x", "bench"],
    ["--config=/nowhere"],
    ["--time-manager=fast"], ["--contempt=much"], ["bench", "--weights=/nowhere.pb.gz"], ["backends", "word"],
    ["bench", "--backend=trivial", "--fen=\udcff"], ["backendbench", "--backend=trivial", "--fen=startpos moves \udcff"],
    ["connect", f"{'a' * 64}:9527"],
])
def test_bad_usage_is_one_line_and_2(arguments, capsys):
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith("lc0rocm: ") and err.count("\n") == 1


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_while_modules_are_loaded(ignored):
    """It ends the program without a stack; one that is ignored, as in a shell's background job, does nothing."""
    code = """
import signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "lc0rocm.options":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from lc0rocm.__main__ import main
sys.argv[1:] = ["options"]
sys.exit(main())"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, preexec_fn=lambda: signal.signal(
        signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL))
    assert (done.returncode, done.stderr) == (0 if ignored else -signal.SIGINT, "") and bool(done.stdout) == ignored


LONG = {"match": ["-o", "out.pgn", "--games=2", "--limit=nodes=2", "--max-moves=3"], "selfplay": ["-o", "out", "--games=2", "--visits=2", "--max-moves=3"],
        "annotate": ["in.pgn", "-o", "out.pgn", "--nodes=2"], "analyse": [], "bench": ["--movetime=10"]}


@pytest.mark.parametrize("way", ["full", "pipe"])
@pytest.mark.parametrize("command", LONG)
def test_messages_that_nobody_gets_end_no_work(tmp_path, command, way):
    """Standard error is a log on a full disk, or what nobody reads any more, such as a terminal that is gone."""
    (tmp_path / "in.pgn").write_text("1. e4 *\n")
    reader, writer = os.pipe()
    os.close(reader)
    errors = os.open("/dev/full", os.O_WRONLY) if way == "full" else writer
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", command, "--backend=random", *LONG[command]], cwd=tmp_path, stderr=errors,
                          stdout=subprocess.PIPE, text=True, input='{"id": 1, "fen": "startpos", "nodes": 2}\n', timeout=120)
    for descriptor in {errors, writer}:
        os.close(descriptor)
    assert done.returncode == 0 and done.stdout


def test_a_terminal_that_goes_while_a_bar_is_drawn(tmp_path):
    terminal, end = pty.openpty()
    process = subprocess.Popen([sys.executable, "-I", "-m", "lc0rocm", "match", "--backend=random", "-o", "out.pgn", "--games=40", "--limit=nodes=9",
                                "--max-moves=20", "--nncache=1000"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, text=True)
    os.close(end)
    seen = b""
    while b"\x1b[?25l" not in seen:  # the cursor is hidden: a bar begins
        seen += os.read(terminal, 4096)
    os.close(terminal)
    assert "40 games" in process.communicate(timeout=120)[0] and process.returncode == 0


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-8"}, {"LC_ALL": "C"}])
def test_results_with_names_that_the_output_has_no_letters_for(tmp_path, environment):
    (tmp_path / "\u00e9\udcff.pb.gz").symlink_to(pathlib.Path(__file__).parents[1] / "nets/classical-relu.pb.gz")
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "describe", tmp_path / "\u00e9\udcff.pb.gz"], capture_output=True,
                          env={**os.environ, **environment}, timeout=60)
    assert done.returncode == 0 and b"Policy" in done.stdout and done.stderr == b""


def test_did_you_mean(capsys):
    cli.main(["bnech"])
    assert "did you mean bench?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments,text", [
    (["--help"], "describe"), (["help"], "bench"), (["bench", "--help"], "--num-positions=N"), (["uci", "-h"],
                                                                                                "--threads=N"),
    (["uci", "--help", "--show-hidden"], "--temperature=X"), (["--version"], "lc0rocm "), (["options"],
                                                                                           "--temperature=X"),
])
def test_help(arguments, text, capsys):
    assert cli.main(arguments) == 0
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert cli.COMMANDS[command].summary in capsys.readouterr().out


def test_backends(capsys):
    assert cli.main(["backends", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["random"] == {"name": "random", "why_not": "", "needs_network": False, "where": ""}
    assert cli.main(["backends"]) == 0
    assert "choice of auto" in capsys.readouterr().out


def test_options_as_json(capsys):
    assert cli.main(["options", "--json"]) == 0
    assert {"name": "Threads", "flag": "threads",
            "short": "t"}.items() <= next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "Threads").items()
