"""Syzygy tables for a search, from the value of the option SyzygyPath."""
import functools
import os

from lc0rocm import _core


def folders(path: str) -> list[str]:
    """Of a list with os.pathsep between them; each may stand in quotes and begin with ~."""
    parts = (part.strip().strip("\"'") for part in path.split(os.pathsep))
    return [os.path.expanduser(part) for part in parts if part]


@functools.lru_cache(maxsize=4)
def open_tables(path: str) -> "_core.Tables | None":
    """The same object for the same path, so that a tree goes on; None for a path without folders."""
    found = folders(path)
    return _core.Tables(found) if found else None


def messages(tables: "_core.Tables") -> list[str]:
    """What was found, and what cannot be used."""
    return [f"Syzygy tables: {tables.wdl_files} WDL and {tables.dtz_files} DTZ files, up to {tables.largest} men", *tables.take_problems()]
