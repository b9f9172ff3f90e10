"""A game and the analyses of its positions, as annotated PGN and as an object for JSON."""
from __future__ import annotations

import re
from typing import Any

import chess
import chess.pgn

from lc0rocm.annotation import judge
from lc0rocm.annotation.judge import Verdict

_JUDGEMENTS = set(range(1, 7))  # NAGs: !, ?, !!, ??, !?, ?!
_COMMANDS = re.compile(r"\[%(eval|wdl)\s[^\]]*\]")
_LINE_PLIES = 10


class Annotated:
    """answers: of an analysis of every position of the main line, as White sees it."""

    def __init__(self, number: int, game: chess.pgn.Game, answers: list[dict[str, Any]]):
        self.number, self.game, self.answers = number, game, answers
        self.nodes = list(game.mainline())
        board = game.board()
        self.verdicts: list[Verdict] = []
        self._turns: list[bool] = []
        for node, before, after in zip(self.nodes, answers, answers[1:]):
            # The board writes castling as its game does, the analysis as king takes rook.
            self.verdicts.append(judge.judge(before, after, board.uci(node.move, chess960=True), board.turn))
            self._turns.append(board.turn)
            board.push(node.move)
        self.accuracy = {side: judge.accuracy([v.loss for v, turn in zip(self.verdicts, self._turns) if turn == side]) for side in chess.COLORS}

    def counts(self, side: bool) -> dict[str, int]:
        """How many moves of each kind of mistake."""
        return {word.lower(): sum(v.nag == nag and turn == side for v, turn in zip(self.verdicts, self._turns)) for nag, word in judge.WORDS.items()}

    def pgn(self, annotator: str) -> str:
        """With what was there kept. May be called once: it changes the game."""
        if annotator:
            self.game.headers.setdefault("Annotator", annotator)
        for side, name in ((chess.WHITE, "White"), (chess.BLACK, "Black")):
            if (value := self.accuracy[side]) is not None:
                self.game.headers[f"{name}Accuracy"] = f"{value:.1f}"
        for node, before, after, verdict in zip(self.nodes, self.answers, self.answers[1:], self.verdicts):
            _comment(node, after)
            if verdict.nag:
                _blame(node, before, verdict)
        exporter = chess.pgn.StringExporter(columns=80, headers=True, variations=True, comments=True)
        return self.game.accept(exporter)

    def json(self) -> dict[str, Any]:
        board = self.game.board()
        moves = []
        for node, before, after, verdict in zip(self.nodes, self.answers, self.answers[1:], self.verdicts):
            moves.append({"ply": before["ply"] + 1, "san": board.san(node.move), "uci": board.uci(node.move), "fen": after["fen"]}
                         | {key: after[key] for key in ("q", "score", "wdl") if key in after}
                         | {"loss": round(verdict.loss, 5), "judgement": verdict.word or None, "best": _line(board, before)})
            board.push(node.move)
        sides = {name: {"accuracy": self.accuracy[side] and round(self.accuracy[side] or 0, 1), **self.counts(side)}
                 for side, name in ((chess.WHITE, "white"), (chess.BLACK, "black"))}
        return {"game": self.number, "headers": dict(self.game.headers), **sides, "moves": moves}


def _comment(node: chess.pgn.ChildNode, after: dict[str, Any]) -> None:
    """[%eval] and [%wdl] in place of such as are there; other words stay."""
    kept = " ".join(_COMMANDS.sub("", node.comment).split())
    tags = [] if after.get("game_over") == "checkmate" else [_eval(after)]
    if "wdl" in after:
        win, draw, loss = (round(1000 * share) for share in after["wdl"])
        tags.append(f"[%wdl {win},{draw},{loss}]")
    node.comment = " ".join(filter(None, [*tags, kept]))


def _eval(answer: dict[str, Any]) -> str:
    (kind, number), = answer["score"].items()
    return f"[%eval #{number}]" if kind == "mate" else f"[%eval {number / 100:.2f}]"


def _blame(node: chess.pgn.ChildNode, before: dict[str, Any], verdict: Verdict) -> None:
    """?!, ? or ?? and what was better, unless somebody has judged the move or shown the better one."""
    if not node.nags & _JUDGEMENTS and verdict.nag:
        node.nags.add(verdict.nag)
    parent = node.parent
    board = parent.board()
    best = board.parse_uci(before["best_move"])
    if parent.has_variation(best):
        return
    sentence = f"{judge.WORDS[verdict.nag or 0]}. {board.san(best)} was best."
    if sentence not in node.comment:
        node.comment = f"{node.comment} {sentence}".strip()
    variation: chess.pgn.GameNode = parent
    for move in before["lines"][0]["pv"][:_LINE_PLIES]:
        variation = variation.add_variation(variation.board().parse_uci(move))
    parent.variations[-1].comment = _eval(before)


def _line(board: chess.Board, before: dict[str, Any]) -> list[str]:
    """The best line in standard notation."""
    board, words = board.copy(stack=False), []
    for text in before["lines"][0]["pv"][:_LINE_PLIES]:
        move = board.parse_uci(text)
        words.append(board.san(move))
        board.push(move)
    return words
