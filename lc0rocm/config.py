"""Where configuration and networks lie on this machine: the folders that Lc0 looks into, and ours beside them."""
import os
import pathlib
import sys
from typing import Iterator

from lc0rocm._core import Error

_MIN_NET_BYTES = 500_000  # smaller files are not networks to play with
_NET_START = b"\x0d\xc0\x01\x00\x00"  # the protobuf tag of the magic number, then 0x1c0


def _own_folder() -> pathlib.Path:
    return pathlib.Path(sys.argv[0]).parent


def _folders(user_variable: str, user: str, mac: str, system_variable: str, system: str) -> Iterator[pathlib.Path]:
    """Folders in the order in which they are searched; "lc0rocm" before "lc0" in each."""
    yield _own_folder()
    home = mac if sys.platform == "darwin" else os.environ.get(user_variable) or user
    for base in [home, *(os.environ.get(system_variable) or system).split(":")]:
        for name in ("lc0rocm", "lc0"):
            yield pathlib.Path(base).expanduser() / name


def cache_folder() -> pathlib.Path:
    """Where measurements of this machine are kept."""
    home = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(home).expanduser() / "lc0rocm"


def config_flags(path: str | None) -> tuple[list[str], pathlib.Path | None]:
    """The flags of a configuration file and where it is: path, or with None the first lc0rocm.config or lc0.config
    found; "" means none. One flag a line, leading dashes optional; # starts a comment line. Raises Error."""
    if path == "":
        return [], None
    if path is None:
        folders = _folders("XDG_CONFIG_HOME", "~/.config", "~/Library/Preferences", "XDG_CONFIG_DIRS", "/etc/xdg")
        candidates = (folder / name for folder in folders for name in ("lc0rocm.config", "lc0.config"))
        file = next((candidate for candidate in candidates if candidate.is_file()), None)
        if file is None:
            return [], None
    else:
        file = pathlib.Path(path)
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise Error(f"cannot read the configuration {file}: {getattr(error, 'strerror', None) or error}") from None
    lines = [line.strip() for line in text.splitlines()]
    flags = [line for line in lines if line and not line.startswith("#")]
    for line in flags:
        if line.startswith("-") and not line.startswith("--"):
            raise Error(f"{file}: '{line[:60]}' has one dash; write long flags, like weights=net.pb.gz")
    return ["--" + line.removeprefix("--") for line in flags], file


def discover_network() -> pathlib.Path | None:
    """The newest network in the first folder that has one: beside the program, then the data folders; in each also the
    folders networks and weights."""
    roots = _folders("XDG_DATA_HOME", "~/.local/share", "~/Library", "XDG_DATA_DIRS", "/usr/local/share:/usr/share")
    for root in roots:
        found = []
        for folder in (root, root / "networks", root / "weights"):
            try:
                files = [(entry.stat(), entry.path) for entry in os.scandir(folder) if entry.is_file()]
                found += [(stat.st_mtime, path) for stat, path in files if stat.st_size >= _MIN_NET_BYTES]
            except OSError:
                continue
        for _, path in sorted(found, reverse=True):
            if _is_network(path):
                return pathlib.Path(path)
    return None


def _is_network(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_NET_START))
        if start[:2] == b"\x1f\x8b":
            import gzip
            with gzip.open(path) as file:
                start = file.read(len(_NET_START))
    except (OSError, EOFError):
        return False
    return start == _NET_START
