"""A folder of finished parts and its manifest: after a kill at any moment the work goes on, and every block is in the output once.

manifest.jsonl holds on its first line what all is made of, then a line for each block that is done: its files and what is known of them.
A file gets its name when it is whole, and then its line; a file without a line is made again, under the same name."""
from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from lc0rocm import files
from lc0rocm._core import Error

MANIFEST = "manifest.jsonl"


def finished(folder: str | os.PathLike[str]) -> dict[int, dict[str, Any]]:
    """What add() was told of the blocks that are done, by number: of one that was made again, the last time. Raises Error where there is no such
    folder."""
    path = pathlib.Path(folder) / MANIFEST
    try:
        told = [json.loads(line) for line in path.read_bytes().splitlines(keepends=True)[1:] if line.endswith(b"\n")]  # else it is being written
        return {facts["block"]: facts for facts in told}
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Error(f"cannot read {path}: {error}") from None


class Parts:
    """identity: what the parts are made of; a folder that was made of something else is not gone on with, but for `again`, which begins
    anew. done: of the blocks that are, what add() was told. Raises Error, as its methods do where the disk is full."""

    def __init__(self, folder: str | os.PathLike[str], identity: Mapping[str, Any], again: bool = False):
        self.folder, self.done = pathlib.Path(folder), dict[int, dict[str, Any]]()
        self._identity = dict(identity)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._manifest = open(self.folder / MANIFEST, "a+b", buffering=0)
            files.hold(self._manifest)
        except BlockingIOError:
            raise Error(f"another lc0rocm is writing {self.folder}") from None
        except OSError as error:
            raise self._cannot(error) from None
        try:
            if again:
                self._clear()
            elif not self._manifest.tell() and set(os.listdir(self.folder)) != {MANIFEST}:
                raise Error(f"{self.folder} holds files and no {MANIFEST}: name a new folder; --again uses this one")
            self._read()
        except BaseException:
            self._manifest.close()
            raise

    def _clear(self) -> None:
        """Removes what the manifest knows of, and nothing else: the folder may be somebody's home."""
        self._manifest.seek(0)
        for line in self._manifest.readlines()[1:]:
            with contextlib.suppress(ValueError, OSError, TypeError, KeyError):
                for name in json.loads(line)["files"]:
                    (self.folder / pathlib.PurePath(name).name).unlink()
        self._manifest.truncate(0)

    def _read(self) -> None:
        self._manifest.seek(0)
        whole = [line for line in self._manifest.readlines() if line.endswith(b"\n")]
        self._manifest.truncate(sum(map(len, whole)))  # a kill cut off the rest
        try:
            if not whole:
                self._append(self._identity)
                return
            if json.loads(whole[0]) != json.loads(json.dumps(self._identity)):
                raise Error(f"{self.folder} was begun with another input, network or options; --again begins anew")
            for line in whole[1:]:
                facts = json.loads(line)
                if all((self.folder / name).exists() for name in facts["files"]):
                    self.done[facts["block"]] = facts
        except (ValueError, KeyError, TypeError) as error:
            raise Error(f"cannot read {self.folder / MANIFEST}: {error}; --again begins anew") from None
        except OSError as error:
            raise self._cannot(error) from None

    def add(self, block: int, files: Mapping[str, bytes], **facts: Any) -> None:
        """A block that is done: its files by name, perhaps none. A second time it changes nothing."""
        if block in self.done:
            return
        try:
            for name, data in files.items():
                part = self.folder / f".{name}.part"
                with open(part, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, self.folder / name)
            self.done[block] = {"block": block, "files": list(files), **facts}
            self._append(self.done[block])
        except OSError as error:
            self.done.pop(block, None)
            raise self._cannot(error) from None

    def close(self) -> None:
        """Lets others go on with it."""
        self._manifest.close()

    def sum(self, fact: str) -> int:
        return sum(facts.get(fact, 0) for facts in self.done.values())

    def _append(self, line: Mapping[str, Any]) -> None:
        data, at = json.dumps(line).encode() + b"\n", self._manifest.seek(0, os.SEEK_END)
        if self._manifest.write(data) != len(data):
            self._manifest.truncate(at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._manifest.fileno())

    def _cannot(self, error: OSError) -> Error:
        return Error(f"cannot write {self.folder}: {error.strerror or error}; what is done is kept")
