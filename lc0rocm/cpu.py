"""Which precision of the CPU plays. Shorter numbers are faster and lose a little, which depends on the network, so they are compared with fp32
on varied positions each time that a network is loaded: what is let pass is the same as for 8 bits on a GPU."""
from lc0rocm import _core, trust
from lc0rocm._core import Error
from lc0rocm.netfile.net import NetFile
from lc0rocm.options import CPU_AUTO
from lc0rocm.positions import varied

EXACT, EIGHT_BITS, BFLOAT16 = "cpu", "cpu-int8", "cpu-bf16"
NAMES = (CPU_AUTO, EIGHT_BITS)  # that prepare() knows
# Loading should not take seconds more. The package's network, 0.4e6 in this measure, takes 0.65 s of processor time; 768x15, 9e6, 0.2 s a position.
_LARGE, _OF_LARGE = 2e6, 20  # positions: the fewest of which one may have another best move


def prepare(name: str, options: dict, file: NetFile, network: _core.Network) -> tuple[str, dict, list[str]]:
    """What cpu-auto or cpu-int8 becomes with this network: a back end of the core, its options, and what to say; on one machine always the
    same. With the option probe=false nothing is compared. Raises Error where cpu-int8 was asked for and cannot be had, or loses too much."""
    probe = options.get("probe", True)
    if not isinstance(probe, bool):
        raise Error("back-end option probe must be true or false")
    sizes = file.architecture()
    size = sizes["encoders"] * sizes["embedding"] ** 2 + sizes["blocks"] * sizes["filters"] ** 2
    positions = _OF_LARGE if size > _LARGE else trust.POSITIONS
    against = []
    for kind in _shorter(name, sizes["encoders"] > 0):
        try:
            made = _core.Backend(kind, network, options)
        except Error as error:
            if name != CPU_AUTO:
                raise
            against.append(str(error).partition(";")[0])  # of a wrong option `cpu` complains itself
            continue
        if not probe:
            return kind, options, []
        cost = trust.cost(made, _core.Backend(EXACT, network, options), list(varied(positions)))
        if cost.passes(trust.INT8):
            title = kind if name == kind else f"{name} takes {kind}"
            return kind, options, ["; ".join([f"{title}: beside fp32 {cost}", *against])]
        against.append(f"{kind} costs this network too much: {cost}, where {trust.INT8.let_pass()} is let pass")
        if name != CPU_AUTO:
            raise Error(f"{against[0]}; use the back end cpu, or the back-end option probe=false")
    return EXACT, options, [f"{name} takes {EXACT}: {'; '.join(against)}"]


def _shorter(name: str, encoders: bool) -> tuple[str, ...]:
    """What comes into question, fastest first. A tower's convolutions, for which fp32 saves products, are faster in bfloat16 by AMX alone."""
    return (EIGHT_BITS, BFLOAT16) if name == CPU_AUTO and (encoders or _has_amx()) else (EIGHT_BITS,)


def _has_amx() -> bool:
    return any(name == BFLOAT16 and where.endswith("AMX") for name, _, _, where in _core.registered_backends())
