"""The game of a query, given as FEN, moves or PGN."""
import io
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import chess
import chess.pgn

from lc0rocm import _core, positions
from lc0rocm._core import Error
from lc0rocm.analysis import split


class Line(NamedTuple):
    """A start position and the moves since, all legal; in UCI's notation. game: the same, for those who only read it."""
    fen: str
    moves: tuple[str, ...]
    game: _core.Game
    remarks: tuple[str, ...] = ()  # what was left out of the FEN because it means nothing


def line_of_fen(text: str) -> Line:
    """"startpos" or a FEN, which " moves e2e4 ..." may follow. Raises Error for what is none."""
    fen, moves = positions.split(text)
    start = _core.Game(_core.STARTPOS if fen == "startpos" else fen)
    return with_moves(Line(start.fen(), (), start, (start.remarks,) if start.remarks else ()), moves)


def with_moves(line: Line, words: Sequence[str]) -> Line:
    """The line that goes on with these moves, in UCI's or in standard notation. Raises Error for one that is not legal."""
    if not words:
        return line
    try:
        return _with(line, [*line.moves, *words])
    except Error:
        pass  # they may be in standard notation, which the core does not read
    board, moves = board_of(line), list(line.moves)
    for word in (re.sub(r"^\d+\.+", "", word) for word in words):
        if word:  # else a number alone
            moves.append(move_of(board, word))
            board.push_uci(moves[-1])
    return _with(line, moves)


def _with(line: Line, moves: list[str]) -> Line:
    return line._replace(moves=tuple(moves), game=_core.Game(line.fen, moves))


def board_of(line: Line, ply: int | None = None) -> chess.Board:
    """After so many of its moves; None: all."""
    board = chess.Board(line.fen, chess960=True)
    for move in line.moves[:ply]:
        board.push(board.parse_uci(move))
    return board


def move_of(board: chess.Board, word: str) -> str:
    """A legal move in UCI's notation, castling as king takes rook. Raises Error."""
    for parse in (board.parse_uci, board.parse_san):
        try:
            if move := parse(word):
                return move.uci()
        except ValueError:
            pass
    raise Error(f"'{word[:20]}' is no legal move in {board.fen()}")


def line_of_pgn(text: str) -> Line:
    """The moves that were played. Raises Error for text that is not one game."""
    found = list(itertools.islice(split.split(io.StringIO(text, newline=None)), 2))
    if len(found) > 1:
        raise Error("pgn holds more than one game: a query is about one; `lc0rocm annotate` takes files of many")
    problem = found[0].problem or found[0].misread() if found else "there is no game in pgn"
    if problem:
        raise Error(problem)
    line = chess.pgn.read_game(io.StringIO(found[0].pgn), Visitor=_MainLine)
    if line is None:
        raise Error("there is no game in pgn")
    return line


class _MainLine(chess.pgn.BaseVisitor[Line]):
    """Reads the moves that were played."""

    def __init__(self) -> None:
        self._fen, self._moves, self._has_headers = "", list[str](), False

    def visit_header(self, tagname: str, tagvalue: str) -> None:
        self._has_headers = True

    def begin_variation(self) -> chess.pgn.SkipType:
        return chess.pgn.SKIP

    def visit_board(self, board: chess.Board) -> None:
        if self._fen:
            return
        if board.uci_variant != "chess":
            raise Error(f"lc0rocm plays chess and Chess960, not {board.uci_variant}")
        self._fen = _core.Game(board.fen(en_passant="fen")).fen()

    def visit_move(self, board: chess.Board, move: chess.Move) -> None:
        if not move:
            raise Error("null moves are not analysed")
        self._moves.append(move.uci())

    def handle_error(self, error: Exception) -> None:
        raise error if isinstance(error, Error) else Error(f"cannot read the game in pgn: {error}")

    def result(self) -> Line:
        if not self._moves and not self._has_headers:  # to python-chess any text is a game
            raise Error("there is no game in pgn")
        fen = self._fen or _core.STARTPOS
        return Line(fen, tuple(self._moves), _core.Game(fen, self._moves))
