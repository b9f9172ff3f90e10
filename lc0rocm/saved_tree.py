"""Saved trees as files: what a tree was made from, and the core's bytes of it (src/search/saved.h). What is loaded is what was saved, whole,
and fits what would go on with it; anything else is an Error with the file's name."""
import hashlib
import json
import os
import pathlib
import zlib
from typing import Any, Iterable, Mapping, NamedTuple

from lc0rocm import files
from lc0rocm._core import Error

_MAGIC = b"lc0rocm saved tree 1\n"
_MOST = 2**34  # bytes of a tree


class Saved(NamedTuple):
    """fen, moves: the position of the root. made_of: options by name that the tree depends on, and "network", see network_hash. extra: of
    whoever saves."""
    fen: str
    moves: list[str]
    made_of: Mapping[str, Any]
    extra: Any
    tree: bytes


def network_hash(path: "os.PathLike | str | None", heads: Iterable[str]) -> str:
    """Of a network file and the heads of it that are asked; "" where the back end has none. Raises Error if the file has gone."""
    if path is None:
        return ""
    try:
        return " ".join((files.sha256(path), *heads))
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}, so it is not known which network the tree belongs to") from None


def _check_name(path: "os.PathLike | str") -> None:
    if not os.fspath(path):
        raise Error("the name of a file for the tree is missing")


def write(path: "os.PathLike | str", saved: Saved) -> None:
    """In one step: a file of this name is there whole or as it was. Raises Error."""
    _check_name(path)
    described = json.dumps(saved._replace(tree=b"")._asdict() | {"tree": len(saved.tree)}).encode()
    body = zlib.compress(described + b"\n" + saved.tree, 1)
    try:
        files.replace(path, _MAGIC + hashlib.sha256(body).digest() + body)
    except (OSError, ValueError) as error:
        raise Error(f"{path}: the tree cannot be saved there: {getattr(error, 'strerror', None) or error}") from None


def read(path: "os.PathLike | str", made_of: Mapping[str, Any]) -> Saved:
    """Raises Error for a file that is no tree, is damaged, or was made from something else."""
    _check_name(path)
    try:
        data = pathlib.Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise Error(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not data.startswith(_MAGIC):
        raise Error(f"{path}: is no tree that this version has saved")
    digest, body = data[len(_MAGIC):len(_MAGIC) + 32], data[len(_MAGIC) + 32:]
    damaged = Error(f"{path}: is damaged or cut short")
    if hashlib.sha256(body).digest() != digest:
        raise damaged
    try:
        unpacker = zlib.decompressobj()
        described, _, tree = unpacker.decompress(body, _MOST).partition(b"\n")
        saved = Saved(**json.loads(described) | {"tree": tree})
    except (zlib.error, ValueError, TypeError):
        raise damaged from None
    for name in sorted({*saved.made_of, *made_of}):
        there, here = saved.made_of.get(name), made_of.get(name)
        if there != here:
            raise Error(f"{path}: was made with " + ("another network, or other heads of it" if name == "network" else
                                                     f"{name} {there!r}, which is {here!r} now"))
    return saved
