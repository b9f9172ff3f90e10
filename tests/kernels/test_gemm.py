import numpy as np
import pytest

import reference
from device import Output

TILES = ['16x64', '32x64', '64x64', '128x64', '128x128']
CASES = [  # batch, rows, cols, depth, one w, bias, activation
    (1, 1, 8, 8, True, True, 'none'), (1, 64, 64, 64, True, True, 'relu'), (1, 65, 72, 40, True, True, 'mish'),
    (3, 17, 136, 24, False, False, 'swish'), (1, 130, 200, 136, True, True, 'relu_2'), (1, 3, 33, 7, True, True, 'none'),
    (36, 4, 16, 16, False, False, 'none'), (1, 1, 3, 128, True, True, 'none'), (2, 3, 70, 104, False, True, 'selu'),
]


def gemm(device, x, w, bias=None, activation='none', tile=2, splits=1, side=0):
    """x (batch, rows, depth), w (1 or batch, cols, depth); side: columns in an array of their own."""
    (batch, rows, depth), cols = x.shape, w.shape[1]
    y, aside = Output((batch, rows, cols - side), x.dtype), Output((batch, rows, side), x.dtype)
    parts = Output((splits, batch, rows, -(-cols // 8) * 8))
    device.launch('gemm', x.dtype == np.float16, y, aside if side else None, side, x, w, bias, batch, rows, cols, depth, len(w) == 1,
                  reference.ACTIVATIONS.index(activation), tile, splits, parts)
    return np.concatenate([y.array, aside.array], 2)


def expected(x, w, bias=None, activation='none'):
    z = x.astype(np.float64) @ w.astype(np.float64).transpose(0, 2, 1) + (0 if bias is None else bias)
    return reference.activate(activation, z)


def make(case, dtype):
    batch, rows, cols, depth, one_w, bias, activation = case
    rng = np.random.default_rng(rows)
    normal = lambda *shape: rng.normal(size=shape).astype(dtype)
    return dict(x=normal(batch, rows, depth), w=normal(1 if one_w else batch, cols, depth), bias=normal(cols) if bias else None,
                activation=activation)


def tolerance(dtype):
    return (4e-3, 2e-3) if dtype == np.float16 else (1e-4, 1e-5)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, dtype, case):
    arrays = make(case, dtype)
    reference.assert_close(gemm(device, **arrays), expected(**arrays), *tolerance(dtype))


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('splits', [1, 2, 8])
@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
def test_tiles_and_splits(device, dtype, tile, splits):
    """A tile and a bit in both directions; depth is no multiple of a step and too short for eight parts of one."""
    rows, cols = map(int, TILES[tile].split('x'))
    arrays = make((1, rows + 1, cols + 8, 168, True, True, 'relu'), dtype)
    reference.assert_close(gemm(device, **arrays, tile=tile, splits=splits), expected(**arrays), *tolerance(dtype))


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('splits', [1, 4])
@pytest.mark.parametrize('tile, side', [(0, 8), (1, 64), (2, 40), (3, 5), (4, 136)])
def test_a_side(device, dtype, tile, side, splits):
    arrays = make((2, 5, 256 + side, 264, True, True, 'mish'), dtype)
    reference.assert_close(gemm(device, **arrays, tile=tile, splits=splits, side=side), expected(**arrays), *tolerance(dtype))


@pytest.mark.parametrize('splits', [1, 2])
def test_near_the_limits_of_half(device, splits):
    """Sums far beyond half on the way to a small result, results just inside and, saturated, just outside."""
    x = np.zeros((1, 4, 64), np.float16)
    x[0, 0] = np.where(np.arange(64) % 2, 60000, -60000)
    x[0, 1], x[0, 2, 0], x[0, 3, 0] = 1000, 65504, 65504
    w = np.ones((1, 8, 64), np.float16)
    w[0, 1, 0] = 2
    y = gemm(device, x, w, splits=splits)[0].astype(np.float64)
    want = (x.astype(np.float64) @ w.astype(np.float64).transpose(0, 2, 1))[0]
    np.testing.assert_array_equal(y, want.clip(-65504, 65504).astype(np.float16).astype(np.float64))
    assert want[2, 1] > 65504 and y[2, 1] == 65504


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
def test_nan_stays_in_its_row(device, tile):
    arrays = make((1, 20, 16, 24, True, False, 'none'), np.float16)
    arrays['x'][0, 19, 23] = np.nan  # the last row is what rows beyond the matrix repeat
    got = gemm(device, **arrays, tile=tile)
    assert np.isnan(got[0, 19]).all()
    reference.assert_close(got, expected(**arrays), 1e-2, 2e-3)


def test_nan_in_a_weight_stays_in_its_column(device):
    arrays = make((1, 20, 16, 24, True, False, 'none'), np.float16)
    arrays['w'][0, 15, 0] = np.nan
    got = gemm(device, **arrays)
    assert np.isnan(got[0, :, 15]).all()
    reference.assert_close(got, expected(**arrays), 1e-2, 2e-3)


def test_refuses_what_it_cannot_do(device):
    x = np.zeros((1, 1, 8), np.float16)
    with pytest.raises(RuntimeError, match='smaller batch'):
        device.launch('gemm', True, Output((1, 8), np.float16), None, 0, x, x, None, 65536, 1, 1, 8, True, 0, 0, 1, Output((8,)))
    with pytest.raises(RuntimeError, match='inside of a tile'):
        gemm(device, x, np.zeros((1, 72, 8), np.float16), side=32)
