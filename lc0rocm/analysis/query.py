"""A query: what a JSON object asks for, checked field by field."""
from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lc0rocm import contempt, report
from lc0rocm._core import Error
from lc0rocm.analysis.position import Line, board_of, line_of_fen, line_of_pgn, move_of, with_moves
from lc0rocm.options import core_parameters, search_settings

INCLUDE = ("policy", "wdl", "moves_left", "pv", "san", "tree")
ACTIONS = ("terminate", "clear_cache", "version")
_MOST_VISITS = 4_000_000_000  # of the core
_LONGEST_S = 1e9


class Refused(Error):
    """A query that cannot be answered. id: its own, None where it cannot be read; field: the one that is wrong."""

    def __init__(self, sentence: str, id: Any = None, field: str | None = None):
        super().__init__(sentence)
        self.id, self.field = id, field


class Setup(NamedTuple):
    """The search options of a query. parameters: of the core, where White and where Black is to move."""
    parameters: tuple[dict[str, Any], dict[str, Any]]
    values: Mapping[str, Any]
    remarks: tuple[str, ...]

    @property
    def evaluation(self) -> tuple[str, float]:
        """What evaluations depend on: history fill and policy temperature."""
        return self.values["HistoryFill"], self.values["PolicyTemperature"]


class Query(NamedTuple):
    id: Any
    key: str  # the id as text
    line: Line
    plies: Sequence[int]  # positions of the line that are asked for, by the number of moves before them
    limits: dict[str, Any]  # of the core's search
    searchmoves: list[str]
    policy_only: bool
    setup: Setup
    priority: int  # greater goes first
    include: frozenset[str]
    report_every: float | None  # seconds
    white_view: bool


class Action(NamedTuple):
    id: Any
    action: str
    target: str | None  # key of the queries to terminate; None: all


class Reader:
    """Reads queries. options: by UCI name, for all queries that do not say otherwise; limits: for those without any."""

    def __init__(self, options: Mapping[str, Any], limits: Mapping[str, Any]):
        self._options, self._limits = dict(options), dict(limits)
        self._setups: dict[str, Setup] = {}  # the latest, by the options' text
        self.setup = self._setup({})

    def read(self, fields: Any) -> Query | Action:
        """Raises Refused."""
        if not isinstance(fields, Mapping):
            raise Refused(f'a query is a JSON object like {{"id": 1, "fen": "...", "nodes": 100}}, not {_kind(fields)}')
        if "id" not in fields:
            raise Refused("a query needs an id, which its answers will carry", field="id")
        id = fields["id"]
        try:
            key = key_of(id)
        except (TypeError, ValueError, RecursionError):
            raise Refused("the id is no JSON value, or is nested too deep", field="id") from None
        taken = _Fields(fields)
        try:
            return self._action(id, taken) if "action" in fields else self._query(id, key, taken)
        except Refused:
            raise
        except RecursionError:
            raise Refused("this is nested too deep", id, taken.last) from None
        except UnicodeEncodeError:  # JSON allows it
            raise Refused("half a surrogate pair is no text", id, taken.last) from None
        except Error as error:
            raise Refused(report.printable(str(error)), id, taken.last) from None
        except Exception as error:  # a mistake of ours must not harm other queries
            raise Refused(f"internal error: {type(error).__name__}: {error}", id, taken.last) from error

    def _action(self, id: Any, fields: _Fields) -> Action:
        action = fields.choice("action", ACTIONS)
        target = None
        if action == "terminate" and fields.has("terminate_id"):
            try:
                target = key_of(fields.take("terminate_id"))
            except ValueError:
                raise Error("terminate_id is an id, and so a JSON value") from None
        fields.end()
        return Action(id, action, target)

    def _query(self, id: Any, key: str, fields: _Fields) -> Query:
        policy_only = fields.flag("policy_only")
        limits = self._read_limits(fields, policy_only)
        multipv = {"MultiPV": fields.integer("multipv", 1, 500)} if fields.has("multipv") else {}
        options = fields.take("options", {})
        if not isinstance(options, Mapping):
            raise Error(f'options is an object like {{"CPuct": 2.0}}, not {_kind(options)}')
        setup = self._setup({**options, **multipv})
        include = fields.take("include", ["wdl", "moves_left", "pv"])
        if not isinstance(include, list) or not all(isinstance(part, str) and part in INCLUDE for part in include):
            raise Error(f"include is a list of some of {', '.join(INCLUDE)}")
        query = Query(
            id, key, *_game(fields), limits, [], policy_only, setup, fields.integer("priority", -2**53, 2**53, 0),
            frozenset(include), fields.number("report_every", 0.01, _LONGEST_S) if fields.has("report_every") else None,
            fields.choice("perspective", ("mover", "white")) == "white" if fields.has("perspective") else False)
        if fields.has("searchmoves"):
            query = query._replace(searchmoves=_searchmoves(fields, query))
        fields.end()
        return query

    def _read_limits(self, fields: _Fields, policy_only: bool) -> dict[str, Any]:
        limits: dict[str, Any] = {}
        if fields.has("nodes"):
            limits["nodes"] = fields.integer("nodes", 1, _MOST_VISITS)
        if fields.has("depth"):
            limits["depth"] = fields.integer("depth", 1, 1000)
        if fields.has("time"):
            limits["time_ms"] = math.ceil(fields.number("time", 0.001, _LONGEST_S) * 1000)
        if policy_only and limits:
            raise Error("policy_only evaluates a position once: leave nodes, time and depth out")
        return limits or self._limits

    def _setup(self, options: Mapping[str, Any]) -> Setup:
        text = json.dumps(options, sort_keys=True)
        if text in self._setups:
            return self._setups[text]
        for name, value in options.items():
            if not isinstance(value, (bool, int, float, str)):
                raise Error(f"the option {name[:60]} takes a number, true or false, or text, not {_kind(value)}")
            f"{name}{value}".encode()
        settings, remarks = search_settings({**self._options, **options}, "a query", ("UCI_Chess960", "SyzygyPath"))
        if self._setups and settings["NNCacheSize"] != self.setup.values["NNCacheSize"]:
            remarks.append("NNCacheSize has no effect in a query: all share one cache")
        mode = settings["ContemptMode"]
        signs = [contempt.sign(mode, black, analysis=settings["UCI_AnalyseMode"]) for black in (False, True)]
        setup = Setup((core_parameters(settings, signs[0]), core_parameters(settings, signs[1])), settings.values, tuple(remarks))
        while len(self._setups) >= 100:
            del self._setups[next(iter(self._setups))]
        self._setups[text] = setup
        return setup


def key_of(id: Any) -> str:
    """The same text for the same JSON value. Raises TypeError, ValueError or RecursionError for what is none."""
    return json.dumps(id, sort_keys=True, allow_nan=False)


class _Fields:
    """The fields of a query, each taken once. last: the one that was looked at last."""

    def __init__(self, fields: Mapping[str, Any]):
        self._fields = dict(fields)
        self._known = {"id"}
        self.last: str | None = None

    def has(self, name: str) -> bool:
        """Whether it is given: null is as good as nothing."""
        self._known.add(name)
        return self._fields.get(name) is not None

    def take(self, name: str, fallback: Any = None) -> Any:
        if not self.has(name):
            return fallback
        self.last = name
        return self._fields[name]

    def integer(self, name: str, low: int, high: int, fallback: int = 0) -> int:
        value = self.take(name, fallback)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Error(f"{name} is a whole number from {low} to {high}, not {_short(value)}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise Error(f"{name} is a number of seconds from {low:g} on, not {_short(value)}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.take(name, False)
        if not isinstance(value, bool):
            raise Error(f"{name} is true or false, not {_short(value)}")
        return value

    def text(self, name: str, fallback: str = "") -> str:
        value = self.take(name, fallback)
        if not isinstance(value, str):
            raise Error(f"{name} is text, not {_kind(value)}")
        value.encode()
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        value = self.take(name)
        if value not in choices:
            raise Error(f"{name} is one of {', '.join(choices)}, not {_short(value)}")
        return value

    def moves(self, name: str) -> list[str]:
        value = self.take(name, [])
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise Error(f'{name} is a list of moves like ["e2e4", "c7c5"], or text with blanks between them')
        " ".join(words).encode()
        return words

    def end(self) -> None:
        """Raises Error for a field that was not asked for."""
        for name in self._fields:
            if name not in self._known:
                self.last = str(name)[:60]
                near = difflib.get_close_matches(self.last, self._known, 1)
                raise Error(f"there is no field '{self.last}' here" + (f"; did you mean {near[0]}?" if near else ""))


def _game(fields: _Fields) -> tuple[Line, Sequence[int]]:
    if fields.has("pgn"):
        if fields.has("fen") or fields.has("moves"):
            raise Error("pgn is a game by itself: give it, or else fen and moves")
        line = line_of_pgn(fields.text("pgn"))
    elif fields.has("fen") or fields.has("moves"):
        line = line_of_fen(fields.text("fen", "startpos"))
        line = with_moves(line, fields.moves("moves"))
    else:
        raise Error("no position: give fen, moves or pgn")
    last = len(line.moves)
    plies = fields.take("plies", [last])
    if plies == "all":
        return line, range(last + 1)
    if not isinstance(plies, list) or not plies or not all(isinstance(ply, int) and not isinstance(ply, bool) and 0 <= ply <= last for ply in plies):
        raise Error(f'plies is "all" or a list of whole numbers from 0 to {last}, the number of moves')
    return line, list(dict.fromkeys(plies))


def _searchmoves(fields: _Fields, query: Query) -> list[str]:
    words = fields.moves("searchmoves")
    if query.policy_only or len(query.plies) != 1:
        raise Error("searchmoves are moves of one position, which is searched: without policy_only and several plies")
    board = board_of(query.line, query.plies[0])
    return [move_of(board, word) for word in words]


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, (bool, int, float, str)) else _kind(value)
