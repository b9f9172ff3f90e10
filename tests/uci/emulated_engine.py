"""The engine with a door to its emulated GPUs: it connects to the socket that its first argument names. Each line from there is settings
(src/rocm_standin/emulated/settings.h), an empty one changes nothing; the answer is a line of JSON, what was done so far and what is held."""
import ctypes
import importlib.util
import json
import pathlib
import runpy
import socket
import sys
import threading


def serve(door):
    library = ctypes.CDLL(str(pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so"))
    library.hip_emulated_live_objects.restype = library.hip_emulated_calls.restype = ctypes.c_size_t
    for line in door.makefile():
        if words := line.strip():
            library.hip_emulated_configure(words.encode())
        facts = {kind: library.hip_emulated_calls(kind.encode()) for kind in ("alloc", "capture", "plan")}
        door.sendall((json.dumps(facts | {"live": library.hip_emulated_live_objects()}) + "\n").encode())


if __name__ == "__main__":
    door = socket.socket(socket.AF_UNIX)
    door.connect(sys.argv.pop(1))
    threading.Thread(target=serve, args=(door,), daemon=True).start()
    runpy.run_module("lc0rocm", run_name="__main__", alter_sys=True)
