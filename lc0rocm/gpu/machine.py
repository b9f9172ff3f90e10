"""What this machine says of its AMD GPUs without ROCm being asked: files of the kernel, device nodes, groups, folders of ROCm.

Nothing here loads a library or opens a device."""
import glob
import grp
import os
import pathlib
import platform
import pwd
import re
from typing import Mapping, NamedTuple

# What changes how ROCm behaves; doctor lists those that are set.
VARIABLES = ("HSA_OVERRIDE_GFX_VERSION", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
             "ROCBLAS_TENSILE_LIBPATH", "HIPBLASLT_TENSILE_LIBPATH", "ROCBLAS_USE_HIPBLASLT", "MIOPEN_SYSTEM_DB_PATH",
             "MIOPEN_USER_DB_PATH", "MIOPEN_FIND_MODE", "ROCM_PATH", "HIP_PATH", "HSA_XNACK", "HSA_ENABLE_SDMA", "AMD_SERIALIZE_KERNEL",
             "HIP_LAUNCH_BLOCKING", "LD_LIBRARY_PATH", "LD_PRELOAD", "ROCM_EMULATED")
_HIDING = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")


class Card(NamedTuple):
    """A GPU as the kernel's driver lists it."""
    name: str
    architecture: str  # gfx1100, as it is: no override acts here
    memory: int  # bytes; 0 where the file says nothing
    render_node: str  # /dev/dri/renderD128, or "" without one


class Node(NamedTuple):
    """A device file that has to be opened."""
    path: str
    exists: bool
    opens: bool
    group: str  # whose members may open it


class Machine(NamedTuple):
    system: str  # "Linux 6.8.0"
    container: str  # "", docker, podman or WSL
    driver: str  # "", or amdgpu and its version
    amd_displays: int  # graphics cards of AMD on the PCI bus
    cards: list[Card]
    nodes: list[Node]
    user: str
    groups: list[str]  # of this process
    listed: list[str]  # those that the user is in by now
    roots: list[tuple[str, str]]  # folders of ROCm and their versions
    variables: dict[str, str]


def look(root: pathlib.Path = pathlib.Path("/"), environment: Mapping[str, str] = os.environ) -> Machine:
    """root: in place of /, for tests."""
    cards = _cards(root)
    render = [card.render_node for card in cards if card.render_node] or sorted(
        "/" + str(path.relative_to(root)) for path in root.glob("dev/dri/renderD*"))
    groups = []
    for number in sorted({os.getegid(), *os.getgroups()}):
        try:
            groups.append(grp.getgrgid(number).gr_name)
        except KeyError:
            groups.append(str(number))
    return Machine(f"Linux {os.uname().release}", _container(root), _driver(root), _displays(root), cards,
                   [_node(root, path) for path in ["/dev/kfd", *render]], str(os.geteuid()), groups, _listed(), _roots(root, environment),
                   {name: environment[name] for name in VARIABLES if name in environment})


def _listed() -> list[str]:
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return []
    return sorted(group.gr_name for group in grp.getgrall() if name in group.gr_mem)


def distribution() -> str:
    """Of Linux, or "" where it does not say."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return ""


def processor() -> str:
    """Its name, or the kind where Linux knows no name."""
    found = re.search(r"^model name\s*: (.*)", _read(pathlib.Path("/proc/cpuinfo")), re.M)
    return found[1] if found else platform.machine()


def hidden_by(variables: Mapping[str, str]) -> str:
    """The variable that may hide GPUs, or ""."""
    return next((name for name in _HIDING if name in variables), "")


def architecture_of(version: int) -> str:
    """gfx_target_version of the kernel: 110000 is gfx1100, 90010 gfx90a."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _cards(root: pathlib.Path) -> list[Card]:
    cards = []
    for folder in sorted(root.glob("sys/class/kfd/kfd/topology/nodes/*"), key=lambda path: int(path.name) if path.name.isdigit() else 0):
        facts = dict(line.split(None, 1) for line in _read(folder / "properties").splitlines() if len(line.split()) == 2)
        version = int(facts.get("gfx_target_version", 0))
        if version == 0:  # a processor
            continue
        minor = facts.get("drm_render_minor", "0")
        render = f"/dev/dri/renderD{minor}" if minor != "0" else ""
        banks = [re.search(r"^size_in_bytes (\d+)", _read(bank), re.M) for bank in folder.glob("mem_banks/*/properties")]
        memory = max((int(bank[1]) for bank in banks if bank), default=0)
        device = root / f"sys/class/drm/renderD{minor}/device"
        memory = int(_read(device / "mem_info_vram_total") or memory)
        cards.append(Card(_read(device / "product_name") or _read(folder / "name") or "AMD GPU", architecture_of(version), memory, render))
    return cards


def _displays(root: pathlib.Path) -> int:
    return sum(_read(path / "vendor") == "0x1002" and _read(path / "class")[:4] in ("0x03", "0x12")
               for path in root.glob("sys/bus/pci/devices/*"))


def _driver(root: pathlib.Path) -> str:
    folder = root / "sys/module/amdgpu"
    if not folder.is_dir():
        return ""
    version = _read(folder / "version")
    return f"amdgpu {version}" if version else "amdgpu of the kernel"


def _container(root: pathlib.Path) -> str:
    if (root / "dev/dxg").exists():
        return "WSL"
    if (root / ".dockerenv").exists():
        return "docker"
    return "podman" if (root / "run/.containerenv").exists() else ""


def _node(root: pathlib.Path, path: str) -> Node:
    real = root / path.lstrip("/")
    try:
        group = grp.getgrgid(real.stat().st_gid).gr_name
    except KeyError:
        group = str(real.stat().st_gid)
    except OSError:
        group = ""
    return Node(path, real.exists(), os.access(real, os.R_OK | os.W_OK), group)


def _roots(root: pathlib.Path, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    folders = [environment["ROCM_PATH"]] if environment.get("ROCM_PATH") else []
    folders += ["/" + os.path.relpath(path, root) for path in sorted(glob.glob(str(root / "opt/rocm*")))]
    found: dict[str, str] = {}
    for folder in folders:
        version = _read(root / folder.lstrip("/") / ".info/version")
        if version:
            real = os.path.realpath(root / folder.lstrip("/"))
            found.setdefault("/" + os.path.relpath(real, os.path.realpath(root)), version)
    return list(found.items())


# libraries ------------------------------------------------------------------------------------------------------------

class Library(NamedTuple):
    name: str
    path: str  # of the file that is loaded
    version: str
    kernels: dict[str, int]  # by gfx: files with code for it; empty for a library that has none in files


_LIBRARIES = {"HIP": "libamdhip64", "rocBLAS": "librocblas", "hipBLASLt": "libhipblaslt", "MIOpen": "libMIOpen"}
_KERNELS = {"rocBLAS": ("rocblas", "ROCBLAS_TENSILE_LIBPATH"), "hipBLASLt": ("hipblaslt", "HIPBLASLT_TENSILE_LIBPATH")}


def libraries(files: list[str], architectures: list[str], environment: Mapping[str, str] = os.environ) -> list[Library]:
    """files: those that a process had loaded."""
    found = []
    for name, stem in _LIBRARIES.items():
        path = next((os.path.realpath(file) for file in files if os.path.basename(file).startswith(stem + ".so")), "")
        if not path:
            continue
        kernels = {}
        if name in _KERNELS:
            folder, variable = _KERNELS[name]
            folders = [environment[variable]] if environment.get(variable) else [os.path.join(os.path.dirname(path), folder)]
            names = [file for start in folders for _, _, inside in os.walk(start) for file in inside]
            for gfx in architectures:
                kernels[gfx] = sum(re.search(rf"{gfx}(?![0-9a-z])", file) is not None for file in names)
        found.append(Library(name, path, os.path.basename(path).partition(".so.")[2] or "?", kernels))
    return found
