"""Moves by lot (docs/spec/engine.md 4.11): which may be drawn, from which move on, and how far from the best."""
import pytest

from .searching import SINGLE, make, run

MOVES = ["g1f3", "g8f6", "b1c3", "b8c6", "e2e4", "e7e5"]


def drawn(parameters, plies=0, nodes=200, times=12):
    """The search, and the moves that were drawn of one tree."""
    search = make()
    return search, {run(search, moves=MOVES[:plies], nodes=nodes, parameters=SINGLE | parameters)["best_move"] for _ in range(times)}


def rows(search):
    """Visited moves, most visits first."""
    return sorted((row for row in search.move_stats()[:-1] if row["visits"]), key=lambda row: -row["visits"])


def test_lots_are_drawn():
    assert len(drawn({"Temperature": 1.0}, times=30)[1]) > 2


@pytest.mark.parametrize("parameters, plies, by_lot", [
    ({}, 6, True), ({"TempCutoffMove": 3}, 2, True), ({"TempCutoffMove": 3}, 4, False), ({"TempCutoffMove": 1}, 0, False),
    ({"TempDecayMoves": 2}, 2, True), ({"TempDecayMoves": 2}, 4, False), ({"TempDecayMoves": 2, "TempDecayDelayMoves": 1}, 4, True),
    ({"TempDecayMoves": 2, "TempDecayDelayMoves": 1}, 6, False), ({"TempDecayMoves": 2, "TempEndgame": 10.0}, 6, True),
    ({"TempCutoffMove": 1, "TempEndgame": 10.0}, 4, True)])
def test_from_which_move_on(parameters, plies, by_lot):
    assert (len(drawn({"Temperature": 10.0} | parameters, plies)[1]) > 1) == by_lot


def test_a_low_temperature_is_nearly_none():
    search, moves = drawn({"Temperature": 0.005})
    assert moves == {rows(search)[0]["move"]}


def test_moves_far_below_the_best_are_not_drawn():
    """The cutoff is in half percents of winning: 10 are 0.2 of Q."""
    search, moves = drawn({"Temperature": 100.0, "TempValueCutoff": 10.0}, times=60)
    best, *others = rows(search)
    worse = {row["move"] for row in others if row["wl"] < best["wl"] - 0.2}
    assert worse and len(moves) > 1 and not moves & worse


def test_visits_may_be_taken_off():
    search, _ = drawn({}, times=1)
    best, second, *_ = rows(search)
    parameters = SINGLE | {"Temperature": 100.0, "TempVisitOffset": float(-second["visits"])}
    assert {run(search, nodes=200, parameters=parameters)["best_move"] for _ in range(20)} == {best["move"]}


def test_unvisited_moves_are_drawn_with_an_offset():
    search, moves = drawn({"Temperature": 100.0, "TempVisitOffset": 100.0}, nodes=5, times=60)
    assert len(rows(search)) < 5 < len(moves)
