"""doctor: one screen on what this machine has for a GPU, what stands in the way, and the next command to type.

Files of the kernel are read here; whatever loads ROCm happens in a child with a deadline, so that nothing hangs."""
import platform
import time

from lc0rocm import backend_options, choose, loading, report
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.gpu import auto, child, machine, rocm
from lc0rocm.gpu.problems import Problem, diagnose
from lc0rocm.netfile import net
from lc0rocm.options import Settings

_PATIENCE_S = 45.0


def doctor(settings: Settings) -> int:
    """0: nothing stands in the way of what this machine has; 1: something does."""
    here = machine.look()
    wish = {name: settings[name] for name in ("WeightsFile", "BackendOptions")}
    backend_options.parse(wish["BackendOptions"])
    answer, why_not = child.call("lc0rocm.doctor", "inspect", wish, _PATIENCE_S)
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
    loaded = rocm.load()
    found: dict = {"why_not": loaded.why_not, "devices": [device._asdict() for device in loaded.devices],
                   "files": [path for path in rocm.files() if path.startswith("/")] if loaded.module else [], "checks": []}
    try:
        found["auto"] = choose.choose("auto")[1]
    except Error as error:
        found["auto"] = str(error)
    try:
        path, found["network"] = loading.find_network(wish["WeightsFile"], unplayable=True, may_fetch=False)
        options = backend_options.parse(wish["BackendOptions"])
        heads = [str(options.get("policy_head", "vanilla")), str(options.get("value_head", "winner"))]
        for subject, verdict in (auto.known("rocm-auto", options, path, heads, net.load(path).attention_body)
                                 if loaded.module and loaded.devices else ()):
            found["checks"].append({"backend": subject.title, "gpu": subject.device.index,
                                    "extra": subject.options.get("weights") != options.get("weights"), **(verdict._asdict() if verdict else {})})
    except (Error, OSError) as error:
        found["network"] = str(error)
    return found


# the screen -----------------------------------------------------------------------------------------------------------

def _screen(here: machine.Machine, found: dict, libraries: list[machine.Library], problems: list[Problem]) -> str:
    lines: list[tuple[str, str]] = [("lc0rocm", f"{VERSION}, Python {platform.python_version()}, {here.system}"
                                     + (f", in {here.container}" if here.container else ""))]
    devices = [rocm.Device(index, **{key: value for key, value in device.items() if key != "index"})
               for index, device in enumerate(found["devices"])]
    for device in devices:
        kind = "emulated" if device.emulated else "integrated" if device.integrated else "discrete"
        lines.append(("GPU", f"{str(device).removeprefix('GPU ')}, {kind}, {device.compute_units} {device.units}, waves of {device.wave}"))
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
