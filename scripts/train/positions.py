"""Training positions as `prepare.py` writes them and everything else reads them: NumPy records in .npy files.

The net's input is format 4 (canonical, hectoplies). Of its 112 planes the net is taught only those that say something about
the position itself; the seven earlier boards stay empty, so that it cannot recognise a game by its last moves, and needs no
history to play well. The canonical format also replaces augmentation: mirror images are one position already.
"""
import pathlib

import numpy as np

INPUT_FORMAT = 4
PLANES = (*range(13), 104, 105, 108)  # men and repetition, castling rooks, en passant; 109 is rule50 / 100
MOVES = 1858
LISTED = 6  # moves with a target share, at most
UNKNOWN = 65535  # plies left in a game that was broken off
HELD_OUT = 64  # one game in so many is kept from training

POSITION = np.dtype([
    ("masks", "<u8", len(PLANES)),
    ("rule50", "u1"),
    ("win", "u1"), ("loss", "u1"),  # the teacher's, for the side to move, in units of 0.4 %
    ("result", "u1"),  # for the side to move: 0 lost, 1 drawn, 2 won
    ("left", "<u2"),  # plies to the end of the game, or UNKNOWN
    ("score", "<i2"),  # centipawns
    ("game", "<u4"),
    ("count", "u1"),  # listed moves
    ("moves", "<u2", LISTED),  # policy indices, best first
    ("gaps", "u1", LISTED),  # see games.unpack_gap
    ("legal", "u1", (MOVES + 7) // 8),  # bit i (little) = policy index i
])
# The position after a listed move that was not played: no policy, but the value the search gave the move.
CHILD = np.dtype([("masks", "<u8", len(PLANES)), ("rule50", "u1"), ("win", "u1"), ("loss", "u1"), ("game", "<u4")])


def parts(folder: pathlib.Path) -> list[str]:
    """Names of the parts that prepare.py has finished, in a fixed order."""
    return sorted(path.name.split(".")[0] for path in folder.glob("[!.]*.positions.npy"))


def load(folder: pathlib.Path, kind: str, names: list[str] | None = None) -> np.ndarray:
    """All records of a kind, "positions" or "children", in a fixed order, of the named parts or of all, of which there must be one."""
    if names is None and not (names := parts(folder)):
        raise SystemExit(f"no *.{kind}.npy in {folder}: run prepare.py first")
    paths = [folder / f"{name}.{kind}.npy" for name in names]
    return np.concatenate([np.zeros(0, {"positions": POSITION, "children": CHILD}[kind])] + [np.load(path) for path in paths])


def is_held_out(records: np.ndarray) -> np.ndarray:
    return records["game"] % HELD_OUT == 0


def keys(records: np.ndarray) -> np.ndarray:
    """A 64-bit hash per position, of the planes without rule50 and repetition."""
    masks = np.delete(records["masks"], 12, axis=1)
    factors = np.random.default_rng(0).integers(1, 1 << 63, masks.shape[1], np.uint64) * 2 + 1
    mixed = masks * factors
    return ((mixed ^ (mixed >> np.uint64(29))) * factors[::-1]).sum(axis=1, dtype=np.uint64)


def input_planes(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks (n, 112) uint64 and values (n, 112) float32, as back ends take them."""
    masks = np.zeros((len(records), 112), np.uint64)
    values = np.ones((len(records), 112), np.float32)
    masks[:, PLANES] = records["masks"]
    masks[:, [109, 111]] = ~np.uint64(0)
    values[:, 109] = records["rule50"] / np.float32(100)
    return masks, values


def legal_moves(records: np.ndarray) -> np.ndarray:
    """(n, 1858) bool."""
    return np.unpackbits(records["legal"], axis=1, count=MOVES, bitorder="little").astype(bool)
