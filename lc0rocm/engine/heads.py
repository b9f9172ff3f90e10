"""Searches without a tree (docs/spec/engine.md 4.20): the move that the policy head likes best, and the one after which the value head likes the
position best."""
from typing import Callable, NamedTuple, Sequence

from lc0rocm import _core, strength
from lc0rocm.engine import scores
from lc0rocm.engine.request import Position


class Choice(NamedTuple):
    """A move, castling as king takes rook, and what is expected of it by the side that moves."""
    move: str
    evaluations: int
    wl: float
    d: float
    mates: bool = False

    def score(self) -> tuple[str, int]:
        """("mate", moves) or ("cp", value)."""
        return ("mate", 1) if self.mates else ("cp", int(scores.centipawns(self.wl)))


def _policy(backend: _core.Backend, fill: str, position: Position) -> tuple[dict[str, float], float, float]:
    """The logit of each legal move, and win - loss and draw."""
    inputs = _core.Inputs([position.game], backend.info["input_format"], fill)
    logits, _, wdl, _ = backend.evaluate(inputs)
    indices = position.game.policy_indices(backend.info["input_format"])
    win, draw, loss = map(float, wdl[0])
    return dict(zip(position.game.legal_moves(), logits[0][indices].tolist())), win - loss, draw


def by_policy(backend: _core.Backend, fill: str, position: Position, moves: Sequence[str]) -> Choice:
    """One evaluation. Raises Error if the back end fails."""
    logits, wl, d = _policy(backend, fill, position)
    return Choice(max(moves, key=lambda move: logits[move]), 1, wl, d)


def drawn(temperature: float) -> "Ask":
    """One evaluation, and a move by its probability. Raises Error if the back end fails."""
    def ask(backend: _core.Backend, fill: str, position: Position, moves: Sequence[str]) -> Choice:
        logits, wl, d = _policy(backend, fill, position)
        return Choice(strength.draw({move: logits[move] for move in moves}, temperature), 1, wl, d)
    return ask


def by_value(backend: _core.Backend, fill: str, position: Position, moves: Sequence[str]) -> Choice:
    """An evaluation of each move's position, unless the game ends there. Raises Error if the back end fails."""
    choices, open_games = [], {}
    for move in moves:
        game = position.game.copy()
        game.push(move)
        if not game.legal_moves():
            choices.append(Choice(move, 0, 1, 0, mates=True) if game.in_check else Choice(move, 0, 0, 1))
        elif game.repetitions >= 2 or game.rule50 >= 100 or game.insufficient_material:
            choices.append(Choice(move, 0, 0, 1))
        else:
            open_games[move] = game
    if open_games:
        inputs = _core.Inputs(open_games.values(), backend.info["input_format"], fill, moves=False)
        _, _, wdl, _ = backend.evaluate(inputs)
        choices += [Choice(move, 0, float(loss - win), float(draw)) for move, (win, draw, loss) in zip(open_games, wdl)]
    best = max(choices, key=lambda choice: (choice.mates, choice.wl))
    return best._replace(evaluations=len(moves))


Ask = Callable[[_core.Backend, str, Position, Sequence[str]], Choice]  # with the HistoryFill, and the moves to choose from
SEARCHES: dict[str, Ask] = {"policyhead": by_policy, "valuehead": by_value}
