"""Residual blocks of narrow towers in one launch."""
import numpy as np
import pytest

import reference
from device import Output

TILES = [(64, 128), (64, 256), (128, 128), (128, 256)]  # kTowerTiles: channels, threads
PLANES = 112


def packed(w):
    """(out, in, 3, 3) to (n, 9, out / 32, out, 32)."""
    out, channels = w.shape[:2]
    w = np.pad(w, [(0, 0), (0, -channels % out), (0, 0), (0, 0)])
    return w.reshape(out, -1, out // 32, 32, 9).transpose(1, 4, 2, 0, 3)


class Tower:
    """Random weights, and what they make of boards in float64, rounded to half where the kernel keeps halves."""

    def __init__(self, seed, channels, count, width, activation, planes=False):
        rng = np.random.default_rng(seed)
        half = lambda *shape, scale=1.0: (rng.normal(size=shape) * scale).astype(np.float16)
        self.activation, self.width, self.count = activation, width, count
        self.input = (half(channels, PLANES, 3, 3, scale=0.05), half(channels)) if planes else None
        self.layers = [[(half(channels, channels, 3, 3, scale=(9 * channels) ** -0.5), half(channels, scale=0.2)) for _ in range(2)]
                       for _ in range(count)]
        self.se = [[half(width, channels, scale=0.2), half(width), half(2 * channels, width, scale=0.3), half(2 * channels)]
                   for _ in range(count)] if width else None

    def convolve(self, x, layer):
        w, b = (a.astype(np.float64) for a in layer)
        return reference.patches(x).reshape(len(x), 64, -1) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w)) + b

    def expected(self, x):
        keep = lambda z: np.clip(reference.activate(self.activation, z), -65504, 65504).astype(np.float16).astype(np.float64)
        x = x.astype(np.float64)
        if self.input:
            x = keep(self.convolve(x, self.input))
        for i, (first, second) in enumerate(self.layers):
            z = self.convolve(keep(self.convolve(x, first)), second)
            if self.se:
                z = reference.squeeze_excitation(z, *(a.astype(np.float64) for a in self.se[i]), self.activation)
            x = keep(z + x)
        return x

    def run(self, device, tile, batch, x=None, masks=None, values=None, in_place=False):
        y = Output(x.copy()) if in_place else Output((batch, 64, TILES[tile][0]), np.float16)
        input_w, input_b = (packed(self.input[0]), self.input[1]) if self.input else (None, None)
        w = np.stack([[packed(w)[0] for w, _ in block] for block in self.layers])
        b = np.stack([[b for _, b in block] for block in self.layers])
        se = np.stack([np.concatenate([a.ravel() for a in block]) for block in self.se]) if self.se else None
        device.launch('tower', True, y, y if in_place else x, masks, values, input_w, input_b, w, b, se, self.width, self.count, batch,
                      reference.ACTIVATIONS.index(self.activation), tile)
        return y.array


def boards(seed, batch, channels):
    return np.random.default_rng(seed).normal(size=(batch, 64, channels)).astype(np.float16)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=lambda tile: '{}x{}'.format(*TILES[tile]))
@pytest.mark.parametrize('batch,count,width,activation,in_place', [(1, 1, 0, 'relu', False), (5, 2, 8, 'mish', True)])
def test_blocks(device, tile, batch, count, width, activation, in_place):
    tower, x = Tower(tile, TILES[tile][0], count, width, activation), boards(7, batch, TILES[tile][0])
    reference.assert_close(tower.run(device, tile, batch, x, in_place=in_place), tower.expected(x), 0.02, 4e-3)


@pytest.mark.parametrize('tile', range(len(TILES)), ids=lambda tile: '{}x{}'.format(*TILES[tile]))
def test_from_planes(device, tile):
    batch, rng = 2, np.random.default_rng(tile)
    masks = rng.integers(0, 2 ** 64, (batch, PLANES), np.uint64)
    values = rng.integers(0, 3, (batch, PLANES)).astype(np.float32)
    planes = (masks[:, None] >> np.arange(64, dtype=np.uint64)[:, None] & 1) * values[:, None]
    tower = Tower(tile, TILES[tile][0], 1, 4, 'relu', planes=True)
    reference.assert_close(tower.run(device, tile, batch, masks=masks, values=values), tower.expected(planes), 0.03, 5e-3)


def test_each_tap_and_channel_is_where_it_belongs(device):
    """One weight of 1 in the first layer, in turns: a board comes out shifted, one channel as another."""
    x, rng = boards(3, 1, 64), np.random.default_rng(2)
    for tap in range(9):
        tower = Tower(0, 64, 1, 0, 'none')
        for layer in tower.layers[0]:
            layer[0][...], layer[1][...] = 0, 0
        out, channel = rng.integers(0, 64, 2)
        tower.layers[0][0][0][out, channel, tap // 3, tap % 3] = 1
        tower.layers[0][1][0][:, :, 1, 1] = np.eye(64)
        expected = x.copy()
        expected[:, :, out] += reference.patches(x)[:, :, tap, channel]
        assert (tower.run(device, 0, 1, x) == expected).all()


def test_results_beyond_half_saturate_and_nan_stays(device):
    tower, x = Tower(1, 64, 1, 0, 'none'), boards(4, 3, 64)
    tower.layers[0][1][0][...], tower.layers[0][1][1][...] = 0, 60000
    x[0] = 60000
    x[1, 63, 5] = np.nan
    y = tower.run(device, 1, 3, x)
    assert (y[0] == 65504).all() and np.isnan(y[1]).any() and not np.isnan(y[2]).any()
