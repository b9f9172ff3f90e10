#!/usr/bin/env python3
"""Microseconds of a pass with weights=int8 beside full ones, or by rocm-int8 and rocm-fp8 beside rocm-fp16, in turns, and what each product that differs
reads of weights a second, and computes.

    scripts/time_weights.py 768x15 --batch 1 2 4 8
    scripts/time_weights.py net.pb.gz --kind rocm --bandwidth 205
    scripts/time_weights.py 768x15 --products --batch 1 8 16 32 64 128 256 512

A net is a file or one of scripts/cuda_check.py's. Ways of computing are measured first, by both kinds of weights, for --measure seconds each at most,
unless the user's cache (XDG_CACHE_HOME) has plans for them; the times of products are those of these auctions, where weights come from memory.
"""
import argparse
import json
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
PRODUCTS = {"full": "rocm-fp16", "int8": "rocm-int8", "fp8": "rocm-fp8"}


def products(plans):
    """{(rows, columns, depth, what else tells it from others): (the way, microseconds)} of each kind of weights."""
    found = {"full": {}, "int8": {}, "fp8": {}}
    for line in plans.splitlines():
        key, winner, us = line.split()
        if match := re.search(r"/gemm/b1/r(\d+)/c(\d+)/d(\d+)/w1(.*)", key):
            of = re.search("/(int8|fp8)", match[4])
            if of or "/y" not in match[4]:  # else in halves, of rows that are wanted in 8 bits
                rest = re.sub("/(int8|fp8)(x8q?)?(/half)?|/y(int8|fp8)", "", match[4])
                found[of[1] if of else "full"][(*map(int, match.groups()[:3]), rest)] = winner, float(us)
    return found


def draw(results, goal):
    """Speed as a share of that of full weights, by batch size, of {net: {batch: {weights: microseconds}}}."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (net, times) in enumerate(results.items()):
        for kind, line in ("int8", ":"), ("fp8", "-"):
            if kind in next(iter(times.values())):
                axes.plot(list(map(int, times)), [of["full"] / of[kind] for of in times.values()], "o" + line, color=f"C{number}", label=f"{net}, {kind}")
    axes.axhline(1, color="grey", lw=1)
    axes.set(title="positions a second, as a share of those in half precision", xlabel="batch size")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.grid(True, alpha=0.25)
    axes.legend()
    figure.savefig(goal)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--kind", default="rocm-fp16", choices=cuda_check.KINDS)
    parser.add_argument("--measure", type=float, default=15, help="seconds for the ways of each kind of weights")
    parser.add_argument("--products", action="store_true", help="rocm-int8 and rocm-fp8 beside rocm-fp16")
    parser.add_argument("--json", type=pathlib.Path, help="add microseconds to this file")
    parser.add_argument("--plot", help="draw what is in the file of --json, and measure nothing")
    parser.add_argument("--bandwidth", type=float, help="of the card, in GB/s: shares of it are shown")
    parser.add_argument("--tiny", action="store_true", help="for the emulated GPU: the net is one of its small ones")
    options = parser.parse_args()
    if options.plot:
        draw(json.loads(options.json.read_text()), options.plot)
        return
    path = pathlib.Path(options.net)
    if not path.exists():
        path = cuda_check.make(SimpleNamespace(tiny=options.tiny, data=cuda_check.ROOT / "tests/reference"), options.net)
    from lc0rocm import _core
    contenders = PRODUCTS if options.products else dict.fromkeys(KINDS, options.kind)
    backends = {weights: cuda_check.open_backend(kind, path, options.batch, options.measure, max_batch=max(options.batch), streams=1,
                                                 weights="full" if options.products else weights) for weights, kind in contenders.items()}
    game = _core.Game()
    planes, moves = (f(backends["full"].info["input_format"]) for f in (game.planes, game.policy_indices))
    rounds, runs = (1, 1) if options.tiny else (ROUNDS, RUNS)
    print(f"{options.net}, {backends['full'].info['device']}\n\nmicroseconds of a pass, the median of {rounds} means of {runs}, and (least, most)")
    medians = {}
    for size in options.batch:
        batch = [np.resize(part, (size, len(part))) for part in planes]
        times = {weights: [] for weights in backends}
        for _ in range(rounds + 1):
            for weights, backend in backends.items():
                times[weights].append(1e6 * backend.time_batches(*batch, runs, moves)[-1] / runs)
        medians[size] = {weights: statistics.median(of[1:]) for weights, of in times.items()}
        said = [f"{weights} {medians[size][weights]:7.1f} ({min(of[1:]):.1f}, {max(of[1:]):.1f})" +
                (f" {medians[size]['full'] / medians[size][weights]:.3f} times as fast" if weights != "full" else "") for weights, of in times.items()]
        print(f"batch {size:3}  {'  '.join(said)}", flush=True)
    if options.json:
        known = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(known | {options.net: medians}))
    print("\nproducts: rows, columns, depth; microseconds, 10^12 operations/s, GB/s of weights" + (", and of the card's in %" if options.bandwidth else ""))
    found = {weights: products(backend.plans)[weights] for weights, backend in backends.items()}
    for shape in sorted({shape for weights, of in found.items() if weights != "full" for shape in of}):
        rows, cols, depth, rest = shape
        cells = []
        for weights, of in found.items():
            name, time = of.get(shape, ("", 0.0))
            bytes_each = 1 if weights != "full" else 4 if options.kind == "rocm" else 2
            speed = bytes_each * cols * depth / time / 1e3 if time else 0.0
            operations = 2e-6 * rows * cols * depth / time if time else 0.0
            share = f" {100 * speed / options.bandwidth:5.1f} %" if options.bandwidth else ""
            cells.append(f"{weights} {time:7.2f} {operations:6.1f} {speed:7.1f}{share}  {name:<16}")
        print(f"{rows:6} {cols:6} {depth:6}  {'  '.join(cells)} {rest.strip('/')}")


if __name__ == "__main__":
    main()
