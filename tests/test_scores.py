"""Scores, info lines and move statistics as text."""
import math

import pytest

from lc0rocm.engine import scores
from lc0rocm.options import ENGINE, Settings


def pv(wl=0.0, d=0.0, q=None, mu=0.0, m=0.0, terminal="", visits=1, moves=("e2e4",)):
    return {"wl": wl, "d": d, "q": wl if q is None else q, "mu": mu, "m": m, "terminal": terminal, "visits": visits,
            "moves": list(moves)}


@pytest.mark.parametrize("score_type,value", [
    ("centipawn", 58),                  # 90 tan(1.5637541897 * 0.37)
    ("centipawn_with_drawscore", 76),   # 90 tan(1.5637541897 * 0.45)
    ("centipawn_2019", 109),            # 295 * 0.37
    ("centipawn_2018", 187),            # 290.68 tan(1.5481 * 0.37)
    ("win_percentage", 6850),
    ("Q", 4500),
    ("W-L", 3700),
    ("WDL_mu", 80),                     # 100 mu
])
def test_score_types(score_type, value):
    assert scores.score(pv(wl=0.37, d=0.4, q=0.45, mu=0.80), score_type, True) == ("cp", value)


@pytest.mark.parametrize("entry,has_wdl", [
    (pv(wl=0.37, d=0.4, mu=0.8), False),   # no WDL head
    (pv(wl=0.37, d=0.4, mu=0.0), True),    # transform skipped
    (pv(wl=0.9, d=0.0999, mu=5.0), True),  # nearly decided
])
def test_wdl_mu_falls_back_to_the_value_curve(entry, has_wdl):
    assert scores.score(entry, "WDL_mu", has_wdl) == ("cp", int(45 * math.tan(1.56728071628 * entry["wl"])))


@pytest.mark.parametrize("score_type", Settings(ENGINE).option("ScoreType").choices)
@pytest.mark.parametrize("wl", [-1.0, 0.0, 1.0])
def test_scores_are_finite_and_symmetric(score_type, wl):
    kind, value = scores.score(pv(wl=wl, mu=wl), score_type, True)
    mirrored = scores.score(pv(wl=-wl, mu=-wl), score_type, True)[1]
    assert kind == "cp" and (value + mirrored == 10000 if score_type == "win_percentage" else value == -mirrored)


@pytest.mark.parametrize("wl,m,terminal,moves", [
    (1.0, 0, "end", 1), (-1.0, 1, "end", -1), (1.0, 2, "end", 2), (-1.0, 3, "end", -2), (1.0, 4.0, "tablebase", 103),
    (-1.0, 5, "tablebase", -103),
])
def test_mate(wl, m, terminal, moves):
    assert scores.score(pv(wl=wl, m=m, terminal=terminal), "WDL_mu", True) == ("mate", moves)


def test_a_proven_draw_is_no_mate():
    assert scores.score(pv(terminal="end", d=1.0), "WDL_mu", True) == ("cp", 0)


@pytest.mark.parametrize("wl,d,permille", [
    (0.0, 0.0, (500, 0, 500)), (1.0, 0.0, (1000, 0, 0)), (0.0, 1.0, (0, 1000, 0)), (0.25, 0.5, (375, 500, 125)),
    (0.001, 0.0, (500, 0, 500)),  # 500.5 and 499.5 both round up; the draw takes it back
])
def test_wdl(wl, d, permille):
    assert scores.wdl_permille(wl, d) == permille


def test_wdl_sums_to_1000():
    for i in range(-100, 101):
        for j in range(0, 101 - abs(i)):
            win, draw, loss = scores.wdl_permille(i / 100, j / 100)
            assert win + draw + loss == 1000 and min(win, draw, loss) >= 0


UPDATE = {"depth": 5, "seldepth": 12, "time_ms": 1234, "nodes": 800, "playouts": 700, "nps": 567, "eps": 400,
          "tbhits": 0,
          "pvs": [pv(wl=0.25, d=0.5, mu=0.3, m=60.0, visits=300, moves=("e2e4", "e7e5")),
                  pv(wl=0.2, d=0.5, mu=0.25, m=61.0, visits=100, moves=("d2d4",))], "messages": []}


def lines(**changed):
    settings = Settings(ENGINE)
    settings.values |= changed
    return scores.info_lines(UPDATE, settings, has_wdl=True, has_moves_left=True)


def test_info_line_with_everything():
    assert lines(UCI_ShowWDL=True, UCI_ShowEPS=True, UCI_ShowMovesLeft=True, MultiPV=2) == [
        "info depth 5 seldepth 12 time 1234 nodes 800 score cp 30 wdl 375 500 125 movesleft 30 nps 567 eps 400 "
        "tbhits 0 multipv 1 pv e2e4 e7e5",
        "info depth 5 seldepth 12 time 1234 nodes 800 score cp 25 wdl 350 500 150 movesleft 31 nps 567 eps 400 "
        "tbhits 0 multipv 2 pv d2d4"]


def test_info_line_by_default():
    assert lines()[0] == "info depth 5 seldepth 12 time 1234 nodes 800 score cp 30 nps 567 tbhits 0 pv e2e4 e7e5"


def test_per_pv_counters():
    assert [" nodes 300 " in lines(PerPVCounters=True)[0], " nodes 100 " in lines(PerPVCounters=True)[1]] == [True,
                                                                                                              True]


MOVE = {"move": "g1f3", "index": 159, "visits": 41, "in_flight": 0, "p": 0.0987, "wl": 0.0431, "d": 0.412, "m": 88.1,
        "q": 0.0431, "u": 0.0512, "s": 0.09433, "v": 0.0391, "flag": ""}


@pytest.mark.parametrize("changed,line", [
    ({}, "g1f3  (159 ) N:      41 (+ 0) (P:  9.87%) (WL:  0.04310) (D: 0.412) (M: 88.1) (Q:  0.04310) (U: 0.05120) "
         "(S:  0.09433) (V:  0.0391) "),
    ({"move": "node", "index": 20, "visits": 400, "p": 0.982, "wl": 0.0398, "d": 0.409, "m": 89.0, "q": 0.0398,
      "v": 0.0402},
     "node  (  20) N:     400 (+ 0) (P: 98.20%) (WL:  0.03980) (D: 0.409) (M: 89.0) (Q:  0.03980) (V:  0.0402) "),
    ({"visits": 0, "wl": None, "d": None, "m": None, "v": None, "q": -0.33},
     "g1f3  (159 ) N:       0 (+ 0) (P:  9.87%) (WL:  -.-----) (D: -.---) (M:  -.-) (Q: -0.33000) (U: 0.05120) "
     "(S:  0.09433) (V:  -.----) "),
    ({"move": "a7a8q", "p": 1.0, "wl": 1.0, "d": 0.0, "m": 0.0, "q": 1.0, "v": 1.0, "flag": "T"},
     "a7a8q (159 ) N:      41 (+ 0) (P: 100.0%) (WL:  1.00000) (D: 0.000) (M:  0.0) (Q:  1.00000) (U: 0.05120) "
     "(S:  0.09433) (V:  1.0000) (T) "),
])
def test_move_stats(changed, line):
    assert scores.move_stats_lines([MOVE | changed]) == ["info string " + line]


def test_lines_for_programs():
    known = {"move": "e1h1", "visits": 7, "p": 0.25, "wl": 0.5, "d": 0.25, "m": 31.25, "q": 0.5}
    unknown = {"move": "a2a3", "visits": 0, "p": 0.001, "wl": None, "d": None, "m": None, "q": -0.2}
    lines = scores.move_lines([unknown, known, known | {"move": "node"}], {"e1h1": "e1g1", "a2a3": "a2a3"}.get)
    assert lines == ["info string movestats move=e1g1 policy=0.250000 visits=7 q=0.500000 win=0.625000 draw=0.250000 loss=0.125000 movesleft=31.2",
                     "info string movestats move=a2a3 policy=0.001000 visits=0"]


def test_speed_line():
    update = {"nps": 100, "eps": None, "evaluations": 0, "evaluated_batches": 0, "cache_hits": 3, "playouts": 12, "busy_ms": 30.0, "span_ms": 40.0}
    assert scores.speed_line(update) == "info string speed nps=100 cachehits=0.25 idle=0.25"
