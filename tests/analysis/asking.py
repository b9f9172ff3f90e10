"""A client that asks anything of `lc0rocm analyse`, good and bad, and knows what must come back: the right number of answers for each query,
each as docs/analysis.schema.json has it, legal moves, and an error where the query was wrong."""
import json
import pathlib
import random
import signal
import subprocess
import sys

import chess
import chess.pgn
import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 120  # of a machine that is busy with other things
_SCHEMA = json.loads((ROOT / "docs/analysis.schema.json").read_text())


def validator(part):
    return jsonschema.Draft202012Validator({"$schema": _SCHEMA["$schema"], "$defs": _SCHEMA["$defs"], "$ref": f"#/$defs/{part}"})


ANSWER, QUERY, ACTION = validator("answer"), validator("query"), validator("action")
GARBAGE = [b"garbage", b"{", b"[1, 2]", b"null", b'"text"', b'{"fen": "startpos"}', b'{"id": 1', b"\xff\xfe\x00", b'{"id": 1}{"id": 2}', b"\x00",
           b"[" * 100_000, b'{"id": ' + b"[" * 900 + b"]" * 900 + b', "fen": 7}', b'{"id": NaN, "fen": "startpos"}']


def command(*flags, backend="random"):
    return [sys.executable, "-I", "-m", "lc0rocm", "analyse", f"--backend={backend}", "--nncache=1000", *flags]


def start(*flags, **more):
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    # A shell that starts tests in the background has them ignore interrupts, and what they start, too.
    return subprocess.Popen(command(*flags, **more), **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def answers_to(lines, *flags, **more):
    """All answers to these lines of bytes, checked against the schema; the process ends by itself."""
    done = subprocess.run(command(*flags, **more), input=b"\n".join(lines) + b"\n", capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    return [checked(line) for line in done.stdout.splitlines()]


def checked(line):
    answer = json.loads(line, parse_constant=lambda name: 1 / 0)
    ANSWER.validate(answer)
    return answer


def random_board(rng, moves=60):
    board = chess.Board(chess960=False)
    if rng.random() < 0.1:
        board = chess.Board.from_chess960_pos(rng.randrange(960))
    for _ in range(rng.randrange(moves)):
        legal = list(board.legal_moves)
        if not legal:
            break
        board.push(rng.choice(legal))
    return board


def pgn_of(board):
    game = chess.pgn.Game.from_board(board)
    if game.next() and board.move_stack:
        game.add_variation(next(iter(game.board().legal_moves)), comment="a { comment")
    return str(game)


def random_query(rng, id):
    """A query that is right, and the positions that it asks for."""
    board = random_board(rng)
    query = {"id": id}
    how = rng.choice(("fen", "fen", "moves", "san", "pgn"))
    start = board.root()
    if how == "fen":
        query["fen"], boards = board.fen(), [board]
    else:
        boards = [start.copy()]
        for move in board.move_stack:
            boards.append(boards[-1].copy(stack=False))
            boards[-1].push(move)
        if how == "pgn":
            query["pgn"] = pgn_of(board)
        else:
            words = [move.uci() for move in board.move_stack] if how == "moves" else [b.san(m) for b, m in zip(boards, board.move_stack)]
            query |= {"fen": start.fen(), "moves": words if rng.random() < 0.5 else " ".join(words)}
        if rng.random() < 0.3:
            plies = "all" if len(boards) < 10 else sorted(rng.sample(range(len(boards)), min(3, len(boards))))
            query["plies"] = plies
            boards = boards if plies == "all" else [boards[ply] for ply in plies]
        else:
            boards = boards[-1:]
    if rng.random() < 0.3:
        query["policy_only"] = True
    else:
        query |= rng.choice(({"nodes": rng.randrange(1, 40)}, {"time": 0.002}, {"depth": 2}, {"nodes": 30, "multipv": rng.randrange(1, 5)}))
    if rng.random() < 0.5:
        query["include"] = rng.sample(["policy", "wdl", "moves_left", "pv", "san", "tree"], rng.randrange(7))
    for field, value in (("priority", rng.randrange(-3, 4)), ("perspective", rng.choice(["mover", "white"])), ("report_every", 0.01),
                         ("options", rng.choice([{}, {"CPuct": 2.5}, {"PolicyTemperature": 1}, {"ScoreType": "W-L"}, {"HistoryFill": "no"}]))):
        if rng.random() < 0.2:
            query[field] = value
    QUERY.validate(query)
    return query, boards


SPOILED = [{"nodes": 0}, {"nodes": "many"}, {"nodes": 1.5}, {"time": -1}, {"fen": "nonsense"}, {"moves": ["e2e5"]}, {"pgn": "1. e4 e5 2. Ke3"},
           {"multipv": 501}, {"plies": [99999]}, {"plies": []}, {"options": {"NoSuch": 1}}, {"options": {"CPuct": -5}}, {"options": [1]},
           {"include": ["pvs"]}, {"foo": 1}, {"priority": True}, {"report_every": 0}, {"perspective": "black"}, {"policy_only": 1},
           {"action": "dance"}, {"fen": 5}, {"depth": 1e300}, {"time": float("inf")}, {"nodes": float("nan")}]


def check_answer(answer, query, board):
    """board: the position that is asked for."""
    legal = {board.uci(move, chess960=chess960) for move in board.legal_moves for chess960 in (False, True)}
    assert answer["fen"].split()[0] == board.fen().split()[0]
    if not legal:
        assert answer["best_move"] is None and answer["game_over"] == ("checkmate" if board.is_check() else "stalemate")
        return
    assert answer["best_move"] in legal
    assert answer.get("policy", {}).keys() <= legal and len(answer.get("policy", legal)) in (board.legal_moves.count(), len(legal))
    for line in answer.get("lines", ()):
        assert line["move"] in legal and line.get("pv", [line["move"]])[0] == line["move"]
    if answer["final"] and "nodes" in query and not query.get("policy_only") and "multipv" not in query:
        assert answer["nodes"] == query["nodes"] or answer["stopped_by"] == "terminate" or answer["lines"][0]["proven"] or board.legal_moves.count() == 1


def mixed(rng, count, bad=0.01):
    """Lines to send, and what becomes of each: for a good query id -> (query, {ply: board}), for bad ones the number of errors."""
    lines, good, wrong, garbage = [], {}, set(), 0
    for number in range(count):
        if rng.random() < bad / 2:
            lines.append(rng.choice(GARBAGE))
            garbage += 1
            continue
        query, boards = random_query(rng, rng.choice([number, str(number), [number], {"n": number}, number + 0.5]))
        if rng.random() < bad / 2:
            query |= rng.choice(SPOILED)
            wrong.add(json.dumps(query["id"]))
        else:
            plies = query.get("plies")
            plies = range(len(boards)) if plies == "all" else plies or [None]
            good[json.dumps(query["id"])] = query, dict(zip(plies, boards))
        lines.append(json.dumps(query).encode())
    return lines, good, wrong, garbage


def check_mixed(answers, good, wrong, garbage):
    due = {key: set(boards) for key, (_, boards) in good.items()}
    for answer in answers:
        key = json.dumps(answer["id"])
        if "error" in answer:
            if key in wrong:
                wrong.discard(key)
                assert answer["field"]
            else:
                garbage -= 1
            continue
        query, boards = good[key]
        ply = answer["ply"] if answer["ply"] in boards else None
        check_answer(answer, query, boards[ply])
        if answer["final"]:
            due[key].remove(ply)
    assert not wrong and garbage == 0
    assert not {key for key, plies in due.items() if plies}


def soak(count, seed, *flags, bad=0.01, **more):
    """So many queries, some of them bad."""
    lines, *expected = mixed(random.Random(seed), count, bad)
    check_mixed(answers_to(lines, *flags, **more), *expected)
