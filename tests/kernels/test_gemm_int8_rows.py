"""Rows in 8 bits, and products of such rows by 8-bit weights."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import reference
from device import Output

TILES = ['64x64', '128x64', '128x128', '256x128']
CASES = [  # rows, cols, depth, bias, activation
    (1, 8, 16, True, 'none'), (64, 64, 64, True, 'relu'), (65, 72, 48, True, 'mish'), (17, 136, 32, False, 'swish'),
    (130, 200, 144, True, 'relu_2'), (1, 40, 112, True, 'selu'), (259, 128, 208, False, 'tanh'), (4, 16, 1040, False, 'none')]


def quantise(device, x):
    numbers, scales = Output(np.full(x.shape, 85, np.int8)), Output((len(x),))
    device.launch('quantise_rows', True, numbers, scales, x, *x.shape)
    return numbers.array, scales.array


def product(device, x, row_scales, w, col_scales, bias=None, activation='none', tile=2, side=0):
    (rows, depth), cols = x.shape, len(w)
    y, aside = Output((rows, cols - side), np.float16), Output((rows, side), np.float16)
    device.launch('gemm_int8_rows', True, y, aside if side else None, side, x, row_scales, w, col_scales, bias, rows, cols, depth,
                  reference.ACTIVATIONS.index(activation), tile)
    return np.concatenate([y.array, aside.array], 1)


def expected(x, row_scales, w, col_scales, bias=None, activation='none'):
    z = (x.astype(np.int64) @ w.T.astype(np.int64)) * row_scales[:, None].astype(np.float64) * col_scales + (0 if bias is None else bias)
    return reference.activate(activation, z)


def numbers(rng, *shape):
    return rng.integers(-127, 128, shape).astype(np.int8)


def make(case):
    rows, cols, depth, bias, activation = case
    rng = np.random.default_rng(rows)
    return dict(x=numbers(rng, rows, depth), w=numbers(rng, cols, depth), activation=activation, row_scales=rng.uniform(0.001, 0.02, rows).astype(np.float32),
                col_scales=rng.uniform(0.001, 0.02, cols).astype(np.float32), bias=rng.normal(size=cols).astype(np.float16) if bias else None)


def close(got, arrays):
    reference.assert_close(got, expected(**arrays).clip(-65504, 65504), 1e-3, 2e-3)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, case, tile):
    arrays = make(case)
    close(product(device, **arrays, tile=tile), arrays)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('rows, cols, depth', [(1, 8, 32), (70, 72, 96), (131, 136, 288)])
def test_sums_are_exact(device, tile, rows, cols, depth):
    """Small rests of large numbers that cancel, which halves hold; and, scaled by powers of two, large sums in every bit that comes out."""
    rng = np.random.default_rng(depth)
    x, w = numbers(rng, rows, depth), numbers(rng, cols, depth)
    large = (abs(x).astype(np.int64) @ abs(w).T.astype(np.int64) / 4096).astype(np.float16)
    scales = np.full(rows, 2.0 ** -8, np.float32), np.full(cols, 2.0 ** -4, np.float32)
    np.testing.assert_array_equal(product(device, abs(x), scales[0], abs(w), scales[1], tile=tile), large)
    x[:, depth // 2:], w[:, depth // 2:] = x[:, :depth // 2], -w[:, :depth // 2]
    x[:, -1] = rng.permutation(rows) % 16
    w[:, -1] = rng.permutation(cols) % 16
    x[:, depth // 2 - 1] = 0
    np.testing.assert_array_equal(product(device, x, np.ones(rows, np.float32), w, np.ones(cols, np.float32), tile=tile),
                                  np.outer(x[:, -1].astype(int), w[:, -1]))


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('depth', [64, 112, 400])
def test_each_number_meets_its_own(device, depth, tile):
    """Rows of x that have a single one pick each weight, in every place of a step; and so do columns."""
    w = (np.arange(136 * depth).reshape(136, depth) * 37 % 255 - 127).astype(np.int8)
    one = np.eye(depth, dtype=np.int8)
    ones = lambda n: np.ones(n, np.float32)
    np.testing.assert_array_equal(product(device, one, ones(depth), w, ones(136), tile=tile), w.T)
    np.testing.assert_array_equal(product(device, w, ones(136), one, ones(depth), tile=tile), w)


@pytest.mark.parametrize('tile, side', [(0, 8), (1, 64), (2, 40), (3, 8)])
def test_a_side(device, tile, side):
    arrays = make((5, 256 + side, 272, True, 'mish'))
    close(product(device, **arrays, tile=tile, side=side), arrays)


def test_each_row_and_column_has_its_own_scale(device):
    """Also what is beyond half, which becomes its largest number, and a scale that is no number, which stays in its row."""
    arrays = make((70, 72, 64, False, 'none'))
    arrays['row_scales'][[3, 69]] = 1e6, np.nan
    arrays['col_scales'][5] = 0
    got = product(device, **arrays)
    assert np.isnan(got[69]).all() and (got[:69, 5] == 0).all() and (np.abs(got[3, 6:]) == 65504).mean() > 0.9
    close(got, arrays)


def test_refuses_what_it_cannot_do(device):
    for case, why in ((1, 8, 24), 'no multiple of 16'), ((1, 12, 16), 'no multiple of 8'), ((1, 8, 133136), 'beyond 133120'):
        with pytest.raises(RuntimeError, match=why):
            product(device, **make((*case, False, 'none')))
    with pytest.raises(RuntimeError, match='inside of a tile'):
        product(device, **make((1, 72, 16, False, 'none')), side=40)


# rows -----------------------------------------------------------------------

def rows_of(rng, rows, cols):
    """Of many sizes: ordinary ones, with outliers, of zeros, of denormal numbers, of the largest, of ties between numbers."""
    x = rng.normal(size=(rows, cols)) * 10 ** rng.uniform(-7, 4, (rows, 1))
    x[::5, rng.integers(cols)] *= 1000
    x[1::7] = 0
    x[2::7] = rng.integers(-3, 4, x[2::7].shape) * 2.0 ** -24
    x[3::7] = rng.choice([-65504, 65504, 1], x[3::7].shape)
    x[4::7] = rng.integers(-254, 255, x[4::7].shape) / 2
    x[4::7, 0] = 127
    return x.clip(-65504, 65504).astype(np.float16)


def quantised(x):
    """In float64, where the products of halves and factors are exact."""
    most = np.abs(x).max(1).astype(np.float32)
    with np.errstate(divide='ignore'):
        factors = np.where(most > 0, np.float32(127) / most, 0)
    return np.rint(x.astype(np.float64) * factors[:, None]).astype(np.int8), most / np.float32(127)


@pytest.mark.parametrize('cols', [8, 24, 256, 520, 768, 1016, 1536, 2048, 2056, 4104])
def test_rows_bit_for_bit(device, cols):
    x = rows_of(np.random.default_rng(cols), 37, cols)
    for got, wanted in zip(quantise(device, x), quantised(x)):
        np.testing.assert_array_equal(got, wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2 ** 31), st.integers(1, 9), st.integers(1, 40))
def test_rows_of_any_bits(device, seed, rows, pieces):
    """The largest is 127, or all are zero; nothing is off by more than half a step. NaN and infinity are told by their row's scale."""
    x = np.random.default_rng(seed).integers(0, 2 ** 16, (rows, 8 * pieces), np.uint16)
    x[seed % rows] &= 0x83ff  # none but denormal numbers
    x = x.view(np.float16)
    got, scales = quantise(device, x)
    with np.errstate(invalid='ignore', over='ignore'):
        most = np.abs(x).max(1).astype(np.float32)
        np.testing.assert_array_equal(scales, most / np.float32(127))
    fine = np.isfinite(most)
    assert (np.abs(got[fine].astype(int)).max(1) == np.where(most[fine] > 0, 127, 0)).all()
    assert (np.abs(got[fine] * scales[fine, None].astype(np.float64) - x[fine]) <= 0.5001 * scales[fine, None]).all()


@pytest.mark.parametrize('parts', [0, 1, 3])
@pytest.mark.parametrize('cols', [8, 256, 264, 768, 1024, 1536])
@pytest.mark.parametrize('plain', [True, False])
def test_a_norm_writes_them_too(device, cols, parts, plain):
    """What it writes in 8 bits is what quantise_rows makes of its halves, which are those that it writes without."""
    rng = np.random.default_rng(cols)
    x = rng.normal(size=(max(parts, 1), 11, cols)).astype(np.float32 if parts else np.float16)
    bias, gain, shift = rng.normal(size=(3, cols)).astype(np.float16)
    skip = rng.normal(size=(11, cols)).astype(np.float16) if plain else None
    gain[3 % cols] *= 50
    y, numbers, scales, alone = Output((11, cols), np.float16), Output(np.full((11, cols), 85, np.int8)), Output((11,)), Output((11, cols), np.float16)
    rest = 11, cols, 0.5, 0 if plain else 3, 1e-3
    device.launch('layer_norm_int8', True, y, x, parts, cols, bias, skip, gain, shift, numbers, scales, *rest)
    device.launch('layer_norm_int8', True, alone, x, parts, cols, bias, skip, gain, shift, None, None, *rest)
    np.testing.assert_array_equal(y.array, alone.array)
    for got, wanted in zip((numbers.array, scales.array), quantised(y.array)):
        np.testing.assert_array_equal(got, wanted)
