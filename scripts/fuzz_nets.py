#!/usr/bin/env python3
"""Damages small nets in many ways; each must load, core network included, or raise lc0rocm.Error, in bounded time and memory.

    scripts/fuzz_nets.py --count 5000 --seed 1

Half of the damage changes a field of the message, half its bytes. The bytes are mostly those between the weights, which say
what is where; the weights themselves are most of a file.
"""
import argparse
import collections
import gzip
import pathlib
import random
import resource
import signal
import sys
import tempfile
import traceback

import lc0rocm
from lc0rocm import _core
from lc0rocm.netfile import net, netproto

SECONDS = 5         # for one file
MEMORY = 1 << 30    # bytes beyond what the process has at the start


def fields(message):
    """(message, field, value) of every field that is present, depth first."""
    for field, value in message.ListFields():
        yield message, field, value
        if field.message_type:
            for child in [value] if hasattr(value, "ListFields") else value:
                yield from fields(child)


def structure(data: bytes) -> list[int]:
    """Positions of the bytes of a message that are no weights."""
    taken, at = bytearray(len(data)), 0
    for _, field, value in fields(netproto.Net.FromString(data)):
        if field.name == "params" and len(value) > 8 and (at := data.find(value)) >= 0:
            taken[at:at + len(value)] = b"\1" * len(value)
    return [i for i, weight in enumerate(taken) if not weight]


def damage_field(rng: random.Random, data: bytes) -> bytes:
    net_message = netproto.Net.FromString(data)
    message, field, value = rng.choice(list(fields(net_message)))
    if rng.random() < 0.2:
        message.ClearField(field.name)
    elif field.name == "params":
        cut = rng.choice((0, 1, 2, len(value) // 2, len(value) - 1))
        message.params = rng.choice((value[cut:], value + value[:2 * cut], b"\xff" * len(value)))
    elif isinstance(value, bytes):
        setattr(message, field.name, rng.randbytes(rng.randrange(20)))
    elif isinstance(value, float):
        setattr(message, field.name, rng.choice((0.0, -1.0, 1e38, float("inf"), float("nan"))))
    elif isinstance(value, int):
        setattr(message, field.name, rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 9, 97, 133, 2**31 - 1)))
    elif hasattr(value, "ListFields"):
        value.CopyFrom(rng.choice([v for *_, v in fields(net_message) if type(v) is type(value)]))
    elif rng.random() < 0.5:
        del value[rng.randrange(len(value))]
    else:
        value.extend([value[0]] * rng.choice((1, 3, 100)))
    return net_message.SerializeToString()


def damage_bytes(rng: random.Random, data: bytes, places: list[int], other: bytes, other_places: list[int]) -> bytes:
    data = bytearray(data)

    def place():
        return rng.choice(places) if rng.random() < 0.8 else rng.randrange(len(data))

    kind = rng.choice(("flip", "flip", "bit", "bit", "cut", "delete", "double", "splice", "grow"))
    start = place()
    end = start + rng.choice((1, 2, 9, 100, 5000))
    if kind in ("flip", "bit"):
        for at in [start] + [place() for _ in range(rng.choice((0, 0, 1, 7)))]:
            data[at] = rng.randrange(256) if kind == "flip" else data[at] ^ 1 << rng.randrange(8)
    elif kind == "cut":
        del data[start:]
    elif kind == "delete":
        del data[start:end]
    elif kind == "double":
        data[start:start] = data[start:end]
    elif kind == "splice":
        begin = rng.choice(other_places)
        data[start:end] = other[begin:begin + rng.choice((1, 9, 100, 5000))]
    else:
        data[start:start] = b"\xff" * rng.randrange(1, 12)  # lengths and numbers become huge
    return bytes(data)


def damage(rng: random.Random, nets: list[tuple[bytes, list[int]]]) -> bytes:
    """A damaged one of `nets`, pairs of a message and structure() of it; perhaps gzipped and damaged again."""
    data, places = rng.choice(nets)
    data = damage_field(rng, data) if rng.random() < 0.5 else damage_bytes(rng, data, places, *rng.choice(nets))
    if rng.random() < 0.1:
        packed = bytearray(gzip.compress(data, 1))
        for _ in range(rng.randrange(3)):
            packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        data = bytes(packed)
    return data


def attempt(path, backend: str | None) -> str:
    """"loaded" or the error's sentence; anything else than lc0rocm.Error passes through."""
    try:
        file = net.load(path)
        for heads in (("vanilla", "winner"), ("soft", "st")):
            architecture, arrays = file.read(*heads)
            core = _core.Network(architecture, arrays)
            for name in arrays:
                core.array(name)
                if name.endswith(".weights"):
                    core.convolution(name.removesuffix(".weights"))
            if backend:
                masks, values = _core.Game().planes(architecture["input_format"])
                _core.Backend(backend, core).evaluate(masks[None], values[None])
            if not file.message.weights.HasField("policy_heads"):
                break
        return "loaded"
    except lc0rocm.Error as error:
        return str(error)


def fuzz(files, count: int, seed: int, backend: str | None = None, progress=None) -> collections.Counter:
    """Damages and loads `count` files; how many loaded and how many were refused. Raises AssertionError with the damaged
    file's place for anything else: another exception, more than SECONDS, more than MEMORY, an error without the file's name."""
    nets = []
    for file in files:
        data = file.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        nets.append((data, structure(data)))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz_nets"))
    outcome = collections.Counter()

    def late(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    previous, limits = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_AS)
    size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, limits[1]))
    try:
        for i in range(count):
            path = folder / "damaged.pb"
            path.write_bytes(damage(random.Random(f"{seed} {i}"), nets))
            signal.alarm(SECONDS)
            try:
                result = attempt(path, backend)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise AssertionError(f"seed {seed}, file {i} ({path}): {traceback.format_exc()}") from error
            finally:
                signal.alarm(0)
            if result != "loaded":
                assert "\n" not in result and str(path) in result, f"{path}: {result!r}"
                result = "refused"
            outcome[result] += 1
            if progress:
                progress(i + 1)
    finally:
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    (folder / "damaged.pb").unlink(missing_ok=True)
    folder.rmdir()
    return outcome


def main():
    nets = pathlib.Path(__file__).resolve().parents[1] / "nets"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nets", nargs="*", type=pathlib.Path, default=sorted(nets.glob("*.pb.gz")), help="default: all of nets/")
    p.add_argument("--count", type=int, default=5000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--backend", help="evaluate the start position too")
    options = p.parse_args()

    def progress(done):
        if done % 100 == 0:
            print(f"\r{done} of {options.count}", end="", file=sys.stderr, flush=True)

    print(dict(fuzz(options.nets, options.count, options.seed, options.backend, progress)))


if __name__ == "__main__":
    main()
