"""The PGN file of a match, which is all that is kept of it: each game is there whole, once, from the moment it is over. Who goes on after a kill
reads from it what was played and cuts off what was only half written."""
from __future__ import annotations

import contextlib
import datetime
import errno
import io
import os
import re
from typing import NamedTuple

import chess
import chess.engine
import chess.pgn

from lc0rocm import files
from lc0rocm._core import Error
from lc0rocm.annotation.games import header
from lc0rocm.games.limit import Limit
from lc0rocm.games.play import Game
from lc0rocm.games.player import CRASH, ILLEGAL, SILENT, TIME
from lc0rocm.games.verdict import ADJUDICATION

POINTS = {"1-0": 1.0, "1/2-1/2": 0.5, "0-1": 0.0}
_TERMINATIONS = {"": "normal", ADJUDICATION: "adjudication", TIME: "time forfeit",
                 ILLEGAL: "rules infraction", CRASH: "abandoned", SILENT: "stalled connection"}
_END = re.compile(rb"(?:^|\s)(?:1-0|0-1|1/2-1/2)\n\n")  # of a game
_OURS = b'[Event "lc0rocm match"]'
_PART = 1 << 22  # bytes that are looked through for the last game's begin


class Result(NamedTuple):
    """Of a game. number: two of a pair follow each other; first_is_white: the first side's colour; ending: as Game has it."""
    number: int
    first_is_white: bool
    result: str
    ending: str

    @property
    def points(self) -> float:
        """Of the first side."""
        return POINTS[self.result] if self.first_is_white else 1 - POINTS[self.result]

    @property
    def fault(self) -> tuple[int, str] | None:
        """The side, 0 or 1, that has lost otherwise than on the board, and how."""
        if self.ending in ("", ADJUDICATION):
            return None
        return int(self.points > 0.5), self.ending


class Record:
    """identity: a word that says what the match is made of; games of another match are not gone on with. Raises Error for such, for a file
    that holds something else or that another process writes, unless `again`, which begins anew."""

    def __init__(self, path: str, identity: str, again: bool):
        self.path, self._identity = path, identity
        self.results: dict[int, Result] = {}
        try:
            self._file = open(path, "a+b", buffering=0)  # what a full disk has refused is not tried again as the file is closed
            try:
                files.hold(self._file)
            except BlockingIOError:
                raise Error(f"another lc0rocm is writing {path}") from None
            if again:
                self._file.truncate(0)
            else:
                self._file.truncate(self._whole())
                self._read()
        except OSError as error:
            raise _cannot(path, error) from None

    def write(self, number: int, game: Game, names: tuple[str, str], limits: tuple[Limit, Limit]) -> Result:
        """names, limits: White's and Black's."""
        first_is_white = number % 2 == 0
        result = Result(number, first_is_white, game.result, game.ending)
        data = _pgn(number, game, names, limits, self._identity).encode()
        before = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:  # the next one goes on from here
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise _cannot(self.path, error) from None
        self.results[number] = result
        return result

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()

    def _whole(self) -> int:
        """The length without a last game that is not whole."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - _PART)
        self._file.seek(start)
        tail = self._file.read()
        whole = 0
        for end in _END.finditer(tail):
            whole = end.end()
        if start and not whole or not tail[whole:].startswith(_OURS[:len(tail) - whole]):  # its begin may be a few bytes
            raise Error(f"{self.path} is no PGN file of a match; give another name, or --again to replace it")
        return start + whole

    def _read(self) -> None:
        self._file.seek(0)
        text = io.TextIOWrapper(io.BufferedReader(self._file), encoding="utf-8", errors="replace")
        try:
            while headers := chess.pgn.read_headers(text):
                result = self._of(headers)
                if result.number in self.results:
                    raise Error(f"{self.path} holds game {headers.get('Round')} twice; --again begins anew")
                self.results[result.number] = result
        finally:
            text.detach().detach()

    def _of(self, headers: chess.pgn.Headers) -> Result:
        place = re.fullmatch(r"(\d+)\.([12])", headers.get("Round", ""))
        ending = next((ending for ending, word in _TERMINATIONS.items() if word == headers.get("Termination")), None)
        if not place or headers.get("Result") not in POINTS or ending is None or "Match" not in headers:
            raise Error(f"{self.path} holds games that are not of a match of lc0rocm's; give another name, or --again to replace them")
        if headers["Match"] != self._identity:
            raise Error(f"{self.path} holds games of another match: its sides, limits or openings were others; give another name, or --again to "
                        "begin anew")
        return Result(2 * (int(place[1]) - 1) + int(place[2]) - 1, place[2] == "1", headers["Result"], ending)


def _pgn(number: int, played: Game, names: tuple[str, str], limits: tuple[Limit, Limit], identity: str) -> str:
    start = played.start
    board = chess.Board(start.fen, chess960=start.chess960)
    game = chess.pgn.Game()
    game.headers.update({"Event": "lc0rocm match", "Site": "?", "Date": datetime.date.today().strftime("%Y.%m.%d"),
                         "Round": f"{number // 2 + 1}.{number % 2 + 1}", "White": header(names[0]), "Black": header(names[1]), "Result": played.result})
    game.setup(board)
    if limits[0] == limits[1]:
        game.headers["TimeControl"] = limits[0].pgn()
    else:
        game.headers.update({"WhiteTimeControl": limits[0].pgn(), "BlackTimeControl": limits[1].pgn()})
    if start.name:
        game.headers["Opening"] = header(start.name)
    game.headers.update({"Termination": _TERMINATIONS[played.ending], "PlyCount": str(len(start.moves) + len(played.moves)),
                         "WhiteLimit": str(limits[0]), "BlackLimit": str(limits[1]), "Match": identity})
    node: chess.pgn.GameNode = game
    for word in start.moves:
        node = node.add_variation(board.parse_uci(word))
        board.push(node.move)
    for move in played.moves:
        node = node.add_variation(board.parse_uci(move.found.move))
        if score := move.found.score:
            node.set_eval(chess.engine.PovScore(chess.engine.Cp(score[1]) if score[0] == "cp" else chess.engine.Mate(score[1]), board.turn),
                          move.found.depth)
        if move.clock_s is not None:
            node.set_clock(move.clock_s)
        node.set_emt(move.elapsed_s)
        board.push(node.move)
    node.comment = " ".join(filter(None, [node.comment, played.reason.replace("}", ")")]))
    return game.accept(chess.pgn.StringExporter(columns=80)) + "\n\n"


def _cannot(path: str, error: OSError) -> Error:
    return Error(f"cannot write {path}: {error.strerror or error}")
