"""What each kernel computes, in float64 NumPy, and how close it must come."""
import numpy as np

ACTIVATIONS = ['none', 'relu', 'relu_2', 'mish', 'swish', 'selu', 'tanh', 'sigmoid']  # order of nn::Activation


def activate(name, x):
    if name == 'mish':
        return x * np.tanh(np.logaddexp(0, x))
    if name == 'selu':
        return 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(np.minimum(x, 0)))
    sigmoid = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return {'none': x, 'relu': np.maximum(x, 0), 'relu_2': np.maximum(x, 0) ** 2, 'swish': x * sigmoid, 'tanh': np.tanh(x),
            'sigmoid': sigmoid}[name]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v, bias, heads):
    """q, k, v (batch, 64, heads * dim), bias (batch, heads, 64, 64) or None."""
    split = lambda x: x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)
    q, k, v = split(q), split(k), split(v)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    return (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(len(q), 64, -1)


def layer_norm(x, bias, skip, gain, shift, alpha, activation, eps):
    t = activate(activation, x + (0 if bias is None else bias)) * alpha + (0 if skip is None else skip)
    centred = t - t.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + eps) * gain + shift


def assert_close(got, expected, tolerance, relative=0.0):
    """Each value within tolerance + relative * |expected|; NaN exactly where expected; a half result that equals the reference in
    every bit was not computed by a half kernel."""
    expected = np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    bad_nan = np.isnan(got) != np.isnan(expected)
    assert not bad_nan.any(), f'NaN wrong at {np.argwhere(bad_nan)[:3].tolist()}, {bad_nan.sum()} places'
    share = np.nan_to_num(np.abs(got - expected) / (tolerance + relative * np.abs(expected)))
    worst = np.unravel_index(share.argmax(), share.shape)
    assert share.max() <= 1, f'{share.max():.2f} of the allowed error at {worst}: {got[worst]} for {expected[worst]}'
    if got.dtype == np.float16 and got.size >= 64:
        assert (got != expected.astype(np.float32)).any(), 'a half result equals the reference exactly'
