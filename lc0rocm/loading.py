"""From option values to a loaded back end: finds the network, reads it, chooses the back end."""
from typing import TYPE_CHECKING, NamedTuple

from lc0rocm import _core, backend_options, choose, config
from lc0rocm._core import Error
from lc0rocm.options import Settings

if TYPE_CHECKING:
    from lc0rocm.net import NetFile


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
    from lc0rocm import net
    if weights == "<autodiscover>" and (found := config.discover_network()):
        return str(found), f"network {found}, found as the newest"
    shipped = net.default_net()
    if shipped["playable"] or unplayable or weights != "<autodiscover>":
        kind = "" if shipped["playable"] else ", which is random: good for measuring, not for playing"
        return str(shipped["path"]), f"network {shipped['name']} of the package{kind}"
    raise Error("no network: set WeightsFile to an Lc0 network (.pb.gz), or put one beside the program or into "
                "~/.local/share/lc0rocm")


def load_backend(weights: str = "<autodiscover>", backend: str = "auto", options: str = "",
                 unplayable: bool = False) -> Loaded:
    """A back end for the values of WeightsFile, Backend and BackendOptions. Raises Error with what to do."""
    parameters = backend_options.parse(options)
    choice, reason = choose.choose(backend)
    if not _needs_network(choice.name, parameters):
        return Loaded(_core.Backend(choice.name, None, parameters), None, None, [reason])
    path, message = find_network(weights, unplayable)
    from lc0rocm import net
    file = net.load(path)
    network = file.core(str(parameters.get("policy_head", "vanilla")), str(parameters.get("value_head", "winner")))
    core_backend = _core.Backend(choice.name, network, parameters)
    return Loaded(core_backend, file, network, [message, f"{reason}; runs on {core_backend.info['device']}"])


def _needs_network(name: str, parameters: dict) -> bool:
    """Whether a back end, or one that it combines, evaluates a network."""
    known = choose.backends()
    parts = {key: part for key, part in parameters.items() if isinstance(part, dict)}
    return any(_needs_network(part.get("backend", key), part) for key,
               part in parts.items()) or (name in known and known[name].needs_network)


def load_for(settings: Settings, unplayable: bool = False) -> Loaded:
    """load_backend for the present values of the options."""
    return load_backend(settings["WeightsFile"], settings["Backend"], settings["BackendOptions"], unplayable)
