"""The core's decoding and batch-norm folding against the formulas written in NumPy."""
import numpy as np
import pytest

import lc0rocm
from lc0rocm import _core
from lc0rocm.netfile import weights

ARCHITECTURE = dict(
    input_format=1, filters=0, blocks=0, attention_body=False, dense_embedding=False, embedding=0, encoders=0, heads=0,
    activation="relu", smolgen_activation="relu", ffn_activation="relu", policy=1, policy_encoders=0, policy_heads=0, wdl=True,
    moves_left=False)
EVERY_U16 = np.arange(65536, dtype="<u2")


def network(**arrays):
    return _core.Network(ARCHITECTURE, {name.replace("__", "."): array for name, array in arrays.items()})


def floats(values):
    values = np.asarray(values, "<f4")
    return (4, values.tobytes(), 0.0, 0.0, values.shape)


@pytest.mark.parametrize("low,high", [(-1.5, 2.25), (0.0, 0.0), (3.0, -3.0), (-3e38, 3e38), (1e-40, 2e-40)])
def test_linear16(low, high):
    theta = EVERY_U16 / np.float32(65535)
    expected = np.float32(low) * (1 - theta) + np.float32(high) * theta
    got = network(a=(1, EVERY_U16.tobytes(), low, high, (65536,))).array("a")
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-7 * max(abs(low), abs(high)))  # a fused multiply may round once less
    assert got[0] == np.float32(low) and got[-1] == np.float32(high)


def test_float16_every_value():
    got = network(a=(2, EVERY_U16.tobytes(), 0.0, 0.0, (256, 256))).array("a")
    np.testing.assert_array_equal(got, EVERY_U16.view("<f2").astype(np.float32))
    assert np.signbit(got[0x8000])


def test_bfloat16_every_value():
    got = network(a=(3, EVERY_U16.tobytes(), 0.0, 0.0, (65536,))).array("a")
    np.testing.assert_array_equal(got.view(np.uint32), EVERY_U16.astype(np.uint32) << 16)


def test_float32():
    values = np.array([0, -0.0, 1e-45, 3.4e38, np.pi], np.float32)
    np.testing.assert_array_equal(network(a=floats(values)).array("a").view(np.uint32), values.view(np.uint32))


@pytest.mark.parametrize("encoding", [1, 2, 3, 4])
def test_python_decodes_alike(encoding):
    raw = np.random.default_rng(0).integers(0, 0x7000, 1000).astype("<u2")
    array = (encoding, raw.tobytes(), -1.0, 2.0, (500 if encoding == 4 else 1000,))
    np.testing.assert_allclose(weights.decode(array), network(a=array).array("a"), rtol=1e-6, atol=2e-7)


def test_unaligned_memory():
    values = np.arange(100, dtype="<f4")
    np.testing.assert_array_equal(network(a=(4, memoryview(b"x" + values.tobytes())[1:], 0.0, 0.0, (100,))).array("a"), values)


def test_absent_array():
    with pytest.raises(lc0rocm.Error, match="no array b"):
        network(a=floats([1])).array("b")


# batch norm: 2 channels of 1 x 1 x 1

def test_convolution_without_batch_norm():
    w, b = network(c__weights=floats([2, 3]), c__biases=floats([4, 5])).convolution("c")
    assert (w.tolist(), b.tolist()) == ([2, 3], [4, 5])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_convolution_with_batch_norm(bias, affine):
    rng = np.random.default_rng(1)
    w, b, mean, gamma, beta = rng.normal(size=(5, 2, 9)).astype(np.float32)
    var = rng.uniform(0.1, 2, (2, 9)).astype(np.float32)
    b, mean, var, gamma, beta = (x[:, 0] for x in (b, mean, var, gamma, beta))
    arrays = {"c__weights": floats(w), "c__bn_means": floats(mean), "c__bn_stddivs": floats(var)}
    if bias:
        arrays["c__biases"] = floats(b)
    if affine:
        arrays |= {"c__bn_gammas": floats(gamma), "c__bn_betas": floats(beta)}
    k = (gamma if affine else 1) / np.sqrt(var + np.float32(1e-5))
    got_w, got_b = network(**arrays).convolution("c")
    np.testing.assert_allclose(got_w, (w * k[:, None]).ravel(), rtol=1e-6)
    np.testing.assert_allclose(got_b, (beta if affine else 0) - k * (mean - (b if bias else 0)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change,expected", [
    ({"c__bn_stddivs": floats([1, -1])}, "bn_stddivs"),
    ({"c__bn_stddivs": floats([1])}, "does not fit"),
    ({"c__weights": floats([1, 2, 3])}, "does not fit"),
])
def test_bad_batch_norm(change, expected):
    arrays = {"c__weights": floats([1, 2]), "c__bn_means": floats([0, 0]), "c__bn_stddivs": floats([1, 1])}
    with pytest.raises(lc0rocm.Error, match=expected):
        network(**arrays | change).convolution("c")
