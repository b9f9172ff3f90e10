"""An output file that grows game by game and, after a kill at any moment, goes on where it stood: no game is lost, none is there twice.

Games are written to OUT.part. OUT.part.json says how many games of the input are done and how long the file was then; it is replaced in one
step. Who goes on cuts the file to that length: what had been written beyond it is made again. What is compressed is so from one such record
to the next: the parts, one after the other, are a file like any other. What cannot grow so is made of the part, in one step, when that is whole."""
from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from lc0rocm import files
from lc0rocm._core import Error
from lc0rocm.annotation.forms import Form

_COMMIT_S = 1.0  # so much work a kill may cost


class Output:
    """identity: what the output is made of; a part that was made of something else is not gone on with. Raises Error where there is an
    output already, or such a part, unless `again`, which begins anew."""

    def __init__(self, path: str, form: Form, identity: dict[str, Any], again: bool):
        path = os.path.realpath(path) if os.path.islink(path) else path  # which goes on leading there
        self.path, self._form, self._identity = path, form, identity
        self._part, self._record = path + ".part", path + ".part.json"
        self._texts: list[str] = []  # of games that are not in the file yet
        try:
            self._file = open(self._part, "ab")
            files.hold(self._file)
            # What is read from here on stays as it is: before, another process may have gone on, or given the part the output's name.
            if not os.path.exists(self._part) or not os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._part)):
                raise BlockingIOError
            state = {} if again else self._read_state()
            self.games, self.skipped, self._bytes = state.get("games", 0), state.get("skipped", 0), state.get("bytes", 0)
            self.finished = bool(state) and self._is_named(state)
            if not self.finished:
                self._file.truncate(self._bytes)
                self._file.seek(0, os.SEEK_END)
                self._commit()
        except BlockingIOError:
            self._file.close()
            raise Error(f"another lc0rocm is writing {path}") from None
        except OSError as error:
            raise _cannot(self._part, error) from None
        except Error:
            if not self._size():
                os.remove(self._part)
            self._file.close()
            raise

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _is_named(self, state: dict[str, Any]) -> bool:
        """Killed at the very last step: the part has become the output, and that which is there is of this process."""
        return bool(state["finished"] and state["bytes"] and not self._size() and os.path.exists(self.path))

    def _read_state(self) -> dict[str, Any]:
        try:
            with open(self._record, encoding="utf-8") as file:
                state = dict(json.load(file))
        except FileNotFoundError:
            if os.path.lexists(self.path):
                raise Error(f"{self.path} is there already; --again replaces it") from None
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise Error(f"cannot read how far {self.path} is from {self._record}: {error}; --again begins anew") from None
        if state.get("identity") != self._identity:
            raise Error(f"{self._part} was begun with another version, input, network or options; --again begins anew")
        if not self._is_named(state) and self._size() < state["bytes"]:
            raise Error(f"{self._part} is shorter than it was; --again begins anew")
        return state

    def write(self, text: str) -> None:
        """What becomes of the next game of the input; "" of one that is skipped."""
        self._texts.append(text)
        self.games += 1
        self.skipped += not text
        if time.monotonic() >= self._due:
            self.keep()

    def keep(self) -> None:
        """Writes all that there is, for now or for another time."""
        try:
            self._commit()
        except OSError as error:
            raise _cannot(self._part, error) from None

    def finish(self) -> None:
        """Makes it what was asked for."""
        if self.finished:
            os.remove(self._part)
        else:
            self.keep()
            try:
                if not self._file.tell():
                    self._file.write(self._form.pack(b""))  # no games: packed nothing is not nothing
                    self._file.flush()
                if self._form.convert:
                    self._form.convert(self._part, self.path, self.games - self.skipped)
                self._commit(finished=True)
                if self._form.convert:
                    os.remove(self._part)
                else:
                    os.replace(self._part, self.path)
            except OSError as error:
                raise _cannot(self.path, error) from None
        self._file.close()
        with contextlib.suppress(FileNotFoundError):  # of another one that was started meanwhile
            os.remove(self._record)

    def _commit(self, finished: bool = False) -> None:
        if data := "".join(self._texts).encode("utf-8", "surrogateescape"):
            self._file.write(self._form.pack(data))
        self._texts.clear()
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {"identity": self._identity, "games": self.games, "skipped": self.skipped, "bytes": self._file.tell(), "finished": finished}
        with open(self._record + ".new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(self._record + ".new", self._record)
        self._due = time.monotonic() + _COMMIT_S


def _cannot(path: str, error: OSError) -> Error:
    return Error(f"cannot write {path}: {error.strerror or error}")
