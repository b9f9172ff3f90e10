"""Training records as Lc0 writes them, version 6: docs/spec/training_data.md. A game is one gzip file of them."""
from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lc0rocm import _core
from lc0rocm._core import Error

VERSION = 6
MOVES = 1858
_CLASSICAL, _CANONICAL, _MIRRORS = 1, 3, 7
PROVEN, TOO_LONG, ADJUDICATED, BLACK = 1 << 3, 1 << 4, 1 << 5, 1 << 7  # bits of invariance; the lowest three are the transform

RECORD = np.dtype([
    ("version", "<u4"), ("input_format", "<u4"),
    ("probabilities", "<f4", MOVES),  # of visits; -1 for what is no legal move
    ("planes", "u1", (104, 8)),  # a byte a rank, the first file its highest bit
    ("castling", "u1", 4),  # our a-side, our h-side, theirs
    ("side_or_enpassant", "u1"), ("rule50", "u1"), ("invariance", "u1"), ("zero", "u1"),
    ("root_q", "<f4"), ("best_q", "<f4"), ("root_d", "<f4"), ("best_d", "<f4"), ("root_m", "<f4"), ("best_m", "<f4"),
    ("plies_left", "<f4"), ("result_q", "<f4"), ("result_d", "<f4"),
    ("played_q", "<f4"), ("played_d", "<f4"), ("played_m", "<f4"),
    ("orig_q", "<f4"), ("orig_d", "<f4"), ("orig_m", "<f4"),
    ("visits", "<u4"), ("played_idx", "<u2"), ("best_idx", "<u2"), ("policy_kld", "<f4"), ("q_st", "<f4"),
])
assert RECORD.itemsize == 8356


def record(game: _core.Game, backend: _core.Backend, history_fill: str, stats: Sequence["_core.MoveStats"], played: str) -> NDArray[np.void]:
    """Of a position that has been searched, (1,); the game's end is not in it yet. stats: move_stats() of the search. The network is asked once
    more, for the search may have put noise into its answer."""
    form = backend.info["input_format"]
    masks, values = game.planes(form, history_fill)
    logits, *own = (part[0] for part in backend.evaluate(masks[None], values[None]))
    *moves, root = stats
    index = dict(zip(game.legal_moves(), game.policy_indices(form)))
    seen = {move["move"]: move for move in moves}
    best = max(moves, key=_rank)
    transform, black = game.transform(form), game.black_to_move

    made = np.zeros(1, RECORD)
    made["version"], made["input_format"] = VERSION, form
    visits = np.array([seen[move]["visits"] for move in index], float)
    shares = visits / visits.sum() if visits.any() else np.ones(len(visits))
    made["probabilities"] = -1
    made["probabilities"][0, list(index.values())] = shares
    bits = np.unpackbits(masks[:104].astype("<u8").view(np.uint8), bitorder="little")
    made["planes"] = np.packbits(bits).reshape(104, 8)
    if form == _CLASSICAL:
        made["castling"] = masks[104:108] != 0
    else:
        ours_and_theirs = masks[104:106].astype("<u8").view(np.uint8).reshape(2, 8)[:, [0, 7]]  # the rooks, a-side and h-side, by rank
        made["castling"] = ours_and_theirs.T.ravel()
    made["side_or_enpassant"] = int(masks[108]) >> 56 if form >= _CANONICAL else black
    made["rule50"] = min(game.rule50, 255)
    if form >= _CANONICAL:
        made["invariance"] = transform | (BLACK if black else 0)
    made["invariance"] |= PROVEN if best["flag"] == "T" else 0
    for name, found in (("root", root), ("best", best), ("played", seen[played])):
        made[f"{name}_q"], made[f"{name}_d"], made[f"{name}_m"] = _value(found if found["wl"] is not None else root)
    made["orig_q"], made["orig_d"], made["orig_m"] = own
    made["visits"] = root["visits"]
    made["played_idx"], made["best_idx"] = index[played], index[best["move"]]
    made["policy_kld"] = _divergence(shares, logits[list(index.values())])
    return made


def finish(records: Sequence[NDArray[np.void]], white: int, too_long: bool = False, adjudicated: bool = False) -> NDArray[np.void]:
    """Those of a game that is over, (n,), oldest first. white: 1 if White has won, -1 if Black has, else 0; records: one for every move."""
    game = np.concatenate(records)
    for number, black in enumerate(_black(game)):
        game["result_q"][number] = -white if black else white
        game["plies_left"][number] = game["best_m"][-1] + len(game) - 1 - number
    game["result_d"] = white == 0
    game["invariance"] |= (TOO_LONG if too_long else 0) | (ADJUDICATED if adjudicated else 0)
    return game


def pack(records: NDArray[np.void]) -> bytes:
    """The file. The same records are the same bytes."""
    return gzip.compress(records.tobytes(), mtime=0)


def read(path: str | os.PathLike[str]) -> NDArray[np.void]:
    """The records of a file, (n,) of RECORD. Raises Error for what is none."""
    try:
        with gzip.open(path) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise Error(f"{os.fspath(path)}: cannot be read: {error}") from None
    if len(data) % RECORD.itemsize or not data:
        raise Error(f"{os.fspath(path)}: {len(data)} bytes are no training records of {RECORD.itemsize} bytes each")
    records = np.frombuffer(data, RECORD)
    if (records["version"] != VERSION).any():
        raise Error(f"{os.fspath(path)}: records of version {records['version'][0]}, not {VERSION}")
    return records


def _black(records: NDArray[np.void]) -> NDArray[np.bool_]:
    return np.where(records["input_format"] >= _CANONICAL, records["invariance"] & BLACK != 0, records["side_or_enpassant"] != 0)


def _rank(move: "_core.MoveStats") -> tuple[float, ...]:
    """Greater is better, as a search without temperature chooses: docs/spec/engine.md 4.10."""
    wl = move["wl"] or 0.0
    proven = ((wl > 0) - (wl < 0)) if move["flag"] == "T" and move["visits"] else 0
    return proven, -proven * (move["m"] or 0.0), move["visits"], move["q"], move["p"]


def _value(found: "_core.MoveStats") -> tuple[float, float, float]:
    """Within its bounds; a mean of many may be beyond them by its rounding."""
    q = min(max(found["wl"] or 0.0, -1.0), 1.0)
    return q, min(max(found["d"] or 0.0, 0.0), 1.0 - abs(q)), max(found["m"] or 0.0, 0.0)


def _divergence(shares: NDArray[np.float64], logits: NDArray[np.float32]) -> float:
    """In nats, of shares of visits from the network's policy."""
    logs = logits.astype(float) - logits.max()
    logs -= np.log(np.exp(logs).sum())
    used = shares > 0
    return max(float((shares[used] * (np.log(shares[used]) - logs[used])).sum()), float(np.finfo(np.float32).tiny))
