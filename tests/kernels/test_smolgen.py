"""The bias of an attention from a layer's tokens, in three launches."""
import numpy as np
import pytest

import reference
from device import Output

PARTS = 8
SQUEEZED, HIDDEN, GENERATED, SCORES = 32, 256, 256, 4096
EPS = 1e-3


class Smolgen:
    """Random layers, and what they make of tokens in float64, rounded to half where the kernels keep halves."""

    def __init__(self, seed, channels, heads, activation='swish'):
        rng = np.random.default_rng(seed)
        def half(*shape, scale=1.0, shift=0.0):
            return (rng.normal(size=shape) * scale + shift).astype(np.float16)
        self.channels, self.heads, self.activation = channels, heads, activation
        self.compress = half(SQUEEZED, channels, scale=channels ** -0.5)
        self.dense1 = half(HIDDEN, 64 * SQUEEZED, scale=(64 * SQUEEZED) ** -0.5), half(HIDDEN, scale=0.3)
        self.norm1 = half(HIDDEN, scale=0.2, shift=1), half(HIDDEN, scale=0.2)
        self.dense2 = half(heads * GENERATED, HIDDEN, scale=HIDDEN ** -0.5), half(heads * GENERATED, scale=0.3)
        self.norm2 = half(heads * GENERATED, scale=0.2, shift=1), half(heads * GENERATED, scale=0.2)
        self.generate = half(SCORES, GENERATED, scale=GENERATED ** -0.5)

    def expected(self, x):
        def keep(z):
            return np.clip(z, -65504, 65504).astype(np.float16).astype(np.float64)
        def dense(z, w, b):
            return reference.activate(self.activation, z @ w.astype(np.float64).T + b)
        def norm(z, gain, shift):
            return reference.layer_norm(z, None, None, gain.astype(np.float64), shift, 1, 'none', EPS)
        z = keep(x.astype(np.float64) @ self.compress.astype(np.float64).T).reshape(len(x), -1)
        z = keep(norm(dense(z, *self.dense1), *self.norm1))
        z = keep(norm(keep(dense(z, *self.dense2)), *self.norm2)).reshape(len(x), self.heads, GENERATED)
        return z @ self.generate.astype(np.float64).T

    def run(self, device, x):
        batch = len(x)
        y, hidden = Output((batch, self.heads, SCORES), np.float16), Output((batch, self.heads * GENERATED), np.float16)
        scratch = Output((batch, PARTS * HIDDEN + self.heads * GENERATED // 64 * 2), np.float32)
        device.launch('smolgen', True, y, hidden, scratch, x, self.compress, *self.dense1, *self.norm1, *self.dense2, *self.norm2, self.generate, EPS, batch,
                      self.channels, self.heads, reference.ACTIVATIONS.index(self.activation))
        return y.array


def tokens(seed, batch, channels):
    return np.random.default_rng(seed).normal(size=(batch, 64, channels)).astype(np.float16)


@pytest.mark.parametrize('batch,channels,heads,activation', [
    (1, 32, 1, 'swish'), (2, 224, 8, 'none'), (3, 96, 24, 'mish'), (7, 32, 2, 'selu'), (17, 64, 3, 'relu')])
def test_layer(device, batch, channels, heads, activation):
    smolgen, x = Smolgen(batch, channels, heads, activation), tokens(1, batch, channels)
    reference.assert_close(smolgen.run(device, x), smolgen.expected(x), 0.01, 4e-3)


def test_most_heads_and_many_channels(device):
    smolgen, x = Smolgen(5, 416, 32), tokens(2, 2, 416)
    reference.assert_close(smolgen.run(device, x), smolgen.expected(x), 0.01, 4e-3)


def test_a_position_does_not_depend_on_its_neighbours(device):
    smolgen, x = Smolgen(6, 64, 2), tokens(3, 5, 64)
    together = smolgen.run(device, x)
    for position in (0, 4):
        alone = smolgen.run(device, x[position:position + 1])[0]
        np.testing.assert_allclose(alone, together[position], 2e-3, 4e-3)  # the parts are added in another order


def test_nan_stays_and_harms_no_other_position(device):
    smolgen, x = Smolgen(7, 32, 2), tokens(4, 3, 32)
    x[1, 63, 5] = np.nan
    y = smolgen.run(device, x)
    assert np.isnan(y[1]).all() and not np.isnan(y[[0, 2]]).any()
