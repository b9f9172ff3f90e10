#!/usr/bin/env python3
"""Plays games on emulated GPUs of little memory: each net, memory and max_batch loads or says why in a line, evaluates the batch that it
promises and plays all its moves on the GPU while another program takes what memory is left, and leaves nothing behind. What comes to the
same largest batch and streams as another max_batch did plays a tenth of them. Needs a package built with -Drocm=emulated. With
--settings=blocks=2 most of the arithmetic is left out, and so its time; memory is used as ever."""
import argparse
import ctypes
import importlib.util
import pathlib
import sys

import numpy as np

from lc0rocm import _core, _rocm  # noqa: F401  loading it registers the back end
from lc0rocm.netfile import net

LIBRARY = ctypes.CDLL(str(pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so"))
LIBRARY.hip_emulated_live_objects.restype = LIBRARY.hip_emulated_calls.restype = ctypes.c_size_t


def play(network, name: str, memory: int, words: str, options: dict, moves: int, nodes: int, known: set[str]) -> str:
    """What to tell of one game; raises Error where the GPU fails in it. known: what was told of the same net and memory."""
    before = LIBRARY.hip_emulated_live_objects()
    LIBRARY.hip_emulated_configure(f"memory={memory} {words}".encode())
    try:
        backend = _core.Backend(name, network, options)
    except _core.Error as error:
        return f"does not load: {error}"
    LIBRARY.hip_emulated_configure(f"memory=0 {words}".encode())
    most = backend.info["max_batch"]
    copies = LIBRARY.hip_emulated_calls(b"copy")
    backend.evaluate(*(np.repeat(part[None], most, 0) for part in _core.Game().planes(backend.info["input_format"])))
    if LIBRARY.hip_emulated_calls(b"copy") - copies > 2:
        raise _core.Error(f"a batch of {most} is promised and was evaluated in parts")
    told = f"batches of up to {most}, {backend.info['threads']} streams"
    line: list[str] = []
    search = _core.Search()
    search.set_backend(backend, "fen_only", 1.359, 10_000)
    for _ in range(moves // 10 if told in known else moves):
        if not _core.Game(moves=line).legal_moves():
            line.clear()
        search.set_position(_core.STARTPOS, line)
        search.start({"MinibatchSize": 8}, {"nodes": nodes})
        line.append(search.result()["best_move"])
    del search, backend
    if (left := LIBRARY.hip_emulated_live_objects()) != before:
        raise _core.Error(f"{left - before} objects were not freed")
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("nets", nargs="+", type=pathlib.Path)
    parser.add_argument("--memory", nargs="+", type=int, default=[8, 16, 32, 64], help="MiB")
    parser.add_argument("--max-batch", nargs="+", type=int, default=[1, 8, 64, 512, 4096])
    parser.add_argument("--backend", nargs="+", default=["rocm", "rocm-fp16"])
    parser.add_argument("--settings", default="", help="more of ROCM_EMULATED: integrated=1, fail=gemm:1+, ...")
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=20, help="of a move")
    arguments = parser.parse_args()
    failed = 0
    for path in arguments.nets:
        network = net.load(path).core()
        for name in arguments.backend:
            for memory in arguments.memory:
                known: set[str] = set()
                for most in arguments.max_batch:
                    try:
                        told = play(network, name, memory, arguments.settings, {"max_batch": most, "warm_up": False}, arguments.moves, arguments.nodes, known)
                        known.add(told)
                    except _core.Error as error:
                        told, failed = f"FAILED: {error}", failed + 1
                    print(f"{path.name} {name} memory={memory} max_batch={most}: {told}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
