"""Which precision of the CPU plays. `cpu-int8` is about twice as fast as `cpu` and loses a little, which depends on the network, so both evaluate
varied positions first, each time that a network is loaded: what is let pass is the same as for 8 bits on a GPU."""
from lc0rocm import _core, trust
from lc0rocm._core import Error
from lc0rocm.netfile.net import NetFile
from lc0rocm.options import CPU_AUTO
from lc0rocm.positions import varied

EXACT, EIGHT_BITS = "cpu", "cpu-int8"
NAMES = (CPU_AUTO, EIGHT_BITS)  # that prepare() knows
# Loading should not take seconds more. The package's network, 0.4e6 in this measure, takes 0.65 s of processor time; 768x15, 9e6, 0.2 s a position.
_LARGE, _OF_LARGE = 2e6, 20  # positions: the fewest of which one may have another best move


def prepare(name: str, options: dict, file: NetFile, network: _core.Network) -> tuple[str, dict, list[str]]:
    """What cpu-auto or cpu-int8 becomes with this network: a back end of the core, its options, and what to say; on one machine always the
    same. Raises Error where cpu-int8 was asked for and cannot be had, or loses too much, which the option probe=false takes."""
    checked = options.get("probe", True)
    if not isinstance(checked, bool):
        raise Error("back-end option probe must be true or false")
    if name == EIGHT_BITS and not checked:
        return name, options, []
    try:
        cost = _cost(options, file, network)
    except Error as error:
        if name == EIGHT_BITS:
            raise
        return EXACT, options, [f"{name} plays in fp32: {str(error).partition(';')[0]}"]  # of a wrong option `cpu` complains itself
    if cost.passes(trust.INT8):
        return EIGHT_BITS, options, [f"{name} plays in 8 bits: beside fp32 {cost}"]
    too_much = f"8 bits cost this network too much: {cost}, where {trust.INT8.let_pass()} is let pass"
    if name == EIGHT_BITS:
        raise Error(f"{too_much}; use the back end cpu, or the back-end option probe=false")
    return EXACT, options, [f"{name} plays in fp32: {too_much}"]


def _cost(options: dict, file: NetFile, network: _core.Network) -> trust.Cost:
    eight, exact = (_core.Backend(name, network, options) for name in (EIGHT_BITS, EXACT))
    sizes = file.architecture()
    large = sizes["encoders"] * sizes["embedding"] ** 2 > _LARGE
    return trust.cost(eight, exact, list(varied(_OF_LARGE if large else trust.POSITIONS)))
