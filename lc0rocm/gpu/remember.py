"""What this machine has taught us and would have to be measured again: small files in the cache folder.

Losing one costs time, never correctness: whatever cannot be read is forgotten, whatever cannot be written is not kept. What others may
have written is not believed: it would decide what is loaded without a check."""
import contextlib
import fcntl
import json
import os
import pathlib
import stat
import sys
import tempfile
from typing import Any, Callable, Iterator

from lc0rocm import config


def recall(name: str) -> dict[str, Any]:
    return _entries(name, read(name))


def _entries(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    _say(f"{config.cache_folder() / name} is damaged: what it held is measured again")
    write(name, "{}")
    return {}


def remember(name: str, key: str, value: Any, instead_of: str = "") -> None:
    """Adds an entry, in the place of another one if that is named; what other processes have added stays."""
    def add(text: str) -> str:
        entries = _entries(name, text) | {key: value}
        entries.pop(instead_of, None)
        return json.dumps(entries, indent=1)
    change(name, add)


def read(name: str) -> str:
    try:
        path = config.cache_folder() / name
        with open(path, encoding="utf-8", errors="replace", opener=lambda file, flags: os.open(file, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and _is_ours(status):
                return file.read()
    except OSError:
        return ""
    _say(f"{path} is not used: it is not a file that this user alone can write; remove it")
    return ""


def change(name: str, new: Callable[[str], str]) -> None:
    """Makes the file's text into new(text), while no other process changes it."""
    with _alone():
        write(name, new(read(name)))


def write(name: str, text: str) -> None:
    """Replaces the file in one step, so that no reader sees half of it."""
    temporary = ""
    try:
        folder = _folder()
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as file:
            temporary = file.name
            file.write(text)
        os.replace(temporary, folder / name)
    except OSError:
        if temporary:
            try:
                os.unlink(temporary)
            except OSError:
                pass


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    try:
        lock = os.open(_folder() / ".lock", os.O_NOFOLLOW | os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # then nothing is kept
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _folder() -> pathlib.Path:
    """Raises OSError where it cannot be made, or belongs to somebody else, who could hold the lock for ever."""
    folder = config.cache_folder()
    folder.mkdir(0o700, parents=True, exist_ok=True)
    if not _is_ours(folder.stat()):
        raise PermissionError(f"others can write to {folder}")
    return folder


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _say(line: str) -> None:
    if sys.stderr is not None:
        print("lc0rocm:", line, file=sys.stderr)
