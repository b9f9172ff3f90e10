#!/usr/bin/env python3
"""How strong lc0rocm plays with UCI_LimitStrength, by games against Stockfish's levels of UCI_Elo.

    calibrate_strength.py match FOLDER 1320 1500 ...                UCI_Elo against the same level of Stockfish, by lc0rocm match: FOLDER/1320.pgn ...
    calibrate_strength.py ways out.jsonl policy=0.8 nodes=64 ...    how the curve of lc0rocm/strength.py was found: the policy drawn at a
                                                                    temperature, or a search of so many nodes; Stockfish's level follows
    calibrate_strength.py table FILE ... [--plot strength.svg]      the rating of each, on Stockfish's scale, with its standard error; the picture is
                                                                    of the matches' levels

Both may be stopped at any time and go on where they were. Colours alternate; all games begin at the start position and need no book, since both sides
draw their moves."""
import argparse
import collections
import concurrent.futures
import json
import math
import multiprocessing
import pathlib
import shlex
import subprocess
import sys

import chess
import chess.pgn

import lc0rocm
from lc0rocm import strength
from lc0rocm.engine.request import Position, Request
from lc0rocm.games import play
from lc0rocm.games.limit import Limit
from lc0rocm.games.player import Found, Player
from lc0rocm.games.verdict import ADJUDICATION, Adjudication, Judge
from lc0rocm.match.elo import expected
from lc0rocm.match.foreign import Foreign
from lc0rocm.match.record import POINTS

MOST_PLIES = 400
LEVELS = (1350, 2850)  # of Stockfish 15.1
OURS = "UCI_Elo "  # and the level: our side's name in a match


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    match = commands.add_parser("match")
    match.add_argument("folder", type=pathlib.Path)
    match.add_argument("levels", type=int, nargs="+")
    match.add_argument("--stockfish-limit", default="movetime=100", help="of a move of Stockfish's (movetime=100)")
    match.add_argument("--more", default="", help="flags of lc0rocm match, like '--concurrency=8 --backend=rocm-fp16'")
    ways = commands.add_parser("ways")
    ways.add_argument("out", type=pathlib.Path)
    ways.add_argument("ways", nargs="+")
    ways.add_argument("--net", default="", help="the package's if empty")
    ways.add_argument("--processes", type=int, default=1)
    ways.add_argument("--movetime", type=int, default=100, help="milliseconds of Stockfish (100)")
    ways.add_argument("--backend", default="cpu")
    ways.add_argument("--backend-options", default="")
    for command in (match, ways):
        command.add_argument("--games", type=int, default=100, help="of each (100)")
        command.add_argument("--stockfish", default="/usr/games/stockfish")
    table = commands.add_parser("table")
    table.add_argument("files", type=pathlib.Path, nargs="+")
    table.add_argument("--plot", help="a picture of UCI_Elo against what was found")
    options = parser.parse_args()
    if options.what == "table":
        found = ratings([game for file in options.files for game in read(file)])
        for name, (rating, error, games) in found.items():
            print(f"{name:24} {rating:7.0f} +- {error:3.0f}   {games} games")
        if options.plot:
            draw(found, options.plot)
    elif options.what == "match":
        for level in options.levels:
            play_level(level, options)
    else:
        net = pathlib.Path(options.net).name.split(".")[0]
        names = [f"{net} {way}".strip() for way in options.ways]
        done = read(options.out) if options.out.exists() else []
        parts = [name for i in range(0, options.games, 10) for name in names if i + sum(game["name"] == name for game in done) < options.games]
        with concurrent.futures.ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
            for part in concurrent.futures.as_completed([pool.submit(ten_games, name, options) for name in parts]):
                part.result()


def read(file: pathlib.Path) -> list[dict]:
    """Games of `match` or of `ways`."""
    if file.suffix != ".pgn":
        return list(map(json.loads, file.read_text().splitlines()))
    games = []
    with open(file) as text:
        while headers := chess.pgn.read_headers(text):
            is_white = headers["White"].startswith(OURS)
            ours, level = headers["White" if is_white else "Black"], headers["Black" if is_white else "White"].split()[-1]
            points = POINTS[headers["Result"]]
            games.append({"name": ours, "level": int(level), "points": points if is_white else 1 - points})
    return games


# games ---------------------------------------------------------------------------------------------------------------

def play_level(level: int, options: argparse.Namespace) -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    start = options.folder / "start.epd"
    start.write_text(chess.STARTING_BOARD_FEN + " w KQkq -\n")
    theirs = min(max(level, LEVELS[0]), LEVELS[1])
    subprocess.run([sys.executable, "-P", "-m", "lc0rocm", "match", "", options.stockfish, f"--output={options.folder / str(level)}.pgn",
                    f"--games={options.games}", f"--openings={start}", f"--max-moves={MOST_PLIES // 2}", "--margin=100000", "--first-limit=nodes=1000000",
                    f"--second-limit={options.stockfish_limit}", f"--first-name={OURS}{level}", f"--second-name=Stockfish {theirs}",
                    f"--first-options=UCI_LimitStrength=true UCI_Elo={level}", f"--second-options=UCI_LimitStrength=true UCI_Elo={theirs} Hash=16",
                    *shlex.split(options.more)], check=True)


def ten_games(name: str, options: argparse.Namespace) -> None:
    kind, value = name.split()[-1].split("=")
    games: list[dict] = []
    ours = Way(kind, float(value), options)
    try:
        for i in range(10):
            level = round(ratings(games)[name][0]) if games else 1850
            games.append(game(name, ours, min(max(level, LEVELS[0]), LEVELS[1]), i % 2, options))
            with open(options.out, "a") as out:
                out.write(json.dumps(games[-1]) + "\n")  # in one piece: others write too
    finally:
        ours.close()


class Way:
    """A player by the policy drawn at a temperature, or by a search of so many nodes."""

    def __init__(self, kind: str, value: float, options: argparse.Namespace):
        self.name, self._kind, self._value = kind, kind, value
        self._network = lc0rocm.Network(options.net or None, backend=options.backend, backend_options=options.backend_options)
        self._engine = lc0rocm.Engine(self._network, strength.OF_A_SEARCH)

    def new_game(self, chess960: bool) -> None:
        self._engine.new_game()

    def find(self, position: Position, request: Request) -> Found:
        board = chess.Board(position.fen)
        for word in position.moves:
            board.push(board.parse_uci(word))
        if self._kind == "policy":
            policy = self._network.policy(board)
            move = strength.draw({move: math.log(share) for move, share in policy.items() if share}, self._value)
        else:
            best = self._engine.search(board, nodes=int(self._value)).best_move
            assert best, "the game goes on"
            move = best
        return Found(board.uci(move, chess960=True))

    def close(self) -> None:
        self._engine.stop()


def game(name: str, ours: Player, level: int, side: int, options: argparse.Namespace) -> dict:
    """side: ours; 0 White."""
    stockfish = Foreign([options.stockfish], {"UCI_LimitStrength": "true", "UCI_Elo": str(level), "Hash": "16"})
    players, limits = [stockfish, stockfish], [Limit(movetime_ms=options.movetime)] * 2
    players[side], limits[side] = ours, Limit(nodes=1000000)
    try:
        over = play.play(play.Start(), players, limits, Judge(Adjudication(most_moves=MOST_PLIES // 2)), margin_ms=math.inf)
    finally:
        stockfish.close()
    if over.ending not in ("", ADJUDICATION):
        raise SystemExit(f"a game was lost beside the board: {over.reason}")
    points = POINTS[over.result]
    return {"name": name, "level": level, "white": side == 0, "points": 1 - points if side else points, "plies": len(over.moves),
            "moves": " ".join(move.found.move for move in over.moves)}


# ratings -------------------------------------------------------------------------------------------------------------

def ratings(games: list[dict]) -> dict[str, tuple[float, float, int]]:
    """Of each name the rating that makes its points likeliest, with the levels' own ratings (a normal prior of 1850 +- 700 keeps it finite), the
    standard error by the curvature there, and the number of games."""
    by_name = collections.defaultdict(list)
    for one in games:
        by_name[one["name"]].append((one["level"], one["points"]))
    found, scale = {}, math.log(10) / 400
    for name, results in by_name.items():
        rating, curvature = 1850.0, 1.0
        for _ in range(50):  # Newton's method on a concave function
            shares = [expected(rating - level) for level, _ in results]
            slope = scale * sum(points - share for (_, points), share in zip(results, shares)) - (rating - 1850) / 700**2
            curvature = scale**2 * sum(share * (1 - share) for share in shares) + 1 / 700**2
            rating += max(-200, min(200, slope / curvature))
        found[name] = rating, curvature**-0.5, len(results)
    return found


def draw(found: dict[str, tuple[float, float, int]], goal: str) -> None:
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    rows = [(int(name.removeprefix(OURS)), rating, error) for name, (rating, error, _) in found.items() if name.startswith(OURS)]
    for elo, rating, error in rows:
        drawn = strength.of({"UCI_LimitStrength": True, "UCI_Elo": elo})
        assert drawn
        axes.errorbar(elo, rating, error, fmt="o", color="C1" if drawn.temperature is None else "C0", capsize=3)
    axes.plot([strength.LOWEST, strength.HIGHEST], [strength.LOWEST, strength.HIGHEST], color="0.5", linewidth=1)
    axes.plot([], [], "o", color="C0", label="drawn from the policy")
    axes.plot([], [], "o", color="C1", label="searches")
    axes.set(xlabel="UCI_Elo", ylabel="rating on Stockfish's scale, standard error")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(goal)


if __name__ == "__main__":
    main()
