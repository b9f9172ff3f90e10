#!/usr/bin/env python3
"""Speed of the CPU back ends beside numpy's float32 matrix product, in one run, with the same threads.

GFLOP/s count every multiply-add of the network as two operations, convolutions as direct ones (whatever algorithm
computes them). The rounds of all candidates are interleaved and medians reported: a busy machine slows all alike.
"""
import argparse
import functools
import os
import statistics
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", help="net files; default: maia-1900 and ab-pemap-128x3 of tests/reference, and the package's")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the back end and of numpy")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15, help="of the interleaved measurement")
    arguments = parser.parse_args()
    for library in ("OPENBLAS", "OMP", "MKL"):  # numpy reads them when it is imported
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    measure(arguments)


def measure(arguments):
    import pathlib

    import numpy as np

    from lc0rocm import _core
    from lc0rocm.netfile import net
    nets = arguments.nets or [pathlib.Path(__file__).parents[1] / "tests/reference/nets" / f"{name}.pb.gz"
                              for name in ("maia-1900", "ab-pemap-128x3")] + [net.default_net()["path"]]
    matrix = np.random.default_rng(0).random((1024, 1024), np.float32)
    game = _core.Game(moves=["e2e4", "c7c5", "g1f3"])
    backends = {name: why_not for name, why_not, *_ in _core.registered_backends() if name in ("cpu", "cpu-bf16", "cpu-int8")}

    candidates = {("numpy 1024^3", ""): (lambda: matrix @ matrix, 2 * 1024**3, 1, 1)}
    for path in map(pathlib.Path, nets):
        file = net.load(path)
        flops, core = operations(file), file.core()
        masks, values = game.planes(file.architecture()["input_format"])
        for name, why_not in backends.items():
            if why_not:
                print(f"{name}: {why_not}")
                continue
            try:
                backend, single = (_core.Backend(name, core, {"threads": threads}) for threads in (arguments.threads, 1))
            except _core.Error as error:
                print(f"{path.name}: {error}")
                continue
            for batch, call in ((arguments.batch, backend), (1, single)):
                planes = np.repeat(masks[None], batch, 0), np.repeat(values[None], batch, 0)
                repeat = max(1, 32 // batch)  # a lone small batch would only measure how cold the caches are
                title = path.name.partition(".")[0] + (" batch 1" if call is single else "")
                action = functools.partial(evaluate, call, planes, repeat)
                candidates[title, name] = action, flops * batch, batch, repeat

    # On one thread the processor's clock leaves out what other programs take.
    clock = time.thread_time if arguments.threads == 1 else time.perf_counter
    times = {key: [] for key in candidates}
    for action, *_ in candidates.values():
        action()
    for _ in range(arguments.rounds):
        for key, (action, _, _, repeat) in candidates.items():
            start = clock()
            action()
            times[key].append((clock() - start) / repeat)
            if "numpy" in key[0]:
                time.sleep(0.2)  # OpenBLAS's threads keep their processors busy for a while after a product
    rates = {key: candidates[key][1] / statistics.median(seconds) / 1e9 for key, seconds in times.items()}
    base = rates["numpy 1024^3", ""]
    print(f"{arguments.threads} threads (batch 1: one), batch {arguments.batch}, "
          f"medians of {arguments.rounds} interleaved rounds")
    print(f"{'':24}{'':10}{'GFLOP/s':>9}{'x numpy':>9}{'evals/s':>9}{'ms':>9}")
    for (name, kind), rate in rates.items():
        seconds, batch = statistics.median(times[name, kind]), candidates[name, kind][2]
        print(f"{name:24}{kind:10}{rate:9.0f}{rate / base:9.2f}{batch / seconds:9.0f}{1e3 * seconds:9.3f}")


def evaluate(backend, planes, repeat):
    for _ in range(repeat):
        backend.evaluate(*planes)


def operations(file) -> int:
    """Of one position: twice the multiply-adds. A dense weight is used once a position or once a square, a
    convolution's weight once a square; attention adds its two products, the attention policy its one."""
    architecture, arrays = file.read()
    size = {name: len(data) // (4 if encoding == 4 else 2) for name, (encoding, data, *_) in arrays.items()}
    once = ("se.w1", "se.w2", "ip1_val_w", "ip2_val_w", "ip1_mov_w", "ip2_mov_w", "ip_emb_preproc_w")
    total = 0
    for name, count in size.items():
        if name == "smolgen_w":
            total += count * architecture["heads"] * sum(key.endswith(".compress") for key in size)
        elif name.endswith(once) or ".smolgen.dense" in name and name.endswith("_w"):
            total += count
        elif name == "policy.ip_pol_w" and architecture["policy"] == 1:
            total += count
        elif name.endswith(("_w", ".weights", ".compress")) and name != "policy.ip4_pol_w":
            total += 64 * count
        elif name.endswith("mha.q_b"):
            total += 2 * 64 * 64 * count
        elif name == "policy.ip2_pol_b":
            total += 64 * 64 * count
    return 2 * total


if __name__ == "__main__":
    main()
