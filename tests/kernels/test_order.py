"""Threads of a block may run in any order between barriers: a kernel that gives other bits then has a data race."""
import numpy as np
import pytest

from device import Output

rng = np.random.default_rng(0)
half = lambda *shape: rng.normal(size=shape).astype(np.float16)
single = lambda *shape: rng.normal(size=shape).astype(np.float32)
se = lambda make, channels, width: (make(width, channels), make(width), make(2 * channels, width), make(2 * channels))


def attention(make, dim, units=1):
    qkv = make(64, 6 * dim)
    return ['attention', make is half, Output((64, 2 * dim), qkv.dtype), qkv, (qkv, 2 * dim), (qkv, 4 * dim), make(1, 2, 64, 64), 1, 2, dim,
            6 * dim, 2 * dim, units]


def layer_norm(make, cols):
    return ['layer_norm', make is half, Output((5, cols), make(1).dtype), make(5, cols), make(cols), make(5, cols), make(cols), make(cols),
            5, cols, 0.5, 1, 1e-3]


def squeeze_excitation(make):
    return ['squeeze_excitation', make is half, Output((3, 64, 24), make(1).dtype), make(3, 64, 24), make(24), make(3, 64, 24),
            *se(make, 24, 5), 5, 3, 24, 3, 3]


def winograd_output(make):
    return ['winograd_output', make is half, Output((3, 64, 24), make(1).dtype), make(36, 12, 24), make(24), make(3, 64, 24),
            *se(make, 24, 5), 5, 3, 24, 3]


def tower():
    halves = lambda *shape: half(*shape) * np.float16(0.05)
    return ['tower', True, Output((3, 64, 64), np.float16), None, rng.integers(0, 2 ** 64, (3, 112), np.uint64), single(3, 112),
            halves(2, 9, 2, 64, 32), half(64), halves(2, 2, 9, 2, 64, 32), half(2, 2, 64), halves(2, 3 * 8 * 64 + 8 + 2 * 64), 8, 2, 3, 3, 1]


CASES = {'attention, half': lambda: attention(half, 32), 'attention, half, 120': lambda: attention(half, 120),
         'attention, half, full': lambda: attention(half, 32, 0), 'attention, float': lambda: attention(single, 24),
         'layer_norm, lanes': lambda: layer_norm(half, 768), 'layer_norm, block': lambda: layer_norm(half, 301),
         'squeeze_excitation': lambda: squeeze_excitation(half), 'winograd_output': lambda: winograd_output(half),
         'tower': tower, 'squeeze_excitation, float': lambda: squeeze_excitation(single), 'winograd_output, float': lambda: winograd_output(single)}


@pytest.mark.parametrize('case', CASES)
def test_any_order_gives_the_same(device, case):
    if not device.platform.startswith('emulated'):
        pytest.skip('only the emulation can choose the order')
    launch = CASES[case]()
    fresh = {i: a.array.copy() for i, a in enumerate(launch) if isinstance(a, Output)}  # what the outputs hold before
    results = []
    try:
        for order in (b'', b'order=reverse', b'order=random:1', b'order=random:2'):
            device.library.hip_emulated_configure(order)
            for i, before in fresh.items():
                launch[i].array[...] = before
            device.launch(*launch)
            results.append(launch[2].array.copy())
    finally:
        device.library.hip_emulated_configure(b'')
    assert not np.isnan(results[0]).any()
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
