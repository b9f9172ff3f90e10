"""Annotated games as pages for a browser: a page a game, and an index where there are several. A page needs no network and loads nothing.

What comes from the games is text: it is escaped, and a page lets no script run but its own."""
from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import json
import os
import pathlib
import re
import urllib.parse
from typing import Any

import chess
import chess.svg

from lc0rocm import report
from lc0rocm.annotation.annotate import said
from lc0rocm.annotation.phases import PHASES

_SIGNS = {1: "!", 2: "?", 3: "!!", 4: "??", 5: "!?", 6: "?!"}
_SIGN = re.compile(r" \$([1-6])(?!\d)")  # in a line of PGN
_WORDS = {"inaccuracy": "?!", "mistake": "?", "blunder": "??"}
_HERE = pathlib.Path(__file__).parent


def write(part: str, goal: str, games: int) -> None:
    """part: packed JSON lines of so many games. One game is the page `goal`; of several that is the index, and the pages are in a folder beside."""
    folder = pathlib.Path(goal).with_name(pathlib.Path(goal).stem + "_pages")
    if folder.is_dir():
        for page in folder.glob("*.html"):
            if page.stem.isdecimal():
                page.unlink()  # of another time
    rows = []
    with report.progress("writing pages", games) as step, gzip.open(part, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            game = json.loads(line)
            if games == 1:
                _replace(goal, page_of(game, ""))
                return
            folder.mkdir(exist_ok=True)
            links = [f'<a href="../{_quoted(os.path.basename(goal))}">All games</a>']
            links += [f'<a href="{other}.html" rel="{rel}">{rel.capitalize()} game</a>'
                      for other, rel in ((number - 1, "previous"), (number + 1, "next")) if 1 <= other <= games]
            (folder / f"{number}.html").write_text(page_of(game, " ".join(links)), encoding="utf-8")  # until there is the index, nobody looks
            rows.append(_row(game, f"{_quoted(folder.name)}/{number}.html"))
            step()
    _replace(goal, _index(rows))


def _replace(goal: str, text: str) -> None:
    pathlib.Path(goal + ".part.new").write_text(text, encoding="utf-8")  # the same each time, so a kill leaves nothing behind
    os.replace(goal + ".part.new", goal)


def page_of(game: dict[str, Any], links: str) -> str:
    """game: as Annotated.json() has it; links: HTML for the top."""
    headers = game["headers"]
    names = [_player(headers, side) for side in ("White", "Black")]
    about = ", ".join(headers[key] for key in ("Event", "Site", "Date", "Round", "ECO", "Opening", "TimeControl") if headers.get(key, "?").strip("?.-"))
    title = f"{names[0]} – {names[1]}"
    body = f"""<header><nav>{links}</nav><h1>{_e(title)} <span>{_e(headers.get("Result", "*"))}</span></h1><p class="faint">{_e(about)}</p></header>
<main class="game"><section>
<noscript><p>The board, and what is said of each move, need JavaScript.</p></noscript>
<div class="board">{_board()}</div>
<div class="bar" title="White wins, draw, Black wins"><span class="win"></span><span class="draw"></span><span class="loss"></span></div>
<div class="steps"><button data-way="first" aria-label="first position">|◀</button><button data-way="back" aria-label="back">◀</button>\
<button data-way="on" aria-label="on">▶</button><button data-way="last" aria-label="last position">▶|</button></div>
<div class="told" aria-live="polite"></div>
</section><section>
<div class="graph" title="White wins, draw, Black wins: click to go there">{_graph(game)}</div>
<p class="moves">{_moves(game)}</p>
{_players(game, names)}
</section></main>
<footer class="faint">{_e(game["annotator"])}</footer>
<script type="application/json" id="plies">{_json(_plies(game))}</script>
<script>{_part("page.js")}</script>"""
    return _page(title, body)


def _page(title: str, body: str) -> str:
    script = base64.b64encode(hashlib.sha256(_part("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>{_e(title)}</title><style>{_part("page.css")}</style></head><body>
{body}
</body></html>
"""


def _index(rows: list[str]) -> str:
    head = "".join(f"<th{where}>{word}</th>" for word, where in (
        ("White", ""), ("Black", ""), ("Result", ""), ("Date", ' class="wide"'), ("Event", ' class="wide"'), ("Accuracy", ' colspan="2"'),
        ("??", ' colspan="2"')))
    return _page("Annotated games", f'<header><h1>{len(rows)} games</h1><p class="faint">Accuracy and blunders of White and Black</p></header>'
                 f'<main><div class="scroll"><table class="index"><thead><tr>{head}</tr></thead><tbody>\n{"".join(rows)}</tbody></table></div></main>')


def _row(game: dict[str, Any], link: str) -> str:
    headers = game["headers"]
    words = [("", headers.get("Result", "*")), (" wide", headers.get("Date", "")), (" wide", headers.get("Event", ""))]
    numbers = [_number(game[side]["accuracy"]) for side in ("white", "black")] + [str(game[side]["blunder"]) for side in ("white", "black")]
    players = [f'<a href="{link}">{_e(_player(headers, side))}</a>' for side in ("White", "Black")]
    return ("<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in players)
            + "".join(f'<td class="text{where}">{_e(word)}</td>' for where, word in words) + "".join(f"<td>{number}</td>" for number in numbers) + "</tr>\n")


def _players(game: dict[str, Any], names: list[str]) -> str:
    """Accuracy, in each phase too, and mistakes of both."""
    sides = [game["white"], game["black"]]
    rows = [("Accuracy", [_number(side["accuracy"]) for side in sides])]
    rows += [(phase.capitalize(), [_number(side["phases"][phase]) for side in sides]) for phase in PHASES
             if any(side["phases"][phase] is not None for side in sides)]
    rows += [(f'<span class="{word}"><b>{sign}</b></span>', [str(side[word]) for side in sides]) for word, sign in _WORDS.items()]
    if "human" in game["white"] or "human" in game["black"]:
        rows.append(("Played as people do", [f'{side["human"]:.0%}' if "human" in side else "–" for side in sides]))
    head = "".join(f"<th>{_e(name)}</th>" for name in names)
    body = "".join(f"<tr><th>{title}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for title, cells in rows)
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _moves(game: dict[str, Any]) -> str:
    """The moves with what was written about them: by the game's own annotators, whose signs go before ours."""
    parts = [f'<span class="comment">{_e(game["comment"])}</span>'] if game.get("comment") else []
    interrupted = True  # a black move then wants its number
    for move in game["moves"]:
        number, white = _place(move)
        before = f'<span class="number">{number}.{"" if white else ".."}</span>' if white or interrupted else ""
        sign = next((_SIGNS[nag] for nag in move.get("nags", ()) if nag in _SIGNS), _WORDS.get(move["judgement"], ""))
        known = "book" if move.get("book") else "tables" if move.get("tables") else ""
        about = f'class="{move["judgement"] or ""} {known}"' + (f' title="{known}"' if known else "")
        parts.append(f'<span class="move">{before}<a href="#{move["ply"]}" {about}>{_e(move["san"] + sign)}</a></span>')
        comment = [f'<span class="comment">{_e(move["comment"])}</span>'] if "comment" in move else []
        lines = [f'<span class="line">({_e(_SIGN.sub(lambda nag: _SIGNS[int(nag[1])], line))})</span>' for line in move.get("variations", ())]
        parts += [*comment, *lines]
        interrupted = bool(comment or lines)
    parts.append(f'<span class="number">{_e(game["headers"].get("Result", "*"))}</span>')
    return "\n".join(parts)


def _plies(game: dict[str, Any]) -> list[dict[str, Any]]:
    """Of every position what the script shows."""
    moves = game["moves"]
    found = []
    for i, position in enumerate([game["start"], *moves]):
        following = moves[i] if i < len(moves) else None
        told = [_heading(position), *_about(position)] if i else [f"Start position, {_value(position)}"]
        if following:
            told.append(f"Best now: {' '.join(following['best'])}")
        found.append({"board": position["fen"].split()[0], "from_to": position.get("uci"), "best": following and following["best_move"],
                      "wdl": position.get("wdl", [0, 1, 0]), "told": told})
    return found


def _heading(move: dict[str, Any]) -> str:
    number, white = _place(move)
    cost = f", {move['judgement']}: costs {move['loss']:.0%}" if move["judgement"] else ""
    return f"{number}.{'' if white else '..'} {move['san']}, {_value(move)}{cost}"


def _about(move: dict[str, Any]) -> list[str]:
    told = []
    if move["judgement"]:
        told.append(f"Better was: {' '.join(move['best'])}")
    if human := move.get("human"):
        played = "" if human["uci"] == move["uci"] else f"; the move played: {human['played']:.0%}"
        told.append(f"People: {human['san']} ({human['probability']:.0%}), costs {human['loss']:.0%}{played}")
    told.append(", ".join(filter(None, (move["phase"].capitalize(), move.get("book") and "a move of the book",
                                        move.get("tables") and f"tables: {said(move['tables'])}"))))
    return told + ([move["comment"]] if "comment" in move else [])


def _value(position: dict[str, Any]) -> str:
    (kind, number), = position["score"].items()
    return f"#{number}" if kind == "mate" else f"{number / 100:+.2f}"


def _place(move: dict[str, Any]) -> tuple[int, bool]:
    """The number of a move, and whether White made it."""
    _, turn, *_, number = move["fen"].split()
    return int(number) - (turn == "w"), turn == "b"


def _graph(game: dict[str, Any]) -> str:
    """White's wins from below, Black's from above, draws between: 100 by 100, stretched to the place that there is."""
    positions = [game["start"], *game["moves"]]
    steps = max(1, len(positions) - 1)
    xs = [f"{100 * i / steps:.2f}" for i in range(len(positions))]
    if len(positions) == 1:
        positions, xs = positions * 2, ["0", "100"]
    wdl = [position.get("wdl", [0, 1, 0]) for position in positions]
    wins = " ".join(f"{x},{100 - 100 * win:.1f}" for x, (win, _, _) in zip(xs, wdl))
    losses = " ".join(f"{x},{100 * loss:.1f}" for x, (_, _, loss) in zip(xs, wdl))
    marks = [_upright(xs[move["ply"]], move["judgement"], 88) for move in game["moves"] if move["judgement"]]
    phases = [_upright(x, "phase") for x, before, move in zip(xs[1:], game["moves"], game["moves"][1:]) if move["phase"] != before["phase"]]
    return (f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="chances of White, of a draw and of Black, move by move">'
            f'<polygon class="win" points="0,100 {wins} 100,100"/><polygon class="loss" points="0,0 {losses} 100,0"/>'
            f'<line class="half" x1="0" x2="100" y1="50" y2="50"/>{"".join(phases + marks)}<line id="now" class="now" x1="0" x2="0" y1="0" y2="100"/></svg>')


def _upright(x: str, kind: str, top: int = 0) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="100"/>'


@functools.cache
def _board() -> str:
    """An empty one of python-chess, with every piece to be put on it."""
    drawn = chess.svg.board(chess.Board("kqrbnp2/8/8/8/8/8/8/KQRBNP2"), colors={"margin": "#00000000", "coord": "#888888"})
    empty = re.sub(r"<use [^>]*>|<desc>.*?</desc>", "", drawn, flags=re.S)
    head = '<marker id="head" orient="auto" markerWidth="3" markerHeight="3" refX="1.5" refY="1.5"><path d="M0,0 V3 L3,1.5 Z" fill="#15781b"/></marker>'
    return empty.replace("<defs>", "<defs>" + head).replace("</svg>", '<g id="pieces"></g></svg>')


@functools.cache
def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """For a script element, which ends at the first "</"."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _player(headers: dict[str, str], side: str) -> str:
    elo = headers.get(f"{side}Elo", "")
    return headers.get(side, "?") + (f" ({elo})" if elo.isdecimal() else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, errors="surrogateescape")


def _e(text: str) -> str:
    return html.escape(text)
