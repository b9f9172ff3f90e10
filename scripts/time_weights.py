#!/usr/bin/env python3
"""Microseconds of a pass with weights=int8 beside full ones, or by rocm-int8 beside rocm-fp16, in turns, and what each product that differs reads of
weights a second, and computes.

    scripts/time_weights.py 768x15 --batch 1 2 4 8
    scripts/time_weights.py net.pb.gz --kind rocm --bandwidth 205
    scripts/time_weights.py 768x15 --products --batch 1 8 16 32 64 128 256 512

A net is a file or one of scripts/cuda_check.py's. Ways of computing are measured first, by both kinds of weights, for --measure seconds each at most,
unless the user's cache (XDG_CACHE_HOME) has plans for them; the times of products are those of these auctions, where weights come from memory.
"""
import argparse
import pathlib
import re
import statistics
import sys
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cuda_check

ROUNDS, RUNS = 7, 30
KINDS = "full", "int8"
BYTES = {"full": {"rocm": 4, "rocm-fp16": 2}, "int8": {"rocm": 1, "rocm-fp16": 1}}  # of a weight


def products(plans):
    """{(rows, columns, depth, what else tells it from others): (the way, microseconds)} of each kind of weights."""
    found = {"full": {}, "int8": {}}
    for line in plans.splitlines():
        key, winner, us = line.split()
        if match := re.search(r"/gemm/b1/r(\d+)/c(\d+)/d(\d+)/w1(.*)", key):
            rest = re.sub("/int8(x8q?)?(/half)?", "", match[4])
            found["int8" if "/int8" in match[4] else "full"][(*map(int, match.groups()[:3]), rest)] = winner, float(us)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--kind", default="rocm-fp16", choices=cuda_check.KINDS)
    parser.add_argument("--measure", type=float, default=15, help="seconds for the ways of each kind of weights")
    parser.add_argument("--products", action="store_true", help="rocm-int8 beside rocm-fp16")
    parser.add_argument("--bandwidth", type=float, help="of the card, in GB/s: shares of it are shown")
    parser.add_argument("--tiny", action="store_true", help="for the emulated GPU: the net is one of its small ones")
    options = parser.parse_args()
    path = pathlib.Path(options.net)
    if not path.exists():
        path = cuda_check.make(SimpleNamespace(tiny=options.tiny, data=cuda_check.ROOT / "tests/reference"), options.net)
    from lc0rocm import _core
    contenders = dict.fromkeys(KINDS, options.kind) | ({"int8": "rocm-int8"} if options.products else {})
    backends = {weights: cuda_check.open_backend(kind, path, options.batch, options.measure, max_batch=max(options.batch), streams=1,
                                                 weights="full" if options.products else weights) for weights, kind in contenders.items()}
    game = _core.Game()
    planes, moves = (f(backends["full"].info["input_format"]) for f in (game.planes, game.policy_indices))
    rounds, runs = (1, 1) if options.tiny else (ROUNDS, RUNS)
    print(f"{options.net}, {backends['int8'].info['device']}\n\nmicroseconds of a pass, the median of {rounds} means of {runs}, and (least, most)")
    for size in options.batch:
        batch = [np.resize(part, (size, len(part))) for part in planes]
        times = {weights: [] for weights in backends}
        for _ in range(rounds + 1):
            for weights, backend in backends.items():
                times[weights].append(1e6 * backend.time_batches(*batch, runs, moves)[-1] / runs)
        said = {weights: f"{statistics.median(of[1:]):7.1f} ({min(of[1:]):.1f}, {max(of[1:]):.1f})" for weights, of in times.items()}
        gain = statistics.median(times["full"][1:]) / statistics.median(times["int8"][1:])
        print(f"batch {size:3}  full {said['full']}  int8 {said['int8']}  {gain:.3f} times as fast")
    found = products(backends["int8"].plans)
    print("\nproducts: rows, columns, depth; microseconds, 10^12 operations/s, GB/s of weights" + (", and of the card's in %" if options.bandwidth else ""))
    for shape, (way, us) in sorted(found["int8"].items()):
        rows, cols, depth, rest = shape
        cells = []
        for weights, (name, time) in ("int8", (way, us)), ("full", found["full"].get(shape, ("", 0.0))):
            speed = BYTES[weights][options.kind] * cols * depth / time / 1e3 if time else 0.0
            operations = 2e-6 * rows * cols * depth / time if time else 0.0
            share = f" {100 * speed / options.bandwidth:5.1f} %" if options.bandwidth else ""
            cells.append(f"{weights} {time:7.2f} {operations:6.1f} {speed:7.1f}{share}  {name:<16}")
        print(f"{rows:6} {cols:6} {depth:6}  {'  '.join(cells)} {rest.strip('/')}")


if __name__ == "__main__":
    main()
