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
@pytest.mark.parametrize('batch,extra,shared,stride', [(1, 64, True, 176), (3, 5, False, 120), (17, 0, True, 112), (2, 3, True, 117)])
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
    """Over the whole range of half, beyond which results saturate; NaN stays."""
    x = np.concatenate([np.linspace(-30, 30, 2001), [60000, -60000, 0, np.nan]]).astype(dtype)[None]
    y = Output(x.shape, dtype)
    device.launch('bias_activation', dtype == np.float16, y, x, None, None, None, None, 1, x.shape[1], reference.ACTIVATIONS.index(activation))
    most = float(np.finfo(dtype).max)
    expected = reference.activate(activation, x.astype(np.float64)).clip(-most, most)
    reference.assert_close(y.array, expected, 1e-3 if dtype == np.float16 else 2e-6, 1e-3 if dtype == np.float16 else 2e-6)


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
@pytest.mark.parametrize('batch,depth', [(1, 8), (3, 33), (2, 264)])
def test_attention_policy(device, dtype, batch, depth):
    rng = np.random.default_rng(depth)
    queries_keys, w = rng.normal(size=(batch, 64, 2, depth)).astype(dtype), rng.normal(size=(4, depth)).astype(dtype)
    places = rng.permutation(4288)[:1858].astype(np.int32)
    q, k = queries_keys.astype(np.float64).transpose(2, 0, 1, 3)
    m = q @ k.transpose(0, 2, 1) / np.sqrt(depth)
    r = k[:, 56:] @ w.astype(np.float64).T  # (batch, 8, 4)
    promotions = m[:, 48:56, 56:, None] + (r[..., :3] + r[..., 3:])[:, None]
    expected = np.concatenate([m.reshape(batch, -1), promotions.reshape(batch, -1)], 1)[:, places]
    everything = Output((batch, 1858))
    device.launch('attention_policy', dtype == np.float16, everything, queries_keys, w, places, None, None, batch, depth)
    reference.assert_close(everything.array, expected, 2e-5, 1e-5)
    counts = np.array([7, 0, 30])[:batch]
    first = np.concatenate([[0], counts.cumsum()]).astype(np.uint32)
    moves = rng.integers(0, 1858, size=max(1, counts.sum())).astype(np.uint16)
    some = Output(moves.shape)
    device.launch('attention_policy', dtype == np.float16, some, queries_keys, w, places, moves, first, batch, depth)
    expected = np.concatenate([expected[p, moves[first[p]:first[p + 1]]] for p in range(batch)])
    reference.assert_close(some.array[:len(expected)], expected, 2e-5, 1e-5)


@DTYPES
@pytest.mark.parametrize('batch,width', [(1, 128), (17, 9)])
@pytest.mark.parametrize('wdl', [True, False])
@pytest.mark.parametrize('moves_left', [True, False])
def test_values(device, dtype, batch, width, wdl, moves_left):
    rng = np.random.default_rng(batch)
    outputs, y = [], []
    for rows in (3 if wdl else 1, 1):
        hidden, w, b = rng.normal(size=(batch, width)), rng.normal(size=(rows, width)), rng.normal(size=rows)
        outputs += [hidden.astype(dtype), w.astype(dtype), b.astype(dtype), width]
        hidden, w, b = (a.astype(np.float64) for a in outputs[-4:-1])
        y.append(hidden @ w.T + b)
    if not moves_left:
        outputs[4:] = None, None, None, 0
        y[1] = np.zeros((batch, 1))
    out = Output((batch, 3))
    device.launch('values', dtype == np.float16, out, *outputs, batch, wdl)
    p = reference.softmax(y[0])
    q, d = (p[:, 0] - p[:, 2], p[:, 1]) if wdl else (np.tanh(y[0][:, 0]), np.zeros(batch))
    reference.assert_close(out.array, np.stack([q, d, np.maximum(y[1][:, 0], 0)], 1), 2e-5, 1e-5)
