"""The searches without a tree, against what the network itself says."""
import re

import chess
import numpy as np
import pytest

import lc0rocm
from lc0rocm import positions

FENS = [positions.split(position)[0] for position in positions.POSITIONS[:12]]


def best(lines):
    return lines[-1].split()[1]


@pytest.fixture(scope="module")
def network(reference):
    return lc0rocm.Network(reference / "nets" / "se-attn-48x2.pb.gz", backend="cpu")


@pytest.fixture
def flags(reference):
    return "--backend=cpu", f"--weights={reference / 'nets' / 'se-attn-48x2.pb.gz'}"


def test_policyhead(start, network, flags):
    engine = start("policyhead", *flags, "--show-wdl")
    for fen in FENS:
        board = chess.Board(fen)
        lines = engine.ask(f"position fen {fen}", "go wtime 1 btime 1")
        policy = network.policy(board)
        assert best(lines) == max(policy, key=policy.get).uci()
        evaluation = network.evaluate([board])
        cp, *wdl = map(int, re.fullmatch(r"info depth 1 seldepth 1 nodes 1 score cp (-?\d+) wdl (\d+) (\d+) (\d+)", lines[-2]).groups())
        assert np.allclose(np.array(wdl) / 1000, evaluation.wdl[0], atol=2e-3)
        assert abs(cp - 90 * np.tan(1.5637541897 * evaluation.q[0])) < 1.1


def test_valuehead(start, network, flags):
    engine = start("valuehead", *flags)
    for fen in FENS:
        board = chess.Board(fen)
        moves, children = list(board.legal_moves), []
        for move in moves:
            board.push(move)
            children.append(board.copy())
            board.pop()
        values = -network.evaluate(children).q
        lines = engine.ask(f"position fen {fen}", "go nodes 1000000")
        assert values[moves.index(chess.Move.from_uci(best(lines)))] > values.max() - 1e-5
        assert f" nodes {len(moves)} " in lines[-2]


@pytest.mark.parametrize("position,line,move", [
    ("fen 6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1", "score mate 1", "d1d8"),
    ("fen k7/7R/2K5/8/8/8/8/8 w - - 99 80", "score mate 1", None),
    ("fen r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "score cp", None)])
def test_ends_beyond_the_network(start, position, line, move):
    engine = start("valuehead", "--backend=random")
    board = chess.Board(position[4:])
    lines = engine.ask(f"position {position}", "go")
    if move:
        assert line in lines[-2] and best(lines) == move
    assert chess.Move.from_uci(best(lines)) in board.legal_moves


@pytest.mark.parametrize("search", ["policyhead", "valuehead"])
def test_manners(start, search):
    engine = start("--backend=random")
    engine.send(f"setoption name Search value {search}", "position startpos moves e2e4")
    assert best(engine.ask("go searchmoves a7a6 nodes 5")) == "a7a6"
    engine.send("go infinite")
    assert not any(line.startswith("bestmove") for line in engine.sync()), "before stop"
    assert best(engine.ask("stop")) != "(none)"
    assert best(engine.ask("position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "go")) == "(none)", "stalemate"
    engine.send("setoption name Search value classic")
    assert len(engine.ask("position startpos", "go nodes 30")) > 1


def test_a_search_that_ponders_goes_on_as_what_it_was(start):
    engine = start("--backend=random")
    engine.send("position startpos moves e2e4 e7e5", "go ponder nodes 30")
    engine.until("info depth")
    engine.send("setoption name Search value policyhead")
    assert " nodes 30 " in engine.ask("ponderhit")[-2]
    assert " nodes 1 " in engine.ask("go nodes 30")[-2]


def test_a_graph_knows_the_game_backwards(start):
    engine = start("dag", "--backend=random")
    for moves, known in (("e2e4 e7e5 g1f3", 0), ("e2e4 e7e5", 0), ("e2e4 e7e5 g1f3", 400), ("e2e4 e7e5", 400)):
        engine.send(f"position startpos moves {moves}")
        nodes = int(engine.ask(f"go nodes {known + 400}")[-2].split(" nodes ")[1].split()[0])
        assert nodes == known + 400
    engine.send("setoption name Search value classic", "position startpos moves e2e4")
    assert " nodes 30 " in engine.ask("go nodes 30")[-2]
