#!/usr/bin/env python3
"""The search in a graph (Search=dag) against the classic one: nodes until the one good move is found, in positions that Stockfish vouches for.

    compare_searches.py NET --positions 200

NET: a network file, or "" for the one that comes with the package. Positions come from the network's own play, by the seed. Every line counts
all so far, so that it may be stopped at any time. One process, one thread a search. For games:
lc0rocm match -o games.pgn --weights=NET --first-options=Search=dag --limit=nodes=100"""
import argparse
import math
import random

import chess
import chess.engine

import lc0rocm
from lc0rocm import _core

SEARCHES = {"dag": "on", "classic": "off"}
PARAMETERS = {"Threads": 1, "SmartPruningFactor": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net")
    parser.add_argument("--positions", type=int, default=200)
    parser.add_argument("--most", type=int, default=3200, help="nodes after which a position counts as not solved (3200)")
    parser.add_argument("--depth", type=int, default=16, help="of Stockfish (16)")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--stockfish", default="/usr/games/stockfish")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    network = lc0rocm.Network(options.net or None, backend=options.backend)
    tactics(network, options, random.Random(options.seed))


def searches(network: lc0rocm.Network) -> dict[str, _core.Search]:
    made = {name: _core.Search() for name in SEARCHES}
    for search in made.values():
        search.set_backend(network.backend, "fen_only", 1.359, 200_000)
    return made


def grow(search: _core.Search, name: str, board: chess.Board, nodes: int) -> tuple[chess.Move, float]:
    """The move after so many visits, and what is expected of it."""
    search.set_position(board.root().fen(), [move.uci() for move in board.move_stack])
    search.start(PARAMETERS | {"Graph": SEARCHES[name]}, {"nodes": nodes})
    move = search.result(False)["best_move"]
    return chess.Move.from_uci(move), search.update()["pvs"][0]["wl"]


def sampled(network: lc0rocm.Network, dice: random.Random, plies: int) -> chess.Board:
    """A game by the network's policy; it may be over sooner."""
    board = chess.Board()
    while board.ply() < plies and not board.is_game_over():
        policy = network.policy(board)
        board.push(dice.choices(list(policy), list(policy.values()))[0])
    return board


def tactics(network: lc0rocm.Network, options: argparse.Namespace, dice: random.Random) -> None:
    steps = [25 * 2**i for i in range(20) if 25 * 2**i <= options.most]
    solved: dict[str, list[int | None]] = {name: [] for name in SEARCHES}
    with chess.engine.SimpleEngine.popen_uci(options.stockfish) as judge:
        while len(solved["dag"]) < options.positions:
            board = sampled(network, dice, dice.randrange(16, 90))
            best = only_move(network, judge, board, options.depth)
            if not best:
                continue
            for name, search in searches(network).items():
                right = [grow(search, name, board, nodes)[0] == best for nodes in steps]
                tail = next((i for i, value in enumerate(reversed(right)) if not value), len(right))
                solved[name].append(steps[-tail] if tail else None)
            print(f"{len(solved['dag'])} positions: " + "; ".join(f"{name} {summary(found, options.most)}" for name, found in solved.items()), flush=True)


def only_move(network: lc0rocm.Network, judge: chess.engine.SimpleEngine, board: chess.Board, depth: int) -> chess.Move | None:
    """The one move that wins, or keeps what is won or held, where the network's policy prefers another."""
    if board.is_game_over() or board.legal_moves.count() < 2:
        return None

    def scores(depth: int) -> list:
        lines = judge.analyse(board, chess.engine.Limit(depth=depth), multipv=2)
        return [(line["score"].relative.score(mate_score=3000), line["pv"][0]) for line in lines]

    for trial in (8, depth):  # most positions are nothing: a short look says so
        (first, move), (second, _) = scores(trial)
        if first < 150 or first - min(first, max(second, -1000)) < 250 or next(iter(network.policy(board))) == move:
            return None
    return move


def summary(found: list, most: int) -> str:
    counts = [nodes for nodes in found if nodes]
    mean = math.exp(sum(math.log(nodes or 2 * most) for nodes in found) / len(found))
    return f"solves {len(counts)}, {mean:.0f} nodes (geometric mean, {2 * most} where not solved)"


if __name__ == "__main__":
    main()
