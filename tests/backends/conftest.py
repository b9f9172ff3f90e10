import gc
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # emulated.py, for the tests of this folder
from emulated import NETS, Machine, write_net
from lc0rocm import _core
from lc0rocm.netfile import net


@pytest.fixture
def machine(emulated_gpu):
    """The emulated machine; fails a test that leaves something on it."""
    importlib.import_module("lc0rocm._rocm")
    m = Machine()
    gc.collect()  # what tests of other files have left to Python
    m.reset()
    before = m.live_objects()
    yield m
    m.reset()
    assert m.live_objects() == before, "not everything was freed"


@pytest.fixture(scope="module", params=NETS)
def case(request, tmp_path_factory):
    """A network, three positions, and what the CPU says of them."""
    path = tmp_path_factory.mktemp("nets") / f"{request.param}.pb"
    write_net(request.param, path)
    network = net.load(path).core()
    planes = tuple(np.stack(part) for part in zip(*(_core.Game(moves=moves).planes(1) for moves in ([], ["e2e4"], ["e2e4", "e7e5"]))))
    return network, planes, _core.Backend("cpu", network, {}).evaluate(*planes)
