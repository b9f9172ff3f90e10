#!/usr/bin/env python3
"""The search in a graph (Search=dag) against the classic one: nodes until the one good move is found, in positions that Stockfish vouches for.

    compare_searches.py NET --positions 200 --workers 8 > tactics.jsonl
    compare_searches.py --add tactics.jsonl more.jsonl

NET: a network file, or "" for the one that comes with the package. Positions come from the network's own play, by the seed; every worker has
a Stockfish of its own. A position is one line of JSON with the nodes that each search needed; how all of them stand goes to stderr, so that a run
may be stopped at any time, and runs with other seeds be added up. One thread a search, batches of --minibatch, also on a GPU: the count of nodes does not
depend on the device. For games: lc0rocm match -o games.pgn --weights=NET --first-options=Search=dag --limit=nodes=100"""
import argparse
import concurrent.futures
import json
import math
import pathlib
import random
import sys
import threading
from collections.abc import Iterator

import chess
import chess.engine

import lc0rocm
from lc0rocm import _core

SEARCHES = {"dag": "on", "classic": "off"}
LONGEST = 120  # plies of a game


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", nargs="?")
    parser.add_argument("--add", nargs="+", metavar="FILE", type=pathlib.Path, help="only add up what earlier runs wrote")
    parser.add_argument("--positions", type=int, default=200)
    parser.add_argument("--most", type=int, default=3200, help="nodes after which a position counts as not solved (3200)")
    parser.add_argument("--minibatch", type=int, default=8, help="positions to evaluate together (8)")
    parser.add_argument("--depth", type=int, default=16, help="of Stockfish (16)")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--backend-options", default="")
    parser.add_argument("--workers", type=int, default=1, help="positions at the same time (1)")
    parser.add_argument("--stockfish", default="/usr/games/stockfish")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if (options.net is None) == (options.add is None):
        parser.error("give a net, or files to --add")
    if options.add:
        found = [json.loads(line) for path in options.add for line in path.read_text().splitlines()]
        print(summary(list({line["fen"]: line for line in found}.values())))
    else:
        tactics(options)


def tactics(options: argparse.Namespace) -> None:
    network = lc0rocm.Network(options.net or None, backend=options.backend, backend_options=options.backend_options)
    print(*network.messages, sep="\n", file=sys.stderr)
    found: list[dict] = []
    one = threading.Lock()

    def work(worker: int) -> None:
        with chess.engine.SimpleEngine.popen_uci(options.stockfish) as judge:
            for board, best in puzzles(network, judge, options.depth, random.Random(f"{options.seed} {worker}")):
                if len(found) >= options.positions:
                    return
                line = {"seed": options.seed, "fen": board.fen(), "best": best.uci(), "most": options.most} | solve(network, board, best, options)
                with one:
                    if len(found) < options.positions:
                        found.append(line)
                        print(json.dumps(line), flush=True)
                        print(summary(found), file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(work, range(options.workers)))


def puzzles(network: lc0rocm.Network, judge: chess.engine.SimpleEngine, depth: int,
            dice: random.Random) -> Iterator[tuple[chess.Board, chess.Move]]:
    """Of every game that the network plays by its policy the first one after a number of plies at random, with its move."""
    while True:
        board, begin = chess.Board(), dice.randrange(16, 90)
        while board.ply() < LONGEST and not board.is_game_over():
            policy = network.policy(board)
            if board.ply() >= begin and (best := only_move(judge, board, next(iter(policy)), depth)):
                yield board, best
                break
            board.push(dice.choices(list(policy), list(policy.values()))[0])


def only_move(judge: chess.engine.SimpleEngine, board: chess.Board, preferred: chess.Move, depth: int) -> chess.Move | None:
    """The one move that wins, or keeps what is won or held, where the network prefers another."""
    if board.legal_moves.count() < 2:
        return None

    def scores(depth: int) -> list:
        lines = judge.analyse(board, chess.engine.Limit(depth=depth), multipv=2)
        return [(line["score"].relative.score(mate_score=3000), line["pv"][0]) for line in lines]

    for trial in (8, 12, depth):  # most positions are nothing: a short look says so
        (first, move), (second, _) = scores(trial)
        if first < 150 or first - min(first, max(second, -1000)) < 250 or preferred == move:
            return None
    return move


def solve(network: lc0rocm.Network, board: chess.Board, best: chess.Move, options: argparse.Namespace) -> dict[str, int | None]:
    """Of each search the nodes from which on it prefers the move at every step; None: not at the last one. A step goes on with the tree
    of the one before, and the second search finds the evaluations of the first."""
    cache = _core.Cache(200_000)
    steps = [nodes for i in range(99) if (nodes := round(12.5 * 2 ** (i / 2))) <= options.most]
    needed: dict[str, int | None] = {}
    for name, graph in SEARCHES.items():
        search = _core.Search()
        search.set_backend(network.backend, "fen_only", 1.359, cache)
        search.set_position(board.root().fen(), [move.uci() for move in board.move_stack])
        parameters = {"Threads": 1, "SmartPruningFactor": 0.0, "MinibatchSize": options.minibatch, "MaxPrefetch": 0, "Graph": graph}
        needed[name] = None
        for nodes in steps:
            search.start(parameters, {"nodes": nodes})
            if search.result(False)["best_move"] != best.uci():
                needed[name] = None
            elif needed[name] is None:
                needed[name] = nodes
    return needed


def summary(found: list[dict]) -> str:
    parts = []
    for name in SEARCHES:
        logs = [math.log(line[name] or 2 * line["most"]) for line in found]
        solved = sum(line[name] is not None for line in found)
        parts.append(f"{name} solves {solved}, {math.exp(sum(logs) / len(logs)):.0f} nodes (geometric mean, twice the most where not solved)")
    ratios = [math.log2((line["dag"] or 2 * line["most"]) / (line["classic"] or 2 * line["most"])) for line in found]
    mean = sum(ratios) / len(ratios)
    error = math.sqrt(sum((r - mean) ** 2 for r in ratios) / max(1, len(ratios) - 1) / len(ratios))
    return (f"{len(found)} positions: {'; '.join(parts)}; dag needs {2**mean:.2f} times the nodes ({2 ** (mean - error):.2f} to {2 ** (mean + error):.2f}), "
            f"fewer in {sum(r < 0 for r in ratios)} and more in {sum(r > 0 for r in ratios)}")


if __name__ == "__main__":
    main()
