"""An output file that grows game by game and, after a kill at any moment, goes on where it stood: no game is lost, none is there twice.

Games are written to OUT.part. OUT.part.json says how many games of the input are done and how long the file was then; it is replaced in one
step. Who goes on cuts the file to that length: what had been written beyond it is made again."""
from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any

from lc0rocm._core import Error

_COMMIT_S = 1.0  # so much work a kill may cost


class Output:
    """identity: what the output is made of; a part that was made of something else is not gone on with. Raises Error where there is an
    output already, or such a part, unless `again`, which begins anew."""

    def __init__(self, path: str, identity: dict[str, Any], again: bool):
        self.path, self._identity = path, identity
        self._part, self._record = path + ".part", path + ".part.json"
        state = {} if again else self._read_state()
        self.games, self.skipped = state.get("games", 0), state.get("skipped", 0)
        try:
            self._file = open(self._part, "ab")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(state.get("bytes", 0))
            self._file.seek(0, os.SEEK_END)
            self._commit()
        except BlockingIOError:
            raise Error(f"another lc0rocm is writing {path}") from None
        except OSError as error:
            raise _cannot(self._part, error) from None

    def _read_state(self) -> dict[str, Any]:
        try:
            with open(self._record, encoding="utf-8") as file:
                state = json.load(file)
        except FileNotFoundError:
            if os.path.exists(self.path):
                raise Error(f"{self.path} is there already; --again replaces it") from None
            return {}
        except (OSError, ValueError) as error:
            raise Error(f"cannot read how far {self.path} is from {self._record}: {error}; --again begins anew") from None
        if state.get("identity") != self._identity:
            raise Error(f"{self._part} was begun with another input, network or options; --again begins anew")
        try:
            if os.path.getsize(self._part) < state["bytes"]:
                raise Error(f"{self._part} is shorter than it was; --again begins anew")
        except OSError:
            if os.path.exists(self.path):  # killed at the very last step
                os.replace(self.path, self._part)
                return state
            raise Error(f"{self._part} is gone; --again begins anew") from None
        return state

    def write(self, text: str) -> None:
        """What becomes of the next game of the input; "" of one that is skipped."""
        try:
            self._file.write(text.encode("utf-8", "surrogateescape"))
            self.games += 1
            self.skipped += not text
            if time.monotonic() >= self._due:
                self._commit()
        except OSError as error:
            raise _cannot(self._part, error) from None

    def pause(self) -> None:
        """Keeps what there is for another time."""
        self._commit()
        self._file.close()

    def finish(self) -> None:
        """Makes it what was asked for."""
        try:
            self._commit()
            self._file.close()
            os.replace(self._part, self.path)
            os.remove(self._record)
        except OSError as error:
            raise _cannot(self.path, error) from None

    def _commit(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {"identity": self._identity, "games": self.games, "skipped": self.skipped, "bytes": self._file.tell()}
        with open(self._record + ".new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(self._record + ".new", self._record)
        self._due = time.monotonic() + _COMMIT_S


def _cannot(path: str, error: OSError) -> Error:
    return Error(f"cannot write {path}: {error.strerror or error}")
