#!/usr/bin/env python3
"""Launches and microseconds of each kernel in one pass of the ROCm back end over CUDA, by PyTorch's profiler.

    scripts/profile_pass.py 768x15 --batch 1 16
    scripts/profile_pass.py maia-1900.pb.gz --batch 256 --kind rocm

A net is a file or one of scripts/cuda_check.py's. Needs the package built with -Drocm=cuda on the path, and PyTorch. Products and
convolutions are measured first, as in a game's preparation, for --measure seconds at most, unless the user's cache (XDG_CACHE_HOME) has
plans for them. The pass is a replayed graph.
"""
import argparse
import pathlib
import re
import sys
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cuda_check

REPEATS = 20


def profile(backend, batch, moves):
    """{kernel: (launches, microseconds)} of one batch."""
    import torch
    backend.time_batches(*batch, 3, moves)  # a plain run, the capture of a graph, the graph
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        backend.time_batches(*batch, REPEATS, moves)
    found = {}
    for event in seen.events():
        if event.device_type != torch.autograd.DeviceType.CPU:
            launches, us = found.get(event.name, (0, 0.0))
            found[event.name] = launches + 1 / REPEATS, us + event.device_time_total / REPEATS
    return found


def short(name):
    """A kernel's name without its argument list."""
    name = re.sub(r"^void |rocm::|\(anonymous namespace\)::", "", name)
    return re.sub(r"\((?!anonymous).*", "", name)[:90]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="+")
    parser.add_argument("--batch", nargs="+", type=int, default=[1])
    parser.add_argument("--kind", default="rocm-fp16", choices=[*cuda_check.KINDS, "rocm-int8", "rocm-fp8"])
    parser.add_argument("--measure", type=float, default=26, help="seconds")
    parser.add_argument("--top", type=int, default=12, help="kernels to show")
    options = parser.parse_args()
    from lc0rocm import _core
    for name in options.nets:
        path = pathlib.Path(name)
        if not path.exists():
            path = cuda_check.make(SimpleNamespace(tiny=False, data=cuda_check.ROOT / "tests/reference"), name)
        backend = cuda_check.open_backend(options.kind, path, options.batch, options.measure, max_batch=max(options.batch), streams=1)
        game = _core.Game()
        planes, moves = (f(backend.info["input_format"]) for f in (game.planes, game.policy_indices))
        for size in options.batch:
            found = profile(backend, [np.resize(part, (size, len(part))) for part in planes], moves)
            total = sum(us for _, us in found.values())
            print(f"\n{name} {options.kind}, batch {size}: {sum(n for n, _ in found.values()):.0f} launches, {total:.0f} us")
            for kernel, (launches, us) in sorted(found.items(), key=lambda item: -item[1][1])[:options.top]:
                print(f"{us:9.1f} us {launches:5.0f} x {us / launches:7.2f}  {short(kernel)}")


if __name__ == "__main__":
    main()
