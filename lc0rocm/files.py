"""Files: written in one step, and their hashes; the cache folder of this user, a lock between processes."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import stat
from typing import IO, Iterator

from lc0rocm import config


def sha256(path: "os.PathLike | str") -> str:
    """In hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def replace(path: "os.PathLike | str", data: bytes) -> None:
    """In one step: a file of this name is there whole or as it was. A link goes on leading where it led; a pipe or a device is written to, and
    stays. Raises OSError, and ValueError for a path with a NUL."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        pathlib.Path(path).write_bytes(data)
        return
    part = f"{path}.{os.getpid()}.part"
    try:
        pathlib.Path(part).write_bytes(data)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            os.unlink(part)
        raise


def own_cache(inside: str = "") -> pathlib.Path:
    """The cache folder, or a folder in it, there from now on. Raises OSError where it cannot be made, or where others can write: they could
    hold the lock for ever, and fill it."""
    root = config.cache_folder()
    for folder in (root, root / inside):
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if not is_ours(folder.stat()):
            raise PermissionError(f"others can write to {folder}")
    return folder


def is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def hold(file: IO[bytes]) -> None:
    """For this process, until the file is closed. Raises BlockingIOError where another one has it. A file system without locks, as clusters have
    them, is no reason to write nothing: there nobody is kept out."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass


@contextlib.contextmanager
def alone(lock: pathlib.Path) -> Iterator[None]:
    """While no other process, and no other thread, is between the same lines. Raises OSError where the lock cannot be made."""
    descriptor = os.open(lock, os.O_NOFOLLOW | os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
