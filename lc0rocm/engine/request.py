"""The text of `go` and `position` as values. What programs and people write there is used as far as it can be understood: a go that is
refused loses a game."""
import re
from typing import Any, NamedTuple

from lc0rocm import _core
from lc0rocm._core import Error

_MOST = 2**53  # beyond it every number means "no limit"


class Request(NamedTuple):
    """What `go` asks for; None where it says nothing. Times in milliseconds."""
    infinite: bool = False
    ponder: bool = False
    searchmoves: tuple[str, ...] = ()
    wtime: int | None = None
    btime: int | None = None
    winc: int | None = None
    binc: int | None = None
    movestogo: int | None = None
    depth: int | None = None
    mate: int | None = None
    nodes: int | None = None
    movetime: int | None = None

    @property
    def waits(self) -> bool:
        """bestmove is not wanted before stop (or ponderhit)."""
        return self.infinite or self.ponder

    @property
    def ends(self) -> bool:
        """The search ends by itself."""
        limits = (self.wtime, self.btime, self.depth, self.mate, self.nodes, self.movetime)
        return not self.waits and any(limit is not None for limit in limits)


class Position(NamedTuple):
    """What `position` described."""
    fen: str
    moves: tuple[str, ...]
    game: _core.Game


_NUMBERS = set(Request._fields) - {"infinite", "ponder", "searchmoves"}


def read_go(text: str) -> tuple[Request, list[str]]:
    """The request, and lines about what was not understood. Numbers may have decimals and any size. If no limit can be
    read where one may have been meant, one visit is the limit: a clock may be running."""
    words, unknown, remarks = text.split(), [], []
    found: dict[str, Any] = {}
    while words:
        word = words.pop(0)
        if word in ("infinite", "ponder"):
            found[word] = True
        elif word == "searchmoves":
            end = next((i for i, other in enumerate(words) if other in Request._fields), len(words))
            found[word], words = tuple(words[:end]), words[end:]
        elif word in _NUMBERS:
            value = words.pop(0) if words and words[0] not in Request._fields else ""
            number = _number(value)
            if number is not None:
                found[word] = number
            elif words and words[0] in ("infinite", "ponder"):
                pass  # movetime infinite
            else:
                remarks.append(f"go {word} needs a whole number, not '{value[:60]}'")
        else:
            unknown.append(word)
    if unknown:
        remarks.append(f"go does not know '{' '.join(unknown)[:60]}'; it knows {', '.join(Request._fields)}")
    request = Request(**found)
    return request._replace(nodes=1) if remarks and not (request.ends or request.waits) else request, remarks


def _number(text: str) -> int | None:
    match = re.fullmatch(r"([+-]?)([0-9]+)(?:\.([0-9]*))?", text)
    if not match:
        return None
    sign, digits, decimals = match.groups()
    value = min(int(digits) if len(digits) < 20 else _MOST, _MOST) + ((decimals or "0")[:1] >= "5")
    return -value if sign == "-" else value


def read_position(text: str) -> tuple[str, list[str]]:
    """FEN and moves. Raises Error for what has another form."""
    words = text.split()
    at = words.index("moves") if "moves" in words else len(words)
    start, moves = words[:at], words[at + 1:]
    if start in (["startpos"], ["fen", "startpos"]):
        return _core.STARTPOS, moves
    if start[:1] == ["fen"]:
        return " ".join(start[1:]) or _core.STARTPOS, moves
    raise Error("write: position startpos, or position fen FEN, then moves MOVE ... if there are any")
