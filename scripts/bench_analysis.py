#!/usr/bin/env python3
"""How much of the back end's own speed many small searches get: in turns, in one process, the queries of a round through lc0rocm.analyse
and as many positions through the back end alone, in batches of the recommended size as backendbench times them. Medians of the pairs, by
the clock and by processor time, which what else runs on the machine disturbs less. The positions come from random games."""
import argparse
import random
import statistics
import time
from collections.abc import Iterable

import chess
import numpy as np

import lc0rocm
from lc0rocm import _core
from lc0rocm.analysis.iterate import Analysis
from lc0rocm.analysis.query import Reader
from lc0rocm.annotation import command, games
from lc0rocm.annotation.clerks import Clerks
from lc0rocm.options import ANALYSIS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("weights", nargs="?", help="net file")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--backend-opts", default="")
    parser.add_argument("--queries", type=int, default=100, help="of a round")
    parser.add_argument("--games", metavar="FILE", help="PGN to annotate in each round")
    parser.add_argument("--processes", type=int, default=0, help="that read and write these games; their time is not in that of the processor")
    parser.add_argument("--nodes", type=int, default=100, help="of a query; 0 for policy_only")
    parser.add_argument("--searches", type=int, default=0)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the searches")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    network = lc0rocm.Network(options.weights, options.backend, backend_options=options.backend_opts)
    backend, size = network.backend, network.backend.info["best_batch"]
    game = _core.Game()
    moves = game.policy_indices(backend.info["input_format"])
    masks, values = (np.tile(part, (size, 1)) for part in game.planes(backend.info["input_format"]))
    asked = {"policy_only": True} if options.nodes == 0 else {"nodes": options.nodes}
    search_options = dict(option.split("=", 1) for option in options.option)
    rng = random.Random(1)
    print(backend.info["device"])
    rows, clerks = [], Clerks(options.processes, "out.pgn", "", "")
    for number in range(options.rounds + 1):
        if options.games:
            ours, (asked_for, evaluations) = timed(annotation, options.games, network, search_options, options, clerks)
        else:
            queries = [{"id": i, **random_game(rng), **asked} for i in range(options.queries)]
            ours, answers = timed(lambda queries: list(lc0rocm.analyse(queries, network, options=search_options, searches=options.searches)), queries)
            asked_for, evaluations = len(queries), sum(answer.get("evaluations", 1) for answer in answers)
        count = -(-evaluations // size)
        alone, _ = timed(backend.time_batches, masks, values, count, moves)
        if number:  # the first warms up
            rows.append([asked_for / ours[0], *(evaluations / t for t in ours), *(count * size / t for t in alone),
                         *(100 * evaluations / (count * size) * b / a for a, b in zip(ours, alone))])
    queries_s, wall, cpu, alone_wall, alone_cpu, share_wall, share_cpu = (statistics.median(column) for column in zip(*rows))
    print(f"{queries_s:.0f} queries/s; clock: {wall:.0f} positions/s, back end alone {alone_wall:.0f}: {share_wall:.1f} %; "
          f"processor: {1e6 / cpu:.1f} us a position, back end alone {1e6 / alone_cpu:.1f}: {share_cpu:.1f} %")


def annotation(path: str, network: lc0rocm.Network, search_options: dict[str, str], options: argparse.Namespace, clerks: Clerks) -> tuple[int, int]:
    """How many positions were searched, and evaluated."""
    reader, counts = Reader({**ANALYSIS, **search_options, "UCI_Chess960": True}, {"nodes": options.nodes}), []

    def analyse(queries: Iterable[dict]):
        for answer in Analysis(queries, network.backend, reader, options.searches):
            counts.append(answer.get("evaluations", 0))
            yield answer

    for _ in command.annotated(games.read_texts(path), clerks, analyse, command.Beside()):
        pass
    return len(counts), sum(counts)


def random_game(rng: random.Random) -> dict:
    board = chess.Board()
    for _ in range(rng.randrange(5, 80)):
        if moves := list(board.legal_moves):
            board.push(rng.choice(moves))
    return {"fen": chess.STARTING_FEN, "moves": [move.uci() for move in board.move_stack]}


def timed(action, *arguments) -> tuple[tuple[float, float], object]:
    wall, processor = time.perf_counter(), time.process_time()
    result = action(*arguments)
    return (time.perf_counter() - wall, time.process_time() - processor), result


if __name__ == "__main__":
    main()
