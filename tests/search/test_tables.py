"""Endgame tables in the search: the root's moves, probes, and what is told. Lc0's counts with tables are in test_golden.py."""
import chess
import pytest

import lc0rocm
from lc0rocm import _core

FLAGS = {"Threads": 1, "MinibatchSize": 1, "MaxPrefetch": 0, "SmartPruningFactor": 0.0, "OutOfOrderEval": False}


@pytest.fixture(scope="module")
def tables(reference):
    return _core.Tables([str(reference / "syzygy")])


@pytest.fixture
def search(tables):
    search = _core.Search()
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1.0, 1000)
    search.set_tables(tables)
    return search


def run(search, fen, limits, moves=(), **parameters):
    search.set_position(fen, moves)
    search.start(FLAGS | parameters, limits)
    result = search.result()
    return result["best_move"], search.update()


def test_probes_inside_the_tree(search):
    """Five men at the root: captures lead to tables of four."""
    _, update = run(search, "4k3/8/8/8/8/8/1p1K4/R6N w - - 0 1", {"nodes": 400})
    assert update["tbhits"] > 0


def test_tables_are_for_a_50_move_count_that_begins(search):
    _, update = run(search, "8/8/8/3k4/8/6R1/8/K7 w - - 5 20", {"nodes": 60, "searchmoves": ["a1b1"]})
    assert update["tbhits"] == 0


def test_searchmoves_come_before_tables(search):
    fen = "8/8/8/8/8/3P1k2/8/4K3 w - - 0 1"  # e1d2 alone wins
    assert run(search, fen, {"nodes": 30})[0] == "e1d2"
    assert run(search, fen, {"nodes": 30, "searchmoves": ["e1f1"]})[0] == "e1f1"


def test_without_tables_again(search):
    fen = "8/8/8/8/8/3P1k2/8/4K3 w - - 0 1"
    search.set_tables(None)
    assert run(search, fen, {"nodes": 30})[1]["tbhits"] == 0


def test_other_tables_drop_the_tree(search):
    run(search, chess.STARTING_FEN, {"nodes": 50})
    search.set_tables(None)
    assert search.root_visits == 0


def test_fast_play_takes_the_shortest_way(search, tables):
    fen = "8/2K5/4B3/3N4/8/8/4k3/8 w - - 0 1"
    shortest = tables.rank_root(fen, fast=True)["best"]
    search.set_position(fen, [])
    search.start(FLAGS | {"SyzygyFastPlay": True}, {"nodes": 100})
    search.result()
    assert {s["move"] for s in search.move_stats() if s["visits"] and s["move"] != "node"} <= set(shortest)


def test_a_damaged_table_is_named_in_the_search(reference, tmp_path, search):
    (tmp_path / "KRvK.rtbw").write_bytes((reference / "syzygy/KRvK.rtbw").read_bytes()[:100])
    search.set_tables(_core.Tables([str(tmp_path)]))
    messages = run(search, "8/8/8/3k4/8/6R1/8/K7 w - - 0 1", {"nodes": 20})[1]["messages"]
    assert [line for line in messages if "KRvK.rtbw is not used" in line]


# the Python API --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def network():
    with lc0rocm.Network(backend="random") as network:
        yield network


def test_an_engine_says_that_tables_decided(reference, network):
    engine = lc0rocm.Engine(network, {"SyzygyPath": str(reference / "syzygy")})
    won = engine.search(chess.Board("8/8/8/8/8/3P1k2/8/4K3 w - - 0 1"), nodes=30)
    assert (won.best_move.uci(), won.by_tables, won.tbhits) == ("e1d2", True, 1)
    start = engine.search(chess.Board(), nodes=30)
    assert (start.by_tables, start.tbhits) == (False, 0)


def test_a_path_without_tables_is_a_warning(network, tmp_path):
    with pytest.warns(UserWarning, match="cannot be read"):
        lc0rocm.Engine(network, {"SyzygyPath": str(tmp_path / "nowhere")})


def test_an_ending_against_itself_is_won(reference, network):
    """With tables even random values mate with bishop and knight."""
    engine, board = lc0rocm.Engine(network, {"SyzygyPath": str(reference / "syzygy")}), chess.Board("8/2K5/4B3/3N4/8/8/4k3/8 w - - 0 1")
    while not board.is_game_over():
        board.push(engine.search(board, nodes=20).best_move)
    assert board.is_checkmate() and board.fullmove_number <= 50
