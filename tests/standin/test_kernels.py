"""The emulated kernel language: threads, barriers, waves, LDS, halves, and what it finds wrong."""
import faulthandler
import sys

import numpy as np
import pytest

HALF_EXTREMES = [0, -0.0, 1, 6e-8, 6.1e-5, 65504, -65504, 1.0009765625, np.nan, np.inf]


def fault(hip):
    status = hip.lib.hipDeviceSynchronize()
    text = hip.lib.hipGetErrorString(status).decode()
    return status, text


def test_add(hip, stream, kernels, order):
    x, y = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    d = hip.array(y)
    kernels.run_add(stream, d, hip.array(x), 1000)
    hip("hipStreamSynchronize", stream)
    np.testing.assert_array_equal(d.get(), x + y)


def test_grid_and_block_have_three_dimensions(hip, stream, kernels, order):
    y = hip.empty(np.uint32, 24, 60)
    kernels.run_coordinates(stream, y)
    hip("hipStreamSynchronize", stream)
    np.testing.assert_array_equal(y.get(), np.arange(24)[:, None] * 1000 + np.arange(60))


def test_shuffles(hip, stream, kernels, order):
    n, wave = 128, kernels.wave
    x = np.random.default_rng(1).integers(-1000, 1000, n, dtype=np.int32)
    y = hip.empty(np.int32, n, 6)
    kernels.run_shuffles(stream, y, hip.array(x), n)
    hip("hipStreamSynchronize", stream)
    i = np.arange(n)
    want = np.stack([
        np.repeat(x.reshape(-1, 16).sum(1), 16),
        np.repeat(x.reshape(-1, wave).sum(1), wave),
        x[np.where(i % wave + 1 < wave, i + 1, i) % n],
        x[np.where(i % 8 >= 2, i - 2, i)],
        x[i // 8 * 8 + 3],
        np.full(n, wave)], 1)
    np.testing.assert_array_equal(y.get(), want)


def test_ballot_of_a_short_wave(hip, stream, kernels):
    n, wave = 2 * kernels.wave + 8, kernels.wave
    x = np.random.default_rng(2).integers(0, 2, n, dtype=np.int32)
    y = hip.empty(np.uint64, n)
    kernels.run_ballots(stream, y, hip.array(x), n)
    hip("hipStreamSynchronize", stream)
    want = [sum(int(b) << j for j, b in enumerate(x[first:first + wave])) for first in range(0, n, wave)]
    np.testing.assert_array_equal(y.get(), np.repeat(np.array(want, np.uint64), wave)[:n])


def test_half_arithmetic_rounds_as_numpy(hip, stream, kernels):
    rng = np.random.default_rng(3)
    values = np.concatenate([np.array(HALF_EXTREMES), rng.normal(size=300) * 10.0 ** rng.integers(-7, 5, 300)])
    with np.errstate(all="ignore"):
        values = values.astype(np.float16)
        a, b, c = (rng.choice(values, 1000) for _ in range(3))
        product = a.astype(np.float64) * b.astype(np.float64)
        want = np.stack([a + b, a * b, (product + c).astype(np.float16),
                         (a.astype(np.float32) * np.float32(1.0009765625)).astype(np.float16)])
    y = hip.empty(np.float16, 4, 1000)
    kernels.run_halves(stream, y, hip.array(a), hip.array(b), hip.array(c), 1000)
    hip("hipStreamSynchronize", stream)
    np.testing.assert_array_equal(y.get(), want)


def test_lds_holds_nan_at_the_start_of_every_block(hip, stream, kernels, order):
    y = hip.array(np.zeros((5, 2, 64), np.float32))
    kernels.run_stale_lds(stream, y, 5)
    hip("hipStreamSynchronize", stream)
    assert np.isnan(y.get()).all()


@pytest.mark.parametrize("barrier", [True, False])
def test_a_missing_barrier_shows_in_every_order(hip, stream, kernels, order, barrier):
    x = np.random.default_rng(4).normal(size=(10, 64)).astype(np.float32)
    y = hip.empty(np.float32, 10, 64)
    kernels.run_reverse_rows(stream, y, hip.array(x), 10, barrier)
    hip("hipStreamSynchronize", stream)
    assert np.array_equal(y.get(), x[:, ::-1]) == barrier


@pytest.mark.parametrize("kernel,says", [
    ("early_exit", ["early_exit, block (0, 0, 0)", "63 of 64 threads"]),
    ("two_barriers", ["two_barriers", "while others wait at kernels.cc"]),
    ("odd_lanes_shuffle", ["odd_lanes_shuffle", "which takes no part"]),
])
def test_divergence_is_a_fault(hip, stream, kernels, order, kernel, says):
    y = hip.empty(np.float32, 64)
    getattr(kernels, "run_" + kernel)(stream, y)
    status, text = fault(hip)
    assert status == 719
    assert all(part in text for part in says), text


@pytest.mark.parametrize("n,extra", [(640, 1), (1024, 1), (1, 4), (639, 64)])
def test_an_access_past_the_end_is_a_fault(hip, stream, kernels, n, extra):
    y = hip.empty(np.float32, n)
    kernels.run_overrun(stream, y, n, extra)
    status, text = fault(hip)
    assert status == 700
    assert f"allocation of {4 * n} bytes" in text and "overrun" in text


def test_a_fault_is_found_though_others_take_its_signal(hip, stream, kernels):
    y = hip.empty(np.float32, 64)
    kernels.run_add(stream, y, y, 64)
    assert hip.lib.hipStreamSynchronize(stream) == 0
    faulthandler.disable()
    faulthandler.enable(sys.__stderr__)
    kernels.run_overrun(stream, y, 64, 64)
    assert fault(hip)[0] == 700


def test_a_write_into_the_last_bytes_before_the_guard_page_is_found(hip, stream, kernels):
    y = hip.empty(np.float32, 639)  # 2,556 bytes: the guard page begins 4 bytes later
    kernels.run_overrun(stream, y, 639, 1)
    status, text = fault(hip)
    assert status == 700 and "a write past an allocation of 2556 bytes" in text


def test_a_fault_loses_the_device(hip, stream, kernels):
    y = hip.empty(np.float32, 64)
    kernels.run_early_exit(stream, y)
    assert hip.lib.hipStreamSynchronize(stream) == 719
    assert hip.lib.hipMemset(y, 0, 256) == 719
    kernels.run_add(stream, y, y, 64)
    assert hip.lib.hipGetLastError() == 719
    hip("hipDeviceReset")
    hip("hipMemset", y, 0, 256)
