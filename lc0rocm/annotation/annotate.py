"""A game and the analyses of its positions, as annotated PGN and as an object for JSON."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import chess
import chess.pgn

from lc0rocm.annotation import games, judge, phases
from lc0rocm.annotation.judge import Verdict
from lc0rocm.annotation.known import Book
from lc0rocm.annotation.people import Choice

_JUDGEMENTS = set(range(1, 7))  # NAGs: !, ?, !!, ??, !?, ?!
_OURS = re.compile(r"\[%(eval|wdl)\s[^\]]*\]")
_COMMANDS = re.compile(r"\[%\w+\s[^\]]*\]")
_LINE_PLIES = 10
_SIDES = ((chess.WHITE, "White"), (chess.BLACK, "Black"))


class Human(NamedTuple):
    """What people would have played, which may be what was played. loss: as of a Verdict."""
    choice: Choice
    loss: float


class Move(NamedTuple):
    """A move of the main line. board: before it; uci: castling as king takes rook, as the analysis writes it, whatever the board does; before,
    after: answers about the positions, as White sees them; in_book: None without a book."""
    node: chess.pgn.ChildNode
    board: chess.Board
    uci: str
    before: dict[str, Any]
    after: dict[str, Any]
    verdict: Verdict
    phase: str
    in_book: bool | None
    human: Human | None


class Annotated:
    """answers: of an analysis of every position of the main line, as White sees it. choices: of people before each move, if those are wanted;
    instead: by ply, the answers about the positions after those that differ from what was played."""

    def __init__(self, number: int, game: chess.pgn.Game, answers: Sequence[dict[str, Any]], choices: Sequence[Choice] = (),
                 instead: dict[int, dict[str, Any]] | None = None, book: Book | None = None):
        self.number, self.game, self.answers = number, game, answers
        self.moves: list[Move] = []
        board = game.board()
        phase = phases.Phases()
        for ply, (node, before, after) in enumerate(zip(game.mainline(), answers, answers[1:])):
            uci = board.uci(node.move, chess960=True)
            verdict = judge.judge(before, after, uci, board.turn)
            human = None
            if choices:
                other = (instead or {}).get(ply)
                human = Human(choices[ply], judge.judge(before, other, choices[ply].move, board.turn).loss if other else verdict.loss)
            in_book = book.has(board, node.move) if book else None
            self.moves.append(Move(node, board.copy(stack=False), uci, before, after, verdict, phase.of(board), in_book, human))
            board.push(node.move)

    def accuracy(self, side: bool, phase: str | None = None) -> float | None:
        """In a phase, or in all; None without a move there."""
        value = judge.accuracy([move.verdict.loss for move in self._of(side) if phase in (None, move.phase)])
        return value if value is None else round(value, 1)

    def counts(self, side: bool) -> dict[str, int]:
        """How many moves of each kind of mistake."""
        return {word.lower(): sum(move.verdict.nag == nag for move in self._of(side)) for nag, word in judge.WORDS.items()}

    def _of(self, side: bool) -> list[Move]:
        return [move for move in self.moves if move.board.turn == side]

    def pgn(self, annotator: str) -> str:
        """With what was there kept. May be called once: it changes the game."""
        headers = self.game.headers
        if annotator:
            headers.setdefault("Annotator", games.header(annotator))
        for side, name in _SIDES:
            if (value := self.accuracy(side)) is not None:
                headers[f"{name}Accuracy"] = f"{value:.1f}"
                parts = {phase: self.accuracy(side, phase) for phase in phases.PHASES}
                headers[f"{name}Phases"] = ", ".join(f"{phase} {part:.1f}" for phase, part in parts.items() if part is not None)
        last_in_book = max((ply for ply, move in enumerate(self.moves) if move.in_book), default=None)
        for ply, move in enumerate(self.moves):
            _comment(move)
            _blame(move)
            for sentence in _marks(move, ply == last_in_book):
                _say(move.node, sentence)
        exporter = chess.pgn.StringExporter(columns=80, headers=True, variations=True, comments=True)
        return self.game.accept(exporter)

    def json(self, annotator: str) -> dict[str, Any]:
        sides = {}
        for side, name in _SIDES:
            sides[name.lower()] = {"accuracy": self.accuracy(side), **self.counts(side),
                                   "phases": {phase: self.accuracy(side, phase) for phase in phases.PHASES}}
            if same := [move.human.choice.move == move.uci for move in self._of(side) if move.human]:
                sides[name.lower()]["human"] = round(sum(same) / len(same), 3)
        headers = {key: _text(games.said(value)) for key, value in self.game.headers.items()}
        comment = {"comment": text} if (text := _words(self.game.comment)) else {}
        start = {"fen": self.answers[0]["fen"]} | _values(self.answers[0])
        return {"game": self.number, "annotator": annotator, "headers": headers, **comment, "start": start, **sides, "moves": list(map(_object, self.moves))}


def _line(move: Move) -> list[tuple[chess.Move, str]]:
    """The best line instead of a move: each also in standard notation."""
    board, line = move.board.copy(stack=False), []
    for text in move.before["lines"][0]["pv"][:_LINE_PLIES]:
        better = board.parse_uci(text)
        line.append((better, board.san(better)))
        board.push(better)
    return line


# as PGN ---------------------------------------------------------------------------------------------------------------

def _comment(move: Move) -> None:
    """[%eval] and [%wdl] in place of such as are there; other words stay."""
    kept = " ".join(_OURS.sub("", move.node.comment).split())
    tags = [] if move.after.get("game_over") == "checkmate" else [_eval(move.after)]
    if "wdl" in move.after:
        win, draw, loss = (round(1000 * share) for share in move.after["wdl"])
        tags.append(f"[%wdl {win},{draw},{loss}]")
    move.node.comment = " ".join(filter(None, [*tags, kept]))


def _eval(answer: dict[str, Any]) -> str:
    (kind, number), = answer["score"].items()
    return f"[%eval #{number}]" if kind == "mate" else f"[%eval {number / 100:.2f}]"


def _blame(move: Move) -> None:
    """?!, ? or ?? and what was better, unless somebody has judged the move or shown the better one."""
    if not move.verdict.nag:
        return
    node, parent = move.node, move.node.parent
    if not node.nags & _JUDGEMENTS:
        node.nags.add(move.verdict.nag)
    line = _line(move)
    if parent.has_variation(line[0][0]):
        return
    _say(node, f"{judge.WORDS[move.verdict.nag]}. {line[0][1]} was best.")
    variation: chess.pgn.GameNode = parent
    for better, _ in line:
        variation = variation.add_variation(better)
    parent.variations[-1].comment = _eval(move.before)


def _marks(move: Move, ends_book: bool) -> list[str]:
    """Where the book ends, where the tables' verdict changes, and where people err or a player did."""
    found = []
    if ends_book:
        found.append("The book ends here.")
    verdict = move.after.get("tables")
    if verdict and verdict != move.before.get("tables"):
        found.append(f"Tables: {said(verdict)}.")
    if move.human and (move.verdict.nag or move.human.loss >= judge.INACCURACY):
        choice = move.human.choice
        san = move.board.san(move.board.parse_uci(choice.move))
        of_played = f"; {move.board.san(move.node.move)} {choice.of_played:.0%}" if choice.move != move.uci else ""
        found.append(f"People: {san} {choice.probability:.0%}, costs {move.human.loss:.0%}{of_played}.")
    return found


def said(verdict: str) -> str:
    """The tables' word, as White sees it, in words for a reader."""
    return {"win": "White wins", "cursed win": "a draw by the fifty-move rule, else White wins", "draw": "a draw",
            "blessed loss": "a draw by the fifty-move rule, else Black wins", "loss": "Black wins"}[verdict]


def _say(node: chess.pgn.ChildNode, sentence: str) -> None:
    if sentence not in node.comment:
        node.comment = f"{node.comment} {sentence}".strip()


# as JSON --------------------------------------------------------------------------------------------------------------

def _object(move: Move) -> dict[str, Any]:
    node, board, line = move.node, move.board, _line(move)
    found = {"ply": move.before["ply"] + 1, "san": board.san(node.move), "uci": board.uci(node.move), "fen": move.after["fen"]} | _values(move.after)
    found |= {"loss": round(move.verdict.loss, 5), "judgement": move.verdict.word or None, "phase": move.phase,
              "best_move": board.uci(line[0][0]), "best": [san for _, san in line]}
    if move.in_book is not None:
        found["book"] = move.in_book
    if move.human:
        choice = board.parse_uci(move.human.choice.move)
        found["human"] = {"san": board.san(choice), "uci": board.uci(choice), "probability": round(move.human.choice.probability, 4),
                          "loss": round(move.human.loss, 5), "played": round(move.human.choice.of_played, 4)}
    if (clock := node.clock()) is not None:
        found["clock"] = clock
    if node.nags:
        found["nags"] = sorted(node.nags)
    if comment := _words(" ".join(filter(None, (node.starting_comment, node.comment)))):
        found["comment"] = comment
    if lines := [_words(line.accept(chess.pgn.StringExporter(columns=None, headers=False))).replace("{ } ", "").removesuffix(" *")
                 for line in node.parent.variations if line is not node]:
        found["variations"] = lines
    return found


def _values(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: answer[key] for key in ("q", "score", "wdl", "tables") if key in answer}


def _words(comment: str) -> str:
    """Of a comment, without commands to programs."""
    return _text(" ".join(_COMMANDS.sub("", comment).split()))


def _text(text: str) -> str:
    """Without the bytes of files that are not in UTF-8: those are taken for Windows' Latin letters."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
