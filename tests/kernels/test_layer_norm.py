import numpy as np
import pytest

import reference
from device import Output

CASES = [  # rows, cols, bias, skip, activation
    (1, 768, True, True, 'none'), (5, 768, True, True, 'none'), (64, 256, True, True, 'none'), (3, 512, True, True, 'none'),
    (3, 1024, True, True, 'none'), (17, 1024, False, True, 'none'), (3, 768, True, False, 'mish'), (1, 640, True, True, 'none'),
    (2, 2048, True, False, 'swish'), (2, 1536, True, True, 'relu'), (3, 8, True, True, 'none'), (1, 33, True, True, 'none'),
    (3, 10, False, False, 'relu_2'), (2, 6144, True, False, 'swish'), (1, 8192, True, False, 'tanh'), (4, 200, True, False, 'selu'),
    (2, 256, True, False, 'sigmoid'), (2, 4096, False, True, 'mish'), (3, 5000, True, True, 'none'), (1, 8200, True, False, 'swish'),
    (5, 512, True, False, 'swish'),
]


WAYS = [768, 6144, 30]  # a row for 32 lanes, for a block, and one that is read three times


def run(device, dtype, rows, cols, bias, skip, activation, scale=1.0, change=None):
    rng = np.random.default_rng(cols)
    x, s = ((rng.normal(size=(rows, cols)) * scale + 0.3).astype(dtype) for _ in range(2))
    b, gain, shift = ((rng.normal(size=cols) * scale + 0.1).astype(dtype) for _ in range(3))
    if change:
        change(x)
    y = Output((rows, cols), dtype)
    b, s = b if bias else None, s if skip else None
    index = reference.ACTIVATIONS.index(activation)
    device.launch('layer_norm', dtype == np.float16, y, x, b, s, gain, shift, rows, cols, 0.7, index, 1e-3)
    wide = [None if a is None else a.astype(np.float64) for a in (x, b, s, gain, shift)]
    return y.array, reference.layer_norm(*wide, np.float32(0.7), activation, np.float32(1e-3))


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, dtype, case):
    got, expected = run(device, dtype, *case)
    reference.assert_close(got, expected, *((2e-3, 1e-3) if dtype == np.float16 else (3e-6, 3e-6)))


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('parts', [1, 2, 3, 8])
@pytest.mark.parametrize('case', [(3, 768, True, True, 'none'), (1, 6144, True, False, 'swish'), (2, 21, True, True, 'mish'), (5, 40, False, False, 'relu'),
                                  (1, 4096, True, True, 'none'), (2, 8192, True, False, 'none'),
                                  (1, 8200, True, True, 'none')], ids=str)
def test_sums_of_parts(device, dtype, parts, case):
    """In place, as a residual is; between the rows of a part there may be something else."""
    rows, cols, bias, skip, activation = case
    rng = np.random.default_rng(cols)
    x = rng.normal(size=(parts, rows, -(-cols // 8) * 8)).astype(np.float32)
    b, gain, shift = ((rng.normal(size=cols) + 0.1).astype(dtype) for _ in range(3))
    s = rng.normal(size=(rows, cols)).astype(dtype)
    y = Output(s.copy()) if skip else Output((rows, cols), dtype)
    b = b if bias else None
    device.launch('layer_norm_parts', dtype == np.float16, y, x, parts, x.shape[2], b, y if skip else None, gain, shift, rows, cols, 0.7,
                  reference.ACTIVATIONS.index(activation), 1e-3)
    wide = [None if a is None else a.astype(np.float64) for a in (x[:, :, :cols].sum(0, dtype=np.float64), b, s if skip else None, gain, shift)]
    expected = reference.layer_norm(*wide, np.float32(0.7), activation, np.float32(1e-3))
    reference.assert_close(y.array, expected, *((2e-3, 1e-3) if dtype == np.float16 else (1e-5, 3e-6)))


def test_parts_keep_what_half_cannot(device):
    """Sums beyond half's range are the norm's alone to see."""
    x = np.random.default_rng(1).normal(size=(2, 2, 768)).astype(np.float32) * 1e5
    y, one, zero = Output((2, 768), np.float16), np.ones(768, np.float16), np.zeros(768, np.float16)
    device.launch('layer_norm_parts', True, y, x, 2, 768, None, None, one, zero, 2, 768, 1.0, 0, 1e-3)
    reference.assert_close(y.array, reference.layer_norm(x.sum(0, dtype=np.float64), None, None, 1, 0, 1, 'none', 1e-3), 1e-3, 1e-3)


def test_in_place(device):
    """y may be skip."""
    rng = np.random.default_rng(1)
    x, skip = (rng.normal(size=(6, 768)).astype(np.float16) for _ in range(2))
    b, gain, shift = (rng.normal(size=768).astype(np.float16) for _ in range(3))
    y = Output(skip.copy())
    device.launch('layer_norm', True, y, x, b, y, gain, shift, 6, 768, 1.0, 0, 1e-6)
    expected = reference.layer_norm(*(a.astype(np.float64) for a in (x, b, skip, gain, shift)), 1, 'none', 1e-6)
    reference.assert_close(y.array, expected, 2e-3, 1e-3)


@pytest.mark.parametrize('cols', WAYS)
def test_near_the_limits_of_half(device, cols):
    """Squares of 60,000 are far beyond half; a mean far from zero must not cost the variance its digits."""
    def far(x):
        x[0] = np.where(np.arange(x.shape[1]) % 2, 60000, -60000)
        x[1] = 30000 + 16 * (np.arange(x.shape[1]) % 5)
    got, expected = run(device, np.float16, 3, cols, False, False, 'none', change=far)
    reference.assert_close(got, expected, 2e-3, 2e-3)


@pytest.mark.parametrize('cols', WAYS)
def test_infinite_products_saturate(device, cols):
    """What a library could not keep in half counts as half's largest number."""
    def overflow(x):
        x[0, :3] = np.inf, -np.inf, np.inf
        x[2, 5] = -np.inf
    with np.errstate(invalid='ignore'):
        got, _ = run(device, np.float16, 3, cols, False, False, 'none', change=overflow)
    expected = run(device, np.float16, 3, cols, False, False, 'none', change=lambda x: (overflow(x), np.nan_to_num(x, copy=False)))[1]
    reference.assert_close(got, expected, 0.05, 2e-3)  # 0.7 of the largest number or all of it: nearly the same row


@pytest.mark.parametrize('cols', WAYS)
def test_nan_stays_in_its_row(device, cols):
    def poison(x):
        x[1, 7] = np.nan
    got, expected = run(device, np.float16, 3, cols, True, True, 'none', change=poison)
    assert np.isnan(got[1]).all()
    reference.assert_close(got, expected, 2e-3, 1e-3)
