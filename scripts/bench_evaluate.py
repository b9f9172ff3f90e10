#!/usr/bin/env python3
"""What Network.evaluate costs beside the back end's own time: pairs, in one process, of evaluate(boards) and of one batch of as many
positions through the same back end, as backendbench times it. Median ratios of the pairs, by the clock and by processor time, which what
else runs on the machine disturbs less. The boards come from random games, with their move stacks."""
import argparse
import random
import statistics
import time

import chess
import numpy as np

import lc0rocm
from lc0rocm import _core


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="net file")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--backend-opts", default="")
    parser.add_argument("--boards", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    network = lc0rocm.Network(options.weights, options.backend, backend_options=options.backend_opts)
    backend, boards = network.backend, random_boards(options.boards)
    game = _core.Game()
    moves = game.policy_indices(backend.info["input_format"])
    masks, values = (np.tile(part, (len(boards), 1)) for part in game.planes(backend.info["input_format"]))

    seconds = [(timed(lambda: network.evaluate(boards)), timed(lambda: backend.time_batches(masks, values, 1, moves)))
               for _ in range(options.rounds + 1)][1:]
    for name, at in (("clock", 0), ("processor", 1)):
        evaluate, alone = zip(*((one[at], other[at]) for one, other in seconds))
        ratio = statistics.median(b / a for a, b in zip(evaluate, alone))
        print(f"{name:10} evaluate {1e3 * statistics.median(evaluate):8.2f} ms, back end alone {1e3 * statistics.median(alone):8.2f} ms, "
              f"speed of evaluate {100 * ratio:.1f} % of it")


def random_boards(count: int) -> list[chess.Board]:
    rng, boards = random.Random(1), []
    while len(boards) < count:
        board = chess.Board()
        for _ in range(rng.randrange(5, 80)):
            if moves := list(board.legal_moves):
                board.push(rng.choice(moves))
        boards.append(board)
    return boards


def timed(action) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
