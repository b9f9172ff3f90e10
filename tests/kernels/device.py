"""Builds the kernels for a platform and launches them on NumPy arrays.

`emulated32` and `emulated64` come with a package built with -Drocm=emulated -Dtests=true. `cuda` needs nvcc and an NVIDIA GPU, `amd`
hipcc and an AMD GPU; their libraries are kept in build/kernel_tests and rebuilt when a source is newer.
"""
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import reference

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / 'src'
KERNELS = SOURCE / 'backends/rocm/kernels'
STANDIN = SOURCE / 'rocm_standin'

sys.path.insert(0, str(ROOT / 'scripts'))
import kernel_report  # noqa: E402


def compiler(platform):
    """Command line that compiles a .hip file, and one that links; None if the platform's compiler is not here."""
    if platform == 'cuda':
        nvcc = shutil.which('nvcc')
        return nvcc and ([nvcc, '-x', 'cu', '-arch=native', '-std=c++20', '-O3', '--expt-relaxed-constexpr', '-Xcompiler', '-fPIC',
                          f'-I{SOURCE}', f'-I{STANDIN}/cuda'],
                         [nvcc, '-shared'])
    hipcc = shutil.which('hipcc')
    return hipcc and ([hipcc, '-x', 'hip', '-O3', '--offload-arch=native', '-std=c++20', '-fPIC', f'-I{SOURCE}'], [hipcc, '-shared'])


def build(platform):
    """Path of the library of all kernels, or None."""
    if platform.startswith('emulated'):
        package = Path(importlib.util.find_spec('lc0rocm').origin).parent
        library = package / f'libkernel_launch{"_wave64" if platform == "emulated64" else ""}.so'
        return library if library.exists() else None
    found = compiler(platform)
    if not found:
        return None
    compile_command, link = found
    folder = ROOT / 'build/kernel_tests' / platform
    folder.mkdir(parents=True, exist_ok=True)
    headers = max(f.stat().st_mtime for f in [*KERNELS.parent.rglob('*.h'), *STANDIN.rglob('*.h')])

    def compile_one(source):
        target = folder / (source.stem + '.o')
        if not target.exists() or target.stat().st_mtime < max(headers, source.stat().st_mtime):
            subprocess.run([*compile_command, '-c', source, '-o', target], check=True)
        return target

    sources = [*sorted(KERNELS.glob('*.hip')), Path(__file__).parent / 'launch.cc']
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    subprocess.run([*link, *objects, '-o', folder / 'kernels.so'], check=True)
    return folder / 'kernels.so'


class Device:
    """Launches kernels by name. Arrays go as inputs; `Output` marks those that come back, filled with NaN first."""

    def __init__(self, platform, library):
        self.platform, self.library = platform, ctypes.CDLL(str(library))
        self.library.last_error.restype = ctypes.c_char_p

    def multiplies(self, kind):
        """Whether there are matrix instructions for a kind of reference.NUMBERS: those of the target whose machine code runs, or of the emulation, which
        has all."""
        if self.platform == 'cuda':
            return kind != 'fp8_fnuz'
        target = re.search(r'\bisa=(\S+)', os.environ.get('ROCM_EMULATED', ''))
        if not target:
            return self.platform != 'amd' or kind == 'int8'
        return kernel_report.has_numbers(kernel_report.TARGETS[target[1]], reference.NUMBERS.index(kind))

    def check(self, status):
        if status:
            raise RuntimeError(self.library.last_error().decode())

    def upload(self, array):
        pointer = ctypes.c_void_p()
        self.check(self.library.device_alloc(ctypes.byref(pointer), ctypes.c_size_t(array.nbytes)))
        self.check(self.library.copy_in(pointer, array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes)))
        return pointer

    def launch(self, name, *arguments):
        """Arrays and Outputs become device pointers, None a null pointer, a tuple (array, offset) a pointer into the array."""
        pointers, values = [], []
        for argument in arguments:
            array, offset = argument if isinstance(argument, tuple) else (argument, 0)
            if isinstance(array, Output):
                array = array.array
            if isinstance(array, np.ndarray):
                array = np.ascontiguousarray(array)
                known = next((p for a, p in pointers if a is array), None)
                if known is None:
                    known = self.upload(array)
                    pointers.append((array, known))
                values.append(ctypes.c_void_p(known.value + offset * array.itemsize))
            elif argument is None:
                values.append(ctypes.c_void_p())
            else:
                values.append(ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_int(int(argument)))
        try:
            self.check(getattr(self.library, name)(*values))
            for array, pointer in pointers:
                if any(isinstance(a, Output) and a.array is array for a in arguments):
                    self.check(self.library.copy_out(array.ctypes.data_as(ctypes.c_void_p), pointer, ctypes.c_size_t(array.nbytes)))
        finally:
            for _, pointer in pointers:
                self.library.device_free(pointer)


class Output:
    """An array that the kernel fills; from a shape, it is NaN before."""

    def __init__(self, shape_or_array, dtype=np.float32):
        fresh = not isinstance(shape_or_array, np.ndarray)
        self.array = np.full(shape_or_array, np.nan, dtype) if fresh else np.ascontiguousarray(shape_or_array)
