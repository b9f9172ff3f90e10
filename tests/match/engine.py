"""A UCI engine that misbehaves as its arguments say: KIND[:GAME[:MOVE]] from that game on at that move of its own (1, 3 if not said). Else it
plays the first legal move by name; "seen=FILE" appends a line for each game."""
import sys
import time

import chess


def main():
    kind, game_wanted, move_wanted = "good", 1, 3
    seen = None
    for word in sys.argv[1:]:
        if word.startswith("seen="):
            seen = word[5:]
        else:
            kind, *numbers = word.split(":")
            game_wanted, move_wanted = [*map(int, numbers), *(1, 3)[len(numbers):]]
    if kind == "dumb":
        print("no chess program at all", flush=True)
        time.sleep(1000)
    if kind == "stillborn":
        sys.exit("cannot find my network")
    game = move = 0
    board = chess.Board()
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["uci"]:
            print("id name Fake\nid author nobody\noption name Level type spin default 1 min 1 max 9\n" +
                  ("" if kind == "classical" else "option name UCI_Chess960 type check default false\n") + "uciok", flush=True)
        elif words[:1] == ["isready"]:
            print("readyok", flush=True)
        elif words[:1] == ["ucinewgame"]:
            game, move = game + 1, 0
            if seen:
                with open(seen, "a") as file:
                    print(game, file=file)
        elif words[:1] == ["position"]:
            at = words.index("moves") if "moves" in words else len(words)
            board = chess.Board() if words[1] == "startpos" else chess.Board(" ".join(words[2:at]))
            for word in words[at + 1:]:
                board.push_uci(word)
        elif words[:1] == ["go"]:
            move += 1
            act(kind if game >= game_wanted and move == move_wanted else "good", board)
        elif words[:1] == ["quit"]:
            break


def act(kind, board):
    best = min(board.legal_moves, key=str).uci()
    if kind == "crash":
        sys.exit("assertion failed: king is lost")
    if kind == "hang":
        time.sleep(1000)
    if kind == "late":
        time.sleep(1)
    if kind == "illegal":
        best = "e1e5"
    if kind == "garbage":
        best = "\x00\xff??"
    if kind == "none":
        best = "(none)"
    if kind == "null":
        best = "0000"
    if kind == "mumble":
        print("info depth x score cp what\ninfo score\nhello\ninfo depth 5 score cp 17 pv zz\nbest move\n\n\x01", flush=True)
    print(f"info depth 3 nodes 20 score cp 12 pv {best}\nbestmove {best}", flush=True)


main()
