"""The kernels around the products of a 3x3 convolution: Winograd's transforms, rows of patches, squeeze and excitation."""
import numpy as np
import pytest

import reference
from device import Output

DTYPES = pytest.mark.parametrize('dtype', [np.float32, np.float16])
SHAPES = pytest.mark.parametrize('batch,channels', [(1, 1), (1, 16), (3, 33), (2, 112), (17, 8), (1, 288)])  # 288: two items a thread of squeeze and excitation


def normal(seed, dtype, *shape, scale=1.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def se_weights(rng, dtype, channels, width):
    shapes = [(width, channels), width, (2 * channels, width), 2 * channels]
    return [(rng.normal(size=shape) / np.sqrt(np.atleast_1d(shape)[-1])).astype(dtype) for shape in shapes]


@DTYPES
@SHAPES
def test_winograd_input(device, dtype, batch, channels):
    x = normal(1, dtype, batch, 64, channels)
    v = Output((36, batch * 4, channels), dtype)
    device.launch('winograd_input', dtype == np.float16, v, x, batch, channels)
    expected = np.einsum('ir,js,nrsc->ijnc', reference.B_T, reference.B_T, reference.tiles(x.astype(np.float64))) / 32
    reference.assert_close(v.array, expected.reshape(36, batch * 4, channels), *((1e-5, 1e-3) if dtype == np.float16 else (1e-6, 1e-6)))


@pytest.mark.parametrize('dtype', [np.float16])
def test_winograd_input_near_the_limits_of_half(device, dtype):
    x = np.where(normal(2, dtype, 1, 64, 4) > 0, 65000, -65000).astype(dtype)
    v = Output((36, 4, 4), dtype)
    device.launch('winograd_input', True, v, x, 1, 4)
    expected = np.einsum('ir,js,nrsc->ijnc', reference.B_T, reference.B_T, reference.tiles(x.astype(np.float64))) / 32
    reference.assert_close(v.array, expected.reshape(36, 4, 4), 1, 1e-3)


@DTYPES
@SHAPES
@pytest.mark.parametrize('width,skip,in_place', [(0, False, False), (0, True, True), (7, True, False), (8, True, True), (16, False, False)])
def test_winograd_output(device, dtype, batch, channels, width, skip, in_place):
    if width:
        channels = min(channels + channels % 2, 256)  # it excites even numbers
    rng = np.random.default_rng(channels)
    m, bias = rng.normal(size=(36, batch * 4, channels)).astype(dtype) / dtype(32), rng.normal(size=channels).astype(dtype)
    rest = rng.normal(size=(batch, 64, channels)).astype(dtype) if skip else None
    se = se_weights(rng, dtype, channels, width) if width else [None] * 4
    y = Output(rest.copy()) if in_place else Output((batch, 64, channels), dtype)
    device.launch('winograd_output', dtype == np.float16, y, m, bias, y if in_place else rest, *se, width, batch, channels, 3)
    z = np.einsum('ri,sj,ijnc->nrsc', reference.A_T, reference.A_T, m.astype(np.float64).reshape(6, 6, -1, channels)) * 32
    z = z.reshape(batch, 2, 2, 4, 4, channels).transpose(0, 1, 3, 2, 4, 5).reshape(batch, 64, channels) + bias
    if width:
        z = reference.squeeze_excitation(z, *(a.astype(np.float64) for a in se), 'mish')
    expected = reference.activate('mish', z + (0 if rest is None else rest))
    reference.assert_close(y.array, expected, *((0.02, 2e-3) if dtype == np.float16 else (3e-5, 1e-5)))


@DTYPES
@pytest.mark.parametrize('batch,channels,width,bias,skip,keep,last', [
    (1, 2, 0, True, False, False, False), (3, 66, 0, True, True, True, False), (2, 130, 0, False, True, True, True), (1, 288, 0, True, False, True, False),
    (3, 64, 8, True, True, True, False), (1, 256, 32, True, True, True, False), (2, 66, 7, False, False, True, True), (1, 128, 64, True, True, True, False)])
def test_winograd_between(device, dtype, batch, channels, width, bias, skip, keep, last):
    rng = np.random.default_rng(channels)
    half = dtype == np.float16
    m, b = rng.normal(size=(36, batch * 4, channels)).astype(dtype) / dtype(32), rng.normal(size=channels).astype(dtype) if bias else None
    rest = rng.normal(size=(batch, 64, channels)).astype(dtype)
    se = se_weights(rng, dtype, channels, width) if width else [None] * 4
    x, v = Output(rest.copy()) if keep else None, None if last else Output((36, batch * 4, channels), dtype)
    device.launch('winograd_between', half, v, x, m, b, (x or rest) if skip else None, *se, width, batch, channels, 3)
    plain = Output((batch, 64, channels), dtype)
    device.launch('winograd_output', half, plain, m, b, rest if skip else None, *se, width, batch, channels, 3)
    tolerance = (0.02, 2e-3) if half else (3e-5, 1e-5)
    if keep:
        np.testing.assert_allclose(x.array, plain.array, *(tolerance if width else (0, 0)))  # of the same roundings
    if not last:
        expected = np.einsum('ir,js,nrsc->ijnc', reference.B_T, reference.B_T, reference.tiles(plain.array.astype(np.float64))) / 32
        reference.assert_close(v.array, expected.reshape(36, batch * 4, channels), *tolerance)


@DTYPES
@pytest.mark.parametrize('batch,channels', [(1, 1), (3, 24), (2, 112), (1, 33)])
def test_patches(device, dtype, batch, channels):
    x = normal(3, dtype, batch, 64, channels)
    out = Output((batch, 64, 9, channels), dtype)
    device.launch('patches', dtype == np.float16, out, x, batch, channels)
    assert (out.array == reference.patches(x)).all()


@DTYPES
@SHAPES
@pytest.mark.parametrize('width,bias,skip', [(8, True, True), (1, False, True), (33, True, False)])
def test_squeeze_excitation(device, dtype, batch, channels, width, bias, skip):
    rng = np.random.default_rng(channels)
    x, rest = (rng.normal(size=(batch, 64, channels)).astype(dtype) for _ in range(2))
    b = rng.normal(size=channels).astype(dtype) if bias else None
    se = se_weights(rng, dtype, channels, width)
    y = Output((batch, 64, channels), dtype)
    device.launch('squeeze_excitation', dtype == np.float16, y, x, b, rest if skip else None, *se, width, batch, channels, 3, 3 if skip else 0)
    z = x.astype(np.float64) + (0 if b is None else b)
    z = reference.squeeze_excitation(z, *(a.astype(np.float64) for a in se), 'mish') + (rest if skip else 0)
    reference.assert_close(y.array, reference.activate('mish' if skip else 'none', z), *((4e-3, 2e-3) if dtype == np.float16 else (1e-5, 1e-5)))


def test_statistics_are_float(device):
    """Means of values near half's limit: their sum is far beyond it."""
    x = np.full((1, 64, 8), 60000, np.float16)
    x[:, ::2] -= normal(5, np.float16, 1, 32, 8, scale=500)
    se = se_weights(np.random.default_rng(4), np.float16, 8, 8)
    se[0] = (se[0] / 60000 * 16).astype(np.float16)
    y = Output(x.shape, np.float16)
    device.launch('squeeze_excitation', True, y, x, None, None, *se, 8, 1, 8, 0, 0)
    z = reference.squeeze_excitation(x.astype(np.float64), *(a.astype(np.float64) for a in se), 'none')
    reference.assert_close(y.array, z, 1, 2e-3)


@pytest.mark.parametrize('channels', [8, 2])
def test_results_beyond_half_saturate(device, channels):
    x, m = np.full((1, 64, channels), 60000, np.float16), np.zeros((36, 4, channels), np.float16)
    m[0] = 1000  # 32,000 in the first square of each tile
    se = [np.zeros(shape, np.float16) for shape in ((1, channels), 1, (2 * channels, 1), 2 * channels)]
    se[3][:channels] = 20  # gates of 1
    expected = x.copy()
    expected[0, [0, 4, 32, 36]] = 65504
    for weights, width in ([None] * 4, 0), (se, 1):
        y = Output(x.shape, np.float16)
        device.launch('winograd_output', True, y, m, None, x, *weights, width, 1, channels, 0)
        assert (y.array == expected).all()
    y = Output(x.shape, np.float16)
    device.launch('squeeze_excitation', True, y, -x, None, -x, *se, 1, 1, channels, 0, 0)
    assert (y.array == -65504).all()


def test_nan_stays_in_its_position(device):
    x, m = normal(6, np.float16, 3, 64, 8), normal(7, np.float16, 36, 12, 8)
    x[1, 5, 3] = m[20, 6, 3] = np.nan
    se = se_weights(np.random.default_rng(8), np.float16, 8, 8)
    y, z = Output(x.shape, np.float16), Output(x.shape, np.float16)
    device.launch('squeeze_excitation', True, y, x, None, None, *se, 8, 3, 8, 1, 1)
    device.launch('winograd_output', True, z, m, None, None, *se, 8, 3, 8, 1)
    for out in (y.array, z.array):
        assert np.isnan(out[1]).any() and not np.isnan(out[[0, 2]]).any()
