#!/usr/bin/env python3
"""Plays training games with Stockfish and stores its verdict on every position.

Each position is searched twice: for the best move alone, then shortly for the best few with the first search's hash
table. The first search names the best move and its score, the second says how much worse the others are: a search of
several moves is a poor judge of the best. The result gives both the labels (scores of the best moves, win/draw/loss) and
the move played: mostly a good one, sometimes any legal one, so that the games wander. The run is bound by Stockfish's
speed; it can be killed at any time and goes on where it stopped when started with the same --out and --seed.
"""
import argparse
import math
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import chess
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import games
import starts

MAX_PLIES = 300
DECIDED, DECIDED_PLIES = 500, 5  # this many centipawns for this many plies end most games as won
FILE_BYTES = 1 << 17  # small: prepare.py --growing waits until a file is full
MATE_IN_SIGHT = 10000  # every score above it is a mate
INFO = re.compile(rb" multipv \d+ score (cp|mate) (-?\d+) wdl (\d+) \d+ (\d+) .*? pv (\S+)")


class Line(NamedTuple):
    move: str  # UCI text
    score: int  # centipawns, for the side to move
    wins: int  # thousandths
    losses: int


class Stockfish:
    """A Stockfish process: searches a position for its best moves and their scores."""

    def __init__(self, command: str, nodes: int, multipv_nodes: int, multipv: int, hash_mb: int) -> None:
        self.process = subprocess.Popen([command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.best = f"\nsetoption name MultiPV value 1\ngo nodes {nodes}\n"
        self.several = f"setoption name MultiPV value {multipv}\ngo nodes {multipv_nodes}\n"
        options = {"Threads": 1, "Hash": hash_mb, "UCI_ShowWDL": "true"}
        self.send("uci\n" + "".join(f"setoption name {name} value {value}\n" for name, value in options.items()))

    def send(self, text: str) -> None:
        self.process.stdin.write(text.encode())

    def read_until(self, word: bytes) -> bytes:
        text = b""
        while word not in text:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise RuntimeError("Stockfish ended; try it by hand with the command of --stockfish")
            text += data
        return text

    def new_game(self) -> None:
        self.send("ucinewgame\nisready\n")
        self.read_until(b"readyok")

    def search(self, position: str) -> list[Line]:
        """The best moves, best first; empty if there is no legal move."""
        self.send(position + self.best)
        best = parse(self.read_until(b"bestmove"))[-1:]
        self.send(self.several)
        text = self.read_until(b"bestmove")
        return merge(best, parse(text[text.rfind(b" multipv 1 "):]))


def parse(text: bytes) -> list[Line]:
    """The lines of a search, in its order."""
    found = []
    for kind, value, wins, losses, move in INFO.findall(text):
        score = int(value)
        if kind == b"mate":
            score = int(math.copysign(games.MATE - 50 * min(abs(score), 99), score))
        found.append(Line(move.decode(), score, int(wins), int(losses)))
    return found


def merge(best: list[Line], several: list[Line]) -> list[Line]:
    """The best move of the first search, then the others of the second, with the distances to the best that the second
    saw, and none above the best. Distances mean nothing where a mate is in sight."""
    if not best:
        return []
    top = best[0]
    seen = max((line.score for line in several), default=top.score)
    seen = next((line.score for line in several if line.move == top.move), seen)
    shift = top.score - seen if abs(top.score) < MATE_IN_SIGHT and abs(seen) < MATE_IN_SIGHT else 0
    others = [line._replace(score=min(top.score, line.score + shift)) for line in several if line.move != top.move]
    return [top] + sorted(others, key=lambda line: -line.score)


class Style:
    """How a game's moves are picked, drawn once per game: a temperature, how often any legal move is played, and
    whether a decided game is played to its end."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.temperature = rng.choice((1, 1, 5, 10, 20, 30))  # centipawns
        self.opening_temperature = rng.choice((20, 40, 60))  # of the first 12 plies
        self.random_share = rng.choice((0, 0, 0, 0, 0.02, 0.05))
        self.play_on = rng.random() < 0.15

    def pick(self, board: chess.Board, lines: list[Line]) -> chess.Move:
        if self.rng.random() < self.random_share:
            return self.rng.choice(list(board.legal_moves))
        temperature = max(self.temperature, self.opening_temperature) if board.ply() < 12 else self.temperature
        weights = [math.exp((line.score - lines[0].score) / temperature) for line in lines]
        return chess.Move.from_uci(self.rng.choices(lines, weights)[0].move)


def label(entry: np.void, lines: list[Line]) -> None:
    best = lines[0]
    entry["score"], entry["win"], entry["loss"] = best.score, round(best.wins / 4), round(best.losses / 4)
    for i, line in enumerate(lines[:games.BEST]):
        entry["moves"][i] = games.pack_move(chess.Move.from_uci(line.move))
        entry["gaps"][i] = games.pack_gap(best.score - line.score)


def play_game(index: int, seed: int, engine: Stockfish) -> games.Game:
    """The game with this number; the same one again for the same seed and Stockfish settings."""
    rng = random.Random(f"{seed} {index}")
    board = starts.start_board(rng)
    style = Style(rng)
    fen = board.root().fen()
    plies = np.zeros(MAX_PLIES, games.PLY)
    moves = []
    for move in board.move_stack:
        plies[len(moves)]["played"], plies[len(moves)]["score"] = games.pack_move(move), games.UNSEARCHED
        moves.append(move.uci())
    engine.new_game()
    seen: dict[object, int] = {}
    side, streak = 0, 0  # who is winning by a lot (1 White, -1 Black, 0 nobody), and for how many plies
    while len(moves) < MAX_PLIES:
        key = board._transposition_key()
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 3 or board.halfmove_clock >= 100 or board.is_insufficient_material():
            side = 0
            break
        lines = engine.search(f"position fen {fen} moves {' '.join(moves)}")
        if not lines:
            side = (-1 if board.turn else 1) if board.is_check() else 0
            break
        score = lines[0].score if board.turn else -lines[0].score
        before, side = side, (score >= DECIDED) - (score <= -DECIDED)
        streak = streak + 1 if side == before else 0
        label(plies[len(moves)], lines)
        move = style.pick(board, lines)
        plies[len(moves)]["played"] = games.pack_move(move)
        moves.append(move.uci())
        board.push(move)
        if side and streak >= DECIDED_PLIES and not style.play_on:
            break
    return games.Game(index, fen, 1 + side, plies[:len(moves)])


def work(options: argparse.Namespace, name: str, next_index, done) -> None:
    """Plays games into files of its own until it is told to stop: `next_index` hands out the numbers, `done` counts
    [games, positions, bytes]."""
    engine = Stockfish(options.stockfish, options.nodes, options.multipv_nodes, options.multipv, options.hash)
    part = 0
    while True:
        path = options.out / f"{name}-{part:04}.games"
        part += 1
        with path.open("xb", buffering=0) as file:
            while file.tell() < FILE_BYTES:
                with next_index:
                    index, next_index.value = next_index.value, next_index.value + 1
                if options.games and index >= options.games:
                    engine.send("quit\n")
                    return
                game = play_game(index, options.seed, engine)
                data = games.to_bytes(game)
                file.write(data)
                with done:
                    done[0] += 1
                    done[1] += int(np.sum(game.plies["score"] != games.UNSEARCHED))
                    done[2] += len(data)


def first_free(out: pathlib.Path) -> tuple[int, int]:
    """The next run's number and first game number: one above all that `out` holds."""
    paths = sorted(out.glob("*.games"))
    runs = [int(path.name.split("-")[1]) for path in paths]
    indices = [game.index for path in paths for game in games.read_games(path)]
    return max(runs, default=-1) + 1, max(indices, default=-1) + 1


def watch(options: argparse.Namespace, workers: list, done, first: int) -> None:
    """Shows the count until the workers have ended or the time is up. Positions, games and rate go to stderr: a bar on
    a terminal, else a line a minute."""
    console = Console(stderr=True)
    started = time.monotonic()
    total = options.games - first if options.games else None
    bar = Progress(TextColumn("games"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                   TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("", total=total, rate="")
        said = started
        while any(worker.is_alive() for worker in workers):
            time.sleep(0.5)
            now = time.monotonic()
            count, positions, size = done[:]
            rate = f"{positions:,} positions, {positions / (now - started):.0f}/s, {size / 1e6:.1f} MB"
            bar.update(task, completed=count, rate=rate)
            if not console.is_terminal and now - said >= 60:
                print(f"{count} games, {rate}", file=sys.stderr, flush=True)
                said = now
            if options.minutes and now - started >= 60 * options.minutes:
                break
            failed = [worker for worker in workers if worker.exitcode]
            if failed:
                raise SystemExit("a worker failed, see above; what is written stays good")
    print(f"{count} games, {rate}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .games files")
    parser.add_argument("--seed", type=int, default=1, help="two folders with different seeds hold different games")
    parser.add_argument("--games", type=int, default=0, help="stop when the folder holds so many; 0: go on")
    parser.add_argument("--minutes", type=float, default=0, help="stop after this time; 0: go on")
    parser.add_argument("--nodes", type=int, default=4000, help="size of the search for the best move")
    parser.add_argument("--multipv-nodes", type=int, default=500, help="size of the search for the best few moves")
    parser.add_argument("--multipv", type=int, default=games.BEST, choices=range(1, games.BEST + 1),
                        help="moves that get a score")
    parser.add_argument("--hash", type=int, default=16, help="Stockfish's hash table in MB")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes; default: all cores")
    parser.add_argument("--stockfish", default=shutil.which("stockfish", path=f"{os.environ['PATH']}:/usr/games"),
                        help="the program; default: the one installed")
    options = parser.parse_args()
    if not options.stockfish:
        parser.error("no stockfish found: install it (Debian: apt-get install stockfish) or name it with --stockfish")
    options.out.mkdir(parents=True, exist_ok=True)
    run, first = first_free(options.out)
    next_index, done = multiprocessing.Value("L", first), multiprocessing.Array("Q", 3)
    workers = [multiprocessing.Process(target=work, args=(options, f"s{options.seed}-{run:03}-{i:03}", next_index, done))
               for i in range(options.workers)]
    for worker in workers:
        worker.start()
    try:
        watch(options, workers, done, first)
    except KeyboardInterrupt:
        pass
    finally:
        for worker in workers:
            worker.terminate()


if __name__ == "__main__":
    main()
