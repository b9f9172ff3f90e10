"""The module lc0rocm._rocm, the GPU back end, loaded on demand and in a guarded way.

ROCm may be missing, broken or hanging, and some of its failures end the process that meets them. So a child process
loads the module first. When it comes back with the devices, this process loads it too; else the reason is one sentence,
and the CPU plays. A child that came back is remembered on disk for as long as no file that it had loaded changes."""
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, Callable, Iterator, NamedTuple

from lc0rocm.gpu import remember
from lc0rocm._core import Error

NAMES = ("rocm", "rocm-auto", "rocm-fp16")
LIBRARIES = ("hipblaslt", "rocblas", "miopen")  # that the back end can do without
_PATIENCE_S = 60  # for a driver that wakes up; one that hangs takes longer
_MODULE = "lc0rocm._rocm"
_LIBRARY_FILES = ("rocm", "rocblas", "hip64", "hipblaslt", "miopen", "hsa-runtime", "cudart", "cublas", "cudnn")
PLANS = "rocm-plans.txt"  # a file of remember.py


class Device(NamedTuple):
    index: int  # of HIP, as in the option gpu
    name: str
    architecture: str  # gfx1100
    memory: int  # bytes
    compute_units: int
    wave: int  # lanes
    integrated: bool

    @property
    def emulated(self) -> bool:
        return self.architecture.startswith("emulated")

    def __str__(self) -> str:
        return f"GPU {self.index}: {self.name} ({self.architecture}), {self.memory / 2**30:.0f} GiB"


class Rocm(NamedTuple):
    module: Any  # None where why_not says something
    devices: tuple[Device, ...]
    identity: str  # changes with the package, the driver and the libraries
    why_not: str  # one sentence


@functools.cache
def load() -> Rocm:
    """Loads the module once a process, after a child process has shown that it can be loaded."""
    if importlib.util.find_spec(_MODULE) is None:
        return Rocm(None, (), "", "this package was built without it; docs/build.md says how to build it with ROCm 7")
    if not _loaded_before(remember.recall("rocm.json").get("loaded")):
        answer, why_not = in_child("lc0rocm.gpu.rocm", "report", None, _PATIENCE_S)
        if why_not:
            return Rocm(None, (), "", "loading ROCm failed: " + why_not)
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
        module = importlib.import_module(_MODULE)
        devices = tuple(Device(i, **facts) for i, facts in enumerate(module.devices()))
    except (ImportError, Error) as error:
        return Rocm(None, (), "", str(error))
    module.load_plans(remember.read(PLANS))
    identity = hashlib.sha256(json.dumps(_files(), sort_keys=True).encode()).hexdigest()[:16]
    why_not = "" if devices else ("ROCm is present, and no device is: no AMD GPU is here, its driver amdgpu is not loaded, or this "
                                  "user may not open /dev/kfd (groups render and video)")
    return Rocm(module, devices, identity, why_not)


def report(_: None) -> dict:
    """What a child says: the devices, and the files that it had to load."""
    rocm = load_here()
    if rocm.module is None:
        raise Error(rocm.why_not)
    return {"devices": rocm.devices, "files": _files()}


def in_child(module: str, function: str, argument: Any, patience_s: float) -> tuple[Any, str]:
    """module.function(argument) in a process of its own: its value, or one sentence why there is none. Both travel as JSON."""
    code = (f"import sys; sys.path[:] = {sys.path!r}\nimport json, importlib\nfrom lc0rocm._core import Error\n"
            f"try: answer = [importlib.import_module({module!r}).{function}(json.loads(sys.stdin.read())), '']\n"
            "except Error as error: answer = [None, str(error)]\n"
            "print('\\nanswer', json.dumps(answer), flush=True)\n"
            "import os; os._exit(0)")  # what ROCm does at exit is no matter here
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        out, err = child.communicate(json.dumps(argument), timeout=patience_s)
    except subprocess.TimeoutExpired:
        child.kill()  # and no wait: a process that hangs in a driver may not end
        return None, f"it gave no answer within {patience_s:.0f} s"
    for line in out.splitlines():
        if line.startswith("answer "):
            return json.loads(line.removeprefix("answer "))
    last = next((line for line in reversed(err.splitlines()) if line.strip()), "")[:200]
    try:
        end = f"signal {signal.Signals(-child.returncode).name}" if child.returncode < 0 else f"exit code {child.returncode}"
    except ValueError:
        end = f"signal {-child.returncode}"
    return None, f"the process ended with {end}" + (f" after saying: {last}" if last else "")


def _files() -> dict[str, Any]:
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
    module = importlib.util.find_spec(_MODULE).origin
    return os.path.realpath(module) in stamps and all(_stamp(path) == stamp for path, stamp in stamps.items())


# plans ----------------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def measuring(seconds: float, begins: Callable[[], None] | None = None) -> Iterator[None]:
    """Inside, this thread measures shapes that have no plan yet, for so long at most. What it finds is kept on disk.
    begins: called before the first one, if there is one."""
    timer = threading.Timer(seconds, module().interrupt_measuring, [True])
    timer.daemon = True
    timer.start()
    try:
        with module().Measuring(begins):
            yield
    finally:
        timer.cancel()
        module().interrupt_measuring(False)
        save_plans()


def save_plans() -> None:
    """Writes the table of plans to disk, beside what other processes have written."""
    ours = module().save_plans()
    keys = {line.split()[0] for line in ours.splitlines()}
    others = [line for line in remember.read(PLANS).splitlines() if line.strip() and line.split()[0] not in keys]
    remember.write(PLANS, "".join(line + "\n" for line in [*others, *ours.splitlines()]))
