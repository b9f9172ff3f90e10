#!/usr/bin/env python3
"""Run the AMD machine code of kernels in an ISA emulator, instruction by instruction, and compare with NumPy.

Prints one line a kernel and target: worst error, and the wave instructions executed for each unit of work. Needs hipcc (or the command in
$HIPCC), what ../shared/tools/isa_run.py names, and a minute for each line.

    scripts/isa_check.py                          all kernels, gfx1100 gfx1201 gfx942
    scripts/isa_check.py attention -t gfx1151
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests/kernels'), str(ROOT.parent / 'shared/tools'), os.environ.get('ISA_TOOLS', '')]
import reference  # noqa: E402

rng = np.random.default_rng(0)
half = lambda *shape: rng.normal(size=shape).astype(np.float16)
wide = lambda *arrays: [a.astype(np.float64) for a in arrays]
i32, f32 = np.int32, np.float32


# Each case: kernel name pattern, grid, block, arguments (the first is the result), expected values, units of work, tolerance.
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


CASES = {  # label: (source file, case, unit)
    'attention, 128 threads': ('attention', lambda: attention(128), '(position, head) of 64 x 32 with bias'),
    'attention, 64 threads': ('attention', lambda: attention(64), '(position, head) of 64 x 32 with bias'),
    'layer_norm': ('layer_norm', layer_norm, 'row of 768 with bias and residual'),
}


def compile_kernels(source, target, folder):
    command = shlex.split(os.environ.get('HIPCC', 'hipcc'))
    result = Path(folder) / f'{source}-{target}.co'
    flags = ['-x', 'hip', '-std=c++20', '-O3', f'-I{ROOT}/src', f'--offload-arch={target}', '--no-gpu-bundle-output', '--cuda-device-only']
    code = subprocess.run([*command, *flags, ROOT / f'src/backends/rocm/kernels/{source}.hip', '-o', result], text=True, capture_output=True)
    if code.returncode:
        sys.exit(code.stderr)
    return result


def check(label, target, folder):
    from isa_run import IsaDevice
    source, case, unit = CASES[label]
    device = IsaDevice(compile_kernels(source, target, folder), {'gfx9': 'cdna', 'gfx11': 'rdna3', 'gfx12': 'rdna4'}[target[:-2]])
    pattern, grid, threads, arguments, expected, units, tolerance = case()
    name = next(n for n in device.meta if re.search(pattern, n))
    device.launch(name, grid, (threads, 1, 1), arguments)
    reference.assert_close(arguments[0], expected, tolerance, 1e-2)
    worst = np.abs(arguments[0] - expected).max()
    print(f'{label:24} {target:8} worst error {worst:.2g}, {sum(device.counts.values()) / units:.0f} wave instructions a {unit}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kernels', nargs='*', help='words of labels; all without')
    parser.add_argument('-t', '--targets', nargs='+', default=['gfx1100', 'gfx1201', 'gfx942'])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / 'build') as folder:
        for label in CASES:
            if not options.kernels or any(word in label for word in options.kernels):
                for target in options.targets:
                    check(label, target, folder)


if __name__ == '__main__':
    main()
