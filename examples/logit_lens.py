#!/usr/bin/env python3
"""The logit lens: what the heads of an attention net would say if the encoder ended after each of its layers.

    python examples/logit_lens.py [FEN] [--weights net.pb.gz] [--backend rocm]

A layer of its residual stream takes the place of the last one, so that the net's own heads read it. One line a depth: the move it would
play, how sure it is, its evaluation, and how far its policy still is from the last one's (KL divergence in bits).
"""
import argparse
import re

import chess
import numpy as np

import lc0rocm


def legal_policy(net: lc0rocm.Network, board: chess.Board, logits: np.ndarray) -> dict[chess.Move, float]:
    """Of one row of Evaluation.policy: the probability of each legal move."""
    places = net.move_indices(board)[0]
    x = logits[list(places.values())].astype(float)
    shares = np.exp(x - x.max())
    return dict(zip(places, (shares / shares.sum()).tolist()))


def lens(net: lc0rocm.Network, board: chess.Board) -> list[tuple[str, dict[chess.Move, float], float]]:
    """(layer, policy, q) at each depth, the whole net last. One pass gives the layers, and one evaluates all of them as a batch."""
    depths = [name for name in net.layers if re.fullmatch(r"embedding|encoder\.\d+", name)]
    if len(depths) < 2:
        raise SystemExit("this net has no encoder layers; take one with an attention body")
    stream = net.evaluate(board, layers=depths).layers
    out = net.evaluate([board] * len(depths), replace={depths[-1]: np.concatenate([stream[name] for name in depths])})
    return [(name, legal_policy(net, board, logits), float(q)) for name, logits, q in zip(depths, out.policy, out.q)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fen", nargs="?", default="r1bqkbnr/pppp1ppp/2n5/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4", help="mate in one unless given")
    parser.add_argument("--weights")
    parser.add_argument("--backend", default="auto")
    arguments = parser.parse_args()
    board = chess.Board(arguments.fen)
    with lc0rocm.Network(arguments.weights, arguments.backend) as net:
        depths = lens(net, board)
    final = depths[-1][1]
    print(f"{'after':<12}{'move':>8}{'share':>8}{'q':>8}{'bits from the end':>20}")
    for name, policy, q in depths:
        move = max(policy, key=policy.__getitem__)
        bits = sum(p * np.log2(p / max(policy[m], 1e-12)) for m, p in final.items() if p > 0)
        print(f"{name:<12}{board.san(move):>8}{policy[move]:>8.1%}{q:>8.3f}{bits:>20.3f}")


if __name__ == "__main__":
    main()
