"""Calls of the ROCm back end through ctypes: what the tests of products and of convolutions have in common."""
import ctypes as C
import importlib.util
import pathlib

import pytest


class Calls:
    def __init__(self, wave):
        self.wave = wave
        package = pathlib.Path(importlib.util.find_spec('lc0rocm').origin).parent
        path = package / f'librocm_calls{"_wave64" if wave == 64 else ""}.so'
        if not path.exists():
            pytest.skip('built without -Drocm=emulated -Dtests=true')
        self.lib = C.CDLL(str(path))
        self.lib.last_error.restype = self.lib.plans.restype = C.c_char_p

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.last_error().decode())

    def reopen(self, plans='', without=''):
        """A new stream, and a planner that knows these plans alone."""
        self.check(self.lib.open_stream(without.encode(), plans.encode()))

    def plans(self):
        return dict(line.split()[:2] for line in self.lib.plans().decode().splitlines())

    def load(self, keys, winner):
        """A new stream with plans for these keys."""
        self.reopen(''.join(f'{key} {winner} 1\n' for key in keys))
