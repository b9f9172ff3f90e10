#!/usr/bin/env python3
"""Times every tile and split of our own product kernel (half) on the GPU of this machine, for shapes of the nets that people play with.

    scripts/time_tiles.py cuda build/tiles.json        or amd, emulated32

Builds the kernels by nvcc or hipcc, as tests/kernels do. scripts/isa_model.py compares its estimates with what is written:
{"device": name, "times": [[rows, cols, depth, "64x64", splits, microseconds], ...]}. Takes about a minute.
"""
import argparse
import ctypes
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests/kernels'))
import device

TILES = ['16x64', '32x64', '64x64', '128x64', '128x128']
SPLITS = [1, 2, 4, 8]
SHAPES = [(rows, cols, depth) for rows in (64, 256, 1024, 4096, 16384)  # of batches 1 to 256
          for cols, depth in ((2304, 768), (768, 768), (1024, 768), (768, 1024), (256, 2304))]


def measure(platform):
    kernels = device.Device(platform, device.build(platform))
    times, found = [], ctypes.c_float()
    for rows, cols, depth in [(64, 72, 64)] if platform.startswith('emulated') else SHAPES:
        for tile, name in enumerate(TILES):
            for splits in SPLITS:
                runs = 1 if platform.startswith('emulated') else 20 + 20000 // rows
                kernels.check(kernels.library.time_gemm(rows, cols, depth, tile, splits, runs, ctypes.byref(found)))
                times.append([rows, cols, depth, name, splits, round(found.value, 2)])
                print(*times[-1], flush=True)
    return times


def name_of(platform):
    command = {'cuda': ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader'], 'amd': ['rocminfo']}.get(platform, ['echo', platform])
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return next((line.split(':')[-1].strip() for line in lines if platform != 'amd' or 'Marketing Name' in line), platform)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('platform', choices=['cuda', 'amd', 'emulated32', 'emulated64'])
    parser.add_argument('output', type=Path)
    options = parser.parse_args()
    result = {'device': name_of(options.platform), 'times': measure(options.platform)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result) + '\n')
