"""What the ROCm back end takes of a GPU: all of it when it is loaded, as much as fits, and nothing more in a game."""
import functools
import gc
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import chess
import numpy as np
import pytest

import lc0rocm
from emulated import ROOT, write_net
from lc0rocm import _core
from lc0rocm.engine.uci import Uci
from lc0rocm.netfile import net
from lc0rocm.options import ENGINE, Settings

NEEDS = ("alloc", "capture", "plan")  # calls that cost time or memory, or may be refused
STEPS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def check(backend, case, size):
    """Evaluates `size` positions and compares them with the CPU's."""
    _, planes, wanted = case
    many = [np.resize(part, (size, *part.shape[1:])) for part in (*planes, *wanted)]
    for got, want in zip(backend.evaluate(*many[:2]), many[2:]):
        np.testing.assert_allclose(got, want, atol=2e-3)


def make(case, **options):
    return _core.Backend("rocm", case[0], {"max_batch": 8, "streams": 1, "warm_up": True} | options)


@functools.cache
def measured_keys(network):
    """Of what one position asks for; made into text, so that nothing of a back end is kept."""
    return tuple(line.split()[0] for line in _core.Backend("rocm", network, {"max_batch": 1, "streams": 1, "warm_up": False, "measure": 600.0})
                 .plans.splitlines())


def hungry_plans(network, size, splits=8):
    """Plans with which a batch of `size` wants more than others foretell: a workspace, as products are split, and activations, as
    convolutions are products of patches."""
    keys = [key.replace("/r64/", f"/r{64 * size}/").replace("/conv3x3/b1/", f"/conv3x3/b{size}/") for key in measured_keys(network)]
    return "".join(f"{key} {'patches' if '/conv3x3/' in key else f'own:64x64:k{splits}'} 1\n" for key in keys)


@pytest.fixture
def hungry(machine, case):
    """Options with which a batch of 8 wants more memory than fewer positions foretell."""
    return {"warm_up": False, "plans": hungry_plans(case[0], 8)}


def positions_at_once(machine, backend, case, size):
    """How many of `size` positions a pass takes: each pass has one copy to the GPU and one back."""
    before = machine.calls("copy")["copy"]
    check(backend, case, size)
    return size // ((machine.calls("copy")["copy"] - before) // 2)


@pytest.mark.parametrize("warm_up", [True, False])
@pytest.mark.parametrize("memory", [3, 4, 6, 8])
def test_what_is_promised_is_held(machine, case, memory, warm_up):
    """Also where another program takes all that is left."""
    machine.configure(f"memory={memory}")
    backend = make(case, max_batch=11, warm_up=warm_up)
    most = backend.info["max_batch"]
    assert most == 11 or f"batches of up to {most}: its memory does not suffice for 11" in backend.info["device"]
    machine.configure("memory=0")
    for size in {1, min(2, most), most}:
        assert positions_at_once(machine, backend, case, size) == size


@pytest.mark.parametrize("streams", [1, 2])
def test_the_largest_batch_that_fits(machine, case, streams):
    """Not smaller than what memory suffices for, and as many at a time as were asked for."""
    load = lambda wanted: make(case, max_batch=wanted, streams=streams, warm_up=False)

    def taken(size):
        machine.configure("blocks=0")
        free, backend = machine.free_memory(), load(size)
        assert backend.info["max_batch"] == size
        return (free - machine.free_memory()) / 2**20

    def copies(wanted):
        before = machine.calls("copy")["copy"]
        load(wanted)
        return machine.calls("copy")["copy"] - before

    for memory in (12, 20):
        machine.configure(f"memory={memory} blocks=0")
        info = load(512).info
        most = info["max_batch"]
        assert 16 <= most < 512 and info["threads"] == streams
        above = next(step for step in STEPS if step > most)
        assert load(most).info["max_batch"] == load(above).info["max_batch"] == most
        assert copies(512) < copies(most) + 10, "a few positions are tried once, not for each batch size that is too large"
        assert taken(most) <= memory < taken(above)


@pytest.mark.parametrize("case", ["attention"], indirect=True)
@pytest.mark.parametrize("most", [2, 8, 16])
def test_a_few_positions_fit_where_more_do_not(machine, case, most):
    """One at a time, with the memory that so many take and hardly more."""
    machine.configure("memory=64 blocks=0")

    def taken(load):
        free, backend = machine.free_memory(), load()
        return free - machine.free_memory(), backend.info["max_batch"]

    two, three = (taken(lambda streams=streams: make(case, max_batch=most, streams=streams, warm_up=False))[0] for streams in (1, 2))
    wanted = two - (three - two)
    filler = machine.take((machine.free_memory() - wanted) / 2**20 - 0.06)
    assert taken(lambda: make(case, max_batch=512, streams=1, warm_up=False)) == (wanted, most)
    machine.give_back(filler)


@pytest.mark.parametrize("case", ["tower"], indirect=True)
def test_no_memory_for_anything_is_an_error(machine, case):
    """Whatever the first allocation is that fails for good: weights, or a session, of which at least one must fit."""
    before = machine.calls("alloc")["alloc"]
    make(case, warm_up=False)
    for part in range(machine.calls("alloc")["alloc"] - before, 0, -7):
        machine.configure(f"fail=alloc:{part}+")
        with pytest.raises(_core.Error, match="memory"):
            make(case, warm_up=False)


@pytest.mark.parametrize("case", ["attention"], indirect=True)
def test_rocblas_takes_no_more_than_a_small_gpu_has(machine, case):
    """Its own workspace would be 32 MiB."""
    machine.configure("memory=8 fail=plan:1+")  # in the place of hipBLASLt
    before = machine.calls("gemm")
    backend = make(case)
    assert machine.calls("gemm") != before
    free = machine.free_memory()
    for size in (1, 3, 8):
        check(backend, case, size)
    assert machine.free_memory() == free and backend.info["max_batch"] == 8


def test_out_of_memory_in_play_makes_smaller_batches(machine, case, hungry):
    """A batch of a size that was never met wants more than was reserved, and there is none."""
    backend = make(case, **hungry)
    for part in range(1, 5):
        free = machine.free_memory()
        machine.configure(f"fail=alloc:{part}+")
        before = machine.calls("alloc")["alloc"]
        check(backend, case, 8)
        assert machine.calls("alloc")["alloc"] <= before + part, "a size between the steps is not tried"
        before = machine.calls("alloc")
        check(backend, case, 3)
        assert positions_at_once(machine, backend, case, 28) == 4, "the next smaller step"
        assert machine.calls("alloc") == before, "it is a size that fits by now"
        machine.configure("")
        assert machine.free_memory() >= free - 2**16, "what the failed pass took is back"


def test_what_has_grown_once_grows_no_more(machine, case, hungry):
    backend, before = make(case, **hungry), machine.calls("alloc")
    check(backend, case, 8)
    assert machine.calls("alloc") != before
    for _ in range(3):  # plainly, as a graph, and again where that one's places have moved
        for size in (8, 1, 3):
            check(backend, case, size)
    before = machine.calls(*NEEDS), machine.live_objects()
    for size in (1, 8, 3):
        check(backend, case, size)
    assert (machine.calls(*NEEDS), machine.live_objects()) == before
    assert positions_at_once(machine, backend, case, 8) == 8


@pytest.mark.parametrize("most, hungry_sizes", [(8, {2: 8}), (8, {8: 8}), (8, {4: 2, 2: 8}), (24, {16: 2, 8: 8})], ids=str)
def test_what_grows_while_it_is_warmed_up_is_there_in_play(machine, case, most, hungry_sizes):
    """Also where a smaller batch wants more than larger ones, which were captured before it, and a yet smaller one more than that."""
    backend = make(case, max_batch=most, plans="".join(hungry_plans(case[0], size, splits) for size, splits in hungry_sizes.items()))
    before = machine.calls(*NEEDS), machine.live_objects()
    for size in (most, *hungry_sizes, 1, most):
        check(backend, case, size)
    assert (machine.calls(*NEEDS), machine.live_objects()) == before
    machine.configure("memory=0")
    assert positions_at_once(machine, backend, case, most) == most


@pytest.mark.parametrize("case", ["tower"], indirect=True)
def test_memory_that_is_there_again_is_used(machine, case, hungry):
    """Another program has ended: the whole batch is tried again, not at once and not for ever in vain."""
    backend = make(case, **hungry)
    eight = [np.resize(part, (8, *part.shape[1:])) for part in case[1]]
    machine.configure("memory=0")
    check(backend, case, 8)
    machine.configure("")
    assert positions_at_once(machine, backend, case, 8) < 8

    def tries():
        asked, count = machine.calls("alloc"), 0
        while machine.calls("alloc") == asked and count < 1000:
            backend.evaluate(*eight)
            count += 1
        return count

    machine.configure("memory=0 blocks=0")
    assert 100 < tries() < 1000
    machine.configure("blocks=0")
    assert 100 < tries() < 1000, "what was in vain is tried again at once"
    machine.configure("")
    assert positions_at_once(machine, backend, case, 8) == 8


def test_one_refusal_leaves_what_was_held(machine, case, hungry):
    """Whichever allocation it meets: one of the pass, or the room for the next one. After that there is nothing more to be had, and
    nothing more is asked for."""
    backend, before = make(case, **hungry), machine.calls("alloc")["alloc"]
    check(backend, case, 8)
    del backend
    for part in range(1, machine.calls("alloc")["alloc"] - before + 1):
        machine.configure("")
        backend = make(case, **hungry)
        for _ in range(3):  # plainly, captured, launched: that graph must not outlive the places it knows
            check(backend, case, 1)
        free = machine.free_memory()
        machine.configure(f"fail=alloc:{part}")
        check(backend, case, 8)
        assert machine.free_memory() <= free, "nothing is given back"
        machine.configure("memory=0")
        asked = machine.calls("alloc")
        for size in (8, 1, 3):
            check(backend, case, size)
        assert machine.calls("alloc") == asked
        del backend


@pytest.mark.parametrize("case", ["tower"], indirect=True)
def test_a_pass_that_failed_keeps_nothing(machine, case, hungry):
    """Of the activations that it took beyond what was reserved: the smaller batches that follow do not need them."""
    plans = "".join(line + "\n" for line in hungry["plans"].splitlines() if "/conv3x3/" in line)
    eight = [np.resize(part, (8, *part.shape[1:])) for part in case[1]]

    def taken(refused):
        machine.configure("blocks=0")
        backend = make(case, warm_up=False, plans=plans)
        free, asked = machine.free_memory(), machine.calls("alloc")["alloc"]
        machine.configure(f"blocks=0 fail=alloc:{refused}")
        backend.evaluate(*eight)
        return free - machine.free_memory(), machine.calls("alloc")["alloc"] - asked

    grown, allocations = taken(0)
    assert grown > 0 and allocations > 1
    assert [taken(part)[0] for part in range(1, allocations)] == [0] * (allocations - 1)


def test_a_smaller_batch_that_grows_leaves_what_was_promised(machine, case):
    backend = make(case, warm_up=False, plans=hungry_plans(case[0], 2))
    free = machine.free_memory()
    check(backend, case, 2)
    assert machine.free_memory() < free, "it grew"
    machine.configure("memory=0")
    assert positions_at_once(machine, backend, case, 8) == 8


def test_no_graph_knows_what_was_outgrown(machine, case, hungry):
    backend = make(case, **hungry)
    for _ in range(3):  # plainly, captured, launched
        check(backend, case, 1)
    captures = machine.calls("capture")["capture"]
    for size in (8, 1):
        check(backend, case, size)
    assert machine.calls("capture")["capture"] == captures + 2


def test_a_refused_graph_is_asked_for_again_where_memory_has_moved(machine, case, hungry):
    """And not before."""
    backend, asked = make(case, **hungry), []
    check(backend, case, 1)
    machine.configure("fail=capture:1")
    for size in (1, 1, 8, 1, 1):
        check(backend, case, size)
        asked.append(machine.calls("capture")["capture"])
    assert asked[0] == asked[1] == asked[2] < asked[3] == asked[4]


@pytest.mark.parametrize("case", ["attention"], indirect=True)
def test_what_was_outgrown_is_freed(machine, case, hungry):
    """The workspace grows product by product, and in the end there is that of the widest alone."""
    machine.configure("blocks=0")

    def taken(plans):
        free = machine.free_memory()
        backend = make(case, warm_up=False, plans=plans)
        backend.evaluate(*(np.resize(part, (8, *part.shape[1:])) for part in case[1]))
        return free - machine.free_memory()

    plans = [line for line in hungry["plans"].splitlines() if "/r512/" in line]  # those that the loading does not meet
    alone = [taken(line) for line in plans]
    assert len(set(alone)) > 2, "it grows more than once"
    assert taken("\n".join(plans)) == max(alone)


@pytest.mark.parametrize("streams", [1, 3])
def test_one_batch_more_than_streams_is_ready(machine, case, streams):
    """Of each batch size a graph, for each batch at a time: begun to be captured, and made."""
    before = machine.calls("capture")["capture"]
    backend = make(case, max_batch=2, streams=streams)
    assert machine.calls("capture")["capture"] - before == 2 * len(backend.info["sizes"]) * (streams + 1)


@pytest.mark.parametrize("options", [{}, {"graphs": False}, {"warm_up": False}], ids=str)
def test_libraries_that_refuse_in_play_cost_no_memory(machine, case, options):
    """rocBLAS is not made in place of hipBLASLt then: its workspace was not reserved."""
    backend = make(case, **options)
    before = machine.calls("alloc"), machine.free_memory()
    machine.configure("fail=plan:1+ fail=gemm:1+ fail=conv:1+")
    for size in (1, 3, 8, 8):
        check(backend, case, size)
    assert (machine.calls("alloc"), machine.free_memory()) == before


def test_memory_is_used_alike_where_nothing_is_computed(machine, case):
    """What scripts/memory_games.py goes by: the same calls, and as much memory is free after each."""
    def work(words):
        begin, free = machine.calls(*NEEDS, "copy", "launch", "gemm", "conv"), []
        machine.configure(f"memory=4 {words}")
        backend = make(case, max_batch=64)
        for size in (backend.info["max_batch"], 1, 3):
            free.append(machine.free_memory())
            backend.evaluate(*(np.resize(part, (size, *part.shape[1:])) for part in case[1]))
        end = machine.calls(*begin)
        return backend.info, free, {kind: end[kind] - begin[kind] for kind in begin}

    assert work("blocks=0") == work("")


def test_arrays_of_more_than_two_gib_are_refused_before_anything_is_launched(machine, tmp_path):
    """Whatever memory there is; here it costs nothing where nothing is written, and of each launch two blocks run."""
    write_net("attention", tmp_path / "net.pb", dff=3072)
    network = net.load(tmp_path / "net.pb").core()
    machine.configure("memory=65536 blocks=2 fail=gemm:1+")
    for name, wanted, most in (("rocm", 8192, 2048), ("rocm", 2048, 2048), ("rocm-fp16", 8192, 4096)):
        launches = machine.calls("launch")["launch"]
        backend = _core.Backend(name, network, {"max_batch": wanted, "streams": 1, "warm_up": False})
        told = f"batches of up to {most}: its kernels do not address the arrays of {wanted}"
        assert backend.info["max_batch"] == most and (told in backend.info["device"]) == (wanted > most), backend.info["device"]
        assert machine.calls("launch")["launch"] < launches + 200, "only samples of a few positions"
        assert not backend.has_more_room
        backend.evaluate(*(np.repeat(part[None], most, 0) for part in _core.Game().planes(1)))


def test_few_sessions_rather_than_none(machine, case):
    machine.configure("memory=3")
    backend = make(case, streams=30, max_batch=64)
    assert backend.info["threads"] < 30
    check(backend, case, 5)


def test_any_number_of_threads_share_the_sessions(machine, case):
    """Also after a batch that has failed, whose session serves the next one."""
    backend = make(case, max_batch=4)
    machine.configure("fail=launch:1")
    with pytest.raises(_core.Error):
        check(backend, case, 1)
    machine.configure("")
    check(backend, case, 1)
    before = machine.calls(*NEEDS), machine.live_objects()
    failed = []

    def work(size):
        try:
            for _ in range(2):
                check(backend, case, size)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 4, 5, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and (machine.calls(*NEEDS), machine.live_objects()) == before


@pytest.mark.parametrize("case, max_batch", [("tower", 1), ("tower", 12), ("attention", 2)], indirect=["case"])
def test_a_game_needs_nothing_more(machine, case, max_batch):
    """Every batch size, and every thread of a search: one launch each, of a graph that was captured when the net was loaded."""
    backend = make(case, max_batch=max_batch, streams=2)
    assert backend.info["sizes"] == [step for step in STEPS if step < max_batch] + [max_batch]
    before = machine.calls(*NEEDS)
    for size in range(1, max_batch + 1):
        launches = machine.calls("launch")["launch"]
        check(backend, case, size)
        assert machine.calls("launch")["launch"] == launches + 1
    assert machine.calls(*NEEDS) == before
    search, moves = _core.Search(), []
    search.set_backend(backend, "fen_only", 1.359, 10_000)
    launches, evaluated = machine.calls("launch")["launch"], 0
    for threads in (0, 1, 2, 8, 0):
        search.set_position(_core.STARTPOS, moves)
        search.start({"Threads": threads, "MinibatchSize": max_batch}, {"nodes": 30})
        moves.append(search.result()["best_move"])
        evaluated += search.update()["evaluated_batches"]
    assert machine.calls("launch")["launch"] - launches == evaluated > 4
    assert machine.calls(*NEEDS) == before
    del search


class Gui(Uci):
    """The engine, in this process, so that the machine's counters are within reach."""

    def __init__(self, *options):
        self.lines, self.told, self.failure = [], threading.Condition(), None
        super().__init__(Settings(ENGINE), False, self)
        for name, value in options:
            self.do(f"setoption name {name} value {value}")

    def write(self, lines):
        with self.told:
            self.lines.extend(lines)
            self.told.notify_all()

    def do(self, line, until=""):
        """Says it, and waits for a line that begins so; returns that one."""
        begin = len(self.lines)
        self.handle(line, time.monotonic())
        found = lambda: next((answer for answer in self.lines[begin:] if answer.startswith(until)), None) if until else ""
        with self.told:
            assert self.told.wait_for(lambda: found() is not None, 120), self.lines
            return found()


def test_a_gui_that_changes_options_needs_nothing_more(machine, tmp_path):
    """After readyok: threads and batches of any number, another game, an infinite search."""
    write_net("attention", tmp_path / "net.pb")
    machine.configure("blocks=2")
    gui = Gui(("WeightsFile", tmp_path / "net.pb"), ("Backend", "rocm"), ("BackendOptions", "max_batch=6,streams=2,warm_up=true"))
    gui.do("isready", "readyok")
    while gui.player.back_end.get().backend.name != "rocm":  # the CPU, on a machine that is busy with other things
        time.sleep(0.1)
    before = machine.calls(*NEEDS)
    board = chess.Board()
    for threads, minibatch in ((1, 1), (2, 6), (5, 3), (0, 0), (1, 256)):
        gui.do(f"setoption name Threads value {threads}")
        gui.do(f"setoption name MinibatchSize value {minibatch}")
        gui.do("isready", "readyok")
        gui.do(f"position startpos moves {' '.join(map(str, board.move_stack))}")
        board.push_uci(gui.do("go nodes 30", "bestmove").split()[1])
    gui.do("ucinewgame")
    gui.do("go infinite", "info depth")
    gui.do("stop", "bestmove")
    assert machine.calls(*NEEDS) == before and not any("error" in line for line in gui.lines), gui.lines
    gui.player.back_end.close()
    del gui
    gc.collect()


def test_another_network_finds_the_memory_of_the_one_before(machine, tmp_path):
    """In the middle of a game, on a GPU that has no room for two; and without an isready in between."""
    machine.configure("memory=5 blocks=0")
    for name in "ab":
        write_net("attention", tmp_path / f"{name}.pb")
    gui = Gui(("WeightsFile", tmp_path / "a.pb"), ("Backend", "rocm"), ("BackendOptions", "max_batch=8,streams=1"))
    for name, ready in (("a", True), ("b", True), ("a", False), ("b", False)):
        gui.do(f"setoption name WeightsFile value {tmp_path}/{name}.pb")
        if ready:
            gui.do("isready", "readyok")
        gui.do("go nodes 10", "bestmove")
        while gui.player.back_end.get().backend.name != "rocm":  # the CPU, on a machine that is busy with other things
            assert not any("error" in line for line in gui.lines), gui.lines
            time.sleep(0.1)
        assert gui.player.back_end.get().backend.info["max_batch"] == 8, gui.lines
    gui.player.back_end.close()
    del gui
    gc.collect()


def game(gui):
    """A new one; the back end that plays it."""
    gui.do("ucinewgame")
    gui.do("isready", "readyok")
    gui.do("go nodes 10", "bestmove")
    back_end = gui.player.back_end
    while (loaded := back_end.get()).backend.name == "cpu" and not back_end._loading.failed:  # on a machine that is busy with other things
        time.sleep(0.1)
    return loaded.backend


@pytest.mark.parametrize("memory, shared", [(24, 2), (24, 0.1)], ids=["smaller batches", "the CPU"])
def test_a_new_game_takes_the_memory_that_another_program_had(machine, tmp_path, memory, shared):
    """And only then: what fits no better is not loaded again, nor is what is in use."""
    write_net("attention", tmp_path / "net.pb")
    taken = machine.take(memory - shared)
    machine.configure(f"memory={memory} blocks=0")
    gui = Gui(("WeightsFile", tmp_path / "net.pb"), ("Backend", "rocm"), ("BackendOptions", "max_batch=32,streams=1"))
    first = game(gui)
    assert first.name == "cpu" if shared < 1 else 1 < first.info["max_batch"] < 32
    assert shared < 1 or game(gui) is first
    machine.give_back(taken)
    gui.do("position startpos moves e2e4")
    gui.do("go nodes 10", "bestmove")
    assert gui.player.back_end.get().backend is first
    del first
    assert game(gui).info["max_batch"] == 32 and game(gui) is gui.player.back_end.get().backend
    gui.player.back_end.close()
    del gui
    gc.collect()


@pytest.mark.parametrize("option", ["WeightsFile", "PolicyTemperature", "BackendOptions", "Backend"])
def test_what_changes_while_pondering_acts_at_ponderhit(machine, tmp_path, option):
    """On a GPU that has no room for two networks: one bestmove, and the GPU plays on with what the options say."""
    machine.configure("memory=5 blocks=0")
    for name in "ab":
        write_net("attention", tmp_path / f"{name}.pb")
    gui = Gui(("WeightsFile", tmp_path / "a.pb"), ("Backend", "rocm"), ("BackendOptions", "max_batch=8,streams=1"))
    gui.do("isready", "readyok")
    gui.do("position startpos moves e2e4 e7e5")
    gui.do("go ponder wtime 20000 btime 20000", "info depth")
    value = {"WeightsFile": tmp_path / "b.pb", "PolicyTemperature": 2, "BackendOptions": "max_batch=4,streams=1", "Backend": "rocm-fp16"}[option]
    gui.do(f"setoption name {option} value {value}")
    gui.do("ponderhit", "bestmove")
    while not (loaded := gui.player.back_end.get()).backend.name.startswith("rocm"):  # the CPU, on a machine that is busy with other things
        time.sleep(0.1)
    assert loaded.backend.name == ("rocm-fp16" if option == "Backend" else "rocm")
    assert loaded.backend.info["max_batch"] == (4 if option == "BackendOptions" else 8)
    gui.do("stop")
    gui.do("isready", "readyok")
    assert sum(line.startswith("bestmove") for line in gui.lines) == 1 and not any("error" in line for line in gui.lines), gui.lines
    gui.player.back_end.close()
    del gui, loaded
    gc.collect()


@pytest.mark.parametrize("backend, options", [
    ("rocm", "max_batch=4,streams=2,warm_up=true"),
    ("multiplexing", "a(backend=rocm,max_batch=6,streams=2,warm_up=true)"),
    ("demux", "a(backend=rocm,max_batch=4,streams=1,warm_up=true),b(backend=rocm,max_batch=3,streams=1,warm_up=true)"),
    ("roundrobin", "a(backend=rocm,max_batch=4,streams=1,warm_up=true),b(backend=rocm-fp16,max_batch=4,streams=1,warm_up=true)"),
])
def test_many_engines_of_one_network_need_nothing_more(machine, tmp_path, backend, options):
    write_net("attention", tmp_path / "net.pb")
    machine.configure("blocks=2")  # of each launch: what they compute is looked at elsewhere
    network = lc0rocm.Network(tmp_path / "net.pb", backend, backend_options=options)
    before = machine.calls(*NEEDS), machine.live_objects()
    engines = [lc0rocm.Engine(network, {"Threads": threads, "MinibatchSize": size}) for threads, size in ((0, 1), (1, 2), (2, 4), (3, 9))]
    with ThreadPoolExecutor(len(engines)) as pool:
        for board in (chess.Board(), chess.Board("8/8/8/4k3/8/8/4P3/4K3 w - - 0 1")):
            for result in pool.map(lambda engine, board=board: engine.search(board, nodes=25), engines):
                assert result.best_move in board.legal_moves
    network.evaluate([chess.Board()] * 11)
    assert (machine.calls(*NEEDS), machine.live_objects()) == before
    del engines, network


def test_two_networks_share_a_small_gpu(machine, tmp_path):
    """Each has what it was promised, whatever the other does; a third one is told what to do, and fits when one of them has gone."""
    boards = [chess.Board(), chess.Board("8/8/8/4k3/8/8/4P3/4K3 w - - 0 1")]
    for name in ("attention", "tower", "third"):
        write_net("tower" if name == "tower" else "attention", tmp_path / f"{name}.pb")
    load = lambda name, most=8: lc0rocm.Network(tmp_path / f"{name}.pb", "rocm", backend_options=f"max_batch={most},streams=1,warm_up=true")
    machine.configure("memory=8")
    networks = [load("attention"), load("tower")]
    assert [network.info.max_batch for network in networks] == [8, 8]
    filler = machine.take(machine.free_memory() / 2**20)
    with pytest.raises(lc0rocm.Error, match="its memory is full: .*max_batch"):
        load("third")
    before = machine.calls(*NEEDS), machine.live_objects()
    wanted = [lc0rocm.Network(tmp_path / f"{name}.pb", "cpu").evaluate(boards).q for name in ("attention", "tower")]
    engines = [lc0rocm.Engine(network, {"MinibatchSize": 8}) for network in networks]
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda engine: engine.search(boards[0], nodes=30), engines):
            assert result.best_move in boards[0].legal_moves
        for network, want in zip(networks, wanted):
            np.testing.assert_allclose(network.evaluate(boards).q, want, atol=2e-3)
    assert (machine.calls(*NEEDS), machine.live_objects()) == before
    del network, engines, networks[1]
    gc.collect()
    assert load("third").info.max_batch > 1
    machine.give_back(filler)


@pytest.mark.parametrize("case", ["tower"], indirect=True)
def test_without_graphs_nothing_is_captured(machine, case):
    before = machine.calls("capture")
    check(make(case, graphs=False), case, 3)
    assert machine.calls("capture") == before


def test_a_driver_that_refuses_graphs(machine, case):
    """It is asked once a batch size; passes are plain then."""
    machine.configure("fail=capture:1+")
    backend = make(case, max_batch=4)
    before = machine.calls(*NEEDS)
    for size in (1, 3, 4):
        check(backend, case, size)
    assert machine.calls(*NEEDS) == before


@pytest.mark.parametrize("words, loads", [("memory=1 managed=0", True), ("memory=1 mapped=1", True), ("mapped=0", True),
                                          ("memory=1 mapped=1 managed=1", False)])
def test_an_integrated_gpu_goes_beyond_its_carve_out(machine, tmp_path, words, loads):
    """By fine-grained and then by managed memory, as far as the machine has some."""
    write_net("attention", tmp_path / "wide.pb", embedding=256, dff=512)  # 4 MB
    network = net.load(tmp_path / "wide.pb").core()
    planes = tuple(part[None] for part in _core.Game().planes(1))
    machine.configure("integrated=1 " + words)
    if loads:
        backend = _core.Backend("rocm", network, {"max_batch": 4, "warm_up": True})
        for got, want in zip(backend.evaluate(*planes), _core.Backend("cpu", network, {}).evaluate(*planes)):
            np.testing.assert_allclose(got, want, atol=2e-3)
    else:
        with pytest.raises(_core.Error, match="allocating .* memory"):
            _core.Backend("rocm", network, {"max_batch": 4})


@pytest.mark.usefixtures("emulated_gpu")
@pytest.mark.parametrize("memory", [2, 8])
def test_moves_on_a_small_gpu(reference, reference_net, memory):
    """The short form of scripts/memory_games.py."""
    run = subprocess.run([sys.executable, ROOT / "scripts/memory_games.py", reference / "nets" / f"{reference_net}.pb.gz", "--moves=2",
                          "--nodes=8", f"--memory={memory}", "--max-batch=4096", "--backend=rocm", "--settings=blocks=2"],
                         capture_output=True, text=True)
    assert run.returncode == 0 and ("batches of up to" in run.stdout or "memory" in run.stdout), run.stdout + run.stderr
