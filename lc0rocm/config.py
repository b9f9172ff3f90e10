"""Where configuration and networks lie on this machine: the folders that Lc0 looks into, and ours beside them."""
import os
import pathlib
import re
import stat
import sys
from typing import Callable, Iterator

from lc0rocm._core import Error

_MIN_NET_BYTES = 500_000  # smaller files are not networks to play with
_NET_START = b"\x0d\xc0\x01\x00\x00"  # the protobuf tag of the magic number, then 0x1c0


def _expanded(folder: str) -> pathlib.Path | None:
    """None where there is no such place: for a user without a home folder, or a path that would depend on the working folder."""
    path = os.path.expanduser(folder)
    return pathlib.Path(path) if os.path.isabs(path) else None


def _folders(user_variable: str, user: str, mac: str, system_variable: str, system: str) -> Iterator[pathlib.Path]:
    """Folders in the order in which they are searched; "lc0rocm" before "lc0" in each."""
    if sys.argv[0] not in ("", "-c"):  # else Python itself is the program, and "beside it" would be the working folder
        yield pathlib.Path(sys.argv[0]).parent
    home = mac if sys.platform == "darwin" else os.environ.get(user_variable) or user
    for base in map(_expanded, [home, *(os.environ.get(system_variable) or system).split(":")]):
        if base:
            yield from (base / "lc0rocm", base / "lc0")


def cache_folder() -> pathlib.Path:
    """Where measurements of this machine are kept. Raises OSError where there is no such place."""
    home = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    base = _expanded(home)
    if not base:
        raise FileNotFoundError("this user has no home folder")
    return base / "lc0rocm"


def find_config(say: Callable[[str], None]) -> pathlib.Path | None:
    """The first lc0rocm.config or lc0.config in the usual folders. say: hears which are not used since others could have put them there.
    Flags name files to be written, and HOME may be another user's, as `sudo` and `su` leave it, or /tmp."""
    folders = _folders("XDG_CONFIG_HOME", "~/.config", "~/Library/Preferences", "XDG_CONFIG_DIRS", "/etc/xdg")
    candidates = (folder / name for folder in folders for name in ("lc0rocm.config", "lc0.config"))
    for file in filter(os.path.isfile, candidates):  # is_file() raises where it may not look
        if _is_ours(file):
            return file
        say(f"{file} is not used: it, or its folder, belongs to another user or can be written by all")
    return None


def _is_ours(file: pathlib.Path) -> bool:
    """Whether it comes from this user, from the owner of this program, or from root."""
    owners = (0, os.geteuid(), os.stat(__file__).st_uid)
    return not os.stat(file).st_mode & stat.S_IWOTH and all(os.stat(path).st_uid in owners for path in (file, file.parent))


def config_flags(file: pathlib.Path) -> list[list[str]]:
    """The words of each flag of a configuration file, as the command line would have them. A line is a flag, like
    `weights = "my net.pb.gz"  # the large one`, or several with dashes, like `-t 2 --minibatch-size=32`: dashes of one alone, blanks
    around =, quotes, and comments are free. Raises Error if the file cannot be read."""
    try:
        data = file.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:
        raise Error(f"cannot read the configuration {file}: {getattr(error, 'strerror', None) or error}") from None
    lines = (line for line in map(str.strip, text.splitlines()) if line and not line.startswith(("#", ";", "//")))
    return [_words(flag) for line in lines for flag in _flags(line)]


def _flags(line: str) -> list[str]:
    """A line may hold several flags, each with its dashes, as a command line does; not where quotes tell something else."""
    said = re.split(r"\s#", line)[0]
    return re.split(r"\s+(?=--?[A-Za-z])", said) if line.startswith("-") and not re.search("[\"']", said) else [line]


def _words(line: str) -> list[str]:
    match = re.fullmatch(r"(-?-?)([^\s=]*)\s*(=?)\s*(.*)", line)
    assert match, "the pattern fits every line"
    dashes, name, equals, value = match.groups()
    quoted = re.fullmatch(r"""(["'])(.*)\1(\s*#.*)?""", value)  # a # elsewhere begins a comment after a blank only
    value = quoted[2] if quoted else re.split(r"(?:^|\s)#", value)[0].rstrip()
    if dashes == "-":
        return ["-" + name, value] if value else ["-" + name]
    return [f"--{name}={value}"] if equals or value else ["--" + name]


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
