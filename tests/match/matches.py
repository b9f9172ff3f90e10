"""Runs `lc0rocm match` without a network, and reads what it wrote."""
import io
import subprocess
import sys

import chess.pgn

PATIENCE_S = 120
RANDOM = ["--backend=random", "--limit=nodes=4", "--nncache=1000", "--max-moves=20"]


def match(goal, *flags, code=0):
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "match", *RANDOM, "-o", str(goal), *map(str, flags)], text=True,
                          capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == code, done.stderr
    return done


def games_of(path):
    stream, games = io.StringIO(path.read_text()), []
    while game := chess.pgn.read_game(stream):
        assert not game.errors
        games.append(game)
    return games
