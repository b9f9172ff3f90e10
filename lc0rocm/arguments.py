"""What callers give, as the rest of the API takes it: positions, moves and numbers, or an Error that says what to pass."""
from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Union

import chess

from lc0rocm import _core

Position = Union[chess.Board, str]
"""A board, whose move stack is its history, or the text of a FEN, which "moves e2e4 ..." may follow."""

_MOST_VISITS = 4_000_000_000  # of the core


def start_and_moves(board: chess.Board) -> tuple[str, list[str]]:
    """The FEN a board started from and the moves since. Raises Error for variants, null moves and boards that their moves do not lead to."""
    _core.check_board(board)
    if not all(board.move_stack):
        raise _core.Error("the move stack holds a null move; a search knows only games of legal moves: board.copy(stack=8) has no older ones")
    return board.root().fen(en_passant="fen"), [move.uci() for move in board.move_stack]


def board_of(position: Position) -> chess.Board:
    """A board as it is, or the one that text describes."""
    if isinstance(position, chess.Board):
        return position
    if not isinstance(position, str):
        raise _core.Error(f"a position is a chess.Board or the text of a FEN, not {type(position).__name__}")
    fen, _, moves = position.partition(" moves ")
    try:
        board = chess.Board(_core.Game(fen).fen())
        for move in moves.split():
            board.push_uci(move)
    except ValueError as error:
        raise _core.Error(f"bad position {position[:80]!r}: {error}") from None
    return board


def path_of(path: Any, what: str = "a path is the name of a file") -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise _core.Error(f"{what}, not {type(path).__name__}") from None


def several(given: Any, kinds: tuple[type, ...], what: str) -> Iterable[Any]:
    """Those that were given, one alone as a list of it."""
    if isinstance(given, kinds):
        return [given]
    try:
        if isinstance(given, (bytes, Mapping)):  # what they yield is not what was meant
            raise TypeError
        return iter(given)
    except TypeError:
        raise _core.Error(f"{what}, one or several, not {type(given).__name__}") from None


def move_of(board: chess.Board, move: chess.Move | str) -> chess.Move:
    """A legal move of the board, given as such or as text, in UCI's or in standard notation."""
    if isinstance(move, str):
        for parse in (board.parse_uci, board.parse_san):
            with contextlib.suppress(ValueError):
                if found := parse(move):  # else a null move
                    return found
    elif not isinstance(move, chess.Move):
        raise _core.Error(f"a move is a chess.Move or text like e2e4, not {type(move).__name__}")
    elif move in board.legal_moves:
        return board.parse_uci(move.uci())  # castling as the board writes it
    raise _core.Error(f"{str(move)[:20]!r} is no legal move in {board.fen()}")


def limits_of(nodes: int | None, time: float | None, depth: int | None) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if nodes is not None:
        limits["nodes"] = min(integer("nodes", nodes, 1), _MOST_VISITS)
    if depth is not None:
        limits["depth"] = min(integer("depth", depth, 1), _MOST_VISITS)
    if time is not None:
        seconds = number_of("time", time)
        if seconds == math.inf:
            limits["infinite"] = True
        else:
            limits["time_ms"] = min(round(seconds * 1000), 2**53)
    if not limits:
        raise _core.Error("a search needs a limit: nodes=, time= (seconds; math.inf: until stop()) or depth=")
    return limits


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    try:
        number = value.__index__()  # of numpy's integers, too
    except (AttributeError, TypeError):  # TypeError: arrays of several
        number = None
    if number is None or isinstance(value, bool) or number < low or (high is not None and number > high):
        raise _core.Error(f"{name} must be an integer from {low}" + (f" to {high}" if high else " on") + f", not {value!r}")
    return number


def number_of(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number >= 0:
        raise _core.Error(f"{name} must be a number of 0 or more, not {value!r}")
    return number
