import numpy as np
import pytest

import reference
from device import Output

CASES = [  # batch, heads, head_dim, bias, spare columns between q, k and v
    (1, 1, 32, True, 0), (1, 2, 32, False, 0), (3, 2, 32, True, 0), (2, 1, 64, True, 8), (1, 1, 64, False, 0), (1, 3, 8, True, 0),
    (1, 2, 24, True, 8), (1, 1, 16, False, 0), (1, 1, 40, True, 0), (1, 1, 48, False, 0), (1, 1, 96, True, 0),
    (1, 1, 120, False, 8), (1, 1, 128, True, 0),
]


def run(device, rng, dtype, batch, heads, dim, with_bias, spare, scale=1.0, change=None, units=1000):
    width = heads * dim
    qkv = (rng.normal(size=(batch * 64, 3 * width + spare)) * scale).astype(dtype)
    bias = (rng.normal(size=(batch, heads, 64, 64)) * scale).astype(dtype) if with_bias else None
    if change:
        change(qkv, bias)
    out = Output((batch * 64, width + spare), dtype)
    device.launch('attention', dtype == np.float16, out, qkv, (qkv, width), (qkv, 2 * width), bias, batch, heads, dim,
                  qkv.shape[1], width + spare, units)
    parts = qkv.astype(np.float64).reshape(batch, 64, -1)[..., :3 * width].reshape(batch, 64, 3, width)
    expected = reference.attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2], None if bias is None else bias.astype(np.float64), heads)
    assert np.isnan(out.array[:, width:]).all(), 'wrote beside its columns'
    return out.array[:, :width], expected.reshape(batch * 64, width)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_shapes(device, dtype, case):
    got, expected = run(device, np.random.default_rng(1), dtype, *case)
    reference.assert_close(got, expected, 3e-3 if dtype == np.float16 else 2e-6)


@pytest.mark.parametrize('case', [(2, 3, 32, True, 0), (4, 1, 32, False, 8)], ids=str)
def test_a_full_device_gets_waves_of_more_queries(device, case):
    got, expected = run(device, np.random.default_rng(2), np.float16, *case, units=1)
    reference.assert_close(got, expected, 3e-3)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_near_the_limits_of_half(device, dtype):
    def large(qkv, bias):
        qkv[:, 64:] = np.sign(qkv[:, 64:]) * 60000  # v
        qkv[5, :64] = 2000  # scores of millions
        bias[0, 0, 7, :] = -65000
        bias[0, 0, 8, 3] = 65000
    got, expected = run(device, np.random.default_rng(3), dtype, 1, 1, 32, True, 0, change=large)
    reference.assert_close(got, expected, 0.002 * 60000 if dtype == np.float16 else 0.1)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_nan_stays_in_its_query_and_head(device, dtype):
    def poison(qkv, bias):
        qkv[3, 2] = np.nan  # q of query 3, head 0
        bias[0, 1, 9, 60] = np.nan  # head 1, query 9
    got, expected = run(device, np.random.default_rng(4), dtype, 2, 2, 32, True, 0, change=poison)
    assert np.isnan(expected).sum() == 64
    reference.assert_close(got, expected, 3e-3)


def test_softmax_sees_every_key(device):
    """One key with all the weight: the output is that key's value, for each key in turn (finds a wrong order of keys)."""
    rng = np.random.default_rng(5)
    bias = np.full((1, 1, 64, 64), -100, np.float16)
    keys = rng.permutation(64)
    bias[0, 0, np.arange(64), keys] = 100
    qkv = np.concatenate([np.zeros((64, 64)), rng.normal(size=(64, 32))], 1).astype(np.float16)
    out = Output((64, 32), np.float16)
    device.launch('attention', True, out, qkv, (qkv, 32), (qkv, 64), bias, 1, 1, 32, 96, 32, 1)
    assert (out.array == qkv[keys, 64:]).all()


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('batch, heads, dim, with_bias', [(1, 1, 8, False), (3, 2, 24, True), (2, 3, 40, True), (1, 1, 128, False)])
def test_map_and_what_is_mixed_by_it(device, dtype, batch, heads, dim, with_bias):
    rng, width = np.random.default_rng(5), heads * dim
    qkv = rng.normal(size=(batch * 64, 3 * width + 8)).astype(dtype)
    bias = rng.normal(size=(batch, heads, 64, 64)).astype(dtype) if with_bias else None
    q, k, v = qkv.astype(np.float64).reshape(batch, 64, -1)[..., :3 * width].reshape(batch, 64, 3, width).transpose(2, 0, 1, 3)
    weights = Output((batch, heads, 64, 64), np.float32)
    device.launch('attention_map', dtype == np.float16, weights, qkv, (qkv, width), bias, batch, heads, dim, qkv.shape[1])
    reference.assert_close(weights.array, reference.attention_map(q, k, None if bias is None else bias.astype(np.float64), heads), 2e-6)

    changed = rng.normal(size=weights.array.shape).astype(np.float32)  # rows that are no distributions: somebody has replaced them
    out = Output((batch * 64, width + 8), dtype)
    device.launch('mix_values', dtype == np.float16, out, changed, (qkv, 2 * width), batch, heads, dim, qkv.shape[1], width + 8)
    assert np.isnan(out.array[:, width:]).all(), 'wrote beside its columns'
    reference.assert_close(out.array[:, :width], reference.mix_values(changed.astype(np.float64), v).reshape(batch * 64, width),
                           3e-2 if dtype == np.float16 else 2e-5)
