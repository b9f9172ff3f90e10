"""In a child process: whether a GPU evaluates a network rightly, which way of computing each shape is fastest there, and how fast it all is.

A library without kernels for a device reports success and faults the GPU later, and small batches may be computed another way than
large ones. So every batch size that is computed in a way of its own is compared with the CPU and with the others, each plainly and
from its graph. What is measured is told, or written to disk, piece by piece: an interruption loses one."""
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lc0rocm import _core, paths, trust
from lc0rocm.gpu import child, rocm
from lc0rocm._core import Error
from lc0rocm.netfile import net
from lc0rocm.positions import varied

_OF_CPU = {False: paths.Bar(0.003, 0.003), True: paths.Bar(0.05, 0.03)}  # differences from the CPU, by info["half"]
_MEASURED = (8, 16, 32, 64, 128, 256)  # batch sizes
_MEASURE_S = 0.2  # each
_LONGEST_S = 86400.0  # of measuring ways of computing
MOVES = range(32)  # policy indices that a position asks for while speed is measured, about as many as a search


def examine(request: dict) -> dict | str:
    """What the request asks for: {"errors": the worst of each output, or with 8-bit weights or products what they cost in terms of play, "speed":
    positions a second by batch size on one thread, "threads": the same at the best of these sizes by number of threads}, the last two
    empty unless it asks; or why this net cannot be used so whatever the libraries do. Raises Error for wrong results, or does not come
    back at all.

    request: backend, weights (file), heads, options; without: libraries to leave out; errors: of a check that it has passed before;
    tune_s: seconds for measuring ways of computing, 0 for none, None for all; most: largest batch to tune; measure: whether speed is
    wanted; speed: what of it is known already."""
    rocm.load_here()
    name, network = request["backend"], net.load(request["weights"]).core(*request["heads"])
    options = rocm.told(request["options"], request["without"]) | {"warm_up": False}
    try:
        backend = _core.Backend(name, network, options)
    except Error as error:
        return str(error)
    planes = paths.planes(backend, list(varied(paths.POSITIONS)))
    most = backend.info["max_batch"]
    sizes = backend.info["sizes"]
    errors = request["errors"]
    if not errors:
        in_8_bits = options.get("weights") == "int8" or name.startswith((rocm.INT8, rocm.FP8))
        errors = _check(backend, None if in_8_bits else _cpu(network), planes, sizes)
        if in_8_bits:
            cost, why_not = _trust(backend, network, options)
            if why_not:
                return why_not
            errors |= cost
        child.progress({"kept": {"errors": errors}})
    if request["tune_s"] != 0:
        del backend  # its memory is needed
        backend = _tune(name, network, options, planes, [size for size in sizes if size <= request["most"]], request["tune_s"])
    if not request["measure"]:
        return {"errors": errors, "speed": {}, "threads": {}}
    return {"errors": errors} | _measure(backend, planes, [size for size in _MEASURED if size <= most] or [most], request["speed"])


# right? ---------------------------------------------------------------------------------------------------------------

def _cpu(network: _core.Network) -> _core.Backend | None:
    """To compare with; None where it was not built."""
    has_cpu = any(entry[0] == "cpu" and not entry[1] for entry in _core.registered_backends())
    return _core.Backend("cpu", network, {}) if has_cpu else None


def _trust(backend: _core.Backend, network: _core.Network, options: dict) -> tuple[dict[str, float], str]:
    """What 8 bits cost, in terms of play, and why that is too much for this network, or "". Raises Error where it is without them as well:
    then something else is to blame."""
    cpu, games = _cpu(network), list(varied(trust.POSITIONS))
    if cpu is None:
        return {}, ""
    stage = {"stage": "checking what 8 bits cost", "total": 1}
    child.progress(stage | {"done": 0})
    products = next((kind for kind in (rocm.INT8, rocm.FP8) if backend.name.startswith(kind)), "")
    most = trust.FP8 if products == rocm.FP8 else trust.INT8
    all_in_8 = _core.Backend(backend.name, network, options | {"int8_batch": 1, "max_batch": 8}) if products else backend
    cost = trust.cost(all_in_8, cpu, games)  # whichever products are found to be faster so
    child.progress(stage | {"done": 1})
    if cost.passes(most):
        return {"policy KL": cost.policy, "other best moves": cost.moves, "mean q": cost.q, "mean m": cost.m}, ""
    half = backend.name.replace(products, rocm.HALF) if products else backend.name
    full = trust.cost(_core.Backend(half, network, options | {"weights": "full", "max_batch": 8}), cpu, games)
    if not full.passes(most):
        raise Error(f"without 8 bits too, answers are wrong: {full}")
    what = "weights=int8 costs it too much, leave that out" if options.get("weights") == "int8" else f"8 bits cost it too much, take {rocm.HALF}"
    return {}, f"{what}: {cost} over {len(games)} positions, where {most.let_pass()} is let pass"


def _check(backend: _core.Backend, cpu: _core.Backend | None, planes, sizes: list[int]) -> dict[str, float]:
    """The worst differences: of policy (a share of its range), q, d and m from the CPU's, and of policy between batch sizes. Raises
    Error for the first size whose answers are wrong."""
    of_cpu = cpu.evaluate(*planes) if cpu else None
    first = None
    errors: dict[str, float] = {}
    stage = {"stage": "checking batch sizes", "total": len(sizes)}
    child.progress(stage | {"done": 0})
    for run, (size, got) in enumerate(paths.run(backend, planes, sizes)):
        if run > 0 and run % 2 == 0:  # the first of a size
            child.progress(stage | {"done": run // 2})
        if of_cpu is not None:
            for output, error in _worst(f"batches of {size}", paths.compare(got, of_cpu, _OF_CPU[backend.info["half"]])).items():
                errors[output] = max(error, errors.get(output, 0))
        if first is not None:
            among = _worst(f"batches of {size}, beside those of {sizes[0]},", paths.compare(got, first, paths.between(backend)))
            errors["between sizes"] = max(among["policy"], errors.get("between sizes", 0))
        first = first or got
    child.progress(stage | {"done": len(sizes)})
    return errors


def _worst(what: str, differences: dict[str, paths.Difference]) -> dict[str, float]:
    """Of each output. Raises Error for what is beyond the bar."""
    for output, difference in differences.items():
        if difference.of_allowed > 1:
            raise Error(f"{output} of {what} is wrong by {difference.worst:.3g}" + (" of its range" if output == "policy" else ""))
    return {output: difference.worst for output, difference in differences.items()}


# fast? ----------------------------------------------------------------------------------------------------------------

def _tune(name: str, network: _core.Network, options: dict, planes, sizes: list[int], seconds: float | None) -> _core.Backend:
    """A back end that has measured the ways of computing each product and convolution; what was measured before is not measured again."""
    stage = {"stage": "measuring ways of computing", "total": len(sizes)}
    started = time.monotonic()
    backend = _core.Backend(name, network, options | {"measure": _LONGEST_S if seconds is None else seconds})
    for done, size in enumerate(sizes):
        if seconds is not None and time.monotonic() - started > seconds:
            break
        child.progress(stage | {"done": done})
        backend.evaluate(*paths.batch(planes, size))
        rocm.keep_plans(backend.plans)
    child.progress(stage | {"done": len(sizes)})
    return backend


def _measure(backend: _core.Backend, planes, sizes: list[int], speed: dict[str, float]) -> dict:
    speed = dict(speed)
    stage = {"stage": "measuring speed", "total": len(sizes) + 1}
    for done, size in enumerate(sizes):
        if str(size) not in speed:
            child.progress(stage | {"done": done})
            speed[str(size)] = positions_per_second(backend, paths.batch(planes, size), 1)
            child.progress({"kept": {"speed": speed}})
    child.progress(stage | {"done": len(sizes)})
    batch = paths.batch(planes, int(max(speed, key=lambda size: speed[size])))
    threads = {str(count): positions_per_second(backend, batch, count) for count in (1, 2)}
    child.progress(stage | {"done": len(sizes) + 1})
    return {"speed": speed, "threads": threads}


def positions_per_second(backend: _core.Backend, planes: Any, threads: int) -> float:
    """Raises Error where one of the threads fails."""
    masks, values = planes
    backend.time_batches(masks, values, 2, MOVES)  # a plain run, and the capture of a graph
    once = backend.time_batches(masks, values, 1, MOVES)[0]
    count = max(2, min(1000, round(_MEASURE_S / max(once, 1e-6))))

    def seconds() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: backend.time_batches(masks, values, count, MOVES), range(threads)))
        return time.perf_counter() - start

    if threads > 1:
        seconds()  # the other threads' sessions capture theirs
    return threads * count * len(planes[0]) / seconds()
