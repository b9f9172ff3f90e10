#!/usr/bin/env python3
"""How strong lc0rocm plays with UCI_LimitStrength, by games against Stockfish's levels of UCI_Elo.

    calibrate_strength.py play out.jsonl --elo 1400 1600 ...          UCI_Elo against the same level of Stockfish, through UCI
    calibrate_strength.py play out.jsonl --ways policy=0.8 nodes=64   how the curve of lc0rocm/strength.py was found: the policy drawn at a
                                                                      temperature, or a search of so many nodes; Stockfish's level follows
    calibrate_strength.py table out.jsonl ... [--plot strength.svg]   the rating of each, on Stockfish's scale, with its standard error

Each game is a JSON line of out.jsonl, so that it may be stopped at any time and goes on where it was. Colours alternate; openings need no
book, since both sides draw their moves."""
import argparse
import collections
import concurrent.futures
import contextlib
import json
import math
import multiprocessing
import pathlib
import shlex

import chess

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    play = commands.add_parser("play")
    play.add_argument("out", type=pathlib.Path)
    play.add_argument("--elo", type=int, nargs="*", default=[])
    play.add_argument("--ways", nargs="*", default=[])
    play.add_argument("--net", default="", help="of the ways; the package's if empty")
    play.add_argument("--games", type=int, default=100, help="of each (100)")
    play.add_argument("--processes", type=int, default=1)
    play.add_argument("--movetime", type=int, default=100, help="milliseconds of Stockfish (100)")
    play.add_argument("--stockfish", default="/usr/games/stockfish")
    play.add_argument("--engine", default="lc0rocm", help="command line of ours, for --elo")
    play.add_argument("--backend", default="cpu", help="of the ways")
    play.add_argument("--backend-options", default="")
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
        return
    net = pathlib.Path(options.net).name.split(".")[0]
    names = [f"UCI_Elo {elo}" for elo in options.elo] + [f"{net} {way}".strip() for way in options.ways]
    done = read(options.out) if options.out.exists() else []
    parts = [name for i in range(0, options.games, 10) for name in names if i + sum(game["name"] == name for game in done) < options.games]
    with concurrent.futures.ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        for part in concurrent.futures.as_completed([pool.submit(ten_games, name, options) for name in parts]):
            part.result()


def read(file: pathlib.Path) -> list[dict]:
    return list(map(json.loads, file.read_text().splitlines()))


# games ---------------------------------------------------------------------------------------------------------------

def ten_games(name: str, options: argparse.Namespace) -> None:
    kind, value = name.split()[-2:] if name.startswith("UCI_Elo") else name.split()[-1].split("=")
    games: list[dict] = []
    with contextlib.ExitStack() as stack:
        if kind == "UCI_Elo":
            ours: Player = Foreign(shlex.split(options.engine), {"UCI_LimitStrength": "true", "UCI_Elo": value})
        else:
            ours = Way(kind, float(value), options)
        stack.callback(ours.close)
        for i in range(10):
            level = int(value) if kind == "UCI_Elo" else round(ratings(games)[name][0]) if games else 1850
            games.append(game(name, ours, min(max(level, LEVELS[0]), LEVELS[1]), i % 2, options))
            with open(options.out, "a") as out:
                out.write(json.dumps(games[-1]) + "\n")  # in one piece: others write too


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
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    policy, search = figure.subplots(1, 2, sharey=True)
    for name, (rating, error, _) in found.items():
        way, _, value = name.split()[-1].rpartition("=")
        axes = {"policy": policy, "nodes": search}.get(way)
        if axes:
            people = name.startswith("maia")
            axes.errorbar(float(value), rating, error, fmt="s" if people else "o", color=f"C{1 + ('1900' in name)}" if people else "C0", capsize=3)
            axes.annotate(name.split()[0] if people else "", (float(value), rating), xytext=(6, -3), textcoords="offset points", fontsize=7)
    elos = range(strength.LOWEST, strength.HIGHEST + 1, 10)
    ways = [strength.of({"UCI_LimitStrength": True, "UCI_Elo": elo}) for elo in elos]
    policy.plot(*zip(*[(one.temperature, elo) for elo, one in zip(elos, ways) if one.temperature]), color="C0", alpha=0.5)
    search.plot(*zip(*[(one.nodes, elo) for elo, one in zip(elos, ways) if not one.temperature]), color="C0", alpha=0.5)
    policy.set(xlabel="temperature of a draw from the policy", ylabel="rating on Stockfish's scale", title="up to 1850")
    search.set(xlabel="nodes of a search", xscale="log", title="beyond 1850")
    for axes in (policy, search):
        axes.grid(alpha=0.3)
    figure.savefig(goal)


if __name__ == "__main__":
    main()
