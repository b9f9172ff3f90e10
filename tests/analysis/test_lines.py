"""The program `lc0rocm analyse`: an answer to each query, whatever the input, the output and the signals do."""
import json
import random
import re
import signal
import subprocess
import threading
import time

import chess
import pytest

from .asking import PATIENCE_S, ROOT, answers_to, checked, command, soak, start


def line(**fields):
    return json.dumps({"id": 1, "fen": "startpos", **fields}).encode()


def test_mixed_queries_with_garbage_among_them():
    soak(300, 1, bad=0.1)


def test_few_searches_and_a_slow_back_end():
    soak(60, 2, "--searches=3", "--backend-opts=delay=1")


def test_networks_on_the_cpu_and_on_the_emulated_gpu(tiny_net, emulated_gpu):
    for backend in ("cpu", "rocm"):
        soak(12, 3, f"--weights={tiny_net}", "--searches=4", backend=backend)


def test_what_a_search_answers():
    include = ["policy", "wdl", "moves_left", "pv", "san", "tree"]
    answer, = answers_to([line(nodes=50, multipv=2, include=include, options={"UCI_Chess960": False})])
    assert answer["nodes"] == 50 and answer["stopped_by"] == "nodes" and len(answer["lines"]) == 2
    assert sum(branch["visits"] for branch in answer["tree"]) == 49 and len(answer["policy"]) == 20
    assert abs(sum(answer["policy"].values()) - 1) < 0.01
    assert answer["lines"][0]["san"][0] == chess.Board().san(chess.Move.from_uci(answer["best_move"]))


def test_searches_alone_and_among_others_make_the_same_visits():
    """With one leaf at a time a search is deterministic: neither the others nor what was searched before may change it."""
    fen = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
    query = {"fen": fen, "nodes": 60, "include": ["tree"], "options": {"MinibatchSize": 1}}
    alone, = answers_to([line(**query)])
    others = [line(id=n + 2, moves=["e2e4"], nodes=40) for n in range(30)]
    for answer in answers_to([line(**query)] + others + [line(**query)], "--searches=5"):
        if answer["id"] == 1:
            assert answer["tree"] == alone["tree"] and answer["lines"] == alone["lines"]


def test_whites_view_is_the_movers_turned_round():
    for query in ({"nodes": 40, "multipv": 3, "include": ["wdl", "tree", "pv"]}, {"policy_only": True}):
        mover, white = answers_to([line(moves="e4", options={"MinibatchSize": 1}, perspective=view, **query) for view in ("mover", "white")], "--searches=1")
        assert white["q"] == -mover["q"] and white["wdl"] == mover["wdl"][::-1] and white["score"]["cp"] == -mover["score"]["cp"]
        for ours, theirs in zip(white.get("lines", ()), mover.get("lines", ())):
            assert ours["q"] == -theirs["q"] and ours["wdl"] == theirs["wdl"][::-1] and ours["pv"] == theirs["pv"]
        for ours, theirs in zip(white.get("tree", ()), mover.get("tree", ())):
            assert ours["q"] == -theirs["q"] and ours["visits"] == theirs["visits"]


def test_greater_priority_goes_first():
    lines = [line(id="first", time=1.0, priority=10**6), *(line(id=n, nodes=2, priority=n) for n in random.Random(1).sample(range(20), 20))]
    ids = [answer["id"] for answer in answers_to(lines, "--searches=1")]
    assert ids == ["first", *range(19, -1, -1)]


def test_one_id_for_many_queries():
    assert [answer["id"] for answer in answers_to([line(nodes=3)] * 20)] == [1] * 20


@pytest.mark.parametrize("bad,words", [
    (b"x" * 3_000_000, "more than 1048576 bytes"), (b"[" * 100_000, "nested too deep"), (b'{"id": 5, "fen": "\x00"}', "not JSON"),
    (b'{"id": 5, "fen": "startpos", "nodes": NaN}', "whole number"), (b'{"id": 5, "fen": "startpos", "nodes": 1e400}', "whole number"),
    (b'{"id": 5, "fen": "startpos", "nodes": ' + b"9" * 5000 + b"}", "not JSON|whole number"), (b'{"id": NaN}', "no JSON value"),
    (b'{"id": 5, "fen": "\\ud800\\u0000 w - -"}', "surrogate"), (b"\xff\xfe{}", "not JSON"), (b'{"id":5}}', "not JSON"),
    (b'{"id": 5, "fen": "startpos", "options": ' + b'{"a":' * 500 + b"1" + b"}" * 501, "takes a number"),
    (b'{"id": 5, "pgn": "' + b"(" * 500_000 + b'"}', "never closed"), (b'{"id": 5, "moves": "' + b"e4 " * 200_000 + b'"}', "no legal move"),
])
def test_a_bad_line_is_one_answer_and_harms_no_other(bad, words):
    answers = answers_to([line(nodes=5), bad, line(id=2, nodes=5)])
    errors = [answer for answer in answers if "error" in answer]
    assert len(answers) == 3 and len(errors) == 1 and re.search(words, errors[0]["error"])
    assert errors[0]["id"] in (5, None) and "\n" not in errors[0]["error"]


def test_a_back_end_that_fails_is_an_error_of_each_query_and_the_end_of_none():
    answers = answers_to([line(id=n, nodes=5) for n in range(5)] + [line(id=9, policy_only=True)], "--backend-opts=sessions=0")
    assert len(answers) == 6 and all("there are no more than 0 sessions" in answer["error"] and answer["ply"] == 0 for answer in answers)


class Client:
    def __init__(self, *flags):
        self.process = start(*flags)

    def send(self, *lines):
        self.process.stdin.write(b"".join(text + b"\n" for text in lines))
        self.process.stdin.flush()

    def answer(self):
        return checked(self.process.stdout.readline())

    def end(self, code=0):
        """The answers that are left."""
        self.process.stdin.close()
        out = self.process.stdout.read()
        assert self.process.wait(PATIENCE_S) == code
        self.process.stdout.close()
        assert not out or out.endswith(b"\n")
        return [checked(text) for text in out.splitlines()]


@pytest.mark.parametrize("seed", range(3))
def test_terminated_at_any_moment_each_position_gets_its_last_answer(seed):
    rng = random.Random(seed)
    client = Client("--searches=3", "--backend-opts=delay=1")
    counts = {}
    for n in range(12):
        moves = ["e2e4", "e7e5", "g1f3"][:rng.randrange(4)]
        counts[n] = len(moves) + 1
        client.send(line(id=n, moves=moves, plies="all", nodes=rng.choice([1, 50, 100_000]), report_every=0.01))
    time.sleep(rng.random() / 5)
    for n in rng.sample(range(12), 6):
        client.send(json.dumps({"id": f"t{n}", "action": "terminate", "terminate_id": n}).encode())
        time.sleep(rng.random() / 50)
    client.send(b'{"id": "rest", "action": "terminate"}')
    answers = client.end()
    last = [answer["id"] for answer in answers if answer.get("final")]
    assert sorted(last) == sorted(n for n, count in counts.items() for _ in range(count))
    assert sum("action" in answer for answer in answers) == 7
    for number, answer in enumerate(answers):  # nothing comes after the last word on a position
        assert not any(other["id"] == answer["id"] and other.get("ply") == answer["ply"] for other in answers[number + 1:] if answer.get("final"))


def test_a_search_reports_while_it_runs():
    client = Client("--backend-opts=delay=1")
    client.send(line(nodes=10**6, report_every=0.05))
    nodes = [client.answer()["nodes"] for _ in range(4)]
    assert nodes == sorted(nodes) and nodes[0] < nodes[-1]
    client.send(b'{"id": 2, "action": "terminate", "terminate_id": 1}')
    *_, last = (answer for answer in client.end() if answer["id"] == 1)
    assert last["final"] and last["stopped_by"] == "terminate" and last["best_move"]


def test_cached_evaluations_are_shared_until_they_are_cleared():
    client = Client("--nncache=100000", "--searches=2")
    counts = []
    for action in (None, None, "clear_cache"):
        if action:
            client.send(json.dumps({"id": 0, "action": action}).encode())
            assert client.answer() == {"id": 0, "action": action}
        client.send(line(nodes=30, options={"MinibatchSize": 1}))
        counts.append(client.answer()["evaluations"])
    client.end()
    assert counts[0] > 20 and counts[1] == 0 and counts[2] == counts[0]


def test_who_writes_without_reading_has_to_wait_and_memory_stays():
    """A megabyte of answers and more is not kept: what is not read stops the reading of queries."""
    process = start("--searches=4", "--nodes=2")
    sent = 0

    def write():
        nonlocal sent
        try:
            for n in range(100_000):
                process.stdin.write(line(id=n, include=["tree", "policy"]) + b"\n")
                sent = n
            process.stdin.close()
        except OSError:
            pass

    threading.Thread(target=write, daemon=True).start()
    before = -1
    while sent != before:  # until it stands still
        before = sent
        time.sleep(1.5)
    assert sent < 20_000
    memory = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{process.pid}/status").read())[1])
    assert memory < 400_000  # kB
    first = {json.loads(process.stdout.readline())["id"] for _ in range(2000)}
    assert len(first) == 2000
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_signals_end_it_at_once_after_a_whole_line(number, code, delay):
    client = Client("--backend-opts=delay=1")
    client.send(*(line(id=n, nodes=10**6, report_every=0.01, include=["tree"]) for n in range(20)))
    client.answer()
    time.sleep(delay)
    client.process.send_signal(number)
    client.end(code)


def test_killed_while_nobody_reads_it_ends():
    process = start("--nodes=5")
    process.stdin.write(b"".join(line(id=n, include=["tree"]) + b"\n" for n in range(500)))
    process.stdin.flush()
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 143
    process.stdin.close()
    process.stdout.close()


def test_a_reader_that_goes_ends_it_quietly():
    process = start("--nodes=5")
    process.stdin.write(b"".join(line(id=n) + b"\n" for n in range(500)))
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    process.stdin.close()


def test_a_full_disk_is_one_sentence():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command(), input=line(nodes=1) + b"\n", stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == 2 and b"No space left" in done.stderr.splitlines()[-1]


def test_no_input_and_an_input_that_ends_inside_a_line():
    assert answers_to([]) == [] and answers_to([b"", b"  "]) == []
    done = subprocess.run(command(), input=line(nodes=3), capture_output=True, timeout=PATIENCE_S)
    assert checked(done.stdout)["nodes"] == 3
    closed = subprocess.run(["sh", "-c", " ".join(["exec", *command(), "<&-"])], capture_output=True, timeout=PATIENCE_S)
    assert closed.returncode == 2 and b"standard input is closed" in closed.stderr


def test_a_tree_is_no_larger_than_its_share_of_the_memory():
    answer, = answers_to([line(nodes=100_000, options={"RamLimitMb": 1})])
    assert answer["stopped_by"] == "ram" and 1000 < answer["nodes"] < 10_000


def test_memory_of_a_long_stream_is_bounded():
    """10,000 answers take no more than 1,000."""
    lines = [line(id=n, moves=["e2e4", "e7e5"], nodes=3) for n in range(1000)]
    client = Client("--searches=8")
    sizes = []
    for _ in range(5):
        threading.Thread(target=client.send, args=lines).start()
        for _ in lines:
            client.process.stdout.readline()
        sizes.append(int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{client.process.pid}/status").read())[1]))
    client.end()
    assert sizes[-1] < sizes[1] + 10_000, sizes  # kB


def test_the_client_of_the_documentation(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/analysis.md").read_text()
    code = re.search(r"## A client\n\n```python\n(.*?)```", page, re.S)[1]
    assert len(code.strip().splitlines()) <= 32
    names: dict = {}
    exec(code, names)
    analyst = names["Analyst"]("--backend=random")
    found = {}

    def ask(n):
        found[n] = analyst.ask(fen="startpos", nodes=n + 1)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert {n: answer["nodes"] for n, answer in found.items()} == {n: n + 1 for n in range(20)}
    assert "error" in analyst.ask(fen="nonsense")
    analyst.process.stdin.close()
    assert analyst.process.wait(PATIENCE_S) == 0
    analyst.process.stdout.close()
