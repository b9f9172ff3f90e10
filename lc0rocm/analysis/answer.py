"""What was found, as the JSON objects that answer a query."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc0rocm import _core
from lc0rocm.analysis.position import board_of
from lc0rocm.analysis.query import Query, Refused
from lc0rocm.engine import scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lc0rocm._core import MoveStats, PvInfo, Result, Update

Answer = dict[str, Any]


def refusal(error: Refused) -> Answer:
    return {"id": error.id, "error": str(error)} | ({"field": error.field} if error.field else {})


def failure(query: Query, ply: int, sentence: str) -> Answer:
    return {"id": query.id, "ply": ply, "error": sentence}


class Report:
    """Answers about one position of a query. info: of the back end."""

    def __init__(self, query: Query, ply: int, info: "_core.BackendInfo"):
        self.query, self.ply, self.info = query, ply, info
        line = query.line
        self.game = line.game if ply == len(line.moves) else line.game.at(ply)
        self._sign = -1 if query.white_view and self.game.black_to_move else 1
        self.chess960 = query.setup.values["UCI_Chess960"]

    def searched(self, search: _core.Search, update: "Update", ended: "Result | None" = None) -> Answer:
        """Of a search that runs or has ended."""
        include = self.query.include
        answer = self._head(ended is not None)
        lines = [self._line(pv) for pv in update["pvs"]]
        answer |= {"best_move": lines[0]["move"]} | {key: value for key, value in lines[0].items() if key in ("q", "wdl", "moves_left", "score")}
        if ended:
            answer |= {"ponder": ended["ponder"] or None, "stopped_by": ended["stopped_by"]}
        answer |= {"lines": lines, "nodes": update["nodes"], "depth": update["depth"], "seldepth": update["seldepth"],
                   "time": update["time_ms"] / 1000, "evaluations": update["evaluations"], "tbhits": update["tbhits"]}
        if "policy" in include or "tree" in include:
            *moves, _ = search.move_stats()
            if "policy" in include:
                shares = {self.game.uci(move["move"], self.chess960): _share(move["p"]) for move in moves}
                answer["policy"] = dict(sorted(shares.items(), key=lambda item: -item[1]))
            if "tree" in include:
                answer["tree"] = [self._branch(move) for move in reversed(moves)]
        return answer | self._remarks(update["messages"])

    def evaluated(self, shares: "NDArray[np.float32]", q: float, d: float, moves_left: float) -> Answer:
        """By the network alone. shares: of the legal moves, in the core's order."""
        policy = self.game.policy(shares, self.chess960)
        score = "cp", int(scores.centipawns(self._sign * q))
        return self._head(True) | {"best_move": next(iter(policy))} | self._value(q, d, moves_left, score) | {
            "policy": policy, "nodes": 1} | self._remarks()

    def over(self) -> Answer:
        """Without a legal move."""
        mated = self.game.in_check
        value = self._value(-1.0, 0.0, 0.0, ("mate", 0)) if mated else self._value(0.0, 1.0, 0.0, ("cp", 0))
        return self._head(True) | {"best_move": None, "game_over": "checkmate" if mated else "stalemate", "lines": [], "nodes": 0} | value

    def never_begun(self) -> Answer:
        """Terminated while it waited."""
        return self._head(True) | {"best_move": None, "stopped_by": "terminate", "lines": [], "nodes": 0}

    def _head(self, final: bool) -> Answer:
        return {"id": self.query.id, "ply": self.ply, "fen": self.game.fen(), "final": final}

    def _remarks(self, more: list[str] | tuple[()] = ()) -> Answer:
        remarks = [*self.query.line.remarks, *self.query.setup.remarks, *more]
        return {"remarks": remarks} if remarks else {}

    def _line(self, pv: "PvInfo") -> Answer:
        line: Answer = {"move": pv["moves"][0], "visits": pv["visits"]}
        seen = pv.copy()
        for key in ("wl", "q", "mu"):
            seen[key] *= self._sign
        score = scores.score(seen, self.query.setup.values["ScoreType"], self.info["wdl"])
        line |= self._value(pv["wl"], pv["d"], pv["m"], score)
        line["proven"] = bool(pv["terminal"])
        if "pv" in self.query.include:
            line["pv"] = pv["moves"]
        if "san" in self.query.include:
            line["san"] = self._san(pv["moves"])
        return line

    def _san(self, moves: list[str]) -> list[str]:
        board, text = board_of(self.query.line, self.ply), []
        for move in moves:
            parsed = board.parse_uci(move)
            text.append(board.san(parsed))
            board.push(parsed)
        return text

    def _value(self, q: float, d: float, moves_left: float, score: tuple[str, int]) -> Answer:
        """score: as it is seen already; the others by the side to move."""
        value: Answer = {"q": _round(self._sign * q), "score": dict([score])}
        if "wdl" in self.query.include:
            value["wdl"] = _wdl(self._sign * q, d)
        if "moves_left" in self.query.include and self.info["moves_left"]:
            value["moves_left"] = _round(moves_left)
        return value

    def _branch(self, move: "MoveStats") -> Answer:
        branch: Answer = {"move": self.game.uci(move["move"], self.chess960), "visits": move["visits"], "policy": _share(move["p"]),
                          "q": _round(self._sign * move["q"]), "u": _round(move["u"]), "proven": move["flag"] == "T"}
        if move["visits"] and move["wl"] is not None and move["d"] is not None:
            if "wdl" in self.query.include:
                branch["wdl"] = _wdl(self._sign * move["wl"], move["d"])
            if "moves_left" in self.query.include and self.info["moves_left"]:
                branch["moves_left"] = _round(move["m"] or 0)
        if move["v"] is not None:
            branch["value"] = _round(self._sign * move["v"])
        return branch


def _wdl(wl: float, d: float) -> list[float]:
    return [_round(min(max(share, 0.0), 1.0)) for share in ((1 + wl - d) / 2, d, (1 - wl - d) / 2)]


def _round(x: float) -> float:
    """To what means something."""
    return round(x, 5) + 0.0


def _share(p: float) -> float:
    return round(p, 6)
