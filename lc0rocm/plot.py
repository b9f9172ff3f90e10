"""Pictures of what backendbench measures: positions a second and milliseconds, by batch size, against the floor.

The floor is measured, too: no batch takes less than the quickest one, and none less than its positions take at the best rate of all."""
from collections.abc import Iterable
from typing import Any

from lc0rocm._core import Error


def require(name: str) -> None:
    """Raises Error if no picture of this name could be drawn: before the work that it would show."""
    if not name.endswith((".png", ".svg")):
        raise Error(f"{name}: a picture is a file that ends in .png or .svg")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Error("pictures need the Python package matplotlib: pip install matplotlib, or install lc0rocm[plot]") from None


def floor(rows: list[dict], sizes: Iterable[int]) -> list[float]:
    """Milliseconds that batches of these sizes take at least."""
    quickest, best = min(row["mean_ms"] for row in rows), max(row["mean_nps"] for row in rows)
    return [max(quickest, 1000 * size / best) for size in sizes]


def draw(named: list[tuple[str, dict[str, Any]]], goal: str) -> None:
    """Results of backendbench, each with its name. Raises Error for others, and for a file that cannot be written."""
    require(goal)
    if any(result["command"] != "backendbench" or not result["sizes"] for _, result in named):
        raise Error("only what backendbench measured can be drawn")
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 5), layout="constrained")
    rate, time = figure.subplots(1, 2)
    for number, (name, result) in enumerate(named):
        rows, colour = result["sizes"], f"C{number}"
        sizes = [row["size"] for row in rows]
        between = range(sizes[0], sizes[-1] + 1)
        least = floor(rows, between)
        rate.plot(sizes, [row["mean_nps"] for row in rows], "o-", color=colour, label=name)
        rate.plot(between, [1000 * size / ms for size, ms in zip(between, least)], "--", color=colour, alpha=0.6)
        time.errorbar(sizes, [row["mean_ms"] for row in rows], [row["sdev_ms"] for row in rows], fmt="o-", capsize=2, color=colour, label=name)
        time.plot(between, least, "--", color=colour, alpha=0.6, label="floor: least time, best rate" if number == 0 else None)
    for axes, heading in ((rate, "positions / s"), (time, "ms a batch, and standard deviation")):
        axes.set(title=heading, xlabel="batch size")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.grid(True, which="both", alpha=0.25)
    rate.set_ylim(bottom=0)
    time.set_yscale("log")
    time.legend(fontsize="small")
    figure.suptitle("\n".join(title(result) for _, result in named), fontsize="medium")
    try:
        figure.savefig(goal, dpi=120)
    except OSError as error:
        raise Error(f"{goal}: cannot be written: {error.strerror}") from None


def title(result: dict[str, Any]) -> str:
    """What was measured, in a line."""
    context = result["context"]
    network = context["network"]["name"] if context["network"] else "no network"
    return f"{network}, {context['backend']} on {context['device']}, lc0rocm {context['version']}, {context['date'][:10]}"
