#!/usr/bin/env python3
"""Plays the engine against itself through python-chess, with clocks, and stops at the first time loss or illegal move.

Prints a line for each game and a summary; exit code 1 if a game was lost otherwise than on the board."""
import argparse
import collections
import pathlib
import random
import sys
import time

import chess
import chess.engine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=20)
    parser.add_argument("--time", type=float, default=1.0, help="seconds for each side at the start (1)")
    parser.add_argument("--increment", type=float, default=0.1, help="seconds a move (0.1)")
    parser.add_argument("--overhead", type=int, default=200, help="MoveOverheadMs (200)")
    parser.add_argument("--opening-plies", type=int, default=6, help="random moves at the start of each game (6)")
    parser.add_argument("--chess960", action="store_true", help="each game from a random start position")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("flags", nargs="*", help="flags of the engine, after --: for example -- --weights=net.pb.gz")
    options = parser.parse_args()

    dice, results, failures = random.Random(options.seed), collections.Counter(), 0
    command = [str(pathlib.Path(sys.executable).with_name("lc0rocm")), *options.flags]
    engines = [chess.engine.SimpleEngine.popen_uci(command, timeout=60) for _ in range(2)]
    try:
        for engine in engines:
            engine.configure({"MoveOverheadMs": options.overhead})
        for number in range(1, options.games + 1):
            board = opening(dice, options)
            white, black = engines[number % 2], engines[1 - number % 2]
            result, reason, slack = play(board, {chess.WHITE: white, chess.BLACK: black}, options, number)
            results[result] += 1
            failures += reason.startswith("FAILED")
            print(f"game {number}: {result}, {reason}, {board.ply()} plies, {slack:.2f} s left at worst", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        for engine in engines:
            engine.close()
    print(f"{sum(results.values())} games, {dict(results)}, {failures} failed")
    return 1 if failures else 0


def opening(dice: random.Random, options: argparse.Namespace) -> chess.Board:
    """A position after some random moves that leaves something to play."""
    while True:
        board = chess.Board.from_chess960_pos(dice.randrange(960)) if options.chess960 else chess.Board()
        for _ in range(options.opening_plies):
            if board.is_game_over():
                break
            board.push(dice.choice(list(board.legal_moves)))
        if not board.is_game_over():
            return board


def play(board: chess.Board, players: dict, options: argparse.Namespace, number: int) -> tuple[str, str, float]:
    """Result, how it came about, and the least time on a clock after a move. The time of the pipe counts."""
    clocks = dict.fromkeys(chess.COLORS, options.time)
    slack = options.time
    while not board.is_game_over(claim_draw=True):
        side = board.turn
        limit = chess.engine.Limit(white_clock=clocks[chess.WHITE], black_clock=clocks[chess.BLACK],
                                   white_inc=options.increment, black_inc=options.increment)
        before = time.monotonic()
        try:
            move = players[side].play(board, limit, game=number).move
        except chess.engine.EngineError as error:
            return "0-1" if side else "1-0", f"FAILED: {error}", slack
        clocks[side] -= time.monotonic() - before
        slack = min(slack, clocks[side])
        if clocks[side] < 0:
            return "0-1" if side else "1-0", "FAILED: time lost", slack
        if move is None or move not in board.legal_moves:
            return "0-1" if side else "1-0", f"FAILED: illegal move {move}", slack
        clocks[side] += options.increment
        board.push(move)
    outcome = board.outcome(claim_draw=True)
    return outcome.result(), outcome.termination.name.lower(), slack


if __name__ == "__main__":
    sys.exit(main())
