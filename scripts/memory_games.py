#!/usr/bin/env python3
"""Plays games on emulated GPUs of little memory: each net, memory and max_batch loads or says why in a line, plays all its moves on the
GPU, and leaves nothing behind. Needs a package built with -Drocm=emulated -Dtests=true; all reference nets take an hour or so."""
import argparse
import ctypes
import importlib.util
import pathlib
import sys

from lc0rocm import _core, _rocm  # noqa: F401  loading it registers the back end
from lc0rocm.netfile import net

LIBRARY = ctypes.CDLL(str(pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so"))
LIBRARY.hip_emulated_live_objects.restype = ctypes.c_size_t


def play(network, name: str, words: str, options: dict, moves: int, nodes: int) -> str:
    """What to tell of one game; raises Error where the GPU fails in it."""
    before = LIBRARY.hip_emulated_live_objects()
    LIBRARY.hip_emulated_configure(words.encode())
    try:
        backend = _core.Backend(name, network, options)
    except _core.Error as error:
        return f"does not load: {error}"
    line: list[str] = []
    search = _core.Search()
    search.set_backend(backend, "fen_only", 1.359, 10_000)
    for _ in range(moves):
        if not _core.Game(moves=line).legal_moves():
            line.clear()
        search.set_position(_core.STARTPOS, line)
        search.start({"MinibatchSize": 8}, {"nodes": nodes})
        line.append(search.result()["best_move"])
    told = f"batches of up to {backend.info['max_batch']}, {backend.info['threads']} streams"
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
                for most in arguments.max_batch:
                    words = f"memory={memory} {arguments.settings}"
                    try:
                        told = play(network, name, words, {"max_batch": most, "warm_up": False}, arguments.moves, arguments.nodes)
                    except _core.Error as error:
                        told, failed = f"FAILED: {error}", failed + 1
                    print(f"{path.name} {name} {words.strip()} max_batch={most}: {told}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
