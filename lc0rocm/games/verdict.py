"""When a game is over: on the board, or because those who watch it agree that nothing will happen any more."""
from __future__ import annotations

from typing import NamedTuple

from lc0rocm import _core
from lc0rocm.games.player import Found

WHITE_WINS, BLACK_WINS, DRAWN = "1-0", "0-1", "1/2-1/2"
ADJUDICATION = "adjudication"
_MATE = 1_000_000  # centipawns


class End(NamedTuple):
    result: str
    reason: str
    ending: str = ""


def on_the_board(game: _core.Game) -> End | None:
    """By the rules, as programs play them: the third occurrence of a position and 50 moves without progress draw without a claim."""
    if not game.legal_moves():
        if not game.in_check:
            return End(DRAWN, "stalemate")
        return End(WHITE_WINS, "White mates") if game.black_to_move else End(BLACK_WINS, "Black mates")
    if game.insufficient_material:
        return End(DRAWN, "insufficient material")
    if game.repetitions >= 2:
        return End(DRAWN, "threefold repetition")
    return End(DRAWN, "50-move rule") if game.rule50 >= 100 else None


class Adjudication(NamedTuple):
    """Off where it is 0 or None. After move draw_move a game is drawn whose draw_count last moves of each side had a score within draw_score
    centipawns; a side has lost that sees itself resign_score or more behind for resign_count of its moves, the other one agreeing; after
    most_moves of each side the game is drawn, whatever number the opening ends with; tables say what an ending is worth."""
    draw_move: int = 0
    draw_count: int = 0
    draw_score: int = 0
    resign_count: int = 0
    resign_score: int = 0
    most_moves: int = 0
    tables: _core.Tables | None = None


NOTHING = Adjudication()


class Judge:
    """Hears the moves of a game, and may end it."""

    def __init__(self, rules: Adjudication = NOTHING):
        self._rules = rules
        self._plies = 0
        self._quiet = 0  # of them at the end, the scores near 0
        self._lost = [0, 0]  # of each side, the moves at the end of which both sides said that it has lost

    def hear(self, side: int, found: Found) -> None:
        """Of the move that was just made, as its side sees it."""
        self._plies += 1
        value = _value(found.score)
        self._quiet = self._quiet + 1 if value is not None and abs(value) <= self._rules.draw_score else 0
        for loser, sign in ((side, 1), (1 - side, -1)):
            is_lost = value is not None and sign * value <= -self._rules.resign_score
            self._lost[loser] = self._lost[loser] + 1 if is_lost else 0

    def verdict(self, game: _core.Game) -> End | None:
        """Before a move, where the game goes on by the rules."""
        rules = self._rules
        if rules.resign_count:
            for loser in (0, 1):
                if self._lost[loser] >= 2 * rules.resign_count:
                    return End((BLACK_WINS, WHITE_WINS)[loser], f"{('White', 'Black')[loser]} resigns", ADJUDICATION)
        if rules.draw_count and game.ply >= 2 * rules.draw_move and self._quiet >= 2 * rules.draw_count:
            return End(DRAWN, "drawn by agreement", ADJUDICATION)
        if rules.tables and (end := _by_tables(rules.tables, game)):
            return end
        if rules.most_moves and self._plies >= 2 * rules.most_moves:
            return End(DRAWN, f"drawn after {rules.most_moves} moves", ADJUDICATION)
        return None


def _value(score: tuple[str, int] | None) -> int | None:
    if score is None:
        return None
    kind, number = score
    return number if kind == "cp" else _MATE if number > 0 else -_MATE


def _by_tables(tables: _core.Tables, game: _core.Game) -> End | None:
    """After a capture or a pawn's move, where the count for the 50-move rule begins and the tables' word is the last."""
    fen = game.fen()
    if game.rule50 or sum(map(str.isalpha, fen.split()[0])) > tables.largest:
        return None
    wdl = tables.wdl(fen)
    if wdl is None:
        return None
    if abs(wdl) < 2:
        return End(DRAWN, "drawn by the tables", ADJUDICATION)
    white = (wdl > 0) != game.black_to_move
    return End(WHITE_WINS if white else BLACK_WINS, f"{'White' if white else 'Black'} wins by the tables", ADJUDICATION)
