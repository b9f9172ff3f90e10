"""When a game is given up: the words of the command line."""
from __future__ import annotations

from lc0rocm import numerals
from lc0rocm._core import Error
from lc0rocm.games.verdict import Adjudication


def parse(draw: str, resign: str) -> Adjudication:
    """draw: MOVE,COUNT,CENTIPAWNS; resign: COUNT,CENTIPAWNS; "" for never. Raises Error."""
    rules = Adjudication()
    if draw:
        move, count, score = _numbers(draw, 3, "--draw takes MOVE,COUNT,CENTIPAWNS, like --draw=40,8,10")
        rules = rules._replace(draw_move=move, draw_count=max(1, count), draw_score=score)
    if resign:
        count, score = _numbers(resign, 2, "--resign takes COUNT,CENTIPAWNS, like --resign=4,900")
        rules = rules._replace(resign_count=max(1, count), resign_score=score)
    return rules


def _numbers(text: str, count: int, form: str) -> list[int]:
    try:
        numbers = [numerals.integer(word) for word in text.replace(",", " ").split()]
        if len(numbers) != count or min(numbers) < 0:
            raise ValueError
        return numbers
    except ValueError:
        raise Error(f"{form}; not '{text[:60]}'") from None
