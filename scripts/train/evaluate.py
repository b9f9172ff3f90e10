#!/usr/bin/env python3
"""How well a net file knows what the teacher knows, through the package's own back end: policy top-1 agreement and value
correlation on held-out positions, or the value alone on held-out children, which is what a search asks for off the main line.
Bound by the back end."""
import argparse
import json
import pathlib
import sys

import numpy as np

import positions
from lc0rocm import _core
from lc0rocm.netfile import net as net_files

CHUNK = 1024


def evaluate(core: "_core.Backend", records: np.ndarray) -> dict[str, float]:
    """Of positions: agreement with the teacher's best move, and how often it is among the net's first three. Of positions and
    children: cross entropy of the teacher's win, draw and loss, correlation and mean distance of Q and the teacher's W - L."""
    ranks, values, draws = [], [], []
    for start in range(0, len(records), CHUNK):
        part = records[start:start + CHUNK]
        logits, q, d, _ = core.evaluate(*positions.input_planes(part))
        values.append(q)
        draws.append(d)
        if "moves" in part.dtype.names:
            logits = np.where(positions.legal_moves(part), logits, -np.inf)
            best = logits[np.arange(len(part)), part["moves"][:, 0]]
            ranks.append((logits > best[:, None]).sum(1))
        print(f"{start + len(part)}/{len(records)}", end="\r", file=sys.stderr, flush=True)
    q, d = np.concatenate(values).astype(float), np.concatenate(draws).astype(float)
    win, loss = records["win"] / 250, records["loss"] / 250
    wdl = np.stack([(1 + q - d) / 2, d, (1 - q - d) / 2]).clip(1e-6)
    teacher = np.stack([win, (1 - win - loss).clip(0), loss])
    found = {"positions": len(records), "value": float(-(teacher * np.log(wdl)).sum(0).mean()),
             "correlation": float(np.corrcoef(q, win - loss)[0, 1]), "mean_distance": float(np.abs(q - (win - loss)).mean())}
    if ranks:
        ranks = np.concatenate(ranks)
        found |= {"top1": float((ranks == 0).mean()), "top3": float((ranks < 3).mean())}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", type=pathlib.Path, help="a net file of input format 4")
    parser.add_argument("held_out", type=pathlib.Path, help="held_out.npy or held_out_children.npy of train.py")
    parser.add_argument("--without", type=pathlib.Path, nargs="*", default=[],
                        help="folders of prepare.py whose positions are left out: training data of earlier calls")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--positions", type=int, default=20000)
    options = parser.parse_args()
    core = _core.Backend(options.backend, net_files.load(options.net).core())
    if core.info["input_format"] != positions.INPUT_FORMAT:
        parser.error(f"{options.net} has input format {core.info['input_format']}, these positions have {positions.INPUT_FORMAT}")
    held = np.load(options.held_out)
    for folder in options.without:
        earlier = positions.load(folder, "positions")
        training = earlier[~positions.is_held_out(earlier)]
        held = held[~np.isin(positions.keys(held), positions.keys(training))]
    print(json.dumps(evaluate(core, held[:options.positions])))


if __name__ == "__main__":
    main()
