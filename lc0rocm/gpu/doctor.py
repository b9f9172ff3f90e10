"""doctor: one screen on what this machine has for a GPU, what stands in the way, and the next command to type.

Files of the kernel are read here; whatever loads ROCm happens in a child with a deadline, so that nothing hangs."""
import os
import platform
import time
from typing import NamedTuple

from lc0rocm import backend_options, report
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.gpu import auto, child, machine, rocm
from lc0rocm.options import Settings

_PATIENCE_S = 45.0


class Problem(NamedTuple):
    what: str
    next: str  # the command to type


def doctor(settings: Settings) -> int:
    """0: nothing stands in the way of what this machine has; 1: something does."""
    here = machine.look()
    wish = {name: settings[name] for name in ("WeightsFile", "BackendOptions")}
    backend_options.parse(wish["BackendOptions"])
    answer, why_not = child.call("lc0rocm.gpu.doctor", "inspect", wish, _PATIENCE_S)
    found = answer or {"why_not": f"asking ROCm failed: {why_not}", "devices": [], "files": [], "auto": "", "network": "", "checks": []}
    architectures = sorted({device["architecture"] for device in found["devices"]} or {card.architecture for card in here.cards})
    libraries = machine.libraries(found["files"], architectures)
    problems = diagnose(here, found, libraries)
    if settings["json"]:
        report.write_json({"command": "doctor", "version": VERSION, "python": platform.python_version(), "machine": _plain(here), **found,
                           "libraries": [library._asdict() for library in libraries], "problems": [p._asdict() for p in problems]})
    else:
        print(_screen(here, found, libraries, problems))
    return 1 if problems else 0


def _plain(here: machine.Machine) -> dict:
    return here._asdict() | {"cards": [card._asdict() for card in here.cards], "nodes": [node._asdict() for node in here.nodes]}


def inspect(wish: dict) -> dict:
    """In the child: what ROCm says, what `auto` would do, and what is known of the network."""
    from lc0rocm import choose, loading
    loaded = rocm.load()
    found: dict = {"why_not": loaded.why_not, "devices": [device._asdict() for device in loaded.devices],
                   "files": [path for path in rocm.files() if path.startswith("/")] if loaded.module else [], "checks": []}
    try:
        found["auto"] = choose.choose("auto")[1]
    except Error as error:
        found["auto"] = str(error)
    try:
        path, found["network"] = loading.find_network(wish["WeightsFile"], unplayable=True)
        options = backend_options.parse(wish["BackendOptions"])
        heads = [str(options.get("policy_head", "vanilla")), str(options.get("value_head", "winner"))]
        for subject, verdict in auto.known("rocm-auto", options, path, heads) if loaded.module and loaded.devices else ():
            found["checks"].append({"backend": subject.backend, "gpu": subject.device.index, **(verdict._asdict() if verdict else {})})
    except (Error, OSError) as error:
        found["network"] = str(error)
    return found


# what is wrong --------------------------------------------------------------------------------------------------------

def diagnose(here: machine.Machine, found: dict, libraries: list[machine.Library]) -> list[Problem]:
    """In the order in which they have to be mended. A machine without an AMD GPU has none."""
    problems = [*_of_access(here), *_of_variables(here, found, libraries), *_of_rocm(here, found, libraries)]
    for check in found["checks"]:
        if check.get("why_not"):
            mend = "lc0rocm tune --again"
            if "NoBinaryForGpu" in check["why_not"] or "invalid device function" in check["why_not"]:
                mend = "pip install . --config-settings=setup-args=-Drocm=amd"
            problems.append(Problem(f"{check['backend']} fails its check on GPU {check['gpu']}: {check['why_not']}", mend))
    return problems


def _of_access(here: machine.Machine) -> list[Problem]:
    """The driver and its files."""
    kfd, *render = here.nodes
    in_container = here.container in ("docker", "podman")
    shown = f"{here.container} run --device=/dev/kfd --device=/dev/dri --group-add video --group-add render IMAGE"
    if not (here.amd_displays or here.cards or kfd.exists):
        return []
    if not here.driver:
        return [Problem("an AMD GPU is here and its driver amdgpu is not loaded", "sudo modprobe amdgpu")]
    if not kfd.exists:
        if in_container:
            return [Problem("this container was not given the GPU: it has no /dev/kfd", shown)]
        return [Problem("the driver has not made /dev/kfd, by which programs compute: the kernel's log says why", "sudo dmesg | grep -i kfd")]
    if in_container and not render:
        return [Problem("this container has /dev/kfd and no /dev/dri: ROCm needs both", shown)]
    closed = [node for node in here.nodes if node.exists and not node.opens]
    return [_of_closed(here, closed)] if closed else []


def _of_closed(here: machine.Machine, closed: list[machine.Node]) -> Problem:
    """Device files that are here and do not open."""
    what = f"this user may not open {', '.join(node.path for node in closed)}"
    names = sorted({node.group for node in closed})
    groups = ",".join(names)
    if not {"nogroup", "nobody"}.isdisjoint(names):  # how a group looks that the container's users have no number for
        return Problem(f"{what}: its group is unknown in this container, which runs without root's rights",
                       "podman run --group-add keep-groups --device=/dev/kfd --device=/dev/dri IMAGE, by a user in the groups render and video")
    if here.container in ("docker", "podman"):
        return Problem(what, f"{here.container} run {' '.join('--group-add ' + name for name in names)} ...")
    if set(names) <= set(here.groups):
        return Problem(f"{what} although it is in the groups {groups}: a sandbox or a rule for devices forbids it",
                       "ls -lZ /dev/kfd /dev/dri; sudo dmesg | tail")
    if set(names) <= {*here.groups, *here.listed}:
        return Problem(f"{what}: it is in the groups {groups} since its login", "log out and in again")
    return Problem(f"{what}: it is not in the groups {groups}", f"sudo usermod -aG {groups} $USER, then log out and in again")


def _of_variables(here: machine.Machine, found: dict, libraries: list[machine.Library]) -> list[Problem]:
    problems = []
    if override := here.variables.get("HSA_OVERRIDE_GFX_VERSION"):
        try:
            major, minor, step = map(int, override.split("."))
            taken = machine.architecture_of(major * 10000 + minor * 100 + step)
        except ValueError:
            taken = "nothing that exists"
        for card in here.cards:
            if card.architecture != taken:
                problems.append(Problem(f"HSA_OVERRIDE_GFX_VERSION={override} makes ROCm take {card.architecture} for {taken}, whose code may "
                                        "fault on it", "unset HSA_OVERRIDE_GFX_VERSION"))
                break
    if (variable := machine.hidden_by(here.variables)) and here.cards and not found["devices"]:
        problems.append(Problem(f"{variable}={here.variables[variable]} hides all GPUs", f"unset {variable}"))
    for library in libraries:
        variable = {"rocBLAS": "ROCBLAS_TENSILE_LIBPATH", "hipBLASLt": "HIPBLASLT_TENSILE_LIBPATH"}.get(library.name, "")
        missing = [gfx for gfx, files in library.kernels.items() if files == 0 and gfx.startswith("gfx")]
        if here.variables.get(variable) and missing:
            problems.append(Problem(f"{variable}={here.variables[variable]} has no kernels of {library.name} for {', '.join(missing)}",
                                    f"unset {variable}"))
    return problems


def _of_rocm(here: machine.Machine, found: dict, libraries: list[machine.Library]) -> list[Problem]:
    folders = list(dict.fromkeys(os.path.dirname(library.path) for library in libraries))
    problems = []
    if len(folders) > 1:
        problems.append(Problem(f"libraries of several ROCm installations are loaded together: {', '.join(folders)}",
                                "unset LD_LIBRARY_PATH" if "LD_LIBRARY_PATH" in here.variables else f"export LD_LIBRARY_PATH={folders[0]}"))
    if not found["why_not"] or not (here.cards or here.amd_displays):
        return problems
    if "built without it" in found["why_not"]:
        problems.append(Problem("this package was built without the GPU back end", "pip install . --config-settings=setup-args=-Drocm=amd"))
    elif not here.roots and "cannot open shared object" in found["why_not"]:
        problems.append(Problem(f"ROCm 7 is not installed, or not found: {found['why_not']}", "ldconfig -p | grep amdhip64"))
    else:
        problems.append(Problem(found["why_not"], "rocminfo"))
    return problems


# the screen -----------------------------------------------------------------------------------------------------------

def _screen(here: machine.Machine, found: dict, libraries: list[machine.Library], problems: list[Problem]) -> str:
    lines: list[tuple[str, str]] = [("lc0rocm", f"{VERSION}, Python {platform.python_version()}, {here.system}"
                                     + (f", in {here.container}" if here.container else ""))]
    devices = [rocm.Device(index, **{key: value for key, value in device.items() if key != "index"})
               for index, device in enumerate(found["devices"])]
    for device in devices:
        kind = "emulated" if device.emulated else "integrated" if device.integrated else "discrete"
        units = "work-group processors" if device.architecture.startswith("gfx") and device.wave == 32 else "compute units"
        lines.append(("GPU", f"{str(device).removeprefix('GPU ')}, {kind}, {device.compute_units} {units}, waves of {device.wave}"))
    for card in here.cards if not devices else ():
        lines.append(("GPU", f"{card.name} ({card.architecture}), {card.memory / 2**30:.1f} GiB, as the driver says; ROCm does not see it"))
    if not devices and not here.cards:
        lines.append(("GPU", "none of AMD" if not here.amd_displays else f"{here.amd_displays} of AMD, without a driver"))
    lines.append(("driver", here.driver or "amdgpu is not loaded"))
    lines.append(("devices", ", ".join(f"{node.path} " + ("opens" if node.opens else f"does not open (group {node.group})" if node.exists
                                                           else "is not there") for node in here.nodes)))
    lines.append(("groups", ", ".join(here.groups)))
    lines.append(("ROCm", "; ".join(f"{version} in {path}" for path, version in here.roots) or "no folder of it in /opt"))
    if found["why_not"]:
        lines.append(("", found["why_not"]))
    for library in libraries:
        kernels = ", ".join(f"{gfx} in {count} files" if count else f"{gfx} none, our own do the work" for gfx, count in library.kernels.items())
        lines.append((library.name, f"{library.version}, {library.path}" + (f"; kernels: {kernels}" if kernels else "")))
    lines.append(("overrides", ", ".join(f"{name}={value}" for name, value in here.variables.items()) or "none"))
    lines.append(("network", found["network"] or "not known"))
    lines += [("check", _check_line(check)) for check in found["checks"]]
    lines.append(("auto", found["auto"] or "would play on the CPU"))
    lines += [("problem", f"{problem.what}\n{'':>11}-> {problem.next}") for problem in problems]
    lines.append(("next", _next(found, devices, problems)))
    return "\n".join(f"{label:<11}{text}" for label, text in lines)


def _check_line(check: dict) -> str:
    name = f"{check['backend']} on GPU {check['gpu']}: "
    if "when" not in check:
        return name + "not checked yet"
    if check["why_not"]:
        return name + "FAILS: " + check["why_not"]
    text = name + "passed on " + time.strftime("%Y-%m-%d", time.localtime(check["when"]))
    if check["errors"]:
        text += ", worst errors: " + ", ".join(f"{output} {error:.1e}" for output, error in check["errors"].items())
    if check["speed"]:
        size = max(check["speed"], key=check["speed"].get)
        text += f"; {check['speed'][size]:,.0f} positions/s in batches of {size}"
    return text + (f"; without {', '.join(check['shunned'])}" if check["shunned"] else "")


def _next(found: dict, devices: list[rocm.Device], problems: list[Problem]) -> str:
    if problems:
        return problems[0].next
    if any("when" not in check for check in found["checks"]):
        return "lc0rocm tune" + (" --backend=rocm-auto" if all(device.emulated for device in devices) else "")
    return "lc0rocm bench"
