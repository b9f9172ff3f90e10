"""Options inside their ranges never cost a move: each at its ends, and random ones together."""
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import _core, options
from lc0rocm.engine.play import Player
from lc0rocm.engine.request import Request
from lc0rocm.engine.run import Voice
from lc0rocm.option import Settings, value_text

GAMES = [("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", ["e2e4", "e7e5", "g1f3"]),
         ("8/8/8/8/8/5k2/8/4R1K1 w - - 90 80", []), ("7k/5Q2/8/6K1/8/8/8/8 w - - 0 1", []), ("4k3/8/8/8/8/8/8/4K2R b K - 99 1", [])]
TRIED = [option for option in options.ENGINE if option.kind in ("check", "spin", "float", "combo") and option.name not in ("", "Backend")]


def ends(option):
    if option.kind == "check":
        return [True, False]
    return list(option.choice_list()) if option.kind == "combo" else [option.low, option.high]


def play(values, back_end="random", game=GAMES[0]):
    """The lines from go to bestmove with these values, by option."""
    present, lines = Settings(options.ENGINE), []
    present.values["Backend"] = back_end
    for option, value in values.items():
        present.set(option, value_text(value))
    player = Player(Voice(present, lines.extend, lines.extend))
    player.set_position(*game)
    begin = time.monotonic()
    player.go(Request(nodes=30, movetime=60000), begin)
    player.wait()
    assert time.monotonic() - begin < 50, "30 visits take no minute, whatever the values"
    move = lines[-1].removeprefix("bestmove ").split()[0]
    position = _core.Game(*game)
    assert move in position.legal_moves() + [position.uci(legal, False) for legal in position.legal_moves()], lines
    assert not any("error" in line for line in lines), lines
    return lines


@pytest.mark.parametrize("option", TRIED, ids=lambda option: option.name)
def test_both_ends(option):
    for value in ends(option):
        play({option: value})


def test_collisions_have_an_end():
    by_name = Settings(options.ENGINE)
    play({by_name.option(name): value for name, value in (("MaxCollisionVisits", 10**8), ("MaxCollisionVisitsScalingEnd", 0))})


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional={option: st.sampled_from(ends(option)) for option in TRIED if option.name != "Threads"}),
       st.sampled_from(["random", "trivial"]), st.sampled_from(GAMES))
def test_any_ends_together(values, back_end, game):
    play(values, back_end, game)


@settings(max_examples=100)
@given(st.fixed_dictionaries({}, optional={
    option: st.floats(option.low, option.high) | st.sampled_from([option.low, option.high]) for option in TRIED
    if option.kind == "float" and (option.in_nodes or option.name == "WDLEvalObjectivity")}), st.integers(-10000, 10000))
def test_any_contempt(values, contempt):
    by_name = Settings(options.ENGINE)
    play(values | {by_name.option("Contempt"): str(contempt), by_name.option("UCI_ShowWDL"): True})
