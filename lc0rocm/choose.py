"""Which back end evaluates: what is built, what can run here, and what `auto` takes."""
import importlib.util
from typing import NamedTuple

from lc0rocm import _core, gpu
from lc0rocm._core import Error
from lc0rocm.gpu import rocm
from lc0rocm.options import CPU_AUTO, ONNX, backend_names


class BackendChoice(NamedTuple):
    name: str
    why_not: str  # "" where it can run here
    needs_network: bool
    where: str  # what it would run on; "": nothing to say


def backends() -> dict[str, BackendChoice]:
    """All that there are. Looks for a GPU, which may take seconds."""
    return {name: find(name) for name in backend_names()[1:]}


def find(name: str) -> BackendChoice:
    """The back end of that name. Raises Error if there is none."""
    if name in gpu.NAMES:
        return BackendChoice(name, rocm.load().why_not, True, "; ".join(map(str, rocm.load().devices)))
    if name == ONNX:
        here = importlib.util.find_spec("onnxruntime")
        return BackendChoice(name, "" if here else "the Python package onnxruntime is missing: pip install onnxruntime", True, "onnxruntime" if here else "")
    for entry in _core.registered_backends():
        if entry[0] == ("cpu" if name == CPU_AUTO else name):
            return BackendChoice(*entry)._replace(name=name)
    if name in ("cpu", CPU_AUTO):
        return BackendChoice(name, "this package was built without it", True, "")
    raise Error(f"there is no back end '{name}'; there are {', '.join(backend_names())}")


def choose(name: str) -> tuple[BackendChoice, str]:
    """The back end for the option Backend and one line that says what was chosen and why. Raises Error where it cannot
    run here."""
    if name != "auto":
        choice = find(name)
        if choice.why_not:
            raise Error(f"back end {name} cannot run here: {choice.why_not}")
        return choice, f"back end {name}, as set"
    on_gpu, on_cpu = find("rocm-auto"), find(CPU_AUTO)
    reason = on_gpu.why_not
    if not reason and all(device.emulated for device in rocm.load().devices):
        reason = "its GPU is emulated, which is for tests"
    if not reason:
        return on_gpu, "back end rocm-auto, chosen by auto: a GPU that it supports is here"
    if on_cpu.why_not:
        raise Error(f"no back end can evaluate networks here: rocm-auto: {reason}; cpu: {on_cpu.why_not}")
    return on_cpu, f"back end {CPU_AUTO}, chosen by auto: rocm-auto cannot run: {reason}"


def backends_report() -> tuple[list[str], list[list]]:
    """Columns and rows of `lc0rocm backends`."""
    try:
        auto = choose("auto")[0].name
    except Error:
        auto = ""
    rows = []
    for entry in backends().values():
        state = "no: " + entry.why_not if entry.why_not else "yes" + (f", on {entry.where}" if entry.where else "")
        if entry.name == auto:
            state += ", and the choice of auto"
        rows.append([entry.name, "yes" if entry.needs_network else "no", state])
    return ["back end", "needs a network", "runs here"], rows
