"""Loads a module whose libraries lie where the dynamic linker does not look: the module itself names no folder, so that nobody but this
user and this machine's owner decides what is loaded. What is not on the linker's own paths is looked for where ROCm and CUDA put it."""
import atexit
import ctypes
import functools
import importlib
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
from types import ModuleType
from typing import Iterator


def _folders() -> Iterator[pathlib.Path]:
    for variable, usual in (("ROCM_PATH", "/opt/rocm"), ("CUDA_PATH", "/usr/local/cuda")):
        root = pathlib.Path(os.environ.get(variable) or usual)
        if root.is_absolute():
            yield from (root / "lib", root / "lib64")
    for site in filter(os.path.isabs, sys.path):  # the Python wheels of ROCm and of CUDA
        for pattern in ("_rocm_sdk_*/lib", "nvidia/*/lib"):
            yield from sorted(pathlib.Path(site).glob(pattern))


def load(name: str) -> ModuleType:
    """Imports the module of that name. Raises ImportError naming the library that is not to be found anywhere."""
    return _with_libraries(lambda: importlib.import_module(name), ())


def _with_libraries(action, asked: tuple[str, ...]):
    """action(), again after each library that the dynamic linker missed. asked: whose loading this is a part of."""
    while True:
        try:
            return action()
        except (ImportError, OSError) as error:
            missing = re.match(r"(\S+\.so[.\d]*): cannot open shared object file", str(error))
            if not missing or missing[1] in asked:
                raise
            file = next((file for folder in _folders() if os.path.isfile(file := folder / missing[1])), None)
            if not file:
                raise ImportError(f"ROCm 7 is not installed, or ROCM_PATH does not say where: {missing[1]} is missing") from None
            asked = (*asked, missing[1])
            _with_libraries(functools.partial(ctypes.CDLL, str(file)), asked)


def own_temporary_folder() -> None:
    """Names a folder that this user alone can use as the one for temporary files. MIOpen keeps the kernels that it has compiled there, not
    in the home folder, if HOME is missing, is / or lies on a network; in /tmp anybody could put some for it first."""
    try:
        shared = tempfile.gettempdir()
        if _private(shared):
            return
        folder = os.path.join(shared, f"lc0rocm-{os.geteuid()}")
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            if not _private(folder):
                folder = tempfile.mkdtemp(prefix="lc0rocm-")
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["TMPDIR"] = folder
    except OSError:  # nowhere to write to: there is nothing to be read either
        pass


def _private(folder: str) -> bool:
    status = os.lstat(folder)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
