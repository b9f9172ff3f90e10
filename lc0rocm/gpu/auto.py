"""How the GPU back ends are used: what `rocm-auto` means on this machine, and what rocm and rocm-fp16 may call.

rocm-auto takes all discrete GPUs, or the best integrated one where there is none; on each the precision that is right, 8 bits among them, and reaches
full speed in the smallest batches, and as few threads as reach it; and the CPU where nothing passes its check."""
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

from lc0rocm.gpu import probe, rocm
from lc0rocm.report import Progress
from lc0rocm._core import Error

_NEARLY = 0.95  # of the best speed is as good: smaller batches and fewer threads make a better search
_PRECISIONS: tuple[tuple[str, dict], ...] = (("rocm-fp16", {}), ("rocm", {}))
_SHORT_WEIGHTS: tuple[str, dict] = (rocm.HALF, {"weights": "int8"})  # where memory is slow beside the units: on integrated GPUs
_LARGEST = 256  # batch of rocm-auto; in a search larger ones gain nothing
AGAIN = "`lc0rocm tune --again` checks it anew"


class Prepared(NamedTuple):
    name: str  # a back end of the core
    options: dict
    messages: list[str]


class _Request(NamedTuple):
    """What is to be prepared, and how it is told and ended."""
    options: dict
    weights: str
    heads: list[str]
    encoders: bool  # whether the network's body has some
    tell: Callable[[Progress], None]
    stop: threading.Event


def prepare(name: str, options: dict, weights: str, heads: list[str], encoders: bool, tell: Callable[[Progress], None],
            stop: threading.Event | None = None) -> Prepared:
    """What a GPU back end becomes: for rocm-auto the choice; for the others themselves, checked once a device and net.

    Emulated GPUs are checked only with probe=true and tuned with tune=true, real ones unless probe=false and tune=false. Raises Error
    where none can run, where the one that was asked for fails its check, and for a wrong option; child.Stopped after stop.set()."""
    rocm.module()
    devices = _devices(rocm.load().devices, options, name == "rocm-auto")
    for key in ("probe", "tune"):
        if not isinstance(options.get(key, True), bool):
            raise Error(f"back-end option {key} must be true or false")
    request = _Request(options, weights, heads, encoders, tell, stop or threading.Event())
    if name == "rocm-auto":
        return _combine(devices, request)
    subject, wish = _subject(name, devices[0], request), _wish(devices[0], request, False)
    checked = options.get("probe", not devices[0].emulated)
    if not checked and not wish.tune_s:
        return Prepared(name, rocm.told(subject.options, []), [])
    verdict = probe.probe(subject, wish, tell, request.stop)
    if verdict.why_not and checked:
        raise Error(f"{name} fails its check with this network on {devices[0]}: {verdict.why_not}; {AGAIN}; use the back end cpu, or the "
                    "option probe=false to play all the same")
    return Prepared(name, _playing(subject, verdict), verdict.notes)


def tune(name: str, options: dict, weights: str, heads: list[str], encoders: bool, most: int, tell: Callable[[Progress], None],
         stop: threading.Event) -> list[tuple[probe.Subject, probe.Verdict]]:
    """Measures whatever prepare() would ask, for batches of up to `most`, however long it takes. Raises as prepare() does."""
    request = _Request(options, weights, heads, encoders, tell, stop)
    wish = probe.Wish(True, None, most)
    return [(subject, probe.probe(subject, wish, tell, stop)) for subject in _subjects(name, request)]


def known(name: str, options: dict, weights: str, heads: list[str], encoders: bool) -> list[tuple[probe.Subject, probe.Verdict | None]]:
    """What prepare() would ask, with what is known of it; nothing is measured."""
    request = _Request(options, weights, heads, encoders, lambda _: None, threading.Event())
    return [(subject, probe.known(subject)) for subject in _subjects(name, request)]


def _subjects(name: str, request: _Request) -> list[probe.Subject]:
    """What is probed for a back end; a set of options is the same subject however it is asked."""
    devices = _devices(rocm.load().devices, request.options, name == "rocm-auto")
    if name == "rocm-auto":
        request = request._replace(options={"max_batch": _LARGEST} | request.options)
    if name != "rocm-auto":
        return [_subject(name, device, request) for device in devices]
    return [_subject(kind, device, request._replace(options=request.options | more)) for device in devices
            for kind, more in (*_PRECISIONS, *_in_8_bits(device, request),
                               *([_SHORT_WEIGHTS] if device.integrated and "weights" not in request.options else []))]


def _in_8_bits(device: rocm.Device, request: _Request) -> list[tuple[str, dict]]:
    """Where the GPU has matrix instructions and the network encoders; emulated they only take longer."""
    if not request.encoders or device.emulated:
        return []
    return [(kind, {}) for kind, can in ((rocm.INT8, device.matrix), (rocm.FP8, device.fp8)) if can]


def _devices(devices: tuple[rocm.Device, ...], options: dict, several: bool) -> list[rocm.Device]:
    """The GPU that is asked for, else the best of them: discrete before integrated, then by size; with `several` all discrete ones."""
    if "gpu" in options:
        index = options["gpu"]
        if not isinstance(index, int) or not 0 <= index < len(devices):
            raise Error(f"there is no GPU {index}; there are " + "; ".join(map(str, devices)))
        return [devices[index]]
    best = min(devices, key=lambda device: (device.emulated, device.integrated, -device.compute_units, device.index))
    if best.integrated or not several:
        return [best]
    return [device for device in devices if (device.emulated, device.integrated) == (best.emulated, False)]


def _subject(name: str, device: rocm.Device, request: _Request) -> probe.Subject:
    options = {key: value for key, value in request.options.items() if key not in ("probe", "tune")}
    return probe.Subject(name, request.weights, request.heads, {"warm_up": not device.emulated} | options | {"gpu": device.index}, device)


def _wish(device: rocm.Device, request: _Request, measure: bool) -> probe.Wish:
    return probe.Wish(measure, probe.TUNE_S if request.options.get("tune", not device.emulated) else 0.0, _LARGEST)


def _playing(subject: probe.Subject, verdict: probe.Verdict) -> dict:
    """The options with which it plays."""
    return rocm.told(subject.options, verdict.shunned)


# rocm-auto ------------------------------------------------------------------------------------------------------------

class _Choice(NamedTuple):
    device: rocm.Device
    name: str  # "" where nothing passes
    options: dict
    speed: float  # positions a second
    messages: list[str]


def _combine(devices: list[rocm.Device], request: _Request) -> Prepared:
    """All that pass, each with a share of every batch by its speed."""
    with ThreadPoolExecutor(len(devices)) as pool:  # each waits for its own child
        try:
            choices = list(pool.map(lambda device: _choose(device, request), devices))
        except BaseException:  # of one, or a Ctrl-C: the others need not go on
            request.stop.set()
            raise
    messages = [message for choice in choices for message in choice.messages]
    chosen = [choice for choice in choices if choice.name]
    if not chosen:
        return Prepared("cpu", {}, messages)
    if len(chosen) == 1:
        return Prepared(chosen[0].name, chosen[0].options, messages)
    parts = {f"gpu{choice.device.index}": choice.options | {"backend": choice.name, "weight": round(choice.speed, 1)} for choice in chosen}
    return Prepared("demux", parts, [*messages, f"{len(chosen)} GPUs share every batch by their speed"])


def _choose(device: rocm.Device, request: _Request) -> _Choice:
    """The best of one GPU."""
    messages, verdicts = [], {}
    subjects = {subject.title: subject for subject in _subjects("rocm-auto", request._replace(options=request.options | {"gpu": device.index}))}
    for title, subject in subjects.items():
        verdict = probe.probe(subject, _wish(device, request, True), request.tell, request.stop)
        if verdict.why_not:
            messages.append(f"{title} fails its check with this network on GPU {device.index}: {verdict.why_not}")
        else:
            verdicts[title] = verdict
    if not verdicts:
        return _Choice(device, "", {}, 0, [*messages, f"{device} is not used; {AGAIN}"])
    best = max(speed for verdict in verdicts.values() for speed in verdict.speed.values())
    batch, _, title = min((int(size), -speed, title) for title, verdict in verdicts.items() for size, speed in verdict.speed.items()
                          if speed >= _NEARLY * best)
    verdict, best = verdicts[title], max(verdicts[title].speed.values())
    threads = 1 if verdict.threads["1"] >= _NEARLY * verdict.threads["2"] else 2
    options = _playing(subjects[title], verdict) | {"max_batch": batch, "streams": threads}
    options |= {key: value for key, value in request.options.items() if key in ("max_batch", "streams")}
    speed = max(best, *verdict.threads.values())
    messages += [*verdict.notes, f"rocm-auto takes {title} on GPU {device.index}, max_batch={options['max_batch']}, "
                                 f"streams={options['streams']}: {speed:,.0f} positions/s when measured"]
    return _Choice(device, subjects[title].backend, options, speed, messages)
