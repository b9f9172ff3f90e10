"""What this machine has taught us and would have to be measured again: small JSON files in the cache folder.

Losing one costs time, never correctness: whatever cannot be read is forgotten, whatever cannot be written is not kept."""
import json
import os
import tempfile
from typing import Any

from lc0rocm import config


def recall(name: str) -> dict[str, Any]:
    try:
        value = json.loads(read(name))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def remember(name: str, key: str, value: Any) -> None:
    """Adds an entry, and keeps what other processes have added since it was read last."""
    write(name, json.dumps(recall(name) | {key: value}, indent=1))


def read(name: str) -> str:
    try:
        return (config.cache_folder() / name).read_text("utf-8")
    except (OSError, ValueError):
        return ""


def write(name: str, text: str) -> None:
    """Replaces the file in one step, so that no reader sees half of it."""
    folder, temporary = config.cache_folder(), ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
