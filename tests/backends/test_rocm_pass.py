"""A pass whose independent parts run beside each other on two streams, against the same one behind the other."""
import functools

import numpy as np
import pytest

from emulated import bars
from lc0rocm import _core

KINDS = pytest.mark.parametrize("kind", ["rocm", "rocm-fp16"])
ONE = {"warm_up": False, "max_batch": 1, "without": "hipblaslt rocblas miopen"}


def opened(kind, network, **more):
    return _core.Backend(kind, network, ONE | more)


@pytest.fixture(scope="module")
def measured(case):
    """By kind, the plans of passes: {key: way}. Measuring them is what takes the time of these tests."""
    @functools.cache
    def measure(kind):
        backend = opened(kind, case[0], measure=1000)
        backend.evaluate(*(part[:1] for part in case[1]))
        return {line.split()[0]: line.split()[1] for line in backend.plans.splitlines() if "/pass/" in line}
    return measure


def evaluated(backend, planes):
    """Plainly, captured, replayed."""
    return [np.concatenate([np.ravel(part) for part in backend.evaluate(*planes)]) for _ in range(3)]


@KINDS
def test_both_ways_agree_in_any_order_of_the_streams(machine, case, measured, kind):
    network, planes, expected = case[0], *([part[:1] for part in parts] for parts in case[1:])
    ways = measured(kind)
    assert ways and set(ways.values()) <= {"behind", "beside"}
    objects, outputs = {}, {}
    for way in ("behind", "beside"):
        before = machine.live_objects()
        backend = opened(kind, network, plans="".join(f"{key} {way} 1\n" for key in ways))
        objects[way] = machine.live_objects() - before
        plain, *others = outputs[way] = evaluated(backend, planes)  # of the second stream's work a plain pass does all late, a captured one early
        assert all((other == plain).all() for other in others)
        assert max(bars.shares(kind, backend.evaluate(*planes), expected).values()) <= 1
        del backend
    assert objects["beside"] > objects["behind"], "the plan was not obeyed"


def test_without_memory_for_a_second_stream_there_is_one(machine, case, measured):
    kind = "rocm-fp16"
    network, planes, expected = case[0], *([part[:1] for part in parts] for parts in case[1:])
    plans = "".join(f"{key} beside 1\n" for key in measured(kind))
    objects = set()  # that a back end holds
    for number in range(1, 60):
        before = machine.live_objects()
        machine.configure(f"fail=alloc:{number}")
        try:
            backend = opened(kind, network, plans=plans)
        except _core.Error:  # what both ways need
            continue
        finally:
            machine.configure("")
        assert max(bars.shares(kind, backend.evaluate(*planes), expected).values()) <= 1
        objects.add(machine.live_objects() - before)
        del backend
        if len(objects) > 1:
            return
    pytest.fail("no failure met the second stream")
