"""A back end that many players of one process share: clients of a server, the sides of many games."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.engine.backend import BackEnd
from lc0rocm.loading import Loaded


class Shared:
    """The back end of all: what many ask for at the same time is one batch. If it fails, the CPU takes its place once, for all."""

    def __init__(self, loaded: Loaded):
        self._lock = threading.Lock()
        self.messages, self.name = loaded.messages, loaded.backend.name
        self._is_cpu = loaded.backend.name == "cpu"
        self.loaded = loaded._replace(backend=_core.Backend("multiplexing", None, {"shared": loaded.backend}))

    def instead_of(self, failed: Loaded) -> Loaded:
        """Raises Error where there is no other way to go on."""
        with self._lock:
            if self.loaded is failed:
                if failed.network is None or self._is_cpu:
                    raise Error("the search has ended early: no other back end can go on with it")
                cpu = _core.Backend("cpu", failed.network, {})
                self._is_cpu = True
                self.loaded = failed._replace(backend=_core.Backend("multiplexing", None, {"shared": cpu}))
            return self.loaded


class SharedBackEnd(BackEnd):
    """What a player has in place of a back end of its own."""

    def __init__(self, shared: Shared, send: Callable[[Sequence[str]], None]):
        self._shared, self._send = shared, send
        self._loaded: Loaded | None = None
        self.when_better = self.when_dropped = lambda: None

    def get(self) -> Loaded:
        if self._loaded is None:
            self._send(["info string " + message for message in self._shared.messages])
        self._loaded = self._shared.loaded
        return self._loaded

    def better(self) -> Loaded:
        return self.get()

    def prepare(self, patience_s: float) -> Loaded:
        return self.get()

    def new_game(self) -> None:
        """Of one client: what all share stays as it is."""

    def fall_back(self) -> Loaded:
        assert self._loaded
        self._loaded = self._shared.instead_of(self._loaded)
        self._send([f"info string going on with back end cpu on {self._loaded.backend.info['device']}"])
        return self._loaded

    def close(self) -> None:
        """It is not this client's."""
