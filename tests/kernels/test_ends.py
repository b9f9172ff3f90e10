"""The kernels at both ends of a net: planes in; policy and values out; and the element-wise one."""
import numpy as np
import pytest

import reference
from device import Output

DTYPES = pytest.mark.parametrize('dtype', [np.float32, np.float16])


def packed_planes(rng, batch):
    masks = rng.integers(0, 2 ** 63, size=(batch, 112), dtype=np.uint64) * 2 + 1
    values = np.where(np.arange(112) == 109, 0.37, 1).astype(np.float32).repeat(batch).reshape(112, batch).T.copy()
    squares = (masks[:, :, None] >> np.arange(64, dtype=np.uint64) & 1) * values[:, :, None]  # (batch, 112, 64)
    return masks, values, squares.astype(np.float64)


@DTYPES
@pytest.mark.parametrize('batch,extra,shared,stride', [(1, 64, True, 176), (3, 5, False, 120), (17, 0, True, 112)])
def test_expand_tokens(device, dtype, batch, extra, shared, stride):
    rng = np.random.default_rng(batch)
    masks, values, squares = packed_planes(rng, batch)
    encoding = rng.normal(size=(64 if shared else batch * 64, extra)).astype(dtype) if extra else None
    out = Output((batch * 64, stride), dtype)
    device.launch('expand_tokens', dtype == np.float16, out, masks, values, encoding, batch, extra, shared, stride)
    tokens = squares.transpose(0, 2, 1).reshape(batch * 64, 112).astype(dtype)
    assert (out.array[:, :112] == tokens).all() and (out.array[:, 112 + extra:] == 0).all()
    if extra:
        assert (out.array[:, 112:112 + extra] == (np.tile(encoding, (batch, 1)) if shared else encoding)).all()


@DTYPES
@pytest.mark.parametrize('batch', [1, 3])
def test_expand_pieces(device, dtype, batch):
    masks, values, squares = packed_planes(np.random.default_rng(batch), batch)
    out = Output((batch, 64 * 12), dtype)
    device.launch('expand_pieces', dtype == np.float16, out, masks, values, batch)
    assert (out.array == squares[:, :12].transpose(0, 2, 1).reshape(batch, -1)).all()


@DTYPES
@pytest.mark.parametrize('activation', reference.ACTIVATIONS)
def test_activations(device, dtype, activation):
    """Over the whole range of half, NaN and both infinities of the gate's product aside."""
    x = np.concatenate([np.linspace(-30, 30, 2001), [60000, -60000, 0, np.nan]]).astype(dtype)[None]
    y = Output(x.shape, dtype)
    device.launch('bias_activation', dtype == np.float16, y, x, None, None, None, None, 1, x.shape[1], reference.ACTIVATIONS.index(activation))
    with np.errstate(over='ignore'):
        expected = reference.activate(activation, x.astype(np.float64)).astype(dtype).astype(np.float64)
    finite = np.isfinite(expected) | np.isnan(expected)
    assert (y.array[~finite] == expected[~finite]).all()
    got, want = y.array[finite].astype(np.float64), expected[finite]
    reference.assert_close(got, want, 1e-3 if dtype == np.float16 else 2e-6, 1e-3 if dtype == np.float16 else 2e-6)


@DTYPES
@pytest.mark.parametrize('rows,cols', [(1, 1), (64, 33), (192, 40)])
def test_bias_skip_and_gates(device, dtype, rows, cols):
    rng = np.random.default_rng(rows)
    x, skip = (rng.normal(size=(rows, cols)).astype(dtype) for _ in range(2))
    bias, multiply, add = rng.normal(size=cols).astype(dtype), *(rng.normal(size=(64, cols)).astype(dtype) for _ in range(2))
    y = Output((rows, cols), dtype)
    device.launch('bias_activation', dtype == np.float16, y, x, bias, skip, multiply, add, rows, cols, 1)
    square = np.arange(rows) % 64
    z = np.maximum(x.astype(np.float64) + bias + skip, 0) * multiply[square] + add[square]
    reference.assert_close(y.array, z, *((2e-3, 2e-3) if dtype == np.float16 else (1e-6, 1e-6)))


@DTYPES
@pytest.mark.parametrize('batch', [1, 3, 17])
def test_policy_map(device, dtype, batch):
    rng = np.random.default_rng(batch)
    logits, table = rng.normal(size=(batch, 4288)).astype(dtype), rng.permutation(4288)[:1858].astype(np.int32)
    everything = Output((batch, 1858))
    device.launch('policy_map', dtype == np.float16, everything, logits, table, None, None, batch, 4288)
    assert (everything.array == logits[:, table]).all()
    counts = rng.integers(0, 219, size=batch)
    first = np.concatenate([[0], counts.cumsum()]).astype(np.uint32)
    moves = rng.integers(0, 1858, size=max(1, counts.sum())).astype(np.uint16)
    some = Output(moves.shape)
    device.launch('policy_map', dtype == np.float16, some, logits, table, moves, first, batch, 4288)
    expected = np.concatenate([logits[p, table[moves[first[p]:first[p + 1]]]] for p in range(batch)])
    assert (some.array[:len(expected)] == expected).all()


@DTYPES
@pytest.mark.parametrize('batch,depth', [(1, 8), (3, 33), (2, 256)])
def test_promotion_logits(device, dtype, batch, depth):
    rng = np.random.default_rng(depth)
    m, k, w = rng.normal(size=(batch, 64, 64)).astype(dtype), rng.normal(size=(batch, 64, depth)).astype(dtype), rng.normal(size=(4, depth)).astype(dtype)
    flat = Output((batch, 4288), dtype)
    device.launch('promotion_logits', dtype == np.float16, flat, m, k, w, batch, depth, 0.25)
    r = k[:, 56:].astype(np.float64) @ w.astype(np.float64).T  # (batch, 8, 4)
    promotions = 0.25 * m[:, 48:56, 56:].astype(np.float64)[..., None] + (r[..., :3] + r[..., 3:])[:, None]
    expected = np.concatenate([0.25 * m.astype(np.float64).reshape(batch, -1), promotions.reshape(batch, -1)], 1)
    reference.assert_close(flat.array.astype(np.float32), expected, *((2e-3, 2e-3) if dtype == np.float16 else (2e-5, 1e-5)))


@DTYPES
@pytest.mark.parametrize('batch', [1, 65])
@pytest.mark.parametrize('wdl', [True, False])
def test_values(device, dtype, batch, wdl):
    rng = np.random.default_rng(batch)
    value, moves = (rng.normal(size=(batch, 3 if wdl else 1)) * 20).astype(dtype), (rng.normal(size=batch) * 50).astype(dtype)
    out = Output((batch, 3))
    device.launch('values', dtype == np.float16, out, value, moves, batch, wdl)
    y = value.astype(np.float64)
    p = reference.softmax(y)
    q, d = (p[:, 0] - p[:, 2], p[:, 1]) if wdl else (np.tanh(y[:, 0]), np.zeros(batch))
    reference.assert_close(out.array, np.stack([q, d, np.maximum(moves, 0)], 1), 2e-6, 1e-6)
