import numpy as np
import pytest

import reference
from device import Output

CASES = [  # batch, rows, cols, depth, one w, bias, skip, activation
    (1, 1, 8, 8, True, True, False, 'none'), (1, 64, 64, 64, True, True, True, 'relu'), (1, 65, 72, 40, True, True, False, 'mish'),
    (3, 17, 136, 24, False, False, True, 'swish'), (1, 130, 200, 264, True, True, False, 'relu_2'), (1, 3, 33, 7, True, True, True, 'none'),
    (36, 4, 16, 16, False, False, False, 'none'), (1, 1, 3, 128, True, True, False, 'none'),
]


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, dtype, case):
    batch, rows, cols, depth, one_w, bias, skip, activation = case
    rng = np.random.default_rng(rows)
    x, w = rng.normal(size=(batch, rows, depth)).astype(dtype), rng.normal(size=(1 if one_w else batch, cols, depth)).astype(dtype)
    b = rng.normal(size=cols).astype(dtype) if bias else None
    s = rng.normal(size=(batch, rows, cols)).astype(dtype) if skip else None
    y = Output((batch, rows, cols), dtype)
    device.launch('gemm', dtype == np.float16, y, x, w, b, s, batch, rows, cols, depth, one_w, reference.ACTIVATIONS.index(activation))
    z = x.astype(np.float64) @ w.astype(np.float64).transpose(0, 2, 1) + (0 if b is None else b)
    expected = reference.activate(activation, z) + (0 if s is None else s)
    reference.assert_close(y.array, expected, *((4e-3, 2e-3) if dtype == np.float16 else (1e-4, 1e-5)))


def test_nan_stays_in_its_row(device):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(20, 24)).astype(np.float16), rng.normal(size=(16, 24)).astype(np.float16)
    x[19, 23] = np.nan  # the last row is what rows beyond the matrix repeat
    y = Output((20, 16), np.float16)
    device.launch('gemm', True, y, x, w, None, None, 1, 20, 16, 24, True, 0)
    reference.assert_close(y.array, x.astype(np.float64) @ w.astype(np.float64).T, 1e-2, 2e-3)
