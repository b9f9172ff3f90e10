"""The emulated machine, and small nets for it."""
import ctypes
import importlib.util
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent
sys.path.insert(0, str(ROOT / "scripts"))
import bars  # noqa: E402, F401
import make_net  # noqa: E402

NETS = {"attention": dict(body="attention", embedding=32, encoders=1, heads=2, dff=48, smolgen=(4, 16, 16)),
        "tower": dict(body="tower", filters=32, blocks=1, se_ratio=4, policy="convolution")}


def write_net(name, path, **more):
    make_net.write_net(make_net.make_net(**NETS[name] | more), path)


class Machine:
    def __init__(self):
        self.lib = ctypes.CDLL(str(PACKAGE / "librocm_emulated.so"))
        self.lib.hip_emulated_live_objects.restype = self.lib.hip_emulated_calls.restype = ctypes.c_size_t

    def configure(self, words):
        """See settings.h of the emulation."""
        self.lib.hip_emulated_configure(words.encode())

    def reset(self):
        self.configure("")
        self.lib.hipDeviceReset()

    def calls(self, *kinds):
        """How many there were so far of each kind of settings.h's fail=."""
        return {kind: self.lib.hip_emulated_calls(kind.encode()) for kind in kinds}

    def live_objects(self):
        return self.lib.hip_emulated_live_objects()

    def take(self, mib):
        """As another program does; give_back() ends it."""
        memory = ctypes.c_void_p()
        assert self.lib.hipExtMallocWithFlags(ctypes.byref(memory), ctypes.c_size_t(int(mib * 2**20)), 0) == 0
        return memory

    def give_back(self, memory):
        assert self.lib.hipFree(memory) == 0

    def free_memory(self):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        assert self.lib.hipMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
        return free.value
