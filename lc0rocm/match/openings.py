"""Where the games of a match begin: lines of a PGN or EPD file, or random moves."""
from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Iterator, Sequence

import chess

from lc0rocm import _core, files, report
from lc0rocm._core import Error
from lc0rocm.annotation.games import opened, read_games, said, size
from lc0rocm.games.play import Start
from lc0rocm.games.verdict import on_the_board

_RANDOM_PLIES = 6
_WORTH = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9}


class Openings:
    """The opening of a pair of games, by its number: the same each time. path: a file of games, or of positions, plain or compressed; "" for
    random moves; shuffled: by the seed; plies: of a game that are played, 0 for all, or 6 of random ones. Raises Error for a file that is none."""

    def __init__(self, path: str, shuffled: bool, seed: int, plies: int, chess960: bool, most: int):
        self._seed, self._plies, self._chess960 = seed, plies, chess960
        self.identity = {"sha256": _digest(path) if path else None, "shuffled": shuffled, "seed": seed, "plies": plies, "chess960": chess960}
        self._lines: Sequence[Start] = []
        if path:
            kind = os.path.splitext(re.sub(r"\.(gz|bz2|zst)$", "", path.lower()))[1]
            read = _epd(path, chess960) if kind in (".epd", ".fen", ".txt") else _pgn(path, plies)
            self._lines = list(read if shuffled else itertools.islice(read, most))
            if not self._lines:
                raise Error(f"{path} holds no opening from which a game can be played")
            if shuffled:
                random.Random(seed).shuffle(self._lines)

    def __len__(self) -> int:
        """0: any number."""
        return len(self._lines)

    @property
    def have_chess960(self) -> bool:
        return self._chess960 or any(line.chess960 for line in self._lines)

    def __getitem__(self, pair: int) -> Start:
        if self._lines:
            return self._lines[pair % len(self._lines)]
        return _random(random.Random(f"{self._seed} {pair}"), self._plies, self._chess960)


def _random(dice: random.Random, plies: int, chess960: bool) -> Start:
    """Random moves that leave the material even and nobody in check."""
    plies = plies or _RANDOM_PLIES
    while True:
        board = chess.Board.from_chess960_pos(dice.randrange(960)) if chess960 else chess.Board()
        fen = board.fen()
        for _ in range(plies):
            if moves := list(board.legal_moves):
                board.push(dice.choice(moves))
        balance = sum(worth * (len(board.pieces(kind, True)) - len(board.pieces(kind, False))) for kind, worth in _WORTH.items())
        if balance == 0 and not board.is_check() and board.ply() == plies and any(board.legal_moves):
            return Start(fen, _words(board), chess960)


def _words(board: chess.Board) -> tuple[str, ...]:
    replay, words = board.root(), []
    for move in board.move_stack:
        words.append(replay.uci(move, chess960=True))
        replay.push(move)
    return tuple(words)


def _pgn(path: str, plies: int) -> Iterator[Start]:
    for entry in read_games(path):
        if not entry.game:
            report.say(f"{path}: game {entry.number} is left out: {entry.problem[:200]}")
            continue
        board = entry.game.board()
        fen = board.fen(en_passant="fen")
        for move in itertools.islice(entry.game.mainline_moves(), plies or None):
            board.push(move)
        name = " ".join(said(value) for key in ("ECO", "Opening") if (value := entry.game.headers.get(key, "?")) != "?")
        start = Start(fen, _words(board), board.chess960, report.printable(name))
        if end := on_the_board(_core.Game(start.fen, start.moves)):
            report.say(f"{path}: game {entry.number} is left out: it is over ({end.reason})")
            continue
        yield start


def _epd(path: str, chess960: bool) -> Iterator[Start]:
    with opened(path) as (text, _):
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                yield _position(line, chess960)
            except (Error, ValueError) as error:
                report.say(f"{path}: line {number} is left out: {report.printable(str(error))[:200]}")


# Of an EPD four fields, of a FEN two more; what follows is an EPD's operations, of which most say what somebody thinks of the position.
_POSITION = re.compile(r"(\S+\s+\S+\s+\S+\s+[^\s;]+)(?:\s+(\d+)\s+(\d+)\b)?")
_OPERATION = re.compile(r"""(?:^|[\s;])(id|hmvc|fmvn)\s+(?:"([^"]*)"|([^\s;"]+))""")


def _position(line: str, chess960: bool) -> Start:
    """Of an EPD, or of a FEN. Chess960, too, where nothing else lets a side castle. Raises Error, ValueError."""
    found = _POSITION.match(line.strip())
    if not found:
        raise ValueError("an EPD has four fields at least")
    operations = {name: quoted or plain for name, quoted, plain in _OPERATION.findall(line.strip()[found.end():])}
    fen = f"{found[1]} {found[2] or operations.get('hmvc', 0)} {found[3] or operations.get('fmvn', 1)}"
    chess960 = chess960 or _core.Game(fen, chess960=False).fen().split()[2] != _core.Game(fen).fen().split()[2]
    game = _core.Game(fen, chess960=chess960)
    if end := on_the_board(game):
        raise Error(f"the game is over there ({end.reason})")
    return Start(game.fen(), (), chess960, report.printable(operations.get("id", "")))


def _digest(path: str) -> str:
    size(path)
    try:
        return files.sha256(os.path.expanduser(path))
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
