"""How the GPU back ends are used: what `rocm-auto` means on this machine, and what rocm and rocm-fp16 may call.

rocm-auto takes a discrete GPU before an integrated one, half precision before single unless it is wrong or slower, as few
threads and as small a largest batch as reach full speed, and the CPU where nothing passes its check."""
from typing import Callable, NamedTuple

from lc0rocm.gpu import probe, rocm
from lc0rocm._core import Error

_NEARLY = 0.95  # of the best speed is as good: smaller batches and fewer threads make a better search


class Prepared(NamedTuple):
    name: str  # a back end of the core
    options: dict
    messages: list[str]


def prepare(name: str, options: dict, weights: str, heads: list[str], say: Callable[[str], None]) -> Prepared:
    """What a GPU back end becomes: for rocm-auto the choice; for the others themselves, checked once a device and net.

    Emulated GPUs are checked only with probe=true, real ones unless probe=false. Raises Error where none can run or where
    the one that was asked for fails its check."""
    rocm.module()
    device = _device(rocm.load().devices, options)
    options = {"warm_up": not device.emulated} | options | {"gpu": device.index}
    for key in ("probe", "tune"):
        if not isinstance(options.get(key, True), bool):
            raise Error(f"back-end option {key} must be true or false")
    wanted = options.pop("probe", not device.emulated)
    if name == "rocm-auto":
        return _decide(options, device, weights, heads, say)
    if not wanted:
        return Prepared(name, options, [])
    verdict = probe.probe(probe.Subject(name, weights, heads, options, device), False, say)
    if verdict.why_not:
        raise Error(f"{name} fails its check with this network on {device}: {verdict.why_not}; use the back end cpu, or the "
                    "option probe=false to play all the same")
    _shun(verdict)
    return Prepared(name, options, verdict.notes)


def _device(devices: tuple[rocm.Device, ...], options: dict) -> rocm.Device:
    if "gpu" in options:
        index = options["gpu"]
        if not isinstance(index, int) or not 0 <= index < len(devices):
            raise Error(f"there is no GPU {index}; there are " + "; ".join(map(str, devices)))
        return devices[index]
    return min(devices, key=lambda device: (device.emulated, device.integrated, -device.compute_units, device.index))


def _decide(options: dict, device: rocm.Device, weights: str, heads: list[str], say) -> Prepared:
    messages, verdicts = [], {}
    for name in ("rocm-fp16", "rocm"):
        verdict = probe.probe(probe.Subject(name, weights, heads, options, device), True, say)
        if verdict.why_not:
            messages.append(f"{name} fails its check with this network: {verdict.why_not}")
        else:
            verdicts[name] = verdict
    if not verdicts:
        return Prepared("cpu", {}, [*messages, f"{device} is not used"])
    name = max(verdicts, key=lambda name: max(verdicts[name].speed.values()))
    verdict = verdicts[name]
    _shun(verdict)
    best = max(verdict.speed.values())
    batch = next(int(size) for size, speed in sorted(verdict.speed.items(), key=lambda entry: int(entry[0]))
                 if speed >= _NEARLY * best)
    threads = 1 if verdict.threads["1"] >= _NEARLY * verdict.threads["2"] else 2
    chosen = {"max_batch": batch, "streams": threads} | options
    messages += [*verdict.notes, f"rocm-auto takes {name}, max_batch={chosen['max_batch']}, streams={chosen['streams']}: "
                                 f"{max(best, *verdict.threads.values()):,.0f} positions/s when measured"]
    return Prepared(name, chosen, messages)


def _shun(verdict: probe.Verdict) -> None:
    """For the rest of this process, whatever passes elsewhere: another GPU may need it."""
    for library in verdict.shunned:
        rocm.module().shun(library)
