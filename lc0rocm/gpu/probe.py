"""Whether a GPU evaluates a network rightly, and how fast: found out in a child process before anybody plays with it.

A library without kernels for a device reports success and faults the GPU later, and small shapes may run where large ones
do not. So the child evaluates the net's smallest and its largest batch and compares with the CPU; what it dies of costs
nobody a game."""
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from lc0rocm import _core
from lc0rocm.gpu import remember, rocm
from lc0rocm._core import Error
from lc0rocm.positions import POSITIONS, split

VERDICTS = "rocm-probes.json"  # a file of remember.py
_PATIENCE_S = 180  # MIOpen compiles kernels for seconds each
_POSITIONS = 8
# Allowed error of policy logits, as a share of their range in a position, and of q and d. Tests are stricter; this finds
# what is broken, in nets of any kind.
_TOLERANCE = {"rocm": (0.003, 0.003), "rocm-fp16": (0.05, 0.03)}
_FAILURE_S = 86400  # a failure is believed for a day: perhaps another program had taken all of the memory
_MEASURED = (8, 16, 32, 64, 128, 256)  # batch sizes
_MEASURE_S = 0.2  # each
MOVES = range(32)  # policy indices that a position asks for while speed is measured, about as many as a search
# What is left out when a probe fails, one try after the other: hipBLASLt ends processes most often.
_WITHOUT = ((), ("hipblaslt",), ("hipblaslt", "rocblas"), rocm.LIBRARIES)


class Verdict(NamedTuple):
    why_not: str  # "" if it may play
    shunned: list[str]  # libraries it may not call
    notes: list[str]  # one sentence for each library that was taken away
    speed: dict[str, float]  # positions a second by batch size, on one thread; empty unless measured
    threads: dict[str, float]  # the same at the best of these sizes by number of threads
    when: float  # time.time()


class Subject(NamedTuple):
    """What is probed."""
    backend: str  # rocm or rocm-fp16
    weights: str  # file
    heads: list[str]  # policy, value
    options: dict  # BackendOptions of that back end
    device: rocm.Device


def probe(subject: Subject, measure: bool, say) -> Verdict:
    """The verdict, from disk if the same was asked before. say: takes a line for the user before what takes long."""
    key = _key(subject)
    if key in (known := remember.recall(VERDICTS)):
        verdict = Verdict(**known[key])
        if time.time() - verdict.when < _FAILURE_S if verdict.why_not else verdict.speed or not measure:
            return verdict
    say(f"first use of {subject.backend} with this network on {subject.device}: checking it against the CPU, which can take a minute")
    reasons = []
    for shunned in _WITHOUT:
        answer, why_not = rocm.in_child("lc0rocm.gpu.probe", "probe_here", [*subject[:4], shunned, measure], _PATIENCE_S)
        reasons.append(why_not)
        if not why_not:
            break
    if why_not:
        verdict = Verdict(reasons[0], [], [], {}, {}, time.time())
    elif isinstance(answer, str):
        verdict = Verdict(answer, [], [], {}, {}, time.time())
    else:
        notes = [f"{subject.backend} does without {', '.join(shunned)}: {reasons[0]}"] if shunned else []
        verdict = Verdict("", list(shunned), notes, *answer, time.time())
    remember.remember(VERDICTS, key, verdict._asdict())
    return verdict


def _key(subject: Subject) -> str:
    parts = rocm.load().identity, subject.backend, _fingerprint(subject.weights), *subject.heads, subject.device, subject.options
    return "/".join(map(str, parts))


def _fingerprint(path: str) -> str:
    """Changes with the file, without reading all of it: size, time of change and both ends."""
    part = 2**20
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        digest = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns} ".encode() + file.read(part))
        file.seek(max(part, stat.st_size - part))
        digest.update(file.read(part))
    return digest.hexdigest()[:16]


def probe_here(request: list) -> list[dict[str, float]] | str:
    """In the child: [speed, threads], or why this net cannot be loaded whatever the libraries do. Raises Error for wrong
    results, or does not come back at all."""
    import numpy as np

    from lc0rocm.netfile import net
    name, weights, heads, options, shunned, measure = request
    module = rocm.load_here().module
    for library in shunned:
        module.shun(library)
    network = net.load(weights).core(*heads)
    try:
        backend = _core.Backend(name, network, options | {"warm_up": False})
    except Error as error:
        return str(error)
    games = [_core.Game(*split(text)) for text in POSITIONS[:_POSITIONS]]
    planes = [np.stack(part) for part in zip(*(game.planes(backend.info["input_format"]) for game in games))]
    wanted = _core.Backend("cpu", network, {}).evaluate(*planes)
    most = backend.info["max_batch"]
    for size in (1, most):
        repeated = [np.resize(part, (size, part.shape[1])) for part in planes]
        got = backend.evaluate(*repeated)
        _compare(name, size, got, [np.resize(part, (size, *part.shape[1:])) for part in wanted])
    if not measure:
        return [{}, {}]
    speed = {}
    for size in [size for size in _MEASURED if size <= most] or [most]:
        speed[str(size)] = _speed(backend, [np.resize(part, (size, part.shape[1])) for part in planes], 1)
    best = int(max(speed, key=speed.get))
    batch = [np.resize(part, (best, part.shape[1])) for part in planes]
    return [speed, {str(threads): _speed(backend, batch, threads) for threads in (1, 2)}]


def _compare(name: str, size: int, got, wanted) -> None:
    import numpy as np
    of_range, absolute = _TOLERANCE[name]
    policy, q, d, m = wanted
    allowed = of_range * (policy.max(1) - policy.min(1))
    checks = (("policy logits", np.abs(got[0] - policy).max(1), allowed), ("q", np.abs(got[1] - q), absolute),
              ("d", np.abs(got[2] - d), absolute), ("m", np.abs(got[3] - m), 1 + of_range * m))
    for what, error, limit in checks:
        if not (error <= limit).all():  # nan is not
            raise Error(f"{what} of a batch of {size} are wrong by {np.nan_to_num(error, nan=np.inf).max():.3g}")


def _speed(backend: _core.Backend, planes, threads: int) -> float:
    """Positions a second. Raises Error where one of the threads fails."""
    backend.time_batches(*planes, 2, MOVES)  # a plain run, and the capture of a graph
    once = backend.time_batches(*planes, 1, MOVES)[0]
    count = max(2, min(1000, round(_MEASURE_S / max(once, 1e-6))))

    def seconds() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: backend.time_batches(*planes, count, MOVES), range(threads)))
        return time.perf_counter() - start

    if threads > 1:
        seconds()  # the other threads' sessions capture theirs
    return threads * count * len(planes[0]) / seconds()
