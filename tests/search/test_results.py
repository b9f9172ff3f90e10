"""What a search tells: all of it belongs to the move that is played, and castling is written as it is asked for."""
import pathlib
import re

import pytest

from lc0rocm import _core

from .searching import SINGLE, make, run

CASTLING = "r3k2r/pppq1ppp/2npbn2/2b1p3/2B1P3/2NPBN2/PPPQ1PPP/R3K2R w KQkq - 0 8"
DISPLACED = "1r2k1r1/pppppppp/8/8/8/8/PPPPPPPP/1R2K1R1 w GBgb - 0 1"


@pytest.mark.parametrize("multipv", [1, 5])
def test_with_temperature_the_first_line_is_that_of_the_move(multipv):
    search, chosen = make(), set()
    for _ in range(15):
        search.clear()
        result = run(search, parameters={**SINGLE, "Temperature": 10.0, "MultiPV": multipv}, nodes=60)
        pvs = search.update()["pvs"]
        chosen.add(result["best_move"])
        assert pvs[0]["moves"][0] == result["best_move"] and len({pv["moves"][0] for pv in pvs}) == len(pvs) == multipv
        assert pvs[0]["visits"] == {s["move"]: s["visits"] for s in search.move_stats()}[result["best_move"]]
        if result["ponder"]:
            assert pvs[0]["moves"][1] == result["ponder"]
    assert len(chosen) > 1


@pytest.mark.parametrize("fen, castles", [(CASTLING, {"e1h1": "e1g1", "e1a1": "e1c1"}), (DISPLACED, {"e1g1": "e1g1", "e1b1": "e1b1"})])
def test_castling_is_written_as_it_is_asked_for(fen, castles):
    search = make()
    for written, plain in castles.items():
        if written not in _core.Game(fen).legal_moves():
            continue
        assert run(search, fen, nodes=300, searchmoves=[written])["best_move"] == written
        assert search.result(chess960=False)["best_move"] == plain
    run(search, fen, parameters={**SINGLE, "MultiPV": 50}, nodes=5000)
    for told, asked in zip(search.update()["pvs"], search.update(chess960=False)["pvs"]):
        game, line = _core.Game(fen), []
        for move in told["moves"]:
            line.append(game.uci(move, False))
            game.push(move)
        assert asked["moves"] == line
    result, asked = search.result(), search.result(chess960=False)
    game = _core.Game(fen)
    assert asked["best_move"] == game.uci(result["best_move"], False)
    game.push(result["best_move"])
    assert asked["ponder"] == game.uci(result["ponder"], False)


def test_the_header_of_the_search_shows_nothing_of_its_insides():
    source = pathlib.Path(__file__).parents[2] / "src"
    seen, todo = set(), ["search/search.h"]
    while todo:
        seen.add(header := todo.pop())
        todo += set(re.findall(r'#include "(.*?)"', (source / header).read_text())) - seen
    assert {name for name in seen if name.startswith("search/")} == {"search/search.h", "search/params.h", "search/results.h"}
