"""compare: what differs between two results of bench, backendbench or check, and by how much, with the noise of the measurement."""
import json
import math
from typing import Any, Iterator, NamedTuple

from lc0rocm import plot, report, results
from lc0rocm._core import Error
from lc0rocm.options import Settings

_LIMIT = 1 << 26  # bytes of a file
_ALWAYS_DIFFER = ("date", "load")


def compare(settings: Settings) -> int:
    if not (settings["first"] and settings["second"]):
        raise Error("compare two result files: lc0rocm compare a.json b.json, as `bench --json`, `backendbench --json` and `check --json` print them")
    names = settings["first"], settings["second"]
    pair = read(names[0]), read(names[1])
    if pair[0]["command"] != pair[1]["command"]:
        raise Error(f"{names[0]} is a result of {pair[0]['command']}, {names[1]} of {pair[1]['command']}: compare like with like")
    differences = list(_differences(pair[0]["context"], pair[1]["context"]))
    rows = list(_MEASURES[pair[0]["command"]](*pair))
    if settings["plot"]:
        plot.draw(list(zip(names, pair)), settings["plot"])
    if settings["json"]:
        report.write_json({"command": "compare", "files": names, "differences": [{"what": what, "first": a, "second": b} for what, a, b in differences],
                           "measures": [row._asdict() | {"gain": row.gain and row.gain._asdict()} for row in rows]})
        return 0
    print(report.table(["what differs", *names], [[what, _short(a), _short(b)] for what, a, b in differences]) if differences
          else "Nothing differs in program, network, machine and options.")
    print("\n" + report.table(["measured", *names, "second against first", ""], [row.cells() for row in rows]) if rows else "\nNothing was measured in both.")
    return 0


class Row(NamedTuple):
    """One measure. gain: of the second over the first, None where there is nothing to gain."""
    what: str
    first: float
    second: float
    gain: results.Gain | None

    def cells(self) -> list[Any]:
        verdict = "" if not self.gain or self.gain.noise is None else "" if self.gain.is_sure else "within the noise"
        return [self.what, self.first, self.second, str(self.gain or ""), verdict]


def read(name: str) -> dict[str, Any]:
    """Raises Error for a file that is none of ours."""
    try:
        with open(name, "rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise ValueError(f"it has more than {_LIMIT} bytes")
        result = json.loads(data)
    except OSError as error:
        raise Error(f"{name}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Error(f"{name}: is not JSON: {error}") from None
    if not isinstance(result, dict) or str(result.get("command")) not in _MEASURES or not isinstance(result.get("context"), dict):
        raise Error(f"{name}: is no result of {', '.join(_MEASURES)} with --json")
    try:
        plot.title(result)
        list(_MEASURES[result["command"]](result, result))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Error(f"{name}: is damaged: what {result['command']} measured is not there, or is no number") from None
    return result


def _differences(first: Any, second: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(name, value here, value there) of whatever is not the same in two contexts; what is inside something as "outer.inner"."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            if path or key not in _ALWAYS_DIFFER:
                yield from _differences(first.get(key), second.get(key), f"{path}.{key}" if path else key)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (a, b) in enumerate(zip(first, second)):
            yield from _differences(a, b, f"{path}.{number}")
    elif first != second:
        yield path, first, second


def _short(value: Any) -> str:
    text = report.printable("-" if value in (None, "", [], {}) else value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= 40 else text[:37] + "..."


# what each command measures -------------------------------------------------------------------------------------------

def _bench(first: dict, second: dict) -> Iterator[Row]:
    speeds = [{entry["position"]: 1000 * entry["nodes"] / max(1, entry["time_ms"]) for entry in result["positions"]} for result in (first, second)]
    both = [position for position in speeds[0] if position in speeds[1]]
    if both:
        a, b = ([speed[position] for position in both] for speed in speeds)
        yield Row(f"nodes/s, {len(both)} positions", sum(a) / len(a), sum(b) / len(b), results.paired(a, b))
    for key, what in (("eps", "evaluations/s"), ("average_batch", "average batch"), ("cache_hits", "cache hits"), ("idle", "back end idle")):
        if None not in (first[key], second[key]):
            yield Row(what, first[key] + 0.0, second[key] + 0.0, None)


def _backendbench(first: dict, second: dict) -> Iterator[Row]:
    rows = [{row["size"]: row for row in result["sizes"]} for result in (first, second)]
    for size, a in rows[0].items():
        if b := rows[1].get(size):
            times = a["mean_ms"] / b["mean_ms"]
            errors = [row["cv"] / math.sqrt(row["samples"]) for row in (a, b)]
            yield Row(f"positions/s, batch {size}", a["mean_nps"] + 0.0, b["mean_nps"] + 0.0, results.Gain(times, times * 2 * math.hypot(*errors)))


def _check(first: dict, second: dict) -> Iterator[Row]:
    rows = [{row["output"]: row for row in result["outputs"]} for result in (first, second)]
    for output, a in rows[0].items():
        if b := rows[1].get(output):
            yield Row(f"worst difference of {output}", a["worst"] + 0.0, b["worst"] + 0.0, None)


_MEASURES = {"bench": _bench, "backendbench": _backendbench, "check": _check}
