"""What keeps a GPU of AMD from being used, from what the machine, ROCm and its libraries say, and the command that mends each."""
import os
from typing import NamedTuple

from lc0rocm.gpu import machine


class Problem(NamedTuple):
    what: str
    next: str  # the command to type


def diagnose(here: machine.Machine, found: dict, libraries: list[machine.Library]) -> list[Problem]:
    """In the order in which they have to be mended. A machine without an AMD GPU has none."""
    problems = [*_of_access(here), *_of_variables(here, found, libraries), *_of_rocm(here, found, libraries)]
    for check in found["checks"]:
        if check.get("why_not") and not check.get("extra"):  # of what rocm-auto considers beside the precisions
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
