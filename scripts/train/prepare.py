#!/usr/bin/env python3
"""Turns games into the positions that train.py reads: input planes, legal moves and targets, with the package's own encoder.

Each megabyte of games gives one NAME.positions.npy and one NAME.children.npy; parts that are done are skipped. While the
games still grow, --growing takes the full files alone. Bound by the Python loop over moves, on all cores.
"""
import argparse
import math
import multiprocessing
import os
import pathlib
import sys

import numpy as np

import games
import positions
from lc0rocm import _core

CASTLING = {"e1g1": "e1h1", "e1c1": "e1a1", "e8g8": "e8h8", "e8c8": "e8a8"}  # as the core names it
DRAWN_PLIES = 100
PLY_STEP, STEPS = 8, 40  # the teacher's win rate is a logistic curve of the score; its two numbers vary with the ply
PART_BYTES = 1 << 20


class WinRate:
    """Win share of a score at a game ply, read off the teacher's own pairs of both: logit(win) = slope * score + shift."""

    def __init__(self, paths: list[pathlib.Path]) -> None:
        plies, scores, wins = [], [], []
        for path in paths:
            for game in games.read_games(path):
                use = (game.plies["win"] > 5) & (game.plies["win"] < 245) & (abs(game.plies["score"]) < 2000)
                first = _core.Game(game.fen).ply
                plies.append(first + np.flatnonzero(use))
                scores.append(game.plies["score"][use])
                wins.append(game.plies["win"][use] / 250)
        steps = np.minimum(np.concatenate(plies) // PLY_STEP, STEPS - 1)
        scores, wins = np.concatenate(scores), np.concatenate(wins)
        logits = np.log(wins / (1 - wins))
        lines = {int(step): np.polyfit(scores[steps == step], logits[steps == step], 1).tolist()
                 for step in np.unique(steps) if np.unique(scores[steps == step]).size >= 20}
        if not lines:
            raise SystemExit("too few games to see how the teacher's scores and win rates belong together: make more data")
        self.lines = [lines[min(lines, key=lambda known: abs(known - step))] for step in range(STEPS)]

    def __call__(self, score: float, ply: int) -> float:
        slope, shift = self.lines[min(ply // PLY_STEP, STEPS - 1)]
        return 1 / (1 + math.exp(-min(30, max(-30, slope * score + shift))))


def encode(game: _core.Game, record: np.void) -> None:
    masks, values = game.planes(positions.INPUT_FORMAT, "no")
    record["masks"] = masks[list(positions.PLANES)]
    record["rule50"] = round(float(values[109]) * 100)


def finished(game: _core.Game) -> bool:
    return (not game.legal_moves() or game.rule50 >= DRAWN_PLIES or game.repetitions >= 2 or game.insufficient_material)


def convert_game(source: games.Game, win_rate: WinRate, child_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The records of one game: of its searched positions, and of at most `child_count` children of each."""
    game = _core.Game(source.fen)
    found = np.zeros(len(source.plies), positions.POSITION)
    children = np.zeros(len(source.plies) * child_count, positions.CHILD)
    searched, born = 0, 0
    for number, ply in enumerate(source.plies):
        if ply["score"] != games.UNSEARCHED:
            record = found[searched]
            searched += 1
            encode(game, record)
            indices = dict(zip(game.legal_moves(), game.policy_indices(positions.INPUT_FORMAT)))
            names = [games.move_name(int(code)) for code in ply["moves"] if code]
            names = [name if name in indices else CASTLING[name] for name in names]
            record["count"] = len(names)
            record["moves"][:len(names)] = [indices[name] for name in names]
            bits = np.zeros(positions.MOVES, np.uint8)
            bits[list(indices.values())] = 1
            record["legal"] = np.packbits(bits, bitorder="little")
            for field in ("win", "loss", "score", "gaps"):
                record[field] = ply[field]
            record["result"] = 2 - source.result if game.black_to_move else source.result
            record["left"] = len(source.plies) - number
            fen = game.fen() if child_count else ""
            for i in range(1, min(len(names), child_count + 1)):
                score = int(ply["score"]) - float(games.unpack_gap(ply["gaps"][i]))
                if ply["gaps"][i] == 255 or ply["moves"][i] == ply["played"] or score > games.MATE - 100:
                    continue  # of unknown value; the next position anyway; mate at once
                child = children[born]
                born += 1
                encode(_core.Game(fen, [names[i]]), child)
                child["win"] = round(250 * win_rate(-score, game.ply))
                child["loss"] = round(250 * win_rate(score, game.ply))
        game.push(games.move_name(int(ply["played"])))
    found, children = found[:searched], children[:born]
    if not finished(game):
        found["left"] = positions.UNKNOWN
    found["game"] = children["game"] = source.index
    return found, children


def convert_part(job: tuple[pathlib.Path, int, pathlib.Path, WinRate, int]) -> tuple[int, int]:
    """Writes the two .npy files of one part of a .games file; how many positions and children they hold."""
    path, part, out, win_rate, child_count = job
    source = games.read_games(path)[part::part_count(path)]
    converted = [convert_game(game, win_rate, child_count) for game in source]
    counts = []
    for kind, column, empty in (("children", 1, positions.CHILD), ("positions", 0, positions.POSITION)):
        records = np.concatenate([np.zeros(0, empty)] + [pair[column] for pair in converted])
        target = target_path(out, path, part, kind)
        partial = target.with_name("." + target.name)
        np.save(partial, records)
        partial.rename(target)  # positions last: their presence says that both are whole
        counts.append(len(records))
    return counts[1], counts[0]


def part_count(path: pathlib.Path) -> int:
    return -(-path.stat().st_size // PART_BYTES)


def full_files(paths: list[pathlib.Path]) -> list[pathlib.Path]:
    """Without the one that each process of make_data.py writes to: the last of its row."""
    def row(path: pathlib.Path) -> tuple[pathlib.Path, str]:
        return path.parent, path.stem.rpartition("-")[0]
    return [path for path, following in zip(paths, paths[1:]) if row(path) == row(following)]


def target_path(out: pathlib.Path, path: pathlib.Path, part: int, kind: str) -> pathlib.Path:
    return out / f"{path.stem}-{part:02}.{kind}.npy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=pathlib.Path, nargs="+", help="folders with .games files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .npy files")
    parser.add_argument("--children", type=int, default=5, help="moves not played per position whose outcome is used too")
    parser.add_argument("--growing", action="store_true", help="leave out the files that make_data.py still writes to")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    paths = sorted(path for folder in options.games for path in folder.glob("*.games"))
    if options.growing:
        paths = full_files(paths)
    if not paths:
        parser.error(f"no games to take in {', '.join(map(str, options.games))}: make_data.py writes them")
    todo = [(path, part) for path in paths for part in range(part_count(path))
            if not target_path(options.out, path, part, "positions").exists()]
    np.save(options.out / "move_map.npy", _core.attention_policy_map())  # so that training needs NumPy and PyTorch alone
    win_rate = WinRate(paths[:32])
    totals = np.zeros(2, int)
    with multiprocessing.Pool(options.workers) as pool:
        jobs = [(path, part, options.out, win_rate, options.children) for path, part in todo]
        for done, counts in enumerate(pool.imap_unordered(convert_part, jobs), 1):
            totals += counts
            print(f"{done}/{len(todo)} parts, {totals[0]:,} positions, {totals[1]:,} children", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
