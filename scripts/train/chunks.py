#!/usr/bin/env python3
"""Turns games of `lc0rocm selfplay` into the positions that train.py reads, in place of make_data.py and prepare.py.

Any input format of the net that played: the boards are those of the moves in the folder's manifest. The search is the teacher: its value, and
the shares of its visits, as scores that give these shares again (train with --best 0). A best move that was not played gives a child. Bound by
the Python loop over positions.
"""
import argparse
import math
import pathlib
import sys

import numpy as np

import games
import positions
from lc0rocm import _core
from lc0rocm.cluster import parts
from lc0rocm.engine.scores import centipawns
from lc0rocm.selfplay import records
from prepare import encode

PART = 1000  # games in a file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=pathlib.Path, nargs="+", help="folders of lc0rocm selfplay")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .npy files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "move_map.npy", _core.attention_policy_map())
    totals, number = np.zeros(2, int), 0
    for folder in options.games:
        told = [game for _, game in sorted(parts.finished(folder).items())]
        for first in range(0, len(told), PART):
            converted = [convert(records.read(folder / game["files"][0]), game, number + i) for i, game in enumerate(told[first:first + PART])]
            number += len(converted)
            for kind, column in (("children", 1), ("positions", 0)):  # positions last: their presence says that both are whole
                found = np.concatenate([pair[column] for pair in converted])
                partial = options.out / f".{folder.name}-{first // PART:05}.{kind}.npy"
                np.save(partial, found)
                partial.rename(options.out / partial.name[1:])
                totals[1 - column] += len(found)
            print(f"{number} games, {totals[1]:,} positions, {totals[0]:,} children", file=sys.stderr, flush=True)


def convert(chunk: np.ndarray, told: dict, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and children of one game. told: of it in the manifest."""
    game = _core.Game(told["fen"], told["opening"].split())
    found, children = np.zeros(len(chunk), positions.POSITION), np.zeros(len(chunk), positions.CHILD)
    born, moves = 0, told["moves"].split()
    for ply, (record, one) in enumerate(zip(chunk, found)):
        legal, indices = game.legal_moves(), game.policy_indices(int(record["input_format"]))
        shares = record["probabilities"][indices]
        index = dict(zip(legal, game.policy_indices(positions.INPUT_FORMAT)))
        encode(game, one)
        teach(one, float(record["root_q"]), float(record["root_d"]))
        one["score"] = np.clip(centipawns(float(record["root_q"])), -games.MATE, games.MATE)
        order = [i for i in np.argsort(-shares, kind="stable")[:positions.LISTED] if shares[i] > 0]
        one["count"] = len(order)
        one["moves"][:len(order)] = [index[legal[i]] for i in order]
        one["gaps"][:len(order)] = [games.pack_gap(gap(shares[order[0]], shares[i], int(one["score"]))) for i in order]
        bits = np.zeros(positions.MOVES, np.uint8)
        bits[list(index.values())] = 1
        one["legal"] = np.packbits(bits, bitorder="little")
        one["result"] = 1 + round(float(record["result_q"]))
        one["left"] = positions.UNKNOWN if record["invariance"] & records.ADJUDICATED else len(chunk) - ply
        if record["best_idx"] != record["played_idx"]:
            child = game.copy()
            child.push(legal[indices.index(record["best_idx"])])
            encode(child, children[born])
            teach(children[born], -float(record["best_q"]), float(record["best_d"]))
            born += 1
        if ply < len(moves):
            game.push(moves[ply])
    children = children[:born]
    found["game"] = children["game"] = number
    return found, children


def teach(record: np.void, q: float, d: float) -> None:
    """Win and loss for the side to move, in units of 0.4 %."""
    record["win"], record["loss"] = (round(250 * min(max((1 + sign * q - d) / 2, 0), 1)) for sign in (1, -1))


def gap(best: float, share: float, score: int) -> int:
    """Centipawns for which the softmax of batches.policy_target gives shares of this ratio."""
    return round(25 * (1 + min(abs(score), 1000) / 400) * math.log(best / share))


if __name__ == "__main__":
    main()
