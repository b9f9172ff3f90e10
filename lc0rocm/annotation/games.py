"""The games of a PGN file, plain or compressed, one by one."""
from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import importlib
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, TextIO

import chess
import chess.pgn

from lc0rocm import _core, report
from lc0rocm._core import Error
from lc0rocm.analysis import split


class Entry(NamedTuple):
    """number: of the game in the file, from 1. game: None where it is broken, for which `problem` is the reason. read: bytes of the file up
    to here, about."""
    number: int
    game: chess.pgn.Game | None
    problem: str
    read: int


class Raw(NamedTuple):
    """A game that nobody has read yet."""
    number: int
    text: split.Text
    read: int


def read_games(path: str, skip: int = 0) -> Iterator[Entry]:
    """All but the first `skip` of them. Raises Error for a file that cannot be read or, after the games before that place, unpacked."""
    return map(entry, read_texts(path, skip))


def read_texts(path: str, skip: int = 0) -> Iterator[Raw]:
    """As read_games, for reading them elsewhere."""
    with opened(path) as (text, file):
        lines, before = iter(lambda: text.readline(split.MOST), ""), os.fstat(file.fileno()).st_size
        for number, found in enumerate(split.split(lines), 1):
            if number > skip:
                yield Raw(number, found, _position(file))
        if os.fstat(file.fileno()).st_size < before:
            raise Error(f"{path} has become shorter while it was read: games are missing")


def size(path: str) -> int:
    """Bytes of a file of games. Raises Error where it is none, or cannot be read: a command says so before it loads a network."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Error(f"{path} is no regular file: save the games in one, for who goes on after an interrupt reads them again")
        open(path, "rb").close()
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    return status.st_size


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[TextIO, IO[bytes]]]:
    """The text of a file, plain or compressed, and the file. Raises Error, in the lines that read it too."""
    try:
        with open(path, "rb") as file, _text(_unpacked(file)) as text:
            yield text, file
    except (OSError, EOFError, zlib.error) as error:
        raise Error(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except Exception as error:
        if type(error).__name__ == "ZstdError":
            raise Error(f"cannot read {path}: {error}") from None
        raise


def entry(raw: Raw) -> Entry:
    found = raw.text
    game = None if found.problem else chess.pgn.read_game(io.StringIO(found.pgn), Visitor=_Builder)
    problem = found.problem or _problem(game, found)
    return Entry(raw.number, None if problem else game, problem, raw.read)


def header(text: str) -> str:
    """As PGN writes it between the quotes of a header: python-chess leaves that, both ways, to who uses it."""
    return re.sub(r'["\\]', r"\\\g<0>", report.printable(text))


def said(header: str) -> str:
    """Its inverse."""
    return re.sub(r'\\(["\\])', r"\1", header)


def _unpacked(file: IO[bytes]) -> Any:
    start = file.read(4)
    file.seek(0)
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    if start[:3] == b"BZh":
        return bz2.BZ2File(file)
    if start == b"\x28\xb5\x2f\xfd":
        return zstandard().ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return file


def zstandard() -> Any:
    """The module. Raises Error with what to do where it is not installed."""
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise Error(".zst files need the Python package zstandard: pip install 'lc0rocm[zst]'") from None


def _text(file: Any) -> TextIO:
    """UTF-8, whose bytes come through where it is something older, or UTF-16, by its mark or the zeros of its Latin letters."""
    buffered = io.BufferedReader(file)
    start = buffered.peek(2)[:2]
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.TextIOWrapper(buffered, encoding="utf-16", errors="replace", newline=None)
    if b"\0" in start:
        return io.TextIOWrapper(buffered, encoding="utf-16-be" if start[:1] == b"\0" else "utf-16-le", errors="replace", newline=None)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline=None)


class _Builder(chess.pgn.GameBuilder[chess.pgn.Game]):
    """Keeps mistakes with the game and logs nothing."""

    def handle_error(self, error: Exception) -> None:
        self.game.errors.append(error)


_RESULT = re.compile(r"1-0|0-1|1/2-1/2|\*")


def _problem(game: chess.pgn.Game | None, text: split.Text) -> str:
    """Why a game cannot be annotated: "" if it can."""
    if game is None or not game.variations and not text.pgn.startswith("[") and not _RESULT.search(text.moves):
        return "there is no game in this text"
    if game.errors:
        return str(game.errors[0])
    board = game.board()
    if board.uci_variant != "chess":
        return f"lc0rocm plays chess and Chess960, not {board.uci_variant}"
    if misread := text.misread():
        return misread
    played = list(game.mainline_moves())
    if not all(played):
        return "there are null moves"
    try:
        _core.Game(board.fen(en_passant="fen"), [move.uci() for move in played])
    except Error as error:
        return str(error)
    return ""


def _position(file: IO[bytes]) -> int:
    with contextlib.suppress(ValueError, OSError):
        return os.lseek(file.fileno(), 0, os.SEEK_CUR)
    return 0
