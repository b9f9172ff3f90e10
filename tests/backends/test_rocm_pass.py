"""The ways of a pass: independent parts beside each other on two streams or one behind the other, smolgen by its kernels or layer by layer."""
import functools

import numpy as np
import pytest

from emulated import bars, make_net
from lc0rocm import _core
from lc0rocm.netfile import net

KINDS = pytest.mark.parametrize("kind", ["rocm", "rocm-fp16"])
ONE = {"warm_up": False, "max_batch": 1, "without": "hipblaslt rocblas miopen"}


def opened(kind, network, **more):
    return _core.Backend(kind, network, ONE | more)


def measure(kind, network, planes, **more):
    """The plans of passes: {key: way}."""
    backend = opened(kind, network, measure=1000, **more)
    backend.evaluate(*planes)
    return {line.split()[0]: line.split()[1] for line in backend.plans.splitlines() if "/pass/" in line}


@pytest.fixture(scope="module")
def measured(case):
    """The same by kind, once: measuring them is what takes the time of these tests."""
    return functools.cache(lambda kind: measure(kind, case[0], [part[:1] for part in case[1]]))


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


def smolgen_net(path, **more):
    shape = dict(embedding=64, encoders=1, heads=2, dff=96, smolgen=(32, 256, 256)) | more
    make_net.write_net(make_net.make_net(**shape), path)
    return net.load(path).core()


def pass_keys(machine, kind, network, batch, **options):
    """The names of its passes of up to so many positions in plans."""
    machine.configure("blocks=0")  # nothing is computed
    (key, _), = measure(kind, network, [part[None] for part in _core.Game().planes(1)], **options).items()
    machine.configure("")
    assert "/b1/" in key
    return [key.replace("/b1/", f"/b{size}/") for size in range(1, batch + 1)]


def planned(kind, network, keys, way, **options):
    return opened(kind, network, **options, plans="".join(f"{key} {way} 1\n" for key in keys))


def test_smolgen_by_its_kernels_agrees(machine, tmp_path):
    network = smolgen_net(tmp_path / "net.pb")
    planes = [np.stack(part) for part in zip(*(_core.Game(moves=moves).planes(1) for moves in ([], ["e2e4"])))]
    expected, keys = _core.Backend("cpu", network, {}).evaluate(*planes), pass_keys(machine, "rocm-fp16", network, 2)
    outputs = {}
    for way in ("behind", "behind+smolgen", "beside+smolgen"):
        backend = planned("rocm-fp16", network, keys, way, max_batch=2)
        plain, *others = outputs[way] = evaluated(backend, planes)
        assert all((other == plain).all() for other in others), f"{way}: plainly, captured and replayed differ"
        assert max(bars.shares("rocm-fp16", backend.evaluate(*planes), expected).values()) <= 1
    assert (outputs["beside+smolgen"][0] == outputs["behind+smolgen"][0]).all()
    assert (outputs["behind+smolgen"][0] != outputs["behind"][0]).any(), "the plan was not obeyed"


@pytest.mark.parametrize("kind, more, options", [
    ("rocm", {}, {}), ("rocm-fp16", {}, {"weights": "int8"}), ("rocm-fp16", {"smolgen": (16, 256, 256)}, {}), ("rocm-fp16", {"embedding": 72, "heads": 3}, {}),
    ("rocm-fp16", {"heads": 40, "embedding": 320}, {})], ids=["float", "weights of 8 bits", "another width", "odd channels", "too many heads"])
def test_what_the_kernels_of_smolgen_do_not_take_goes_layer_by_layer(machine, tmp_path, kind, more, options):
    network = smolgen_net(tmp_path / "net.pb", **more)
    planes = [part[None] for part in _core.Game().planes(1)]
    keys = pass_keys(machine, kind, network, 1, **options)
    told = planned(kind, network, keys, "behind+smolgen", **options).evaluate(*planes)  # by a plan of another version, say
    for part, other in zip(told, opened(kind, network, **options).evaluate(*planes)):
        assert (np.asarray(part) == np.asarray(other)).all()


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
