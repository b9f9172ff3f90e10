"""The back end in use: what WeightsFile, Backend and BackendOptions name, loaded when it is first needed and when they have changed."""
from typing import TYPE_CHECKING, Callable, Sequence

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.options import Settings

if TYPE_CHECKING:
    from lc0rocm.loading import Loaded

NAMED_BY = ("WeightsFile", "Backend", "BackendOptions")


class BackEnd:
    def __init__(self, settings: Settings, send: Callable[[Sequence[str]], None]):
        self._settings, self._send = settings, send
        self._loaded: "Loaded | None" = None
        self._made_of: tuple[str, ...] = ()

    def get(self, hurry: bool = False) -> "Loaded":
        """Between searches. hurry: a clock runs. Raises Error if what is named cannot be loaded; then nothing is."""
        wanted = tuple(self._settings[name] for name in NAMED_BY)
        if self._loaded is None or wanted != self._made_of:
            from lc0rocm import loading  # here: uci has to be answered before numpy and protobuf are there
            self._loaded, self._made_of = None, wanted
            self._loaded = loading.load_backend(*wanted, say=lambda line: self._send(["info string " + line]), hurry=hurry)
            self._send(["info string " + message for message in self._loaded.messages])
        return self._loaded

    def fall_back(self) -> "Loaded":
        """The CPU, with the same network, in the place of a back end that has failed; until the options change. Raises Error where that
        is no way out."""
        loaded = self._loaded
        if loaded is None or loaded.network is None or loaded.backend.info["cpu"]:
            raise Error("the search has ended early: no other back end can go on with it")
        self._loaded = loaded._replace(backend=_core.Backend("cpu", loaded.network, {}))
        self._send([f"info string going on with back end cpu on {self._loaded.backend.info['device']}"])
        return self._loaded
