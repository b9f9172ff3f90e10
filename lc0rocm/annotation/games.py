"""The games of a PGN file, plain or compressed, one by one."""
from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import os
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, TextIO

import chess
import chess.pgn

from lc0rocm import _core
from lc0rocm._core import Error


class Entry(NamedTuple):
    """number: of the game in the file, from 1. game: None where it is broken, for which `problem` is the reason. read: bytes of the file up
    to here, about."""
    number: int
    game: chess.pgn.Game | None
    problem: str
    read: int


def read_games(path: str, skip: int = 0) -> Iterator[Entry]:
    """All but the first `skip` of them. Raises Error for a file that cannot be read or, after the games before that place, unpacked."""
    try:
        with open(path, "rb") as file:
            with io.TextIOWrapper(_unpacked(file), encoding="utf-8", errors="surrogateescape", newline=None) as text:
                yield from _read(text, file, skip)
    except (OSError, EOFError, zlib.error) as error:
        raise Error(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except Exception as error:
        if type(error).__name__ == "ZstdError":
            raise Error(f"cannot read {path}: {error}") from None
        raise


def _unpacked(file: IO[bytes]) -> Any:
    start = file.read(4)
    file.seek(0)
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    if start[:3] == b"BZh":
        return bz2.BZ2File(file)
    if start == b"\x28\xb5\x2f\xfd":
        try:
            zstandard = importlib.import_module("zstandard")
        except ImportError:
            raise Error("to read .zst files: pip install 'lc0rocm[zst]'") from None
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file


def _read(text: TextIO, file: IO[bytes], skip: int) -> Iterator[Entry]:
    number = 0
    while number < skip and chess.pgn.skip_game(text):
        number += 1
    while True:
        number += 1
        game = chess.pgn.read_game(text, Visitor=_Builder)
        if game is None:
            return
        problem = _problem(game)
        yield Entry(number, None if problem else game, problem, _position(file))


class _Builder(chess.pgn.GameBuilder[chess.pgn.Game]):
    """Keeps mistakes with the game and logs nothing."""

    def handle_error(self, error: Exception) -> None:
        self.game.errors.append(error)


def _problem(game: chess.pgn.Game) -> str:
    """Why a game cannot be annotated: "" if it can."""
    if game.errors:
        return str(game.errors[0])
    board = game.board()
    if board.uci_variant != "chess":
        return f"lc0rocm plays chess and Chess960, not {board.uci_variant}"
    moves = list(game.mainline_moves())
    if not all(moves):
        return "there are null moves"
    try:
        _core.Game(board.fen(en_passant="fen"), [move.uci() for move in moves])
    except Error as error:
        return str(error)
    return ""


def _position(file: IO[bytes]) -> int:
    with contextlib.suppress(ValueError, OSError):
        return os.lseek(file.fileno(), 0, os.SEEK_CUR)
    return 0
