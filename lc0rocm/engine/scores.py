"""What the search knows, as the lines that GUIs parse: scores, info lines, move statistics."""
import math
from typing import TYPE_CHECKING, Callable, Sequence

if TYPE_CHECKING:
    from lc0rocm._core import MoveStats, PvInfo, Update
    from lc0rocm.contempt import Values


def half_up(x: float) -> int:
    """Halves away from zero, for x >= 0 (Python's round() goes to even)."""
    return math.floor(x + 0.5)


def centipawns(q: float) -> float:
    """Of win - loss, or of what a draw score makes of it."""
    return 90 * math.tan(1.5637541897 * q)


def score(pv: "PvInfo", score_type: str, has_wdl: bool) -> tuple[str, int]:
    """("mate", moves) or ("cp", value), side to move's view."""
    wl, q = pv["wl"], pv["q"]
    if pv["terminal"] and wl != 0:
        moves = int(half_up(pv["m"]) / 2 + (101 if pv["terminal"] == "tablebase" else 1))
        return "mate", moves if wl > 0 else -moves
    if score_type == "centipawn":
        value = centipawns(wl)
    elif score_type == "centipawn_with_drawscore":
        value = centipawns(q)
    elif score_type == "centipawn_2019":
        value = 295 * wl / (1 - 0.976953126 * wl**14)
    elif score_type == "centipawn_2018":
        value = 290.680623072 * math.tan(1.548090806 * wl)
    elif score_type == "win_percentage":
        value = 5000 * wl + 5000
    elif score_type == "Q":
        value = 10000 * q
    elif score_type == "W-L":
        value = 10000 * wl
    else:  # WDL_mu: 100 where a win is as likely as not; where mu is unreliable the curve that the network's value has
        value, mu = 45 * math.tan(1.56728071628 * wl), pv["mu"]
        if has_wdl and mu != 0 and abs(wl) + pv["d"] < 0.996 and (abs(mu) < 1 or abs(value) < abs(100 * mu)):
            value = 100 * mu
    return "cp", int(value)


def wdl_permille(wl: float, d: float) -> tuple[int, int, int]:
    """Win, draw, loss; they sum to 1000."""
    win, loss = (half_up(max(0.0, 500 * (1 + side - d))) for side in (wl, -wl))
    draw = 1000 - win - loss
    if draw < 0:
        win = min(1000, max(0, win + int(draw / 2)))
        draw, loss = 0, 1000 - win
    return win, draw, loss


def info_lines(update: "Update", options: "Values", *, has_wdl: bool, has_moves_left: bool) -> list[str]:
    """One line for each PV, best first."""
    lines = []
    for number, pv in enumerate(update["pvs"], 1):
        nodes = pv["visits"] if options["PerPVCounters"] else update["nodes"]
        line = f"info depth {update['depth']} seldepth {update['seldepth']} time {update['time_ms']} nodes {nodes}"
        line += " score {} {}".format(*score(pv, options["ScoreType"], has_wdl))
        if options["UCI_ShowWDL"]:
            line += " wdl {} {} {}".format(*wdl_permille(pv["wl"], pv["d"]))
        if options["UCI_ShowMovesLeft"] and has_moves_left:
            line += f" movesleft {int((1 + pv['m']) / 2)}"
        if update["nps"] is not None:
            line += f" nps {update['nps']}"
        if options["UCI_ShowEPS"] and update["eps"] is not None:
            line += f" eps {update['eps']}"
        line += f" tbhits {update['tbhits']}"
        if options["MultiPV"] > 1:
            line += f" multipv {number}"
        if pv["moves"]:
            line += " pv " + " ".join(pv["moves"])
        lines.append(line)
    return lines


def move_lines(stats: Sequence["MoveStats"], name: Callable[[str], str]) -> list[str]:
    """A line a legal move, the most visited first, as docs/uci.md has it for programs. name: of a move, as the GUI writes it."""
    return ["info string movestats " + _keys(s, name(s["move"])) for s in reversed(stats) if s["move"] != "node"]


def _keys(s: "MoveStats", move: str) -> str:
    line = f"move={move} policy={s['p']:.6f} visits={s['visits']}"
    if s["wl"] is None or s["d"] is None:
        return line
    win, loss = (1 - s["d"] + s["wl"]) / 2, (1 - s["d"] - s["wl"]) / 2
    return line + f" q={s['q']:.6f} win={win:.6f} draw={s['d']:.6f} loss={loss:.6f} movesleft={s['m']:.1f}"


def speed_line(update: "Update") -> str:
    """How evaluations come, as docs/uci.md has it for programs. What is not known yet is left out."""
    keys = {"nps": update["nps"], "eps": update["eps"], "batch": ratio(update["evaluations"], update["evaluated_batches"]),
            "cachehits": ratio(update["cache_hits"], update["playouts"]), "idle": idle(update["busy_ms"], update["span_ms"])}
    return "info string speed " + " ".join(f"{key}={value}" for key, value in keys.items() if value is not None)


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None


def idle(busy_ms: float, span_ms: float) -> float | None:
    """The share of the time in which no thread was in the back end."""
    return round(1 - busy_ms / span_ms, 3) if span_ms else None


def move_stats_lines(stats: Sequence["MoveStats"]) -> list[str]:
    """In the given order; every line ends with a space, which parsers rely on."""
    return ["info string " + _stats(move) for move in stats]


def _stats(s: "MoveStats") -> str:
    root = s["move"] == "node"
    line = f"node  ({s['index']:4d}) " if root else f"{s['move']:<5s} ({s['index']:<4d}) "
    line += f"N: {s['visits']:7d} (+{s['in_flight']:2d}) "
    line += f"(P: {100 * s['p']:5.{1 if s['p'] >= 0.99995 else 2}f}%) "
    if s["wl"] is None:
        line += "(WL:  -.-----) (D: -.---) (M:  -.-) "
    else:
        line += f"(WL: {s['wl']:8.5f}) (D: {s['d']:5.3f}) (M: {s['m']:4.1f}) "
    line += f"(Q: {s['q']:8.5f}) "
    if not root:
        line += f"(U: {s['u']:6.5f}) (S: {s['s']:8.5f}) "
    line += "(V:  -.----) " if s["v"] is None else f"(V: {s['v']:7.4f}) "
    return line + (f"({s['flag']}) " if s["flag"] else "")
