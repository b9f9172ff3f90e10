#!/usr/bin/env python3
"""A match between two UCI engines: score, Elo with error bars, games as PGN, resumable.

    match.py match.pgn --games 200 --concurrency 2 \\
      --first  "lc0rocm --weights ours.pb.gz --backend cpu" --first-limit nodes=400 \\
      --second "stockfish" --second-limit movetime=100 --second-options UCI_LimitStrength=true UCI_Elo=2000

Games come in pairs: one random opening, both colours. The rules alone end a game (threefold repetition and fifty moves too),
or --max-plies, which counts as a draw. Started again with the same PGN file it plays the missing games. An engine that crashes,
hangs or plays an illegal move ends the match: the rest would not mean anything.
"""
import argparse
import math
import pathlib
import random
import shlex
import sys
import threading

import chess
import chess.engine
import chess.pgn

OPENING_PLIES = 6
HANG = 120  # seconds for one move
WORTH = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9}
POINTS = {"1-0": 1.0, "1/2-1/2": 0.5, "0-1": 0.0}


def opening(pair: int, seed: int) -> list[chess.Move]:
    """Random moves that leave the material even and nobody in check; the same for the same pair and seed."""
    rng = random.Random(f"{seed} {pair}")
    while True:
        board = chess.Board()
        for _ in range(OPENING_PLIES):
            board.push(rng.choice(list(board.legal_moves)))
            if board.is_game_over():
                break
        balance = sum(worth * (len(board.pieces(kind, True)) - len(board.pieces(kind, False))) for kind, worth in WORTH.items())
        if balance == 0 and not board.is_check() and len(board.move_stack) == OPENING_PLIES:
            return board.move_stack


def parse_limit(text: str) -> chess.engine.Limit:
    name, _, value = text.partition("=")
    kinds = {"nodes": lambda v: {"nodes": int(v)}, "movetime": lambda v: {"time": int(v) / 1000}, "depth": lambda v: {"depth": int(v)}}
    if name not in kinds or not value.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is no limit: nodes=N, movetime=MILLISECONDS or depth=N")
    return chess.engine.Limit(**kinds[name](value))


def play(engines: tuple, limits: tuple, moves: list[chess.Move], max_plies: int) -> tuple[chess.Board, str]:
    """One game, White's engine and limit first; (final board, result)."""
    board = chess.Board()
    for move in moves:
        board.push(move)
    game = object()
    while board.ply() < max_plies:
        outcome = board.outcome(claim_draw=True)
        if outcome:
            return board, outcome.result()
        side = 0 if board.turn else 1
        board.push(engines[side].play(board, limits[side], game=game).move)
    return board, "1/2-1/2"


class Match:
    """The games of a PGN file and those still to play; several threads take and report games."""

    def __init__(self, path: pathlib.Path, names: tuple[str, str], total: int) -> None:
        self.path, self.names, self.total = path, names, total
        self.scores: dict[int, float] = {}  # game number -> points of the first engine
        self.lock, self.failure = threading.Lock(), None
        if path.exists():
            with path.open() as file:
                while headers := chess.pgn.read_headers(file):
                    if {headers["White"], headers["Black"]} != set(names):
                        raise SystemExit(f"{path} holds games of {headers['White']} and {headers['Black']}: choose another file")
                    points = POINTS[headers["Result"]]
                    self.scores[int(headers["Round"])] = points if headers["White"] == names[0] else 1 - points
        self.todo = [number for number in range(total) if number not in self.scores]

    def take(self) -> int | None:
        with self.lock:
            return self.todo.pop(0) if self.todo and not self.failure else None

    def report(self, number: int, board: chess.Board, result: str) -> None:
        first_is_white = number % 2 == 0
        game = chess.pgn.Game.from_board(board)
        game.headers.update({"Event": "match.py", "Round": str(number), "Result": result,
                             "White": self.names[not first_is_white], "Black": self.names[first_is_white]})
        with self.lock:
            with self.path.open("a") as file:
                print(game, end="\n\n", file=file)
            self.scores[number] = POINTS[result] if first_is_white else 1 - POINTS[result]
            print(self.summary(), file=sys.stderr, flush=True)

    def summary(self) -> str:
        scores = list(self.scores.values())
        wins, draws = scores.count(1.0), scores.count(0.5)
        mean, error = mean_and_error(self.scores)
        return (f"{self.names[0]} - {self.names[1]}: {len(scores)}/{self.total} games, +{wins} ={draws} -{len(scores) - wins - draws}, "
                f"{100 * mean:.1f} % +- {100 * error:.1f}, Elo {elo(mean):+.0f} [{elo(mean - error):+.0f}, {elo(mean + error):+.0f}]")


def mean_and_error(scores: dict[int, float]) -> tuple[float, float]:
    """Mean score and its 95 % error. The unit is the pair of games with one opening, where both were played: their results are
    not independent."""
    mean = sum(scores.values()) / len(scores)
    pairs: dict[int, list[float]] = {}
    for number, score in scores.items():
        pairs.setdefault(number // 2, []).append(score - mean)
    return mean, 1.96 * math.sqrt(sum(sum(pair) ** 2 for pair in pairs.values())) / len(scores)


def elo(score: float) -> float:
    """Of a score between 0 and 1; at most 1200 either way."""
    return 0.0 if score == 0.5 else max(-1200.0, min(1200.0, -400 * math.log10(1 / min(max(score, 1e-9), 1 - 1e-9) - 1)))


def work(match: Match, commands: tuple, settings: tuple, limits: tuple, options: argparse.Namespace) -> None:
    engines = []
    try:
        for command, values in zip(commands, settings):
            engines.append(chess.engine.SimpleEngine.popen_uci(shlex.split(command), timeout=HANG))
            engines[-1].configure(values)
        while (number := match.take()) is not None:
            order = (0, 1) if number % 2 == 0 else (1, 0)
            board, result = play(tuple(engines[i] for i in order), tuple(limits[i] for i in order),
                                 opening(number // 2, options.seed), options.max_plies)
            match.report(number, board, result)
    except Exception as error:  # the other threads finish their games and stop
        match.failure = match.failure or error
    finally:
        for engine in engines:
            engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pgn", type=pathlib.Path)
    for which in ("first", "second"):
        parser.add_argument(f"--{which}", required=True, metavar="COMMAND", help="command line of the engine")
        parser.add_argument(f"--{which}-name", default=which)
        parser.add_argument(f"--{which}-limit", type=parse_limit, required=True, help="nodes=N, movetime=MS or depth=N")
        parser.add_argument(f"--{which}-options", nargs="*", default=[], metavar="NAME=VALUE", help="UCI options")
    parser.add_argument("--games", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the openings")
    parser.add_argument("--max-plies", type=int, default=400)
    options = parser.parse_args()
    if options.first_name == options.second_name:
        parser.error("the engines need different names: --first-name, --second-name")
    settings = tuple(dict(text.split("=", 1) for text in texts) for texts in (options.first_options, options.second_options))
    match = Match(options.pgn, (options.first_name, options.second_name), options.games)
    threads = [threading.Thread(target=work, args=(match, (options.first, options.second), settings,
                                                   (options.first_limit, options.second_limit), options), daemon=True)
               for _ in range(options.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if match.failure:
        raise SystemExit(f"stopped: {type(match.failure).__name__}: {match.failure}")
    print(match.summary())


if __name__ == "__main__":
    main()
