"""Which back end evaluates: what is built, what can run here, and what `auto` takes."""
from typing import NamedTuple

from lc0rocm import _core
from lc0rocm._core import Error

_PREFERENCE = ("rocm-auto", "cpu")  # of `auto`, best first


class BackendChoice(NamedTuple):
    name: str
    why_not: str  # "" where it can run here
    needs_network: bool


def backends() -> dict[str, BackendChoice]:
    return {entry[0]: BackendChoice(*entry) for entry in _core.registered_backends()}


def backend_names() -> tuple[str, ...]:
    return ("auto", *backends())


def choose(name: str) -> tuple[BackendChoice, str]:
    """The back end for the option Backend and one line that says what was chosen and why. Raises Error where it cannot
    run here."""
    known = backends()
    if name != "auto":
        if name not in known:
            raise Error(f"there is no back end '{name}'; there are {', '.join(backend_names())}")
        if known[name].why_not:
            raise Error(f"back end {name} cannot run here: {known[name].why_not}")
        return known[name], f"back end {name}, as set"
    reasons = []
    for candidate in _PREFERENCE:
        if candidate not in known:
            reasons.append(f"{candidate} is not built into this package")
        elif known[candidate].why_not:
            reasons.append(f"{candidate} cannot run: {known[candidate].why_not}")
        else:
            why = "; ".join(reasons) or "a GPU that it supports is here"
            return known[candidate], f"back end {candidate}, chosen by auto: {why}"
    raise Error("no back end can evaluate networks here: " + "; ".join(reasons))


def backends_report() -> tuple[list[str], list[list]]:
    """Columns and rows of `lc0rocm backends`."""
    try:
        auto = choose("auto")[0].name
    except Error:
        auto = ""
    rows = []
    for entry in backends().values():
        state = "no: " + entry.why_not if entry.why_not else "yes"
        if entry.name == auto:
            state += ", and the choice of auto"
        rows.append([entry.name, "yes" if entry.needs_network else "no", state])
    return ["back end", "needs a network", "runs here"], rows
