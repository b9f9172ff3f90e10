#!/usr/bin/env python3
"""Attention on a board: where one square looks in one layer, as an SVG picture.

    python examples/attention_board.py e4 [--fen FEN] [--layer encoder.3] [--head 2] [-o board.svg] [--weights net.pb.gz] [--backend rocm]

The darker a square, the more of the attention goes there; arrows show the strongest. Without --head it is the mean of all heads.
"""
import argparse

import chess
import chess.svg
import numpy as np

import lc0rocm


def attention_from(net: lc0rocm.Network, board: chess.Board, square: chess.Square, layer: str, head: int | None) -> np.ndarray:
    """(64,): how much of the attention of `square` goes to each square of the board, all as the board counts them."""
    name = layer + ".attention"
    weights = net.evaluate(board, layers=name).layers[name][0]
    view = np.arange(64) if board.turn else np.arange(64) ^ 56  # the net sees the board from the side to move
    chosen = weights.mean(0) if head is None else weights[head]
    return chosen[view[square]][view]


def picture(board: chess.Board, square: chess.Square, shares: np.ndarray, arrows: int = 4) -> str:
    most = shares.max()
    fill = {target: f"#c0392b{int(220 * share / most):02x}" for target, share in enumerate(shares) if share > most / 50}
    strongest = [target for target in np.argsort(-shares).tolist() if target != square][:arrows]
    return chess.svg.board(board, orientation=board.turn, fill=fill, size=480,
                           arrows=[chess.svg.Arrow(square, target, color=f"#1f618d{int(40 + 200 * shares[target] / most):02x}") for target in strongest])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("square", type=chess.parse_square)
    parser.add_argument("--fen", default="r1bqkbnr/pppp1ppp/2n5/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4")
    parser.add_argument("--layer", default="encoder.0")
    parser.add_argument("--head", type=int)
    parser.add_argument("-o", "--output", default="board.svg")
    parser.add_argument("--weights")
    parser.add_argument("--backend", default="auto")
    arguments = parser.parse_args()
    board = chess.Board(arguments.fen)
    with lc0rocm.Network(arguments.weights, arguments.backend) as net:
        shares = attention_from(net, board, arguments.square, arguments.layer, arguments.head)
    with open(arguments.output, "w") as file:
        file.write(picture(board, arguments.square, shares))
    strongest = ", ".join(f"{chess.square_name(target)} {shares[target]:.1%}" for target in np.argsort(-shares)[:5].tolist())
    print(f"{arguments.output}: {chess.square_name(arguments.square)} looks at {strongest}")


if __name__ == "__main__":
    main()
