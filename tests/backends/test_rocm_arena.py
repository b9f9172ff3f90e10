"""The memory for activations: what is given out does not overlap, and what is kept is what was asked for."""
import ctypes as C
import os
import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from emulated import Machine
from rocm_calls import Calls

BEGIN, END = 0, -1
MIB = 2**20


class Arena(Calls):
    def __init__(self, machine):
        super().__init__(32)
        self.machine = machine
        for name in ("bytes", "peak", "largest"):
            getattr(self.lib, f"arena_{name}").restype = C.c_size_t
        self.lib.arena_reserve.argtypes = self.lib.arena_grow.argtypes = [C.c_size_t]

    bytes = property(lambda self: self.lib.arena_bytes())
    peak = property(lambda self: self.lib.arena_peak())

    def open(self):
        self.lib.arena_open()
        self.free = self.machine.free_memory()

    @property
    def held(self):
        return self.free - self.machine.free_memory()

    def reserve(self, bytes):
        self.check(self.lib.arena_reserve(bytes))

    def run(self, *steps):
        """Where each step's bytes begin; None for those that take none."""
        places = (C.c_void_p * len(steps))()
        self.check(self.lib.arena_pass((C.c_long * len(steps))(*steps), len(steps), places))
        return list(places)

    def allocations(self, *steps):
        before = self.machine.calls("alloc")["alloc"]
        self.run(*steps)
        return self.machine.calls("alloc")["alloc"] - before


@pytest.fixture
def arena(machine):
    a = Arena(machine)
    a.open()
    yield a
    a.lib.arena_close()


def rounded(size):
    return -(-size // 256) * 256


SCOPES = st.recursive(st.integers(1, 3000).map(lambda size: [size]), lambda inner: st.lists(inner, max_size=4).map(
    lambda parts: [BEGIN, *(step for part in parts for step in part), END]), max_leaves=12)


def lives(steps):
    """(place in `steps`, bytes, those that are out at the same time and were taken before) of each step that takes some."""
    out, depths = [], [0]
    for at, step in enumerate(steps):
        if step == BEGIN:
            depths.append(len(out))
        elif step == END:
            del out[depths.pop():]
        else:
            yield at, step, list(out)
            out.append(at)


@settings(max_examples=60)
@given(steps=st.lists(SCOPES, max_size=6).map(lambda parts: [step for part in parts for step in part]), part=st.floats(0, 1))
def test_nothing_overlaps_and_what_was_reserved_suffices(emulated_gpu, steps, part):
    arena = Arena(Machine())
    arena.open()
    try:
        alive = list(lives(steps))
        most = max((sum(rounded(steps[i]) for i in [*before, at]) for at, _, before in alive), default=0)

        def check():
            places = arena.run(*steps)
            for at, size, before in alive:
                assert all(places[at] + size <= places[i] or places[i] + steps[i] <= places[at] for i in before)
                assert arena.machine.lib.hipMemcpy(C.c_void_p(places[at]), bytes(size), C.c_size_t(size), 1) == 0, "it is all there"
            return places

        check()
        assert arena.peak == most and arena.lib.arena_largest() == max((size for _, size, _ in alive), default=0)
        arena.reserve(int(part * most))
        assert (arena.bytes, arena.peak, arena.held) == (int(part * most), 0, int(part * most))
        check()
        asked = arena.machine.calls("alloc")
        arena.reserve(most)
        for _ in range(2):
            places = [place for place in check() if place]
            assert all((place - min(places)) % 256 == 0 and place - min(places) < most for place in places)
        assert arena.held == most and arena.machine.calls("alloc")["alloc"] == asked["alloc"] + (most > 0)
    finally:
        arena.lib.arena_close()


def test_what_was_taken_apart_serves_again(arena):
    assert arena.allocations(*[BEGIN, 5000, BEGIN, 3000, END, BEGIN, 3000, END, END] * 3) == 2
    assert arena.held == 8000


def test_a_small_array_takes_no_large_ones_place(arena):
    """Which the next large one wants."""
    assert arena.allocations(BEGIN, 9000, END, 300, 9000) == 2 and arena.held == 9300


def test_what_does_not_fit_whole_lies_apart(arena):
    arena.reserve(1024)
    first, second = arena.run(768, 768)
    assert not 0 <= second - first < 1024 and arena.peak == 1536


@pytest.mark.parametrize("bytes", [0, 4096])
def test_growth_keeps_what_is_there_and_nothing_else(arena, bytes):
    arena.reserve(1024)
    arena.run(900, 2000)
    assert arena.held == 3024
    assert arena.lib.arena_grow(bytes) and arena.peak == 0
    assert arena.bytes == arena.held == max(1024, bytes)


def test_growth_that_is_refused_leaves_what_is_there(arena):
    arena.reserve(1024)
    arena.run(900, 2000)
    arena.machine.configure("memory=0")
    assert not arena.lib.arena_grow(4096)
    arena.machine.configure("")
    assert (arena.bytes, arena.peak, arena.held) == (1024, 0, 1024)


def test_old_and_new_room_need_not_fit_at_once(arena):
    arena.machine.configure("memory=3")
    for size in (2, 3, 1, 2):
        arena.reserve(size * MIB)
        assert arena.bytes == size * MIB
    with pytest.raises(RuntimeError, match="allocating"):
        arena.reserve(4 * MIB)
    assert arena.bytes == 0, "and has no room then"


def test_managed_memory_is_half_of_the_machines_at_most(arena):
    """Of which the runtime would give more; what was refused or given back does not count."""
    all_of_it = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    arena.machine.configure(f"integrated=1 memory=1 mapped=1 managed={all_of_it // MIB} blocks=0")
    for part in (0.6, 0.3, 0.6, 0.4, 0.4):
        if part < 0.5:
            arena.reserve(int(part * all_of_it))
            assert arena.bytes == int(part * all_of_it)
        else:
            with pytest.raises(RuntimeError, match="allocating"):
                arena.reserve(int(part * all_of_it))
    arena.reserve(0)


def test_what_is_refused_gives_back_what_the_pass_had_taken(arena):
    arena.machine.configure("memory=1")
    with pytest.raises(RuntimeError, match="allocating"):
        arena.run(MIB // 2, MIB // 2, 256)
    arena.machine.configure("")
    assert arena.lib.arena_grow(0) and arena.held == 0
