"""The emulated ROCm through ctypes: every call is made as C code would make it."""
import gc
import ctypes as C
import importlib.util
import pathlib

import numpy as np
import pytest

package = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent


class HipError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Array:
    """Device memory with a dtype and a shape."""

    def __init__(self, hip, dtype, shape):
        self.hip, self.dtype, self.shape = hip, np.dtype(dtype), shape
        self.bytes = int(np.prod(shape)) * self.dtype.itemsize
        self.pointer = C.c_void_p()
        hip("hipExtMallocWithFlags", C.byref(self.pointer), C.c_size_t(self.bytes), 0)

    @property
    def _as_parameter_(self):
        return self.pointer

    def set(self, values):
        values = np.ascontiguousarray(values, self.dtype)
        assert values.nbytes == self.bytes
        self.hip("hipMemcpy", self.pointer, values.ctypes.data_as(C.c_void_p), C.c_size_t(self.bytes), 1)
        return self

    def get(self):
        values = np.empty(self.shape, self.dtype)
        self.hip("hipMemcpy", values.ctypes.data_as(C.c_void_p), self.pointer, C.c_size_t(self.bytes), 2)
        return values


class Hip:
    """hip("hipSomething", ...) calls the runtime or a library and raises HipError for any status but 0."""

    def __init__(self):
        self.lib = C.CDLL(str(package / "librocm_emulated.so"))
        self.lib.hipGetErrorString.restype = C.c_char_p
        self.lib.hip_emulated_live_objects.restype = C.c_size_t
        self.arrays = []

    def __call__(self, name, *arguments):
        status = getattr(self.lib, name)(*arguments)
        if status != 0:
            text = self.lib.hipGetErrorString(status).decode() if name.startswith("hip") and "Lt" not in name else ""
            raise HipError(status, f"{name}: {text}")

    def configure(self, settings):
        self.lib.hip_emulated_configure(settings.encode())

    def empty(self, dtype, *shape):
        self.arrays.append(Array(self, dtype, shape))
        return self.arrays[-1]

    def array(self, values):
        values = np.asarray(values)
        return self.empty(values.dtype, *values.shape).set(values)

    def create(self, name, *arguments):
        """hip.create("hipStreamCreateWithFlags", 1): the object that the call returns through its first parameter."""
        handle = C.c_void_p()
        self(name, C.byref(handle), *arguments)
        return handle

    def live_objects(self):
        return self.lib.hip_emulated_live_objects()


def built(name):
    if not (package / name).exists():
        pytest.skip("built without -Drocm=emulated -Dtests=true")
    return package / name


@pytest.fixture
def hip():
    """The emulated machine in its default settings; fails a test that leaks."""
    built("librocm_emulated.so")
    h = Hip()
    gc.collect()  # what tests of other files have left to Python
    h.configure("")
    h("hipDeviceReset")
    before = h.live_objects()
    yield h
    for array in h.arrays:
        h.lib.hipFree(array)  # an error of a lost device is no matter here
    h.configure("")
    h("hipDeviceReset")
    assert h.live_objects() == before, "not everything was destroyed"


@pytest.fixture
def stream(hip):
    s = hip.create("hipStreamCreateWithFlags", 1)
    yield s
    hip.configure("")
    hip("hipDeviceReset")  # work may hang
    hip.lib.hipStreamDestroy(s)


@pytest.fixture(params=[32, 64])
def kernels(request):
    """The kernels of kernels.cc for waves of 32 and of 64 lanes."""
    lib = C.CDLL(str(built(f"libstandin_kernels{request.param}.so")))
    lib.wave = request.param
    return lib


@pytest.fixture(params=["forward", "reverse", "random:1", "random:2"])
def order(request, hip):
    hip.configure("order=" + request.param)
    return request.param
