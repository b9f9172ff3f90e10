#!/usr/bin/env python3
"""Which attention heads matter here: each one is set to zero in turn, and the change of policy and value is measured.

    python examples/ablate_heads.py [FEN ...] [--weights net.pb.gz] [--backend rocm] [--top 10]

All heads of a layer are ablated in one batch: row h of it goes on without head h. Policies are compared over the legal moves by their KL
divergence in bits; over several positions the means count.
"""
import argparse
import re

import chess
import numpy as np

import lc0rocm

POSITIONS = ["r1bqkbnr/pppp1ppp/2n5/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4", "8/5pk1/6p1/3R4/5PKP/8/1r6/8 w - - 0 1", chess.STARTING_FEN]


def log_shares(logits: np.ndarray) -> np.ndarray:
    """Of rows of logits, in bits."""
    logits = logits - logits.max(-1, keepdims=True)
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))) / np.log(2)


def ablate(net: lc0rocm.Network, board: chess.Board) -> dict[str, np.ndarray]:
    """Layer -> (heads, 2): bits of policy and change of q without each head."""
    moves = list(net.move_indices(board)[0].values())
    whole = net.evaluate(board)
    kept = log_shares(whole.policy[:, moves].astype(float))
    effects = {}
    for layer in net.layers:
        if not re.fullmatch(r"encoder\.\d+\.heads", layer):
            continue
        heads = net.layers[layer][1]

        def without(values: np.ndarray) -> None:  # (boards, 64, heads, depth)
            for head in range(values.shape[2]):
                values[head, :, head] = 0

        out = net.evaluate([board] * heads, replace={layer: without})
        lost = log_shares(out.policy[:, moves].astype(float))
        effects[layer.removesuffix(".heads")] = np.stack([(2 ** kept * (kept - lost)).sum(-1), out.q - whole.q], axis=1)
    return effects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fens", nargs="*", default=POSITIONS, metavar="FEN")
    parser.add_argument("--weights")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--top", type=int, default=10, help="how many heads to show")
    arguments = parser.parse_args()
    with lc0rocm.Network(arguments.weights, arguments.backend) as net:
        runs = [ablate(net, chess.Board(fen)) for fen in arguments.fens]
    mean = {(layer, head): np.mean([run[layer][head] for run in runs], axis=0) for layer in runs[0] for head in range(len(runs[0][layer]))}
    print(f"{'without':<24}{'policy, bits':>14}{'change of q':>14}   mean of {len(runs)} positions")
    for (layer, head), (bits, q) in sorted(mean.items(), key=lambda item: -item[1][0])[:arguments.top]:
        print(f"{layer + ' head ' + str(head):<24}{bits:>14.3f}{q:>+14.3f}")


if __name__ == "__main__":
    main()
