"""The forms that annotated games can be written in, by the name of the file."""
from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from typing import NamedTuple

from lc0rocm._core import Error
from lc0rocm.annotation import pages, parquet
from lc0rocm.annotation.annotate import Annotated
from lc0rocm.annotation.games import zstandard

ENDINGS = (".pgn", ".jsonl", ".parquet", ".html")


class Form(NamedTuple):
    """text: what is written of a game; pack: compresses such texts so that packed ones may follow each other; convert: makes the output, in
    one step, of a file of them, given its path, the output's and the number of games."""
    text: Callable[[Annotated], str]
    pack: Callable[[bytes], bytes] = bytes
    convert: Callable[[str, str, int], None] | None = None


def of_name(path: str, annotator: str) -> Form:
    """annotator: who is said to have done it. Raises Error for a name without a form, and where a Python package is missing for it."""
    def line(game: Annotated) -> str:
        return json.dumps(game.json(annotator)) + "\n"

    name = path.lower()
    pack: Callable[[bytes], bytes] = bytes
    for ending, compress in ((".gz", _gzip), (".bz2", bz2.compress), (".zst", _zst)):
        if name.endswith(ending):
            name, pack = name.removesuffix(ending), compress
    if name.endswith(".pgn"):
        form = Form(lambda game: game.pgn(annotator) + "\n\n", pack)
    elif name.endswith(".jsonl"):
        form = Form(line, pack)
    elif name.endswith(".parquet") and pack is bytes:
        parquet.require()
        form = Form(line, _gzip, parquet.write)
    elif name.endswith(".html") and pack is bytes:
        form = Form(line, _gzip, pages.write)
    else:
        raise Error(f"-o names a file that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, the first two also with .gz, .bz2 or .zst, not {path}")
    form.pack(b"")  # raises Error where a package is missing
    return form


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def _zst(data: bytes) -> bytes:
    return bytes(zstandard().ZstdCompressor().compress(data))
