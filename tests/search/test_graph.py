"""The search in a graph, where positions that are reached in several ways are one; docs/spec/engine.md 4.19."""
import random
import time

import chess
import chess.syzygy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import _core

from .searching import SINGLE, check_consistent, check_graph, make, root, run, saved, visits
from .test_tree import BLOCKED, SIGNATURE, SMOTHERED

GRAPH = {"Threads": 1, "MinibatchSize": 32, "SmartPruningFactor": 0.0, "Graph": "on"}
LASKER = "8/k7/3p4/p2P1p2/P2P1P2/8/8/K7 w - - 0 1"  # king moves alone: everything is reached in many ways
KPK = "8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"


@pytest.mark.parametrize("parameters", [SINGLE, {"Threads": 1, "MinibatchSize": 16}])
@pytest.mark.parametrize("fen", [*SIGNATURE, LASKER, KPK])
def test_without_transpositions_it_is_the_classic_search(fen, parameters):
    """To the last bit, with draws by repetition in plenty."""
    found = []
    for graph in ("off", "unshared"):
        search = make()
        run(search, fen, parameters=parameters | {"Graph": graph}, nodes=4000)
        found.append([search.result(), search.move_stats(), search.update()["pvs"], search.update()["seldepth"]])
    assert found[0] == found[1]


def test_positions_are_shared():
    count, links = {}, {}
    for graph in ("unshared", "on"):
        search = make()
        run(search, LASKER, parameters=GRAPH | {"Graph": graph}, nodes=4000)
        count[graph], links[graph] = check_graph(search)
    assert links["unshared"] == 0 and links["on"] > 1000 and count["on"] < count["unshared"] / 2


def test_a_position_has_one_node_whatever_the_way():
    search = make()
    run(search, KPK, parameters=GRAPH, nodes=4000)
    by_fen, todo, seen = {}, [(saved(search), chess.Board(KPK))], set()
    while todo:
        node, board = todo.pop()
        if not node.moves or id(node) in seen:
            continue
        seen.add(id(node))
        key = board.epd() + str(board.halfmove_clock)
        assert key not in by_fen
        by_fen[key] = node
        for move, child in zip(node.moves, node.children):
            after = board.copy(stack=False)
            move = chess.Move.from_uci(move)
            if board.turn == chess.BLACK:
                move = chess.Move(chess.square_mirror(move.from_square), chess.square_mirror(move.to_square))
            if after.piece_type_at(move.from_square) == chess.PAWN and chess.square_rank(move.to_square) in (0, 7):
                continue  # the promotion is not in the squares
            after.push(move)
            todo.append((child.position, after))
    assert len(seen) > 1000


@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_any_game_any_search(seed):
    """Games back and forth, some with one thread and some with several: what is known always adds up."""
    dice = random.Random(seed)
    fen = dice.choice([_core.STARTPOS, LASKER, KPK, BLOCKED, "4k3/8/8/2r5/8/8/3PP3/R3K3 w Q - 0 1"])
    search, moves = make(), []
    for _ in range(8):
        game = _core.Game(fen, moves)
        if game.legal_moves():
            parameters = GRAPH | {"Threads": dice.choice([1, 4]), "MinibatchSize": dice.choice([1, 5, 32]), "RamLimitMb": dice.choice([0, 2])}
            run(search, fen, moves, parameters, playouts=dice.choice([1, 50, 600]))
            check_graph(search)
            moves = [*moves, dice.choice(game.legal_moves())]
        if not game.legal_moves() or dice.random() < 0.3:
            moves = moves[:dice.randrange(len(moves) + 1)]


@pytest.mark.parametrize("fen, plies, searchmoves", [("6k1/5ppp/8/8/8/8/8/R3K2R w KQ - 0 1", 0, []),
                                                     ("kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", 2, []), (SMOTHERED, 4, ["f7h6"])])
def test_mates_are_proven_and_the_same(fen, plies, searchmoves):
    best = {}
    for graph in ("off", "on"):
        search = make()
        limits = {"nodes": 400_000, "mate": plies // 2 + 1, "searchmoves": searchmoves}
        assert run(search, fen, parameters=GRAPH | {"Graph": graph}, **limits)["stopped_by"] == "mate"
        pv = search.update()["pvs"][0]
        assert (pv["terminal"], pv["wl"], pv["m"], len(pv["moves"])) == ("end", 1, plies, plies + 1)
        best[graph] = pv["moves"][0]
    assert best["off"] == best["on"]


def test_proven_results_are_those_of_the_tables(reference):
    """Whatever way a proof came: a repetition on one way is none on another."""
    tables, dice, proven = chess.syzygy.open_tablebase(str(reference / "syzygy")), random.Random(3), 0
    while proven < 25:
        board = chess.Board(None)
        for square, piece in zip(dice.sample(chess.SQUARES, 3), (chess.KING, chess.KING, dice.choice([chess.QUEEN, chess.ROOK, chess.PAWN]))):
            board.set_piece_at(square, chess.Piece(piece, not board.kings & board.occupied_co[True]))
        board.turn = dice.random() < 0.5
        if not board.is_valid() or board.is_game_over():
            continue
        search = make()
        run(search, board.fen(), parameters=GRAPH, nodes=1000)
        for stats in search.move_stats()[:-1]:
            if stats["flag"] == "T" and stats["wl"]:
                board.push_uci(stats["move"])
                assert -tables.probe_wdl(board) == 2 * stats["wl"] or board.is_checkmate(), board.fen()
                board.pop()
                proven += 1


def test_a_repetition_is_a_draw_on_its_own_way_alone():
    """Kb1 and back repeats b1 for those who came by it; another way to the same squares does not."""
    search = make(options={"uniform": True})  # d = 0 from the network: all of it comes from draws on the board
    fen = "k7/8/8/8/8/8/7P/K7 w - - 0 1"
    for first in ("a1b1", "a1b2", "a1a2"):
        run(search, fen, parameters=GRAPH, playouts=1500, searchmoves=[first])
        check_graph(search)
    todo, seen, terminals = [saved(search)], set(), 0
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        todo += [child.position for child in node.children]
        terminals += node.terminal != 0 and not node.moves and node.n > 0
    assert terminals == 0  # nothing is drawn for ever: neither material nor 50 moves end the game here


def test_third_occurrence_is_a_draw():
    search = make()
    run(search, moves=["g1f3", "g8f6", "f3g1", "f6g8", "g1f3", "g8f6", "f3g1"], parameters=GRAPH, nodes=3000)
    repeating = {s["move"]: s for s in search.move_stats()}["f6g8"]
    assert (repeating["wl"], repeating["d"]) == (0, 1)


def test_a_game_that_has_repeated_positions_is_one_of_its_own():
    """The same squares and count after two games: in one of them a8a7 repeats a position for the third time."""
    search, way = make(), ["a1b1", "a7a8", "b1a1"]
    repeated, other = [*way, "a8a7", *way], [*way, "a8b8", "a1b1", "b8a8", "b1a1"]
    values = {}
    for moves in (repeated, other, repeated, other):
        run(search, LASKER, moves, GRAPH, playouts=300)
        check_graph(search)
        stats = {s["move"]: s for s in search.move_stats()}["a8a7"]
        values.setdefault(tuple(moves), []).append((stats["wl"], stats["d"]))
    assert values[tuple(repeated)] == [(0, 1)] * 2 and (0, 1) not in values[tuple(other)]
    assert search.root_visits >= 600  # each finds what was known of it


def test_a_pawn_move_ends_what_the_game_has_repeated():
    search = make()
    run(search, "k7/8/8/8/8/8/7P/K7 w - - 0 1", ["a1b1", "a8b8", "b1a1", "b8a8"], GRAPH, playouts=500, searchmoves=["h2h3"])
    run(search, "2k5/8/8/8/8/8/7P/2K5 w - - 0 1", ["c1b1", "c8b8", "b1a1", "b8a8"], GRAPH, playouts=50, searchmoves=["h2h3"])
    pushed = dict(zip(saved(search).moves, saved(search).children))["h2h3"]
    assert pushed.edge.n < 100 and pushed.position.n > 400


def test_fifty_moves_do_not_leak():
    """The same squares with another count are another position."""
    search = make()
    for count, drawn in ((0, False), (98, True), (0, False)):
        run(search, f"k7/p7/P7/8/8/p7/P7/K7 w - - {count} 80", parameters=GRAPH | {"TwoFoldDraws": False}, nodes=40)
        assert any(child.position.terminal for move in saved(search).children for child in move.position.children) == drawn


def test_back_and_forth_finds_what_is_known():
    search = make()
    line = ["e2e4", "e7e5", "g1f3"]
    known = {}
    for count in (3, 2, 1, 0):  # as an analysis of a game from its end does
        search.set_position(_core.STARTPOS, line[:count])
        search.start(GRAPH, {"playouts": 2000})
        search.result()
        check_graph(search)
        known[count] = search.root_visits
    for count in (0, 3, 1, 2):
        search.set_position(_core.STARTPOS, line[:count])
        assert search.root_visits == known[count] or count > 0 and search.root_visits >= known[count]
    search.set_position(_core.STARTPOS, ["g1f3", "e7e5", "e2e4"])
    assert search.root_visits == 0  # the 50-move count is another
    search.set_position(_core.STARTPOS, [])
    search.start({}, {"nodes": 1})
    search.result()
    assert search.root_visits == 1  # another kind of tree begins anew


def test_analysis_backwards_is_warm():
    """The first visits of the earlier position find the later one's."""
    search = make()
    search.set_position(_core.STARTPOS, ["e2e4", "e7e5"])
    search.start(GRAPH, {"nodes": 3000})
    search.result()
    search.set_position(_core.STARTPOS, ["e2e4"])
    search.start(GRAPH, {"nodes": 200, "searchmoves": ["e7e5"]})
    search.result()
    later = dict(zip(saved(search).moves, saved(search).children))["e2e4"]  # in Black's frame
    assert later.is_link and later.position.n >= 3000 > later.edge.n


def test_what_nobody_needs_is_reclaimed():
    search = make()
    for i in range(60):
        run(search, moves=[["e2e4", "d2d4", "c2c4", "g1f3"][i % 4]], parameters=GRAPH | {"RamLimitMb": 4}, playouts=3000)
        check_consistent(search)
    check_graph(search)


def test_the_new_game_of_a_graph_knows_nothing():
    search = make()
    run(search, parameters=GRAPH, nodes=500)
    search.clear()
    search.set_position(_core.STARTPOS, [])
    assert search.root_visits == 0


def test_a_proven_root_is_searched_on():
    search = make()
    run(search, SMOTHERED, parameters=GRAPH, nodes=400_000, mate=3, searchmoves=["f7h6"])
    for moves in (["f7h6", "g8h8"], ["f7h6"], []):
        search.set_position(SMOTHERED, moves)
        search.start(GRAPH, {"playouts": 300})
        assert search.result()["best_move"]
        check_graph(search)


def test_multipv_and_pv():
    search = make()
    run(search, LASKER, parameters=GRAPH | {"MultiPV": 500}, nodes=5000)
    pvs = search.update()["pvs"]
    assert len({pv["moves"][0] for pv in pvs}) == len(pvs) == len(visits(search))
    for pv in pvs:
        _core.Game(LASKER, pv["moves"])
    assert [pv["visits"] for pv in pvs] == sorted((pv["visits"] for pv in pvs), reverse=True) and root(search)["visits"] == 5000


def test_threads_and_stops_at_any_moment():
    dice, search, moves, fen = random.Random(1), make(cache=5000), [], LASKER
    end = time.monotonic() + 3
    while time.monotonic() < end:
        search.set_position(fen, moves)
        parameters = GRAPH | {"Threads": 8, "MinibatchSize": dice.choice([1, 4, 64]), "RamLimitMb": dice.choice([0, 8])}
        search.start(parameters, {"infinite": dice.random() < 0.5})
        for _ in range(dice.randrange(4)):
            time.sleep(dice.random() * 0.01)
            search.update()
            search.move_stats()
        if dice.random() < 0.3:
            continue
        search.stop()
        best = search.result()["best_move"]
        if best:
            check_graph(search)
        moves = moves[:-1] if not best or dice.random() < 0.4 or len(moves) > 40 else [*moves, best]
