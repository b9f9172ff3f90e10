"""From option values to a loaded back end: finds the network, reads it, chooses the back end."""
from typing import TYPE_CHECKING, Callable, NamedTuple

from lc0rocm import _core, backend_options, choose, config, report
from lc0rocm.gpu import rocm
from lc0rocm._core import Error
from lc0rocm.options import Settings

if TYPE_CHECKING:
    from lc0rocm.netfile.net import NetFile


class Loaded(NamedTuple):
    backend: _core.Backend
    net: "NetFile | None"  # None where the back end works without a network
    network: _core.Network | None
    messages: list[str]  # for the user: what was chosen and why


def find_network(weights: str, unplayable: bool = False) -> tuple[str, str]:
    """The file that the option WeightsFile means, and one line about it. "" and <built in> mean the network that came
    with the package, <autodiscover> the newest in the usual folders, else the package's if it can play or if
    `unplayable` allows a random one. Raises Error if there is none."""
    if weights not in ("<autodiscover>", "<built in>", ""):
        return weights, f"network {weights}"
    from lc0rocm.netfile import net
    if weights == "<autodiscover>" and (found := config.discover_network()):
        return str(found), f"network {found}, found as the newest"
    shipped = net.default_net()
    if shipped["playable"] or unplayable or weights != "<autodiscover>":
        kind = "" if shipped["playable"] else ", which is random: good for measuring, not for playing"
        return str(shipped["path"]), f"network {shipped['name']} of the package{kind}"
    raise Error("no network: set WeightsFile to an Lc0 network (.pb.gz), or put one beside the program or into "
                "~/.local/share/lc0rocm")


def load_backend(weights: str = "<autodiscover>", backend: str = "auto", options: str = "", unplayable: bool = False,
                 say: Callable[[str], None] = lambda line: None, hurry: bool = False) -> Loaded:
    """A back end for the values of WeightsFile, Backend and BackendOptions. say: takes a line for the user before what
    may take long. hurry: a clock runs, so that nothing is measured. Raises Error with what to do."""
    parameters = backend_options.parse(options)
    choice, reason = choose.choose(backend)
    if not _needs_network(choice.name, parameters):
        core_backend = _core.Backend(choice.name, None, parameters)
        return Loaded(core_backend, None, None, [reason, *_without_effect(core_backend)])
    path, message = find_network(weights, unplayable)
    from lc0rocm.netfile import net
    file = net.load(path)
    heads = [str(parameters.get("policy_head", "vanilla")), str(parameters.get("value_head", "winner"))]
    network = file.core(*heads)
    name, parameters, notes = _prepare(choice.name, parameters, path, heads, say)
    try:
        core_backend = _create(name, network, parameters | ({"tune": False} if hurry else {}), say)
    except Error as error:
        if choice.name != "rocm-auto":
            raise
        notes.append(f"{name} failed although its check had passed: {error}")
        core_backend = _core.Backend("cpu", network, {})
    return Loaded(core_backend, file, network, [message, *notes, *_without_effect(core_backend),
                                                f"{reason}; runs on {core_backend.info['device']}"])


_READ_HERE = {"policy_head", "value_head", "probe", "tune"}  # the other options are for the core


def _without_effect(backend: _core.Backend) -> list[str]:
    return [f"back-end option {key} has no effect: {backend.name} does not know it" for key in backend.unasked_options
            if key.rpartition(".")[2] not in _READ_HERE]


def _prepare(name: str, parameters: dict, path: str, heads: list[str], say) -> tuple[str, dict, list[str]]:
    """Makes the GPU back ends that are named, also those that another one combines, into what this machine runs."""
    if name in rocm.NAMES:
        from lc0rocm.gpu import auto
        return auto.prepare(name, parameters, path, heads, say)
    notes: list[str] = []
    for key, part in parameters.items():
        if isinstance(part, dict):
            child, options, more = _prepare(part.get("backend", key), part, path, heads, say)
            parameters = parameters | {key: options | {"backend": child}}
            notes += more
    return name, parameters, notes


_MEASURING_S = 15.0  # at most, when a network is loaded; `lc0rocm tune` takes as long as it needs


def _create(name: str, network: _core.Network, parameters: dict, say) -> _core.Backend:
    """On a real GPU, shapes that were never met are measured now, so that none has to be in a game."""
    if name not in rocm.NAMES or not parameters.get("tune", not rocm.load().devices[parameters["gpu"]].emulated):
        return _core.Backend(name, network, parameters)
    line = f"preparing {name}: what this network and GPU have not been measured for yet takes at most {_MEASURING_S:.0f} s"
    with rocm.measuring(_MEASURING_S, lambda: say(line)):
        return _core.Backend(name, network, parameters)


def _needs_network(name: str, parameters: dict) -> bool:
    """Whether a back end, or one that it combines, evaluates a network."""
    parts = {key: part for key, part in parameters.items() if isinstance(part, dict)}
    return any(_needs_network(part.get("backend", key), part) for key, part in parts.items()) or (
        name in choose.backend_names()[1:] and choose.find(name).needs_network)


def load_for(settings: Settings, unplayable: bool = False) -> Loaded:
    """load_backend for the present values of the options; lines about what takes long go to standard error."""
    return load_backend(settings["WeightsFile"], settings["Backend"], settings["BackendOptions"], unplayable, report.note)
