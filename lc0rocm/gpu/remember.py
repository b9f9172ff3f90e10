"""What this machine has taught us and would have to be measured again: small files in the cache folder.

Losing one costs time, never correctness: whatever cannot be read is forgotten, whatever cannot be written is not kept. What others may
have written is not believed: it would decide what is loaded without a check."""
import contextlib
import json
import os
import stat
import tempfile
from typing import Any, Callable

from lc0rocm import config, files, report


def recall(name: str) -> dict[str, Any]:
    return _entries(name, read(name))


def _entries(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    report.say(f"{config.cache_folder() / name} is damaged: what it held is measured again")
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
            if stat.S_ISREG(status.st_mode) and files.is_ours(status):
                return file.read()
    except OSError:
        return ""
    report.say(f"{path} is not used: it is not a file that this user alone can write; remove it")
    return ""


def change(name: str, new: Callable[[str], str]) -> None:
    """Makes the file's text into new(text), while no other process changes it."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # then nothing is kept
            held.enter_context(files.alone(files.own_cache() / ".lock"))
        write(name, new(read(name)))


def write(name: str, text: str) -> None:
    """Replaces the file in one step, so that no reader sees half of it."""
    temporary = ""
    try:
        folder = files.own_cache()
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
