"""The life of a machine with GPUs, through the engine: everything that a GUI may send (gui.py), and between that other options, networks and
back ends, programs that take the GPU's memory and give it back, and GPUs that fail at any call.

The model: what the options name plays on the GPU unless that is lost or has no memory, and then the CPU says why in a sentence; in play a GPU
allocates, captures and plans nothing, whatever memory is left; a fault is told once; nothing is left on the GPUs when they are left."""
import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import time

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from . import gui

GPUS = 3
NEEDS = ("alloc", "capture", "plan")
KINDS = {"alloc": 40, "copy": 40, "launch": 200, "gemm": 40, "conv": 10, "fault": 400, "capture": 4, "plan": 10, "wrong": 20, "hang": 400}
BACK_ENDS = {"rocm": "gpu=0,{}", "rocm-fp16": "gpu=1,{}", "demux": "a(backend=rocm,gpu=0,weight=2,{}),b(backend=rocm-fp16,gpu=1,{})",
             "roundrobin": "a(backend=rocm,gpu=1,{}),b(backend=rocm,gpu=2,{})", "multiplexing": "a(backend=rocm,gpu=2,{})"}


CHOICES = st.fixed_dictionaries({"name": st.sampled_from([*BACK_ENDS]), "net": st.sampled_from("ab"), "max_batch": st.sampled_from([1, 2, 5]),
                                 "streams": st.sampled_from([1, 2]), "threads": st.sampled_from([0, 1, 4]), "minibatch": st.sampled_from([0, 1, 3, 9])})
on_gpus = precondition(lambda life: life.name)


class Life(gui.Gui):
    exact, most_nodes, share = False, 6, 0.05

    @initialize(silent=st.booleans(), choice=CHOICES)
    def start(self, silent, choice):
        self.place = tempfile.TemporaryDirectory()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{self.place.name}/door")
        listener.listen()
        listener.settimeout(gui.PATIENCE_S)
        self.argv = [sys.executable, str(pathlib.Path(__file__).parent / "emulated_engine.py"), f"{self.place.name}/door", "--config=",
                     "--threads=1", "--nncache=1000", "--backend=random"]
        super().start(silent)
        door, _ = listener.accept()
        listener.close()
        self.door = door.makefile("rw")
        self.lost, self.hung, self.memory = set(), False, None
        self.name = ""  # of the back end, where it is one on GPUs
        self.since = 0  # of the history: its options
        self.before = None  # counters when it was ready, as long as nothing is done to it
        self.machine(f"devices={GPUS}")
        self.choose(choice)

    def teardown(self):
        try:
            super().teardown()
        finally:
            if hasattr(self, "door"):
                self.door.close()
                self.place.cleanup()

    def machine(self, words=""):
        self.door.write(words + "\n")
        self.door.flush()
        return json.loads(self.door.readline())

    def settings(self, more=""):
        memory = "" if self.memory is None else f" memory={self.memory}"
        return self.machine(f"devices={GPUS}{memory} {more}")

    def told(self, since):
        return [line for line in self.client.history[since:] if line.startswith("info string ")]

    def sentences(self, since):
        return [line for line in self.told(since) if re.search(r"error: |left out|failed although|fails its check", line)]

    def plays_on(self):
        """gpu, cpu, or "" where that is not said yet."""
        for line in reversed(self.told(self.since)):
            if re.search("the CPU plays instead|the CPU goes on|going on with back end cpu", line):
                return "cpu"
            if "the CPU plays until the GPU is ready" in line or "the GPU is ready; it takes over" in line:
                return ""
            if "runs on " in line:
                return "gpu" if "emulated GPU" in line else "cpu"
        return ""

    def quiet(self):
        """No search, and what the options name is loaded, or cannot be. Checks what was needed of the GPU since the last time."""
        self.supersede()
        self.say("stop")
        self.settle()
        end = time.monotonic() + 2 * gui.PATIENCE_S
        while self.name and not self.plays_on():
            assert time.monotonic() < end, self.client.story("nobody says what plays")
            self.client.take(0.1)
            self.settle()
        facts = self.machine()
        if self.before and self.plays_on() == "gpu":
            assert [facts[kind] for kind in NEEDS] == [self.before[kind] for kind in NEEDS], self.client.story(f"{self.before} became {facts}")

    def play(self, plies=3):
        for n in range(plies):
            self.position(n, 2 * n, True)
            self.ask("nodes {n}", self.most_nodes - 1, True)
            self.settle()

    @rule(choice=CHOICES)
    def choose(self, choice):
        self.quiet()
        self.name, self.since, self.before = choice["name"], len(self.client.history), None
        small = f"max_batch={choice['max_batch']},streams={choice['streams']},warm_up=true"
        options = {"WeightsFile": self.nets[choice["net"]], "Backend": self.name, "BackendOptions": BACK_ENDS[self.name].replace("{}", small),
                   "Threads": choice["threads"], "MinibatchSize": choice["minibatch"]}
        for option, value in options.items():
            self.say(f"setoption name {option} value {value}", False)
        self.expect()
        self.play()

    def expect(self):
        """It is loaded now: on the GPU, or there is a reason."""
        self.quiet()
        reasons = bool(self.lost) or self.memory is not None
        assert self.plays_on() == "gpu" or reasons, self.client.story("the GPU does not play")
        assert reasons or not self.sentences(self.since), self.client.story("a sentence about nothing")
        assert len(self.sentences(self.since)) <= 1, self.client.story("too many sentences")
        self.before = self.machine() if self.plays_on() == "gpu" and not self.sentences(self.since) else None

    @on_gpus
    @rule(kind=st.sampled_from([*KINDS]), part=st.floats(0, 1), more=st.sampled_from(["", "+"]), gpu=st.integers(0, GPUS - 1))
    def fail(self, kind, part, more, gpu):
        self.quiet()
        if kind == "hang" and self.hung:
            return  # it costs seconds
        since, was = len(self.client.history), self.plays_on()
        self.before = None
        self.settings(f"fail={kind}:{1 + int(part * KINDS[kind])}{more}@{gpu}")
        self.play()
        told = self.sentences(since)
        left_out = sum("left out" in line for line in told)
        assert len(told) - left_out <= 1 and left_out <= 2, self.client.story(f"{kind} was told {len(told)} times")
        assert was == "gpu" or not told, self.client.story("the CPU fails")
        assert kind not in ("gemm", "conv", "capture", "plan") or not told, self.client.story("our own kernels can do it")
        if told and kind in ("fault", "hang"):
            self.lost.add(gpu)
            self.hung |= kind == "hang"
        self.settings()

    @on_gpus
    @rule(memory=st.sampled_from([0, 2, None]))
    def another_program(self, memory):
        """Takes all, most or nothing of the memory that is left."""
        self.quiet()
        self.memory = memory
        self.settings()
        since = len(self.client.history)
        self.play()
        assert not self.sentences(since), self.client.story("what was promised is not held")
        self.quiet()

    @on_gpus
    @rule()
    def new_game(self):
        """Memory that is there again is used."""
        self.quiet()
        told = self.told(self.since)
        lacked = any("memory" in line for line in told) and not any(re.search("going on with|left out", line) for line in told)
        if lacked:
            self.before = None
        since = len(self.client.history)
        self.say_a_word("ucinewgame", True)
        self.play(1)
        if lacked and self.memory is None and not self.lost:
            self.since = since
            self.expect()
        self.quiet()

    @on_gpus
    @rule()
    def leave(self):
        """The GPUs, for something else."""
        self.quiet()
        self.name, self.before = "", None
        self.say("setoption name Backend value random")
        self.settle()
        self.play(1)
        end = time.monotonic() + gui.PATIENCE_S
        while (live := self.machine()["live"]) and not self.hung:
            assert time.monotonic() < end, self.client.story(f"{live} things are left on the GPUs")
            time.sleep(0.05)

    # Not here: what gui.py looks at without GPUs; and the options that were listed at first name another back end.
    bad_position_and_go = forget_and_count = count_again = castle = send_back_all_options = None


def machine(folder):
    """The class, with its nets in `folder`."""
    nets = {}
    for name, shape in (("a", dict(body="tower", filters=32, blocks=1, se_ratio=4, policy="convolution")),
                        ("b", dict(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=8))):
        nets[name] = gui.make_net(folder / f"{name}.pb", **shape)
    return type("Life", (Life,), {"folder": folder, "nets": nets, "environment": {"ROCM_EMULATED": f"devices={GPUS}", "XDG_CACHE_HOME": str(folder),
                                                                                  "PATH": os.environ["PATH"]}})
