"""The file format of training games: whole games with the teacher's verdict on every position.

A file is a row of games; a game is a header, its start FEN and one fixed-size entry per move (24 bytes), so that NumPy
reads a game without a loop and a file cut off in the middle of a game loses that game alone. Games are written with one
`write` each, append-only. Everything is seen from the side to move of its position.
"""
import pathlib
from dataclasses import dataclass

import numpy as np

BEST = 6  # moves with a score per position, at most
UNSEARCHED = -32768  # score of a position the teacher did not look at
MATE = 20000  # score of a mate in n: MATE - 50 * n, so that a longer mate is a worse one
MAGIC = 0x31677A6C

HEADER = np.dtype([
    ("magic", "<u4"),
    ("index", "<u4"),  # the game's number: with the seed it gives the game again
    ("plies", "<u2"),
    ("result", "u1"),  # for White: 0 lost, 1 drawn, 2 won
    ("fen_bytes", "u1"),
])
PLY = np.dtype([
    ("played", "<u2"),
    ("score", "<i2"),  # of the best move, centipawns
    ("win", "u1"),  # of the best move, in units of 0.4 %
    ("loss", "u1"),
    ("moves", "<u2", BEST),  # best first; 0 ends the list
    ("gaps", "u1", BEST),  # how much worse than the best move, see pack_gap
])


@dataclass
class Game:
    index: int
    fen: str
    result: int
    plies: np.ndarray  # (moves,) of PLY


def pack_move(move) -> int:
    """Of a chess.Move: from + 64 * to + 4096 * promotion piece (0, or 2 knight .. 5 queen); castling as two king steps."""
    return move.from_square + 64 * move.to_square + 4096 * (move.promotion or 0)


def move_name(code: int) -> str:
    """UCI text of a packed move."""
    return _SQUARES[code & 63] + _SQUARES[code >> 6 & 63] + _PROMOTIONS[code >> 12]


_SQUARES = [file + rank for rank in "12345678" for file in "abcdefgh"]
_PROMOTIONS = ("", "", "n", "b", "r", "q")


def pack_gap(centipawns: int) -> int:
    """A byte on a logarithmic scale: exact up to 30 centipawns, steps of 10 at 500, everything from 1640 on is 255."""
    return min(255, round(40 * float(np.log2(1 + centipawns / 20))))


def unpack_gap(codes: np.ndarray) -> np.ndarray:
    """Centipawns as float32; the inverse of pack_gap."""
    return 20 * (np.exp2(np.asarray(codes, np.float32) / 40) - 1)


def to_bytes(game: Game) -> bytes:
    fen = game.fen.encode()
    header = np.array((MAGIC, game.index, len(game.plies), game.result, len(fen)), HEADER)
    return header.tobytes() + fen + game.plies.tobytes()


def read_games(path: pathlib.Path) -> list[Game]:
    """The whole games of a file; a cut-off last one is left out. Raises ValueError for a file that is none of ours."""
    data = path.read_bytes()
    games, at = [], 0
    while at + HEADER.itemsize <= len(data):
        header = np.frombuffer(data, HEADER, 1, at)[0]
        if header["magic"] != MAGIC:
            raise ValueError(f"{path}: no game at byte {at}; delete the file or cut it there")
        fen_at = at + HEADER.itemsize
        plies_at = fen_at + int(header["fen_bytes"])
        end = plies_at + int(header["plies"]) * PLY.itemsize
        if end > len(data):
            break
        plies = np.frombuffer(data, PLY, int(header["plies"]), plies_at)
        games.append(Game(int(header["index"]), data[fen_at:plies_at].decode(), int(header["result"]), plies))
        at = end
    return games
