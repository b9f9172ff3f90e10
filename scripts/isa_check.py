#!/usr/bin/env python3
"""Run the AMD machine code of kernels in an ISA emulator, instruction by instruction, and compare with NumPy.

Prints one line a kernel and target: worst error, and the wave instructions executed for each unit of work. A line takes a minute.

    scripts/isa_check.py                          all kernels, gfx1100 gfx1201 gfx942
    scripts/isa_check.py attention -t gfx1151

The emulator is tinygrad's, pinned, in $TINYGRAD_SRC:
    git init tinygrad && cd tinygrad
    git fetch --depth 1 https://github.com/tinygrad/tinygrad a9069c177a9da9cca18593edf55acd2e6073cca6 && git checkout FETCH_HEAD
It needs clang on the PATH and the Python packages msgpack, numpy and pyelftools. Compiling and reading the machine code is ROCm's: hipcc
and llvm-objdump, or the commands in $HIPCC and $LLVM_OBJDUMP. Without an installed ROCm (docs/build.md):
    export HIPCC="scripts/rocm_sysroot /var/tmp/rocm run hipcc"
    export LLVM_OBJDUMP="scripts/rocm_sysroot /var/tmp/rocm run llvm-objdump-22"
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests/kernels'))
import reference  # noqa: E402

rng = np.random.default_rng(0)
half = lambda *shape: rng.normal(size=shape).astype(np.float16)
wide = lambda *arrays: [a.astype(np.float64) for a in arrays]
i32, u32, f32 = np.int32, np.uint32, np.float32
activation = lambda name: i32(reference.ACTIVATIONS.index(name))
null = SimpleNamespace(ctypes=SimpleNamespace(data=0))
kept = []  # arrays that a kernel reaches through a struct


# Each case: kernel name pattern, grid, block, arguments (that of NaNs is the result), expected values, units of work, tolerance (0: the
# same bits), and bytes of dynamic LDS where there is some. A unit may be less than a wave's work, so that its count is a fraction.
def attention(threads):
    heads, dim, width = 2, 32, 64
    qkv, bias = half(64, 3 * width), half(1, heads, 64, 64)
    out = np.full((64, width), np.nan, np.float16)
    flat = qkv.reshape(-1)
    q, k, v = (a[None] for a in np.split(qkv.astype(np.float64), 3, axis=1))
    return (f'attention_halfILi32ELb1ELb1ELi{threads}E', (heads, 1, 1), threads,
            [out, flat, flat[width:], flat[2 * width:], bias, i32(dim), i32(3 * width), i32(width), f32(dim ** -0.5)],
            reference.attention(q, k, v, bias.astype(np.float64), heads)[0], heads, 3e-3)


def layer_norm():
    rows, cols = 8, 768
    x, skip, bias, gain, shift = half(rows, cols), half(rows, cols), half(cols), half(cols), half(cols)
    y = np.full((rows, cols), np.nan, np.float16)
    expected = reference.layer_norm(*wide(x, bias, skip, gain, shift), 0.5, 'none', 1e-3)
    return ('layer_norm_lanesI6__halfLi3ELb1E', (rows // 4, 1, 1), 128,
            [y, x, bias, skip, gain, shift, i32(rows), i32(cols), f32(1 / cols), f32(0.5), i32(0), f32(1e-3)], expected, rows, 1e-2)


def layer_norm_float():
    rows, cols = 4, 40
    x, skip = (rng.normal(size=(rows, cols)).astype(np.float32) for _ in range(2))
    bias, gain, shift = (rng.normal(size=cols).astype(np.float32) for _ in range(3))
    y = np.full((rows, cols), np.nan, np.float32)
    expected = reference.layer_norm(*wide(x, bias, skip, gain, shift), 0.5, 'mish', 1e-3)
    return ('layer_norm_lanesIfLi1ELb0E', (1, 1, 1), 128, [y, x, bias, skip, gain, shift, i32(rows), i32(cols), f32(1 / cols),
                                                                        f32(0.5), activation('mish'), f32(1e-3)], expected, rows, 1e-4)


def layer_norm_wide():
    rows, cols = 2, 6144
    x, bias, gain, shift = half(rows, cols), half(cols), half(cols), half(cols)
    y = np.full((rows, cols), np.nan, np.float16)
    expected = reference.layer_norm(*wide(x, bias), None, *wide(gain, shift), 1, 'swish', 1e-3)
    return ('layer_norm_blockI6__halfS1_Li3ELb1E', (rows, 1, 1), 256, [y, x, i32(1), np.uint64(rows * cols), bias, null, gain, shift, i32(cols), f32(1 / cols),
                                                                f32(1), activation('swish'), f32(1e-3)], expected, rows, 1e-2)


def layer_norm_parts():
    rows, cols, parts = 4, 768, 8
    x = rng.normal(size=(parts, rows, cols)).astype(np.float32)
    skip, bias, gain, shift = half(rows, cols), half(cols), half(cols), half(cols)
    y = np.full((rows, cols), np.nan, np.float16)
    expected = reference.layer_norm(x.sum(0, dtype=np.float64), *wide(bias, skip, gain, shift), 0.5, 'none', 1e-3)
    return ('layer_norm_blockIf6__halfLi1ELb1E', (rows, 1, 1), 96, [y, x, i32(parts), np.uint64(rows * cols), bias, skip, gain, shift, i32(cols),
                                                             f32(1 / cols), f32(0.5), i32(0), f32(1e-3)], expected, rows, 1e-2)


def layer_norm_any():
    rows, cols = 2, 300
    x, skip, bias, gain, shift = half(rows, cols), half(rows, cols), half(cols), half(cols), half(cols)
    y = np.full((rows, cols), np.nan, np.float16)
    expected = reference.layer_norm(*wide(x, bias, skip, gain, shift), 0.5, 'swish', 1e-3)
    return ('layer_norm_anyI6__halfS1_E', (rows, 1, 1), 256, [y, x, i32(1), np.uint64(rows * cols), bias, skip, gain, shift, i32(cols), i32(cols),
                                                              f32(0.5), activation('swish'), f32(1e-3)],
            expected, rows, 1e-2)


def attention_float():
    heads, dim = 2, 24
    width = heads * dim
    qkv, bias = rng.normal(size=(64, 3 * width)).astype(np.float32), rng.normal(size=(1, heads, 64, 64)).astype(np.float32)
    flat, out = qkv.reshape(-1), np.full((64, width), np.nan, np.float32)
    q, k, v = (a[None] for a in np.split(qkv.astype(np.float64), 3, axis=1))
    return ('attention_floatILi32E', (heads, 1, 1), 256,
            [out, flat, flat[width:], flat[2 * width:], bias, i32(dim), i32(3 * width), i32(width), f32(dim ** -0.5)],
            reference.attention(q, k, v, bias.astype(np.float64), heads)[0], heads, 1e-5)


def bias_activation():
    rows, cols = 64, 32
    x, skip, multiply, add, bias = *(half(rows, cols) for _ in range(4)), half(cols)
    y = np.full((rows, cols), np.nan, np.float16)
    expected = reference.activate('mish', x.astype(np.float64) + bias + skip) * multiply + add
    return ('bias_activationI6__halfLi8E', (1, 1, 1), 256, [y, x, bias, skip, multiply, add, u32(rows * cols // 8), u32(cols // 8),
                                                            activation('mish')],
            expected, rows, 1e-2)


def expand_tokens():
    stride, extra = 128, 8
    masks, values, encoding = rng.integers(0, 2 ** 63, (1, 112), np.uint64) * 2 + 1, rng.random((1, 112), np.float32), half(64, extra)
    out = np.full((64, stride), np.nan, np.float16)
    planes = (masks[0] >> np.arange(64, dtype=np.uint64)[:, None] & 1) * values[0]
    return ('expand_tokensI6__halfLi8E', (64 * stride // 8 // 256, 1, 1), 256,
            [out, masks, values, encoding, u32(64), u32(stride // 8), u32(extra), u32(64)],
            np.concatenate([planes, encoding, np.zeros((64, stride - 112 - extra))], 1), 64, 1e-3)


def expand_pieces():
    batch = 2
    masks, values = rng.integers(0, 2 ** 63, (batch, 112), np.uint64) * 2 + 1, rng.random((batch, 112), np.float32)
    squares = (masks[:, :12, None] >> np.arange(64, dtype=np.uint64) & 1) * values[:, :12, None]
    return ('expand_piecesI6__half', (batch * 64 * 12 // 256, 1, 1), 256, [np.full((batch, 64 * 12), np.nan, np.float16), masks, values,
                                                                           i32(batch)],
            squares.transpose(0, 2, 1).reshape(batch, -1), batch * 64, 1e-3)


def policy_map():
    batch, width = 2, 4288
    logits, table = half(batch, width), rng.permutation(width)[:1858].astype(np.int32)
    moves, first = rng.integers(0, 1858, 60, np.uint16), np.array([0, 25, 60], np.uint32)
    return ('policy_mapI6__half', (batch, 1, 1), 128, [np.full(60, np.nan, np.float32), logits, table, moves, first, i32(width)],
            np.array([logits[int(i >= 25), table[moves[i]]] for i in range(60)], np.float64), 60, 1e-6)


def attention_policy():
    depth, moves, first = 256, rng.integers(0, 1858, 20, np.uint16), np.array([0, 20], np.uint32)
    queries_keys, w, places = half(64, 2, depth), half(4, depth), rng.permutation(4288)[:1858].astype(np.int32)
    q, k = wide(queries_keys[:, 0], queries_keys[:, 1])
    m, r = q @ k.T / depth ** 0.5, k[56:] @ w.astype(np.float64).T
    flat = np.concatenate([m.reshape(-1), (m[48:56, 56:, None] + (r[:, :3] + r[:, 3:])[None]).reshape(-1)])
    return ('attention_policyI6__halfLi8E', (1, 2, 1), 256, [np.full(20, np.nan, np.float32), queries_keys, w, places, moves, first,
                                                             i32(depth), f32(depth ** -0.5)], flat[places[moves]], 20, 1e-3)


def values():
    batch, width = 2, 40
    layers, y = [], []
    for rows in (3, 1):
        arrays = half(batch, width), half(rows, width), half(rows)
        kept.extend(arrays)
        layers.append(np.array([*(a.ctypes.data for a in arrays), width], np.uint64).view(np.uint8))
        hidden, w, b = wide(*arrays)
        y.append(hidden @ w.T + b)
    p = reference.softmax(y[0])
    return ('6valuesI6__half', (batch, 1, 1), 128, [np.full((batch, 3), np.nan, np.float32), *layers, np.bool_(True)],
            np.stack([p[:, 0] - p[:, 2], p[:, 1], np.maximum(y[1][:, 0], 0)], 1), batch, 1e-4)


def excitation(channels, width):
    w1, b1, w2, b2 = half(width, channels), half(width), half(2 * channels, width), half(2 * channels)
    w1, w2 = (w1 / channels ** 0.5).astype(np.float16), (w2 / width ** 0.5).astype(np.float16)
    kept.extend([w1, b1, w2, b2])
    packed = np.array([*(a.ctypes.data for a in (w1, b1, w2, b2)), width], np.uint64).view(np.uint8)
    return packed, wide(w1, b1, w2, b2)


def squeeze_excitation():
    channels, width = 64, 8
    x, skip, bias = half(1, 64, channels), half(1, 64, channels), half(channels)
    packed, weights = excitation(channels, width)
    z = reference.squeeze_excitation(x.astype(np.float64) + bias, *weights, 'relu')
    return ('squeeze_excitationI6__halfLi2E', (1, 1, 1), 512, [np.full(x.shape, np.nan, np.float16), x, bias, skip, packed, i32(channels),
                                                               activation('relu')],
            np.maximum(z + skip, 0), 1, 2e-2, 4 * (4 * channels + width))


def winograd_input():
    channels = 64
    x, v = half(1, 64, channels), np.full((36, 4, channels), np.nan, np.float16)
    expected = np.einsum('ir,js,nrsc->ijnc', reference.B_T, reference.B_T, reference.tiles(x.astype(np.float64))) / 32
    return ('winograd_inputI6__halfLi2E', (1, 4, 1), 128, [v, x, i32(1), i32(channels)], expected.reshape(v.shape), 4, 1e-3)


def winograd_output(excited):
    channels, width = 64, 8
    m, skip, bias = (half(36, 4, channels) / 32).astype(np.float16), half(1, 64, channels), half(channels)
    z = np.einsum('ri,sj,ijnc->nrsc', reference.A_T, reference.A_T, m.astype(np.float64).reshape(6, 6, 4, channels)) * 32
    z = z.reshape(1, 2, 2, 4, 4, channels).transpose(0, 1, 3, 2, 4, 5).reshape(1, 64, channels) + bias
    y, tail = np.full(z.shape, np.nan, np.float16), [i32(1), i32(channels), activation('relu')]
    if not excited:
        return ('winograd_outputI6__halfLi2E', (1, 4, 1), 128, [y, m, bias, skip, *tail], np.maximum(z + skip, 0), 4, 2e-2)
    packed, weights = excitation(channels, width)
    z = reference.squeeze_excitation(z, *weights, 'relu')
    return ('winograd_output_excitedI6__halfLi2E', (1, 1, 1), 512, [y, m, bias, skip, packed, *tail], np.maximum(z + skip, 0), 1, 3e-2,
            4 * (4 * channels + width))


def patches():
    channels = 16
    x, out = half(1, 64, channels), np.full((1, 64, 9, channels), np.nan, np.float16)
    pieces = channels // 8
    return ('7patchesI6__halfLi8E', (-(-64 * 9 * pieces // 256), 1, 1), 256, [out, x, u32(64 * 9 * pieces), u32(pieces)],
            reference.patches(x), 64, 0)


def gemm(tile, tile_rows, tile_cols, threads, rows, cols, depth, splits=1, function='relu', dtype=np.float16):
    """One matrix product; with splits its parts. The unit is a matrix instruction of 16 x 16 x 16, the least a tile can do with."""
    x, w, bias, skip, y = (half(*shape).astype(dtype) for shape in ((rows, depth), (cols, depth), (cols,), (rows, cols), (rows, cols)))
    parts = np.zeros((splits, rows, cols), np.float32)
    if splits > 1:
        steps = -(-depth // 32)  # of the tiles that are split here
        ends = [min(depth, steps * i // splits * 32) for i in range(splits + 1)]
        expected = np.stack([np.matmul(*wide(x[:, a:b], w[:, a:b].T)) for a, b in zip(ends, ends[1:])])
        parts[:] = np.nan
    else:
        expected = reference.activate(function, np.matmul(*wide(x, w.T)) + bias) + skip
        y[:] = np.nan
    grid = (-(-cols // tile_cols), -(-rows // tile_rows), splits)
    name = f'gemm_halfILi{tile}ELb{int(splits > 1)}E' if dtype == np.float16 else f'gemm_plainIfLi{tile}E'
    return (name, grid, threads,
            [y, null if dtype == np.float32 else parts, x, w, bias, skip, i32(1), i32(rows), i32(cols), i32(depth), i32(cols), np.uint64(0),
             activation(function)], expected, grid[0] * grid[1] * tile_rows * tile_cols * depth / 4096, 1e-3 * depth ** 0.5)


def gemm_finish():
    rows, cols, splits = 12, 88, 4
    parts, bias, skip = rng.normal(size=(splits, rows, cols)).astype(np.float32), half(cols), half(rows, cols)
    expected = reference.activate('mish', parts.astype(np.float64).sum(0) + bias) + skip
    return ('gemm_finishIf6__halfLb1E', (1, 1, 1), 256, [np.full((rows, cols), np.nan, np.float16), parts, i32(splits), bias, skip,
            np.uint64(rows), i32(cols), i32(cols), activation('mish')], expected, rows * cols, 4e-3)


TILE = 'tile of 64 channels'
MMA = 'matrix instruction of 16 x 16 x 16'
CASES = {  # label: (source file, case, unit)
    'attention, 128 threads': ('attention', lambda: attention(128), '(position, head) of 64 x 32 with bias'),
    'attention, 64 threads': ('attention', lambda: attention(64), '(position, head) of 64 x 32 with bias'),
    'attention, float': ('attention', attention_float, '(position, head) of 64 x 24 with bias'),
    'gemm, 16 x 64': ('gemm', lambda: gemm(0, 16, 64, 64, 16, 64, 512), MMA),
    'gemm, 32 x 64': ('gemm', lambda: gemm(1, 32, 64, 128, 32, 64, 512), MMA),
    'gemm, 64 x 64': ('gemm', lambda: gemm(2, 64, 64, 128, 64, 64, 512), MMA),
    'gemm, 128 x 64': ('gemm', lambda: gemm(3, 128, 64, 128, 128, 64, 512), MMA),
    'gemm, 128 x 128': ('gemm', lambda: gemm(4, 128, 128, 256, 128, 128, 512), MMA),
    'gemm, odd sizes': ('gemm', lambda: gemm(2, 64, 64, 128, 67, 72, 104, function='mish'), MMA),
    'gemm, parts of odd sizes': ('gemm', lambda: gemm(2, 64, 64, 128, 50, 56, 200, splits=3), MMA),
    'gemm, float': ('gemm', lambda: gemm(0, 16, 64, 64, 17, 70, 50, function='mish', dtype=np.float32), MMA),
    'gemm_finish': ('gemm_finish', gemm_finish, 'value'),
    'layer_norm': ('layer_norm', layer_norm, 'row of 768 with bias and residual'),
    'layer_norm, float, 40': ('layer_norm', layer_norm_float, 'row'),
    'layer_norm, 6144': ('layer_norm', layer_norm_wide, 'row with bias and swish'),
    'layer_norm, 8 parts': ('layer_norm', layer_norm_parts, 'row of 768 of 8 parts with bias and residual'),
    'layer_norm, 300': ('layer_norm', layer_norm_any, 'row'),
    'bias_activation': ('bias_activation', bias_activation, 'row of 32 with everything and mish'),
    'expand_tokens': ('expand_planes', expand_tokens, 'token of 128'),
    'expand_pieces': ('expand_planes', expand_pieces, 'square of 12 planes'),
    'policy_map': ('policy_map', policy_map, 'move'),
    'attention_policy': ('attention_policy', attention_policy, 'move of 256 channels'),
    'values': ('values', values, 'position'),
    'squeeze_excitation': ('squeeze_excitation', squeeze_excitation, 'position of 64 channels'),
    'winograd_input': ('winograd', winograd_input, TILE),
    'winograd_output': ('winograd', lambda: winograd_output(False), TILE),
    'winograd_output_excited': ('winograd', lambda: winograd_output(True), 'position of 64 channels'),
    'patches': ('patches', patches, 'square of 16 channels'),
}


FAMILIES = {'gfx9': 'cdna', 'gfx11': 'rdna3', 'gfx12': 'rdna4'}  # that the emulator knows


def compile_kernels(source, target, folder):
    command = shlex.split(os.environ.get('HIPCC', 'hipcc'))
    result = Path(folder) / f'{source}-{target}.co'
    flags = ['-x', 'hip', '-std=c++20', '-O3', f'-I{ROOT}/src', f'--offload-arch={target}', '--no-gpu-bundle-output', '--cuda-device-only']
    code = subprocess.run([*command, *flags, ROOT / f'src/backends/rocm/kernels/{source}.hip', '-o', result], text=True,
                          capture_output=True)
    if code.returncode:
        sys.exit(code.stderr)
    return result


def check(label, target, folder):
    from isa_run import IsaDevice
    source, case, unit = CASES[label]
    device = IsaDevice(compile_kernels(source, target, folder), FAMILIES[re.match('gfx(9|1.)', target)[0]])
    pattern, grid, threads, arguments, expected, units, tolerance, *lds = case()
    name = next(n for n in device.meta if re.search(pattern, n))
    result = next(a for a in arguments if isinstance(a, np.ndarray) and np.isnan(a).all())
    device.launch(name, grid, (threads, 1, 1), arguments, *lds)
    if tolerance:
        reference.assert_close(result, expected, tolerance, 1e-2)
    else:
        assert (result == expected).all(), 'a copy differs'
    worst = np.abs(result - expected).max()
    work = sum(device.counts.values()) / units
    print(f'{label:24} {target:8} worst error {worst:.2g}, {work:.4g} wave instructions a {unit}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kernels', nargs='*', help='words of labels; all without')
    parser.add_argument('-t', '--targets', nargs='+', default=['gfx1100', 'gfx1201', 'gfx942'])
    options = parser.parse_args()
    if not os.path.isdir(os.environ.get('TINYGRAD_SRC', '')):
        parser.error('$TINYGRAD_SRC names no folder; --help says what the emulator is and where it comes from')
    (ROOT / 'build').mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / 'build') as folder:
        for label in CASES:
            if not options.kernels or any(word in label for word in options.kernels):
                for target in options.targets:
                    check(label, target, folder)


if __name__ == '__main__':
    main()
