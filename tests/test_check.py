"""The command check: streams, tells what it has when it is interrupted, and knows that what is no number differs."""
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lc0rocm import cli, loading, report
from lc0rocm.positions import varied

RANDOM = ["check", "--backend=random", "--against=random", "--batch=4"]


def interrupted(*flags: str) -> tuple[int, str, str]:
    """The command, interrupted once it has been at it for a while."""
    process = subprocess.Popen([sys.executable, "-m", "lc0rocm", *RANDOM, *flags], text=True, cwd=pathlib.Path(__file__).parent,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # ignored in a background job
    try:
        line = process.stderr.readline()  # the first line of progress: it is comparing
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, line + err


def test_an_interrupted_check_reports_what_it_has():
    code, out, err = interrupted("--positions=1000000", "--json")
    found = json.loads(out)
    assert code == 130 and found["interrupted"] and 0 < found["positions"] < 1000000
    assert {entry["output"] for entry in found["outputs"]} == {"policy", "q", "d", "m"}
    assert err.startswith("comparing: ") and "/1000000, about " in err and "Traceback" not in err


def test_games_are_played_as_they_are_needed(monkeypatch):
    start = time.monotonic()
    games = varied(10**9)
    assert len([next(games) for _ in range(50)]) == 50 and time.monotonic() - start < 30
    assert [game.fen() for game in varied(40)][36:] == [game.fen() for game in varied(50)][36:40]


class WithNaN:
    """A back end that gives `value` for everything."""
    name, info = "broken", {"input_format": 1, "device": "a test", "cpu": True, "half": False, "sizes": []}

    def __init__(self, value: float):
        self.value = value

    def evaluate(self, masks, values):
        return np.full((len(masks), 1858), self.value), *(np.full(len(masks), self.value) for _ in range(3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_number_differs_and_is_null_in_json(monkeypatch, capsys, value, first):
    broken, sound = (loading.Loaded(WithNaN(x), None, None, []) for x in (value, 0.0))
    pair = (broken, sound) if first else (sound, broken)
    monkeypatch.setattr(loading, "load_for", lambda *_, **__: pair[0])
    monkeypatch.setattr(loading, "load_backend", lambda *_, **__: pair[1])
    assert cli.main([*RANDOM, "--positions=5", "--json"]) == 1

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=no_constant)
    assert not found["within_tolerance"] and found["outputs"][0]["worst"] is None and found["outputs"][0]["fen"]


class BySize:
    """A back end whose answers for batches of 4, or from the second run of that size on, are others."""
    name, info = "by size", {"input_format": 1, "device": "a test", "cpu": True, "half": False, "sizes": [1, 4, 8]}

    def __init__(self, error: float, from_graph: bool):
        self.error, self.wanted, self.runs = error, 2 if from_graph else 1, 0

    def evaluate(self, masks, values):
        if len(masks) == 4:
            self.runs += 0.5  # eight positions take two batches
        policy = np.tile(np.linspace(-10.0, 10.0, 1858), (len(masks), 1))
        return policy, np.full(len(masks), self.error * (len(masks) == 4 and self.runs >= self.wanted)), *(np.zeros(len(masks)) for _ in range(2))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("error, from_graph, percent, code", [(0.001, False, 50, 0), (0.004, False, 200, 1), (0.004, True, 200, 1)])
def test_every_batch_size_is_compared_with_the_other_back_end_and_with_the_first(monkeypatch, capsys, error, from_graph, percent, code, first):
    odd, sound = (loading.Loaded(BySize(x, from_graph), None, None, []) for x in (error, 0.0))
    sound.backend.info = sound.backend.info | {"sizes": []}
    pair = (odd, sound) if first else (sound, odd)
    monkeypatch.setattr(loading, "load_for", lambda *_, **__: pair[0])
    monkeypatch.setattr(loading, "load_backend", lambda *_, **__: pair[1])
    assert cli.main([*RANDOM, "--positions=8", "--batch=8", "--tolerance=1000", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["sizes"]) == [[], [1, 4, 8]]
    q = {entry["output"]: entry for entry in found["outputs"]}["q"]
    assert q["worst"] == pytest.approx(error)
    between = {entry["output"]: entry for entry in found["between_sizes"]}
    assert between["q"]["size"] == 4 and between["q"]["percent"] == pytest.approx(percent)
    assert between["policy"]["percent"] == 0


def test_json_of_anything_is_json(capsys):
    report.write_json({"a": [float("nan"), 1.5, (float("inf"), "x")], "b": {"c": -float("inf")}, "d": True})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5, [None, "x"]], "b": {"c": None}, "d": True}
