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


KINDS = reference.NUMBERS


def quantise(device, x, kind):
    numbers, scales = Output(np.full(x.shape, 85, np.uint8)), Output((len(x),))
    device.launch('quantise_rows', True, numbers, scales, x, *x.shape, KINDS.index(kind))
    return numbers.array, scales.array


def product(device, x, row_scales, w, col_scales, bias=None, activation='none', kind='int8', tile=2, side=0):
    """x and w: bits of numbers of the kind."""
    if not device.multiplies(kind):
        pytest.skip(f'no matrix instructions for {kind}')
    (rows, depth), cols = x.shape, len(w)
    y, aside = Output((rows, cols - side), np.float16), Output((rows, side), np.float16)
    device.launch('gemm_rows8', True, y, aside if side else None, side, x, row_scales, w, col_scales, bias, rows, cols, depth,
                  reference.ACTIVATIONS.index(activation), tile, KINDS.index(kind))
    return np.concatenate([y.array, aside.array], 1)


def expected(x, row_scales, w, col_scales, bias=None, activation='none', kind='int8'):
    values = reference.values_of(kind)
    z = (values[x] @ values[w].T) * row_scales[:, None].astype(np.float64) * col_scales + (0 if bias is None else bias)
    return reference.activate(activation, z)


def numbers(rng, kind, *shape):
    """Bits: of all but NaN, and of -128."""
    bits = rng.integers(0, 256, shape, np.uint8)
    return np.where(np.isnan(reference.values_of(kind)[bits]) | ((kind == 'int8') & (bits == 128)), 1, bits).astype(np.uint8)


def make(case, kind='int8'):
    rows, cols, depth, bias, activation = case
    rng = np.random.default_rng(rows)
    most = 2.5 / reference.MOST[kind]  # of scales
    return dict(x=numbers(rng, kind, rows, depth), w=numbers(rng, kind, cols, depth), activation=activation, kind=kind,
                row_scales=rng.uniform(most / 20, most, rows).astype(np.float32), col_scales=rng.uniform(most / 20, most, cols).astype(np.float32),
                bias=rng.normal(size=cols).astype(np.float16) if bias else None)


def close(got, arrays):
    """Hopper keeps 14 bits of its sums of floating-point numbers."""
    reference.assert_close(got, expected(**arrays).clip(-65504, 65504), 1e-3 if arrays['kind'] == 'int8' else 4e-3, 2e-3)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, case, tile, kind):
    arrays = make(case, kind)
    close(product(device, **arrays, tile=tile), arrays)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('rows, cols, depth', [(1, 8, 32), (70, 72, 96), (131, 136, 288)])
def test_sums_are_exact(device, tile, rows, cols, depth):
    """Small rests of large numbers that cancel, which halves hold; and, scaled by powers of two, large sums in every bit that comes out."""
    rng = np.random.default_rng(depth)
    x, w = (numbers(rng, 'int8', n, depth).view(np.int8) for n in (rows, cols))
    large = (abs(x).astype(np.int64) @ abs(w).T.astype(np.int64) / 4096).astype(np.float16)
    scales = np.full(rows, 2.0 ** -8, np.float32), np.full(cols, 2.0 ** -4, np.float32)
    np.testing.assert_array_equal(product(device, abs(x), scales[0], abs(w), scales[1], tile=tile), large)
    x[:, depth // 2:], w[:, depth // 2:] = x[:, :depth // 2], -w[:, :depth // 2]
    x[:, -1] = rng.permutation(rows) % 16
    w[:, -1] = rng.permutation(cols) % 16
    x[:, depth // 2 - 1] = 0
    np.testing.assert_array_equal(product(device, x, np.ones(rows, np.float32), w, np.ones(cols, np.float32), tile=tile),
                                  np.outer(x[:, -1].astype(int), w[:, -1]))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tile', range(len(TILES)), ids=TILES)
@pytest.mark.parametrize('depth', [64, 112, 400])
def test_each_number_meets_its_own(device, depth, tile, kind):
    """Rows of x that have a single one pick each weight, in every place of a step; and so do columns. All numbers of a kind are among them."""
    values = reference.values_of(kind)
    w = (np.arange(136 * depth).reshape(136, depth) * 37 % 256).astype(np.uint8)
    w[np.isnan(values[w])] = 0
    one = np.eye(depth, dtype=np.uint8) * np.flatnonzero(values == 1)[0].astype(np.uint8)
    ones = lambda n: np.ones(n, np.float32)
    np.testing.assert_array_equal(product(device, one, ones(depth), w, ones(136), kind=kind, tile=tile), values[w].T)
    np.testing.assert_array_equal(product(device, w, ones(136), one, ones(depth), kind=kind, tile=tile), values[w])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tile, side', [(0, 8), (1, 64), (2, 40), (3, 8)])
def test_a_side(device, tile, side, kind):
    arrays = make((5, 256 + side, 272, True, 'mish'), kind)
    close(product(device, **arrays, tile=tile, side=side), arrays)


@pytest.mark.parametrize('kind', KINDS)
def test_each_row_and_column_has_its_own_scale(device, kind):
    """Also what is beyond half, which becomes its largest number, and a scale that is no number, which stays in its row."""
    arrays = make((70, 72, 64, False, 'none'), kind)
    arrays['row_scales'][[3, 69]] = 1e6, np.nan
    arrays['col_scales'][5] = 0
    got = product(device, **arrays)
    assert np.isnan(got[69]).all() and (got[:69, 5] == 0).all() and (np.abs(got[3, 6:]) == 65504).mean() > 0.9
    close(got, arrays)


def test_a_number_that_is_none_stays_in_its_row_and_column(device):
    arrays = make((70, 72, 64, False, 'none'), 'fp8')
    arrays['x'][3, 7] = arrays['w'][9, 60] = 0x7f
    got = product(device, **arrays)
    none = np.isnan(got)
    assert none[3].all() and none[:, 9].all() and none.sum() == 72 + 70 - 1


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


def quantised(x, kind):
    """Of whole numbers in float64, where the products of halves and factors are exact; of the others these are rounded to float first."""
    most = np.abs(x).max(1).astype(np.float32)
    with np.errstate(divide='ignore'):
        factors = np.where(most > 0, np.float32(reference.MOST[kind]) / most, 0)
    wide = np.float64 if kind == 'int8' else np.float32
    return reference.nearest((x.astype(wide) * factors[:, None].astype(wide)).astype(float), kind), most / np.float32(reference.MOST[kind])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('cols', [8, 24, 256, 520, 768, 1016, 1536, 2048, 2056, 4104])
def test_rows_bit_for_bit(device, cols, kind):
    x = rows_of(np.random.default_rng(cols), 37, cols)
    for got, wanted in zip(quantise(device, x, kind), quantised(x, kind)):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize('kind', KINDS[1:])
def test_every_half_in_the_range_is_rounded_to_the_nearest_number(device, kind):
    """Halves that lie in the middle of two numbers are among them, and denormal ones. The largest leaves the others as they are."""
    halves = np.arange(65536).astype(np.uint16).view(np.float16)
    halves = halves[np.abs(halves.astype(float)) <= reference.MOST[kind]]  # no NaN
    x = np.resize(halves, (-(-len(halves) // 248), 256))
    x[:, 248:] = reference.MOST[kind]
    x[:, :248] = np.resize(halves, (len(x), 248))
    numbers, scales = quantise(device, x, kind)
    assert (scales == 1).all()
    np.testing.assert_array_equal(numbers, reference.nearest(x.astype(float), kind))


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=20)
@given(seed=st.integers(0, 2 ** 31), rows=st.integers(1, 9), pieces=st.integers(1, 40))
def test_rows_of_any_bits(device, seed, rows, pieces, kind):
    """The largest is that of the numbers, or all are zero; nothing is off by more than half a step. NaN and infinity are told by their row's scale."""
    x = np.random.default_rng(seed).integers(0, 2 ** 16, (rows, 8 * pieces), np.uint16)
    x[seed % rows] &= 0x83ff  # none but denormal numbers
    x = x.view(np.float16)
    bits, scales = quantise(device, x, kind)
    got, most_number = reference.values_of(kind)[bits], reference.MOST[kind]
    with np.errstate(invalid='ignore', over='ignore'):
        most = np.abs(x).max(1).astype(np.float32)
        np.testing.assert_array_equal(scales, most / np.float32(most_number))
    fine = np.isfinite(most)
    assert (np.abs(got[fine]).max(1) == np.where(most[fine] > 0, most_number, 0)).all()
    exact = x[fine] / scales[fine, None].astype(np.float64).clip(1e-30)
    step = 1 if kind == 'int8' else 2.0 ** np.floor(np.log2(np.abs(exact).clip(2.0 ** (-6 if kind == 'fp8' else -7)))) / 8
    assert (np.abs(got[fine] - exact) <= 0.5001 * step).all()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('parts', [0, 1, 3])
@pytest.mark.parametrize('cols', [8, 256, 264, 768, 1024, 1536])
@pytest.mark.parametrize('plain', [True, False])
def test_a_norm_writes_them_too(device, cols, parts, plain, kind):
    """What it writes in 8 bits is what quantise_rows makes of its halves, which are those that it writes without."""
    rng = np.random.default_rng(cols)
    x = rng.normal(size=(max(parts, 1), 11, cols)).astype(np.float32 if parts else np.float16)
    bias, gain, shift = rng.normal(size=(3, cols)).astype(np.float16)
    skip = rng.normal(size=(11, cols)).astype(np.float16) if plain else None
    gain[3 % cols] *= 50
    y, numbers, scales, alone = Output((11, cols), np.float16), Output(np.full((11, cols), 85, np.uint8)), Output((11,)), Output((11, cols), np.float16)
    rest = 11, cols, 0.5, 0 if plain else 3, 1e-3, KINDS.index(kind)
    device.launch('layer_norm_8', True, y, x, parts, cols, bias, skip, gain, shift, numbers, scales, *rest)
    device.launch('layer_norm_8', True, alone, x, parts, cols, bias, skip, gain, shift, None, None, *rest)
    np.testing.assert_array_equal(y.array, alone.array)
    for got, wanted in zip((numbers.array, scales.array), quantised(y.array, kind)):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('activation', ['none', 'mish', 'relu_2'])
@pytest.mark.parametrize('cols, bias, in_place', [(8, True, True), (520, True, False), (1024, True, True), (1536, True, False), (2056, True, True)])
def test_what_a_library_leaves_to_do_on_the_way(device, kind, activation, cols, bias, in_place):
    """Its numbers are those of the halves that it writes; what is beyond half becomes its largest number."""
    rng = np.random.default_rng(cols)
    x, add = rng.normal(size=(11, cols)).astype(np.float16), rng.normal(size=cols).astype(np.float16) if bias else None
    x[3, 5] = 1000  # its square is none
    y = Output(x.copy() if in_place else x.shape, np.float16)
    numbers, scales = Output(np.full(x.shape, 85, np.uint8)), Output((11,))
    device.launch('activate_rows', True, numbers, scales, y, y if in_place else x, add, *x.shape, reference.ACTIVATIONS.index(activation),
                  KINDS.index(kind))
    reference.assert_close(y.array, reference.activate(activation, x.astype(float) + (add if bias else 0)).clip(-65504, 65504), 2e-3, 2e-3)
    for got, wanted in zip((numbers.array, scales.array), quantised(y.array, kind)):
        np.testing.assert_array_equal(got, wanted)
