"""The text of a PGN file, cut into games.

python-chess takes what stands between two blank lines for a game. Files hold blank lines within moves and after headers, none between two
games, comments that are never closed, and text before the first game; each would lose headers or moves without a word."""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST = 4_000_000  # characters of a game
_HEADER = re.compile(r'\s*\[\s*([A-Za-z0-9_][^\s"]*)\s*"')
_WHOLE = re.compile(_HEADER.pattern + r'((?:[^"\\]|\\.)*)"\s*\]')
_EVENT = re.compile(r'\[Event\s+"')  # ends even a comment: one that was never closed
_RESULT = re.compile(r"(?:^|[\s.)])(?:1-0|0-1|1/2-1/2|\*)\s*$")
_FIRST = re.compile(r"\s*1\s*\.(?!\s*\.)")  # move 1 of White
# A move as python-chess reads it, and what may stand before and behind it, signs of old encodings too.
_BEFORE, _BEHIND = r"(?:\d*[.…\udc85]+)?", r"(?:=|e\.?p\.?|ch|mate|\$\d+|[^\w\s])*"
_MOVE = re.compile(rf"{_BEFORE}P?(?:[NBKRQ]?[a-h]?[1-8]?[-x]?[a-h][1-8](?:=?[nbrqkNBRQK])?){_BEHIND}")
# What it passes over without a word: castling in other letters or dashes, captures without a rank, capital files, descriptive notation. A pawn
# captures on the file beside its own: "be", "ch" or "eg" are words.
_CAPTURE = "|".join(f"{a}x?{b}|{b}x?{a}" for a, b in zip("abcdefg", "bcdefgh"))
_PASSED = re.compile(rf"(?![\d.]+$){_BEFORE}(?!(?:O-O(?:-O)?|0-0(?:-0)?){_BEHIND}$)(?:[Oo0Оо](?:[-‐‑–—−]?[Oo0Оо]){{1,2}}|{_CAPTURE}|"
                     rf"[PKQRBN]+[-x][PKQRBN]+\d?|[PKQRBN]?[A-H]?[1-8]?[-x:]?[A-H][1-8]){_BEHIND}")
_SQUARE = re.compile("[a-h][1-8]")
_TOKEN = re.compile(r"[^\s()]+")


class Text(NamedTuple):
    """Of a game. pgn: its headers, a blank line, its moves; moves: these without comments; problem: what is wrong with it, or ""."""
    pgn: str
    moves: str
    problem: str

    def misread(self) -> str:
        """What python-chess would take a part of for a move, or pass over, as a sentence: "Sf3" is no pawn's move. "" without such."""
        tokens = _TOKEN.findall(self.moves)
        token = next((token for token in tokens if _SQUARE.search(token) and not _MOVE.fullmatch(token) or _PASSED.fullmatch(token)), None)
        return f"'{token[:20]}' is no move in standard notation, whose pieces are K, Q, R, B and N, and castling O-O" if token else ""


def split(lines: Iterable[str]) -> Iterator[Text]:
    """All that is no header, and follows none, belongs to a game, too: a file's first line may be a move, or no chess at all."""
    game = _Game()
    for line in lines:
        line = line.lstrip("\ufeff")
        if not line.strip():
            game.blank = True
        elif not (line.startswith("%") and not game.inside):  # a line for other programs
            if game.ends_before(line):
                yield game.text()
                game = _Game()
            game.add(line)
    if game.size:
        yield game.text()


class _Game:
    def __init__(self) -> None:
        self.headers: list[str] = []
        self.tags: set[str] = set()  # their names
        self.body: list[str] = []
        self.bare: list[str] = []  # the body without comments
        self.size = 0
        self.inside = False  # a comment
        self.blank = False  # the last line was
        self.ended = False  # by a result

    def ends_before(self, line: str) -> bool:
        if self.inside:
            return bool(_EVENT.match(line))
        if header := _HEADER.match(line):  # also after a game without moves: its headers alone, or with a comment
            return any(map(str.strip, self.bare)) or self.blank and (header[1] in self.tags or bool(self.headers and self.body))
        if self.ended:
            return not line.lstrip().startswith(("{", ";")) or self.blank
        return self.blank and bool(_FIRST.match(line)) and any(map(str.strip, self.bare))

    def add(self, line: str) -> None:
        self.size += len(line)
        self.blank = False
        if self.size > MOST:
            return
        if not self.inside and not self.bare and (line := self._without_headers(line)).isspace():
            return
        bare, self.inside = _without_comments(line, self.inside)
        self.body.append(line.rstrip("\n"))
        if bare.strip():
            self.bare.append(bare)
            self.ended = not self.inside and bool(_RESULT.search(bare))

    def _without_headers(self, line: str) -> str:
        """What is left of a line when those that it begins with are taken: mostly it is one, and is taken whole, whatever it looks like inside."""
        while header := _HEADER.match(line):
            whole = _WHOLE.match(line)
            self.headers.append(f'[{whole[1]} "{whole[2]}"]' if whole else line.strip())
            self.tags.add(header[1])
            line = line[whole.end():] if whole else ""
        return line or "\n"

    def text(self) -> Text:
        moves, problem = " ".join(self.bare), ""
        if self.size > MOST:
            problem = f"it is longer than {MOST} characters"
        elif self.inside:
            problem = "a comment that begins with { is never closed"
        elif moves.count("(") > moves.count(")"):
            problem = "a variation that begins with ( is never closed"
        return Text("\n".join([*self.headers, "", *self.body, ""]), moves, problem)


def _without_comments(line: str, inside: bool) -> tuple[str, bool]:
    """What of a line stands outside of comments, and whether one goes on after it."""
    bare = []
    while line:
        if inside:
            _, close, line = line.partition("}")
            inside = not close
        else:
            text, brace, line = line.partition("{")
            text, rest, _ = text.partition(";")
            bare.append(text)
            inside = bool(brace) and not rest
            if rest:
                break
    return " ".join(bare), inside
