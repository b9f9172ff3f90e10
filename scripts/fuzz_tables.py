#!/usr/bin/env python3
"""Damages Syzygy files at random and probes them: each must give values or count as missing, with one sentence, and never crash.

    scripts/fuzz_tables.py FOLDER --count 20000 --seed 1

FOLDER has real tables. A damage is a changed byte (half of them in the first 256), a run of random bytes, a file cut off, or zeros to its
end. The damaged file replaces the real one, and positions of its ending are probed for both sides to move.
"""
import argparse
import pathlib
import random
import re
import tempfile

import chess

from lc0rocm import _core


def damaged(data, dice):
    data = bytearray(data)
    place = dice.randrange(min(len(data), 256) if dice.random() < 0.5 else len(data))
    kind = dice.random()
    if kind < 0.7:
        data[place] = dice.randrange(256) if dice.random() < 0.5 else data[place] ^ 1 << dice.randrange(8)
    elif kind < 0.8:
        data[place:place + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(1, 64))
    elif kind < 0.9:
        del data[place // 64 * 64 + 16:]
    else:
        data[place:] = bytes(len(data) - place)
    return bytes(data)


def position(ending, dice):
    """A legal position with the men of a name such as KRPvKB."""
    while True:
        board = chess.Board(None)
        white, black = ending.split("v")
        if dice.random() < 0.5:
            white, black = black, white
        for piece, square in zip(white + black.lower(), dice.sample(range(64), len(white + black))):
            board.set_piece_at(square, chess.Piece.from_symbol(piece))
        board.turn = dice.random() < 0.5
        if board.is_valid():
            return board


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    files = sorted(path for path in options.folder.iterdir() if re.fullmatch(r"K\w*vK\w*\.rtb[wz]", path.name))
    refused = known = 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.count):
            path = dice.choice(files)
            copy = pathlib.Path(folder) / path.name
            copy.write_bytes(damaged(path.read_bytes(), dice))
            tables = _core.Tables([folder, str(options.folder)])
            for _ in range(4):
                fen = position(path.stem, dice).fen()
                known += tables.wdl(fen) is not None
                known += tables.dtz(fen) is not None
                tables.rank_root(fen)
            problems = tables.take_problems()
            if len(problems) > 1:
                raise SystemExit(f"a damaged {path.name} is complained of more than once: {problems}")
            refused += len(problems)
            copy.unlink()
    print(f"{options.count} damages: {refused} files refused, {known} values given")


if __name__ == "__main__":
    main()
