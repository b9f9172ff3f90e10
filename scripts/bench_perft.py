#!/usr/bin/env python3
"""Move generation speed: leaf nodes a second of bulk-counted perft on one thread, by that thread's processor time."""
import argparse
import statistics
import time

from lc0rocm import _core

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--fen", default=_core.STARTPOS, help="the position (default: the start position)")
parser.add_argument("--depth", type=int, default=6, help="in plies (default: 6)")
parser.add_argument("--runs", type=int, default=5, help="the median of so many is printed (default: 5)")
arguments = parser.parse_args()
if arguments.runs < 1:
    parser.error("--runs must be at least 1")

seconds = []
for _ in range(arguments.runs):
    start = time.thread_time()
    try:
        leaves = _core.perft(arguments.fen, arguments.depth)
    except _core.Error as error:
        parser.error(str(error))
    seconds.append(time.thread_time() - start)
median = statistics.median(seconds)
print(f"perft {arguments.depth}: {leaves} leaves in {median:.3f} s, {leaves / median / 1e6:.0f} million leaves/s "
      f"(median of {arguments.runs}, best {leaves / min(seconds) / 1e6:.0f})")
