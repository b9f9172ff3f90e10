"""How many kernels and calls of libraries a pass queues: each costs a microsecond at least, where a whole pass of one position takes some
hundred. A change that brings a number down sets it down here; one that raises a number says in its message what that buys."""
import pathlib

import numpy as np
import pytest

from emulated import make_net
from lc0rocm import _core
from lc0rocm.netfile import net

NETS = {  # of the kinds of scripts/cuda_check.py, with two layers each, and a whole one
    "attention": dict(embedding=256, encoders=2, heads=8, dff=512, smolgen=(32, 256, 256)),
    "dense embedding": dict(embedding=128, encoders=2, heads=4, dff=256, smolgen=(32, 128, 128), pe="dense", preprocessing=32),
    "SE tower": dict(body="tower", filters=128, blocks=2, se_ratio=8, policy="convolution"),
    "maia-1900": None}
LAUNCHES = {  # batch 1 and 4 by libraries where they can, then by our kernels alone, each in the way that is the guess before measuring
    "attention": [44, 44, 35, 35], "dense embedding": [50, 50, 40, 40], "SE tower": [16, 17, 11, 13], "maia-1900": [9, 11, 9, 11]}
INT8 = {"attention": [45, 45, 40, 40], "dense embedding": [51, 51, 46, 46]}  # by rocm-int8, which quantises what attention and activations make


def launches(machine, backend, size):
    kinds = "launch", "gemm", "conv"
    planes = [np.resize(part, (size, len(part))) for part in _core.Game().planes(backend.info["input_format"])]
    before = machine.calls(*kinds)
    backend.evaluate(*planes)
    return sum(machine.calls(*kinds).values()) - sum(before.values())


@pytest.mark.parametrize("kind, name", [*(("rocm-fp16", name) for name in NETS), *(("rocm-int8", name) for name in INT8)])
def test_launches_of_a_pass(machine, tmp_path, kind, name):
    path = pathlib.Path(__file__).parents[1] / f"reference/nets/{name}.pb.gz"
    if NETS[name]:
        path = tmp_path / "net.pb"
        make_net.write_net(make_net.make_net(**NETS[name]), path)
    network = net.load(path).core()
    counts = []
    for without in ("", "hipblaslt rocblas miopen"):
        machine.configure("blocks=2")  # of each launch: what they compute is looked at elsewhere
        backend = _core.Backend(kind, network, dict(max_batch=4, streams=1, graphs=False, warm_up=False, without=without))
        counts += [launches(machine, backend, size) for size in (1, 4)]
        del backend
    assert counts == (INT8 if kind == "rocm-int8" else LAUNCHES)[name]
