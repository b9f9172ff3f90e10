"""The module lc0rocm._rocm, the GPU back end, loaded on demand and in a guarded way.

ROCm may be missing, broken or hanging, and some of its failures end the process that meets them. So a child process
loads the module first. When it comes back with the devices, this process loads it too; else the reason is one sentence,
and the CPU plays. A child that came back is remembered on disk for as long as no file that it had loaded changes."""
import functools
import hashlib
import importlib.util
import json
import os
import threading
from typing import Any, NamedTuple

from lc0rocm.gpu import child, libraries, remember
from lc0rocm._core import Error

HALF, INT8, FP8 = "rocm-fp16", "rocm-int8", "rocm-fp8"  # back ends
LIBRARIES = ("hipblaslt", "rocblas", "miopen")  # that the back end can do without
_PATIENCE_S = 60  # for a driver that wakes up; one that hangs takes longer
_MODULE = "lc0rocm._rocm"
_LIBRARY_FILES = ("rocm", "rocblas", "hip64", "hipblaslt", "miopen", "hsa-runtime", "cudart", "cublas", "cudnn")
PLANS = "rocm-plans.txt"  # a file of remember.py


class Device(NamedTuple):
    index: int  # type: ignore[assignment]  # of HIP, as in the option gpu; a tuple has a method of that name
    name: str
    architecture: str  # gfx1100
    memory: int  # bytes
    compute_units: int
    wave: int  # lanes
    integrated: bool
    matrix: bool = True  # has matrix instructions, so that products can be in 8 bits
    fp8: bool = True  # some of them for floating-point numbers of 8 bits

    @property
    def emulated(self) -> bool:
        return self.architecture.startswith("emulated")

    @property
    def units(self) -> str:
        """What compute_units counts."""
        return "work-group processors" if self.architecture.startswith("gfx") and self.wave == 32 else "compute units"

    def __str__(self) -> str:
        memory = f"{self.memory / 2**30:.0f} GiB" if self.memory >= 2**32 else f"{self.memory / 2**20:.0f} MiB"
        return f"GPU {self.index}: {self.name} ({self.architecture}), {memory}"


class Rocm(NamedTuple):
    module: Any  # None where why_not says something
    devices: tuple[Device, ...]
    identity: str  # changes with the package, the driver and the libraries
    why_not: str  # one sentence


_loading = threading.Lock()


def load() -> Rocm:
    """Loads the module once a process, after a child process has shown that it can be loaded."""
    with _loading:  # a second thread waits for the first
        return _load()


@functools.cache
def _load() -> Rocm:
    if importlib.util.find_spec(_MODULE) is None:
        return Rocm(None, (), "", "this package was built without it; where ROCm 7 is installed, building it from source includes it")
    if not _loaded_before(remember.recall("rocm.json").get("loaded")):
        answer, why_not = child.call("lc0rocm.gpu.rocm", "report", None, _PATIENCE_S)
        if why_not:
            return Rocm(None, (), "", "loading ROCm failed: " + why_not + suspicion())
        if answer["devices"]:
            remember.remember("rocm.json", "loaded", answer["files"])
    return load_here()


def module() -> Any:
    """The module. Raises Error where it cannot be used."""
    if load().why_not:
        raise Error(f"there is no GPU to use: {load().why_not}")
    return load().module


def load_here() -> Rocm:
    """Loads it into this process at once."""
    try:
        module = libraries.load(_MODULE)
        devices = tuple(Device(i, **facts) for i, facts in enumerate(module.devices()))
    except (ImportError, Error) as error:
        return Rocm(None, (), "", str(error))
    identity = hashlib.sha256(json.dumps(files(), sort_keys=True).encode()).hexdigest()[:16]
    why_not = "" if devices else ("ROCm is present, and no device is: no AMD GPU is here, its driver amdgpu is not loaded, or this "
                                  "user may not open /dev/kfd (groups render and video)")
    if devices:
        libraries.own_temporary_folder()
    return Rocm(module, devices, identity, why_not)


def report(_: None) -> dict:
    """What a child says: the devices, and the files that it had to load."""
    rocm = load_here()
    if rocm.module is None:
        raise Error(rocm.why_not)
    return {"devices": rocm.devices, "files": files()}


def files() -> dict[str, Any]:
    """Size and time of the library files in this process, and what else decides how they behave."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split(None, 5)[5].strip() for line in maps if line.count(" ") >= 5 and ".so" in line}
    chosen = sorted(path for path in paths if any(part in os.path.basename(path).lower() for part in _LIBRARY_FILES))
    return {path: _stamp(path) for path in chosen} | _surroundings()


def _surroundings() -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items()
                 if name == "LD_LIBRARY_PATH" or name.startswith(("HIP_", "ROCR_", "HSA_", "ROCM_", "CUDA_VISIBLE"))}
    try:
        with open("/sys/module/amdgpu/srcversion", encoding="utf-8") as file:
            driver = file.read().strip()
    except OSError:
        driver = ""
    return {"kernel": os.uname().release, "driver": driver, "variables": json.dumps(variables, sort_keys=True)}


def suspicion() -> str:
    """What is to be said behind a failure that looks like one of ROCm: code for another GPU faults, or computes nonsense."""
    override = os.environ.get("HSA_OVERRIDE_GFX_VERSION")
    return f"; HSA_OVERRIDE_GFX_VERSION={override} is set: try without it" if override else ""


def _stamp(path: str) -> list[int]:
    try:
        stat = os.stat(path)
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _loaded_before(files: Any) -> bool:
    """Whether a child loaded the module from the files as they are now."""
    if not isinstance(files, dict) or any(files.get(name) != value for name, value in _surroundings().items()):
        return False
    stamps = {path: stamp for path, stamp in files.items() if path.startswith("/")}
    module = importlib.util.find_spec(_MODULE)
    return module is not None and os.path.realpath(str(module.origin)) in stamps and all(_stamp(path) == stamp for path, stamp in stamps.items())


# plans ----------------------------------------------------------------------------------------------------------------

def plans() -> str:
    """What was measured on this machine, for the option `plans` of rocm and rocm-fp16."""
    return remember.read(PLANS)


def keep_plans(ours: str) -> None:
    """Writes the plans of a back end to disk, beside what other processes have written."""
    keys = {line.split()[0] for line in ours.splitlines()}

    def add(text: str) -> str:
        others = [line for line in text.splitlines() if line.strip() and line.split()[0] not in keys]
        return "".join(line + "\n" for line in [*others, *ours.splitlines()])

    remember.change(PLANS, add)


def told(options: dict, without: list[str]) -> dict:
    """The options of a back end that knows what was measured on this machine, and libraries that this GPU may not call."""
    if without:
        options = options | {"without": " ".join([*str(options.get("without", "")).split(), *without])}
    return {"plans": known} | options if (known := plans()) else options
