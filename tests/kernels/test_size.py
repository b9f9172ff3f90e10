"""The largest arrays that the back end makes, 2 GiB at its largest batch: indices and byte counts do not overflow. In the emulation
untouched memory costs nothing, and of each launch the first, the last and a few other blocks run."""
import ctypes as C
import importlib.util
from pathlib import Path

import numpy as np
import pytest

BATCH, MOST = 8192, 2**31  # positions; bytes
WIDE = MOST // (2 * 64 * BATCH)  # halves of a square
HEADS = WIDE // 3 // 32
W = np.random.default_rng(1).normal(size=(64, WIDE)).astype(np.float16)  # weights, or the gain of a norm in its first numbers

# Channels of x and of y, and the call for a batch of n.
CASES = {
    "gemm of deep rows": (WIDE, 64, lambda lib, y, x, w, n: lib.gemm(1, y, None, 0, x, w, None, 1, 64 * n, 64, WIDE, 1, 0, 0, 1, None)),
    "gemm of wide rows": (64, WIDE, lambda lib, y, x, w, n: lib.gemm(1, y, None, 0, x, w, None, 1, 64 * n, WIDE, 64, 1, 0, 0, 1, None)),
    "layer_norm": (WIDE, WIDE, lambda lib, y, x, w, n: lib.layer_norm(1, y, x, None, None, w, w, 64 * n, WIDE, C.c_float(1), 0, C.c_float(1e-3))),
    "bias_activation": (WIDE, WIDE, lambda lib, y, x, w, n: lib.bias_activation(1, y, x, w, None, None, None, 64 * n, WIDE, 1)),
    "attention": (3 * 32 * HEADS, 32 * HEADS, lambda lib, y, x, w, n: lib.attention(
        1, y, x, C.c_void_p(x.value + 64 * HEADS), C.c_void_p(x.value + 128 * HEADS), None, n, HEADS, 32, 96 * HEADS, 32 * HEADS, 1)),
    "patches": (WIDE // 9, WIDE // 9 * 9, lambda lib, y, x, w, n: lib.patches(1, y, x, n, WIDE // 9)),
}


@pytest.fixture
def sparse(device):
    """sparse(): from now on some blocks of each launch run, where a device can do that."""
    configure = lambda words: None
    if device.platform.startswith("emulated"):
        configure = C.CDLL(str(Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so")).hip_emulated_configure
    yield lambda: configure(b"blocks=8")
    configure(b"")


@pytest.mark.parametrize("name", CASES)
def test_ends_of_the_largest_arrays(device, sparse, name):
    x_size, y_size, call = CASES[name]
    ends = np.random.default_rng(2).normal(size=(2, 64, x_size)).astype(np.float16)
    out = np.empty((64, y_size), np.float16)
    host = lambda array: array.ctypes.data_as(C.c_void_p)

    def run(batch):
        """What the last position of a batch becomes."""
        pointers = [C.c_void_p() for _ in range(3)]
        try:
            for pointer, numbers in zip(pointers, (64 * y_size * batch, 64 * x_size * batch, W.size)):
                device.check(device.library.device_alloc(C.byref(pointer), C.c_size_t(2 * numbers)))
            y, x, w = pointers
            device.check(device.library.copy_in(w, host(W), C.c_size_t(W.nbytes)))
            for position, end in zip((0, batch - 1), ends):
                device.check(device.library.copy_in(C.c_void_p(x.value + end.nbytes * position), host(end), C.c_size_t(end.nbytes)))
            device.check(call(device.library, y, x, w, batch))
            device.check(device.library.copy_out(host(out), C.c_void_p(y.value + out.nbytes * (batch - 1)), C.c_size_t(out.nbytes)))
        finally:
            for pointer in pointers:
                device.library.device_free(pointer)
        return out[-1, -16:].copy()  # that the last block writes

    few = run(2)
    assert np.isfinite(few).all()
    sparse()
    np.testing.assert_array_equal(run(BATCH), few)
