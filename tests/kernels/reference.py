"""What each kernel computes, in float64 NumPy, and how close it must come."""
import numpy as np

ACTIVATIONS = ['none', 'relu', 'relu_2', 'mish', 'swish', 'selu', 'tanh', 'sigmoid']  # order of nn::Activation


def activate(name, x):
    if name == 'mish':
        return x * np.tanh(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))  # NaN passes without a warning
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
    return mix_values(attention_map(q, k, bias, heads), v)


def split_heads(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attention_map(q, k, bias, heads):
    q, k = split_heads(q, heads), split_heads(k, heads)
    return softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + (0 if bias is None else bias))


def mix_values(weights, v):
    return (weights @ split_heads(v, weights.shape[1])).transpose(0, 2, 1, 3).reshape(*v.shape)


def layer_norm(x, bias, skip, gain, shift, alpha, activation, eps):
    t = activate(activation, x + (0 if bias is None else bias)) * alpha + (0 if skip is None else skip)
    centred = t - t.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + eps) * gain + shift


# Winograd's F(4x4, 3x3) at 0, 2/3, -2/3, 3/2, -3/2 and infinity by Toom and Cook's construction: y = A^T ((G w G^T) * (B^T x B)) A.
POINTS = [0, 2 / 3, -2 / 3, 3 / 2, -3 / 2]
A_T = np.array([[p ** i for p in POINTS] + [float(i == 3)] for i in range(4)])
G = np.array([[p ** j / np.prod([p - q for q in POINTS if q != p]) for j in range(3)] for p in POINTS] + [[0, 0, 1]])
B_T = np.array([np.append(np.poly([q for q in POINTS if q != p])[::-1], 0) for p in POINTS] + [np.poly(POINTS)[::-1]])


def tiles(x):
    """(batch, 64, channels) to its padded tiles (batch * 4, 6, 6, channels)."""
    board = np.pad(x.reshape(len(x), 8, 8, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack([board[:, r:r + 6, f:f + 6] for r in (0, 4) for f in (0, 4)], 1).reshape(-1, 6, 6, x.shape[-1])


def patches(x):
    """(batch, 64, channels) to the 3x3 surroundings of each square (batch, 64, 9, channels)."""
    board = np.pad(x.reshape(len(x), 8, 8, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack([board[:, r:r + 8, f:f + 8] for r in range(3) for f in range(3)], 3).reshape(len(x), 64, 9, -1)


NUMBERS = ['int8', 'fp8', 'fp8_fnuz']  # of 8 bits, in the order of rows8.h
MOST = {'int8': 127, 'fp8': 448, 'fp8_fnuz': 240}


def values_of(kind):
    """What the 256 numbers of a kind are, by their bits, in float64: those of fp8 (e4m3) by their definition."""
    bits = np.arange(256)
    if kind == 'int8':
        return bits.astype(np.uint8).view(np.int8).astype(float)
    bias = 8 if kind == 'fp8_fnuz' else 7
    exponent, mantissa = bits >> 3 & 15, bits & 7
    sizes = np.where(exponent > 0, (1 + mantissa / 8) * 2.0 ** (exponent - bias), mantissa / 8 * 2.0 ** (1 - bias))
    values = np.where(bits >= 128, -sizes, sizes)
    values[[128] if kind == 'fp8_fnuz' else [127, 255]] = np.nan
    return values


def nearest(x, kind):
    """The bits of the numbers nearest to float64s, within the range; of two as near the one that is even."""
    if kind == 'int8':
        return np.rint(x).clip(-127, 127).astype(np.int8).view(np.uint8)
    sizes = values_of(kind)[:128]
    sizes = sizes[np.isfinite(sizes)]
    size = np.abs(x).clip(max=sizes[-1])
    above = np.searchsorted(sizes, size).clip(1)
    low, high = size - sizes[above - 1], sizes[above] - size
    bits = np.where((low < high) | ((low == high) & (above % 2 == 1)), above - 1, above)
    sign = np.signbit(x) & ((kind == 'fp8') | (bits > 0))  # FNUZ has one zero
    return (bits + 128 * sign).astype(np.uint8)


def quantise(w, kind='int8'):
    """Bits of the rows of w in numbers of a kind, rounded to nearest even, and the scale of each, in float32: bit for bit what the back end makes."""
    scales = np.abs(w.astype(np.float32)).max(1) / np.float32(MOST[kind])
    with np.errstate(divide='ignore', invalid='ignore'):
        q = np.where(scales[:, None] > 0, w.astype(np.float32) / scales[:, None], 0)
    return nearest(q.astype(float), kind), scales


def squeeze_excitation(z, w1, b1, w2, b2, activation):
    """z (batch, 64, channels)."""
    gates = activate(activation, z.mean(1) @ w1.T + b1) @ w2.T + b2
    gate, shift = np.split(gates[:, None], 2, -1)
    return activate('sigmoid', gate) * z + shift


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
