"""A GUI that sends anything in any order to an engine process, and a small model of what must come back.

The model: every go is answered by one bestmove, in order, legal in the position of that go; what follows a go (a position, another go, a new
game) ends it. A search that waits for stop says nothing of its move before. readyok and uciok answer one isready and uci each. Between
bestmove and the next go nothing is told of a search. An option acts in the next go. The last lines, and what is pondered, can be played."""
import importlib.util
import os
import pathlib
import queue
import random
import re
import subprocess
import sys
import threading
import time

import chess
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

PATIENCE_S = 60  # of a machine that is busy with other things
TREES = ("classic", "dag")
NOTHING = {"(none)"}


def command(*flags):
    return [sys.executable, "-m", "lc0rocm", "--config=", "--threads=1", "--nncache=1000", *flags]


class Go:
    """What is known of a go that has been sent."""

    def __init__(self, text, legal, *, waits, ends, nodes, chess960, multipv, wdl):
        self.text, self.legal, self.waits, self.ends = text, legal, waits, ends
        self.nodes = nodes  # the visits that must come out, None where that cannot be said
        self.chess960, self.multipv, self.wdl = chess960, multipv, wdl  # None: changed while it may have run
        self.stopped = False
        self.board = None  # where it can be said
        self.infos = []

    def __repr__(self):
        return f"'{self.text}'"


class Client:
    """Writes to an engine and checks each line that it says against the gos that are open."""

    def __init__(self, argv, folder, environment=None):
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self.process = subprocess.Popen(argv, cwd=folder, env={**os.environ, **(environment or {})}, **pipes,
                                        stderr=subprocess.STDOUT if folder is None else open(pathlib.Path(folder) / "stderr", "wb"))
        self.lines, self.history = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()
        self.batch, self.open_gos, self.readys, self.ucis, self.complaints = [], [], 0, 0, 0
        self.told = {}  # what uci has listed: name -> default

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def flush(self):
        if self.batch:
            self.history += [f"> {line}" for line in self.batch]
            self.process.stdin.write("".join(line + "\n" for line in self.batch).encode())
            self.process.stdin.flush()
            self.batch = []

    def take(self, seconds=PATIENCE_S):
        """Reads and checks a line; False if none came, or at the end."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return False
        if line is None:
            return False
        self.history.append(line)
        self._check(line)
        return True

    def take_until(self, enough):
        end = time.monotonic() + PATIENCE_S
        while not enough():
            assert self.take(max(0, end - time.monotonic())), self.story("no answer")

    def _check(self, line):
        words = line.split()
        if words[0] == "bestmove":
            assert self.open_gos, self.story("a bestmove that nobody asked for")
            self._check_best(self.open_gos.pop(0), words)
        elif line == "readyok":
            self.readys -= 1
            assert self.readys >= 0, self.story("a readyok too many")
        elif line == "uciok":
            self.ucis -= 1
            assert self.ucis >= 0, self.story("a uciok too many")
        elif words[:2] == ["info", "depth"]:
            assert self.open_gos, self.story("told of a search, but there is none")
            self.open_gos[0].infos.append(line)
        elif words[:2] == ["info", "string"]:
            assert "internal error" not in line and "Traceback" not in line, self.story("a mistake")
            self.complaints += (words[2:3] == ["error:"]) - line.startswith("info string going on with")  # a fault of the GPU is no complaint
        elif option := re.fullmatch(r"option name (.+) type (\w+)(?: default (.*?))?(?: min .*| var .*)?", line):
            if option[2] != "button":
                self.told[option[1]] = option[3]
        else:
            assert words[0] == "id", self.story("a line that no GUI knows")

    def _check_best(self, go, words):
        notations = (go.chess960,) if go.chess960 is not None else (False, True)
        legal = go.legal if go.legal == NOTHING else {move for notation in notations for move in go.legal[notation]}
        assert words[1] in legal, self.story(f"{go} may be answered by {sorted(legal)}")
        assert go.stopped or not go.waits, self.story(f"{go} waits for stop")
        assert go.infos and " score " in go.infos[-1], self.story("no score before bestmove")
        self._check_line(go, words[1:2] + words[3:4], notations)
        for info in go.infos[-3:]:  # an option may act from the next on
            self._check_line(go, info.partition(" pv ")[2].split(), (False, True))
        if go.legal == NOTHING or " seldepth " not in go.infos[-1]:  # or its back end has failed before there was anything to tell
            return
        if go.nodes is not None and not go.stopped:
            assert f" nodes {go.nodes} " in go.infos[-1], self.story(f"{go} makes {go.nodes} visits")
        if go.multipv is not None:
            number = re.search(r" multipv (\d+)", go.infos[-1])
            wanted = min(go.multipv, len(go.legal[False]))
            assert (int(number[1]) if number else 1) == wanted, self.story(f"{wanted} lines are wanted")
        if go.wdl is not None:
            assert (" wdl " in go.infos[-1]) == go.wdl, self.story(f"UCI_ShowWDL is {go.wdl}")

    def _check_line(self, go, line, notations):
        board = go.board.copy(stack=False) if go.board and go.legal != NOTHING else None
        for word in line if board else []:
            move = next((move for move in board.legal_moves if word in {board.uci(move, chess960=notation) for notation in notations}), None)
            assert move, self.story(f"{word} of {line} cannot be played after {go} in {board.fen()}")
            board.push(move)

    def story(self, text):
        return text + "; the last lines are:\n" + "\n".join(self.history[-40:])

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


# positions ------------------------------------------------------------------------------------------------------------

STARTS = [chess.STARTING_FEN, "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
          "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "7k/6Q1/6K1/8/8/8/8/8 b - - 0 1",
          "7k/8/8/8/8/8/1r6/K7 w - - 0 1", "4k3/P6P/8/8/8/8/p6p/4K3 b - - 98 80", "6k1/5ppp/8/8/8/8/8/R3K2R w KQ - 0 1"]
BAD = ["position", "position here", "position fen 8/8/8/8/8/8/8/8 w - - 0 1", "position startpos moves e2e5",
       "position startpos moves e2e4 e2e4", "position startpos e2e4", "position fen x", "position startpos moves e2e4 0000",
       "position fen rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQQBNR w - - 0 1", "position moves e2e4", "position startpos moves e7e8q"]
GARBAGE = ["xyzzy", "go-infinite", "setoption name Nothing value 1", "setoption name Threads value many", "setoption", "isreadyy", "\0\1",
           "bestmove e2e4", "UCI", "setoption name BackendOptions value (((", "setoption name PolicyTemperature value 1e99"]


def game(seed, plies, chess960):
    """A board after random moves, stopped before it ends or, now and then, at its end; and the line that describes it."""
    dice = random.Random(seed)
    board = chess.Board(chess960=chess960)
    if chess960 and dice.random() < 0.8:
        board.set_chess960_pos(dice.randrange(960))
    else:
        board.set_fen(dice.choice(STARTS))
    start, moves = board.fen(), []
    for _ in range(plies):
        legal = list(board.legal_moves)
        if not legal or board.is_insufficient_material() or board.halfmove_clock >= 99 or board.is_repetition(2):
            break
        move = dice.choice(legal)
        moves.append(board.uci(move))
        board.push(move)
    where = "startpos" if start == chess.STARTING_FEN and dice.random() < 0.8 else "fen " + start
    return board, f"position {where}" + (" moves " + " ".join(moves) if moves else "")


def legal_moves(board):
    """By the notation of castling (False: e1g1, True: e1h1), or NOTHING."""
    moves = list(board.legal_moves)
    if not moves:
        return NOTHING
    return {True: {board.uci(move, chess960=True) for move in moves}, False: {board.uci(move, chess960=False) for move in moves}}


FORMS = ["nodes {n}", "nodes {n} searchmoves {moves}", "searchmoves {moves} nodes {n}", "nodes\t{n}.4", "movetime {n}",
         "depth 1", "wtime {n} btime {n}", "wtime 9{n}.0 btime 9{n}.7 winc 1 binc 1 movestogo 40 foo 3", "btime {n}",
         "infinite", "infinite nodes {n}", "movetime infinite", "ponder nodes {n}", "ponder wtime {n} btime {n}", "ponder",
         "", "frobnicate nodes {n}", "mate 1 movetime {n}", "mate 1 nodes {n}", "depth", "nodes x", "nodes -{n}",
         "ponder searchmoves {moves} nodes {n}", "nodes {n} searchmoves a1a1", "nodes {n} searchmoves a1a1 {moves}",
         "infinite searchmoves {moves}", "wtime -{n} btime -{n}", "perft {n}", "movetime={n}"]
UNREADABLE = ("nodes x", "depth", "nodes -{n}", "perft {n}", "movetime={n}")  # one visit each


# the machine ----------------------------------------------------------------------------------------------------------

class Gui(RuleBasedStateMachine):
    """Subclasses say which engine, and how many visits are quick."""
    argv, environment, folder, most_nodes = command("--backend=random", "--backend-opts=delay=1"), {}, None, 60
    share = 0.0  # of the steps of a long walk
    exact = True  # nodes are counted; not where the back end may change in between

    @initialize(silent=st.booleans())
    def start(self, silent):
        self.client = Client(self.argv, self.folder, self.environment)
        self.board, self.chess960, self.multipv, self.wdl, self.temperature = chess.Board(), False, 1, False, 1.359
        self.search = "classic"
        self.fresh = True  # the tree is empty
        self.go = None  # the latest one
        if not silent:
            self.say("uci")
            self.client.ucis += 1

    def teardown(self):
        if hasattr(self, "client"):
            try:
                self.end_of_input()
            finally:
                self.client.close()

    def say(self, line, send=True):
        self.client.batch.append(line)
        if send:
            self.client.flush()

    def supersede(self):
        """What has been said by now ends the search before it."""
        if self.go:
            self.go.stopped = True

    @rule(what=st.sampled_from(["uci", "isready", "ucinewgame", "stop", "stop", "ponderhit", "ponderhit", *GARBAGE]), send=st.booleans())
    def say_a_word(self, what, send):
        if what == "uci":
            self.client.ucis += 1
        elif what == "isready":
            self.client.readys += 1
        elif what == "ucinewgame":
            self.supersede()
            self.board, self.fresh = chess.Board(), True
        elif what == "stop":
            self.supersede()
        elif what == "ponderhit" and self.go and self.go.pondering and not self.go.stopped:
            self.go.waits, self.go.ends, self.go.pondering = False, self.go.after_ponder, False
        self.say(what, send)

    @rule(seed=st.integers(0, 10**6), plies=st.sampled_from([0, 1, 2, 3, 10, 40, 300]), send=st.booleans())
    def position(self, seed, plies, send):
        self.supersede()
        self.board, line = game(seed, plies, self.chess960)
        self.say(line, send)

    @rule(line=st.sampled_from(BAD), form=st.sampled_from(FORMS), seed=st.integers(0, 10**6), send=st.booleans())
    def bad_position_and_go(self, line, form, seed, send):
        self.supersede()
        self.board = None
        self.say(line, send)
        self.ask(form, seed, send)
        if seed % 3 == 0:
            self.settle()
        self.position(seed, seed % 30, send)

    @rule(how=st.sampled_from(["ucinewgame", "ClearTree", "PolicyTemperature", "WDLDrawRateReference"]), n=st.integers(1, 10))
    def forget_and_count(self, how, n):
        self.position(n, 10, True)
        self.ask("nodes {n}", self.most_nodes - 1, True)
        self.settle()
        if how == "ucinewgame":
            self.say_a_word(how, True)
            self.position(n, 10, True)  # the same again: a tree that was kept would go on
        else:
            number = self.number = (getattr(self, "number", 0) + 1) % 4  # another value than the last one
            self.setoption(how, number, False)
        self.ask("nodes {n}", n, True)
        self.settle()

    @rule(first=st.integers(1, 30), second=st.integers(1, 30), as_playouts=st.booleans(), seed=st.integers(0, 10**6))
    def count_again(self, first, second, as_playouts, seed):
        self.setoption("ClearTree", 0, False)
        self.say(f"setoption name NodesAsPlayouts value {str(as_playouts).lower()}", False)
        self.position(seed, 12, True)
        self.ask("nodes {n}", first, True)
        kept = self.go.nodes
        self.settle()
        self.ask("nodes {n}", second, True)
        if kept is not None and self.search in TREES:
            made = 1 + second % self.most_nodes
            self.go.nodes = kept + made if as_playouts else max(kept, made)
        self.settle()
        self.say("setoption name NodesAsPlayouts value false")

    @rule(chess960=st.booleans(), queenside=st.booleans())
    def castle(self, chess960, queenside):
        self.setoption("UCI_Chess960", 3 * chess960, False)
        self.supersede()
        self.board = chess.Board("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", chess960=chess960)
        self.say(f"position fen {self.board.fen()}", False)
        move = chess.Move.from_uci("e1c1" if queenside else "e1g1")
        self.ask("nodes {n} searchmoves {moves}", 3, True, [move])
        self.settle()

    @rule(name=st.sampled_from(["UCI_Chess960", "MultiPV", "UCI_ShowWDL", "PolicyTemperature", "ClearTree", "VerboseMoveStats", "ScoreType",
                                "WDLDrawRateReference", "Ponder", "LogLiveStats", "MoveStats", "SpeedStats", "Search"]),
          number=st.integers(0, 3), send=st.booleans())
    def setoption(self, name, number, send):
        if name == "Search" and not self.exact:
            return  # many evaluations, each of them slow
        value = {"MultiPV": number + 1, "Search": ["classic", "dag", "policyhead", "valuehead"][number],
                 "PolicyTemperature": 1 + number / 2, "WDLDrawRateReference": 0.2 + number / 10, "ClearTree": "",
                 "ScoreType": ["Q", "W-L", "centipawn", "WDL_mu"][number]}.get(name, "true" if number > 1 else "false")
        running = self.go if self.go in self.client.open_gos else None
        if name == "UCI_Chess960":
            self.chess960 = value == "true"
            if self.chess960 is False and self.board is not None and self.board.chess960:
                self.board = None  # what it was is not what it is now: both sides wait for another
                self.say("position", False)
                self.supersede()
        elif name == "MultiPV":
            self.multipv = value
        elif name == "UCI_ShowWDL":
            self.wdl = value == "true"
        elif name == "Search":
            self.search = value
        if running and name in ("UCI_Chess960", "MultiPV", "UCI_ShowWDL"):
            known = {"UCI_Chess960": "chess960", "MultiPV": "multipv", "UCI_ShowWDL": "wdl"}[name]
            acts = running.waits and not running.stopped and running.search == "classic" and self.exact  # at once, and the search is not over
            setattr(running, known, getattr(self, known) if acts else None)
        self.fresh |= name == "ClearTree" or name == "PolicyTemperature" and value != self.temperature
        if name == "PolicyTemperature":
            self.temperature = value
        self.say(f"setoption name {name}" + (f" value {value}" if value != "" else ""), send)

    @rule(form=st.sampled_from([form for form in FORMS if "ponder" in form]), n=st.integers(1, 10**6), send=st.booleans())
    def ponder_and_hit(self, form, n, send):
        self.ask(form, n, send)
        self.say_a_word("ponderhit", send)
        self.settle()

    @rule(seed=st.integers(0, 10**6))
    def send_back_all_options(self, seed):
        self.say_a_word("uci", True)
        self.settle()
        complaints, lines = self.client.complaints, [f"setoption name {name} value {value}" for name, value in self.client.told.items()]
        random.Random(seed).shuffle(lines)
        for line in lines:
            self.say(line, False)
        self.settle()
        assert self.client.complaints == complaints, self.client.story("a complaint about what the engine has listed")

    @rule(form=st.sampled_from(FORMS), n=st.integers(1, 10**6), send=st.booleans())
    def ask_without_waiting(self, form, n, send):
        self.ask(form, n, send)

    @rule(form=st.sampled_from(FORMS), n=st.integers(1, 10**6))
    def ask_and_wait(self, form, n):
        self.ask(form, n, True)
        self.settle()

    def ask(self, form, n, send, kept=None):
        self.supersede()
        n = 1 + n % self.most_nodes
        legal = NOTHING if self.board is None else legal_moves(self.board)
        if kept is None:
            kept = list(self.board.legal_moves)[:1 + n % 3] if legal != NOTHING else [chess.Move.from_uci("e2e4")]
        text = ("joho go " if n % 11 == 0 else "go ") + form.format(n=n, moves=" ".join((self.board or chess.Board()).uci(move) for move in kept))
        if "{moves}" in form and legal != NOTHING:
            legal = {notation: {self.board.uci(move, chess960=notation) for move in kept} for notation in (False, True)}
        waits = "infinite" in form or "ponder" in form
        exact = self.exact and self.fresh and form in ("nodes {n}", "nodes\t{n}.4", "frobnicate nodes {n}", *UNREADABLE,
                                                       "nodes {n} searchmoves {moves}", "searchmoves {moves} nodes {n}")
        nodes = (1 if form in UNREADABLE else n) if exact and self.search == "classic" else None
        if self.search == "policyhead" and form != "nodes {n} searchmoves a1a1":
            nodes = 1  # its only evaluation
        self.go = Go(text, legal, waits=waits, ends=form != "" and not waits, nodes=nodes, chess960=self.chess960,
                     multipv=self.multipv if self.search in TREES else 1, wdl=self.wdl)
        self.go.pondering, self.go.search, self.go.board = "ponder" in form, self.search, self.board and self.board.copy(stack=False)
        self.go.after_ponder = "nodes" in form or "wtime" in form  # it ends by itself after ponderhit
        self.client.open_gos.append(self.go)
        if legal != NOTHING:
            self.fresh = False
        self.say(text, send)

    @rule()
    def settle(self):
        """Waits for all that must come; what must not come does not."""
        client = self.client
        client.readys += 1
        self.say("isready")
        client.take_until(lambda: client.readys == 0 and client.ucis == 0)
        keeps = bool(self.go and self.go in client.open_gos and not self.go.stopped and not self.go.ends)
        client.take_until(lambda: len(client.open_gos) <= keeps)

    def end_of_input(self):
        self.client.flush()
        self.client.process.stdin.close()
        if self.go and not self.go.ends:
            self.go.stopped = True
        while self.client.take():
            pass
        assert not self.client.open_gos and self.client.readys == 0 and self.client.ucis == 0, self.client.story("the end came too early")
        assert self.client.process.wait(PATIENCE_S) == 0, self.client.story("exit code")


# the engines ----------------------------------------------------------------------------------------------------------

FAULTS = ["", "fail=launch:200+", "fail=copy:60", "fail=fault:600"]  # of the emulated GPU, one run of the machine each


def machines(folder):
    """Every back end that this package can try: subclasses of Gui with the share of the steps that is theirs."""
    shared = {"folder": folder}
    made = [type("Random", (Gui,), shared | {"share": 0.5}),
            type("RandomInBatches", (Gui,), shared | {"share": 0.15, "argv": command("--backend=random", "--minibatch-size=8")}),
            type("RandomInThreads", (Gui,), shared | {"share": 0.15, "argv": command("--backend=random", "--threads=3", "--minibatch-size=4")}),
            type("Cpu", (Gui,), shared | {"share": 0.1, "most_nodes": 20, "argv": command("--backend=cpu", f"--weights={small_net(folder)}")})]
    if (pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so").exists():
        argv = command("--backend=rocm", f"--weights={small_net(folder)}", "--minibatch-size=2",
                       "--backend-opts=max_batch=2,streams=1,warm_up=false")
        for words in FAULTS:
            environment = {"ROCM_EMULATED": words, "XDG_CACHE_HOME": str(folder)}
            made.append(type("Rocm" + words.partition(":")[0].title().replace("=", ""), (Gui,), shared | {
                "share": 0.1 / len(FAULTS), "most_nodes": 6, "exact": False, "argv": argv, "environment": environment}))
    return made


def small_net(folder):
    return make_net(folder / "small.pb", body="tower", filters=32, blocks=1, se_ratio=4, policy="convolution")


def make_net(path, **shape):
    """The file, made if it is not there: scripts/make_net.py."""
    if not path.exists():
        spec = importlib.util.spec_from_file_location("make_net", pathlib.Path(__file__).resolve().parents[2] / "scripts/make_net.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.write_net(module.make_net(**shape), path)
    return path


def walk(machine, examples, steps=100):
    """Raises AssertionError with the dialogue that led to a difference. There is no shrinking: it would take minutes."""
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck), database=None,
        phases=[Phase.generate]))
