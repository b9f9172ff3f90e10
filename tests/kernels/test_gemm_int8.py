"""Products by 8-bit weights: in the kernel for few rows, and expanded for the others."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import reference
from device import Output

TILES = ['16x128', '32x64', '64x64']
CASES = [  # rows, cols, depth, bias, activation
    (1, 8, 16, True, 'none'), (64, 64, 64, True, 'relu'), (65, 72, 48, True, 'mish'), (17, 136, 32, False, 'swish'),
    (130, 200, 144, True, 'relu_2'), (1, 33, 112, True, 'none'), (3, 129, 208, True, 'selu'), (4, 5, 80, False, 'tanh')]


def padded(scales):
    return np.concatenate([scales, np.full(-len(scales) % 8, np.nan, np.float32)])  # what is behind the last is not to be seen


def product(device, x, w, scales, bias=None, activation='none', tile=2, splits=1, side=0):
    (rows, depth), cols = x.shape, len(w)
    y, aside = Output((rows, cols - side), np.float16), Output((rows, side), np.float16)
    device.launch('gemm_int8', True, y, aside if side else None, side, x, w, padded(scales), bias, rows, cols, depth,
                  reference.ACTIVATIONS.index(activation), tile, splits, Output((splits, rows, -(-cols // 8) * 8)))
    return np.concatenate([y.array, aside.array], 1)


def expected(x, w, scales, bias=None, activation='none'):
    z = x.astype(np.float64) @ (reference.values_of('int8')[w.view(np.uint8)] * scales[:, None]).T + (0 if bias is None else bias)
    return reference.activate(activation, z)


def make(case):
    rows, cols, depth, bias, activation = case
    rng = np.random.default_rng(rows)
    w, scales = reference.quantise(rng.normal(size=(cols, depth)).astype(np.float32) * 10 ** rng.uniform(-2, 1, (cols, 1)))
    return dict(x=rng.normal(size=(rows, depth)).astype(np.float16), w=w, scales=scales, activation=activation,
                bias=rng.normal(size=cols).astype(np.float16) if bias else None)


def close(got, arrays):
    reference.assert_close(got, expected(**arrays).clip(-65504, 65504), 4e-3, 2e-3)


@pytest.mark.parametrize('splits', [1, 2, 8])
@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, case, tile, splits):
    """Odd sizes, with parts of depth that are no whole step, or empty."""
    arrays = make(case)
    close(product(device, **arrays, tile=tile, splits=splits), arrays)


@pytest.mark.parametrize('splits', [1, 4])
@pytest.mark.parametrize('tile, side', [(0, 8), (1, 64), (2, 40)])
def test_a_side(device, tile, side, splits):
    arrays = make((5, 256 + side, 272, True, 'mish'))
    close(product(device, **arrays, tile=tile, splits=splits, side=side), arrays)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('depth', [64, 112, 400])
def test_each_weight_meets_its_number(device, depth, tile):
    """Exactly: rows of x that have a single one pick each weight, all 255 of them, in every place of a step."""
    w = (np.arange(136 * depth).reshape(136, depth) * 37 % 255 - 127).astype(np.int8)
    x = np.eye(depth, dtype=np.float16)
    got = product(device, x, w, np.ones(136, np.float32), tile=tile)
    np.testing.assert_array_equal(got, w.T)


def test_near_the_limits_of_half(device):
    """Sums far beyond half on the way to a small result; results just inside and, saturated, outside."""
    x = np.zeros((3, 64), np.float16)
    x[0] = np.where(np.arange(64) % 2, 60000, -60000)
    x[1, 0], x[2, 0] = 65504, -65504
    w, scales = np.full((8, 64), 127, np.int8), np.full(8, 1 / 127, np.float32)
    scales[1] = 2 / 127
    got = product(device, x, w, scales)
    assert (got[0] == 0).all() and abs(got[1, 0] - 65504) <= 32 and got[1, 1] == 65504 and got[2, 1] == -65504


def test_nan_stays_in_its_row(device):
    arrays = make((20, 16, 48, False, 'none'))
    arrays['x'][19, 47] = np.nan  # the last row is what rows beyond the matrix repeat
    got = product(device, **arrays)
    assert np.isnan(got[19]).all()
    close(got, arrays)


def test_refuses_what_it_cannot_do(device):
    arrays = make((1, 8, 24, False, 'none'))
    with pytest.raises(RuntimeError, match='no multiple of 16'):
        product(device, **arrays)
    with pytest.raises(RuntimeError, match='inside of a tile'):
        product(device, **make((1, 72, 16, False, 'none')), side=40)


@settings(max_examples=25)
@given(st.data())
def test_any_product(device, data):
    """Of any shape, with outliers among the channels of either side."""
    draw = lambda low, high: data.draw(st.integers(low, high))
    rows, cols, depth = draw(1, 140), draw(1, 200), 16 * draw(1, 20)
    rng = np.random.default_rng(draw(0, 99))
    w = rng.normal(size=(cols, depth)).astype(np.float32) / depth ** 0.5
    w[draw(0, cols - 1)] *= 1000
    w[:, draw(0, depth - 1)] *= 100
    x = rng.normal(size=(rows, depth)).astype(np.float16)
    bits, scales = reference.quantise(w)
    got = product(device, x, bits, scales, tile=draw(0, 2), splits=data.draw(st.sampled_from([1, 2, 4, 8])))
    want = expected(x, bits, scales)
    assert (np.abs(got - want.clip(-65504, 65504)) <= 1e-3 * (1 + np.abs(want)) + 1e-5 * np.abs(want).max()).all()


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('rows, cols', [(1, 16), (33, 48), (7, 1040)])
def test_expand_weights(device, dtype, rows, cols):
    """Rounded once; what half cannot hold is its largest number."""
    rng = np.random.default_rng(rows)
    int8, scales = rng.integers(-127, 128, (rows, cols)).astype(np.int8), rng.uniform(0.001, 2, rows).astype(np.float32)
    scales[0] = 1000
    w = Output((rows, cols), dtype)
    device.launch('expand_weights', dtype == np.float16, w, int8, scales, rows, cols)
    want = int8 * scales[:, None]
    np.testing.assert_array_equal(w.array, (want.clip(-65504, 65504) if dtype == np.float16 else want).astype(dtype))
