#!/usr/bin/env python3
"""Plays games on emulated GPUs of little memory: each net, memory and max_batch loads or says why in a line, evaluates the batch that it
promises and plays all its moves on the GPU while another program takes what memory is left, and leaves nothing behind. What comes to the
same memory as another max_batch did, byte for byte, plays a tenth of them. Ends with a table of the largest batches; exit code 1 if
anything failed. Needs a package built with -Drocm=emulated. With --settings=blocks=0 nothing is computed, and memory is used as ever."""
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


def free_memory() -> int:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    LIBRARY.hipMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    return free.value


def play(network, name: str, memory: int, most: int, arguments: argparse.Namespace, known: set) -> tuple[str, str]:
    """What to tell of one game, and its largest batch x streams; raises Error where the GPU fails in it. known: what others of the same
    net and memory took of the GPU."""
    before = LIBRARY.hip_emulated_live_objects()
    LIBRARY.hip_emulated_configure(f"memory={memory} {arguments.settings}".encode())
    try:
        backend = _core.Backend(name, network, {"max_batch": most, "warm_up": arguments.warm_up})
    except _core.Error as error:
        return f"does not load: {error}", "-"
    promised, threads = backend.info["max_batch"], backend.info["threads"]
    taken = promised, threads, free_memory(), LIBRARY.hip_emulated_live_objects()
    LIBRARY.hip_emulated_configure(f"memory=0 {arguments.settings}".encode())
    copies = LIBRARY.hip_emulated_calls(b"copy")
    backend.evaluate(*(np.repeat(part[None], promised, 0) for part in _core.Game().planes(backend.info["input_format"])))
    if LIBRARY.hip_emulated_calls(b"copy") - copies > 2:
        raise _core.Error(f"a batch of {promised} is promised and was evaluated in parts")
    moves = arguments.moves // 10 if taken in known else arguments.moves
    known.add(taken)
    line: list[str] = []
    search = _core.Search()
    search.set_backend(backend, "fen_only", 1.359, 10_000)
    for _ in range(moves):
        if not _core.Game(moves=line).legal_moves():
            line.clear()
        search.set_position(_core.STARTPOS, line)
        search.start({"MinibatchSize": 8}, {"nodes": arguments.nodes})
        line.append(search.result()["best_move"])
    del search, backend
    if (left := LIBRARY.hip_emulated_live_objects()) != before:
        raise _core.Error(f"{left - before} objects were not freed")
    return f"batches of up to {promised}, {threads} streams, {moves} moves", f"{promised} x {threads}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("nets", nargs="+", type=pathlib.Path)
    parser.add_argument("--memory", nargs="+", type=int, default=[8, 16, 32, 64], help="MiB")
    parser.add_argument("--max-batch", nargs="+", type=int, default=[2**power for power in range(13)])
    parser.add_argument("--backend", nargs="+", default=["rocm", "rocm-fp16"])
    parser.add_argument("--settings", default="", help="more of ROCM_EMULATED: blocks=0, integrated=1, fail=gemm:1+, ...")
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=20, help="of a move")
    parser.add_argument("--warm-up", action="store_true", help="run every batch size before")
    arguments = parser.parse_args()
    counts = {"played": 0, "do not load": 0, "FAILED": 0}
    table = [["net", *(f"{memory} MiB" for memory in arguments.memory)]]
    for path in arguments.nets:
        network = net.load(path).core()
        for name in arguments.backend:
            table.append([f"{path.name.partition('.')[0]}, {name}"])
            for memory in arguments.memory:
                known: set = set()
                for most in arguments.max_batch:
                    try:
                        told, largest = play(network, name, memory, most, arguments, known)
                    except _core.Error as error:
                        told, largest = f"FAILED: {error}", "FAILED"
                    counts[{"-": "do not load"}.get(largest, largest if largest == "FAILED" else "played")] += 1
                    print(f"{path.name} {name} memory={memory} max_batch={most}: {told}", flush=True)
                table[-1].append(largest)
    print(f"\nLargest batch x streams for max_batch={arguments.max_batch[-1]}:\n")
    for row in table[:1] + [["---"] * len(table[0])] + table[1:]:
        print("| " + " | ".join(row) + " |")
    print("\n" + ", ".join(f"{count} {what}" for what, count in counts.items()))
    return counts["FAILED"] > 0


if __name__ == "__main__":
    sys.exit(main())
