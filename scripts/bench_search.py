#!/usr/bin/env python3
"""Nodes a second of the search itself: the back end `random` answers at once. Prints medians for each number of threads,
measured in turns so that noise of the machine hits all alike."""
import argparse
import statistics

from lc0rocm import _core

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
parser.add_argument("--minibatch", type=int, default=256)
parser.add_argument("--seconds", type=float, default=3, help="of each search")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--cache", type=int, default=2_000_000, help="positions")
parser.add_argument("--fen", default=_core.STARTPOS)
args = parser.parse_args()


def nodes_per_second(threads: int) -> float:
    search = _core.Search()
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1.359, args.cache)
    search.set_position(args.fen, [])
    search.start({"Threads": threads, "MinibatchSize": args.minibatch, "SmartPruningFactor": 0.0},
                 {"time_ms": round(1000 * args.seconds)})
    search.result()
    update = search.update()
    return 1000 * update["playouts"] / update["time_ms"]


rates = {threads: [] for threads in args.threads}
for _ in range(args.rounds):
    for threads in args.threads:
        rates[threads].append(nodes_per_second(threads))
first = statistics.median(rates[args.threads[0]])
for threads, values in rates.items():
    median = statistics.median(values)
    print(f"{threads} threads: {median:9,.0f} nodes/s (of {min(values):,.0f} to {max(values):,.0f}), {median / first:.2f} times")
