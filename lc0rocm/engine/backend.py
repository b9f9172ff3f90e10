"""The back end in use: what WeightsFile, Backend and BackendOptions name, loaded when it is first needed and when they have changed.
While a GPU is prepared it is the CPU."""
from typing import TYPE_CHECKING, Callable, Sequence

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.options import Settings

if TYPE_CHECKING:
    from lc0rocm.loading import Loaded, Loading

NAMED_BY = ("WeightsFile", "Backend", "BackendOptions")


class BackEnd:
    """Its methods but close() are for one thread at a time."""

    def __init__(self, settings: Settings, send: Callable[[Sequence[str]], None]):
        self._settings, self._send = settings, send
        self._loading: Loading | None = None
        self._loaded: Loaded | None = None
        self._fallen_back = False
        self._made_of: tuple[str, ...] = ()
        self.weights = ""  # the network in place of WeightsFile
        self.when_better: Callable[[], None] = lambda: None  # called from a thread when better() gives another one than before
        self.when_dropped: Callable[[], None] = lambda: None  # nobody may hold the one before: a GPU may not have room for two

    def prepare(self, patience_s: float) -> "Loaded | None":
        """Loads, for so long at most; what is not ready then becomes so in the background. What has failed is tried again. Raises Error if
        what is named cannot be loaded; then nothing is."""
        if self._loading and self._loading.failed and not self._loaded:
            self.close()
        loaded = self._get(patience_s)
        if not loaded:
            self._send(["info string the network is still being loaded; a go waits for it"])
        return loaded

    def get(self) -> "Loaded":
        """Between searches: at once, if anything is loaded. Raises Error, at once too if it did before."""
        loaded = self._get(None)
        assert loaded, "without a limit to its patience"
        return loaded

    def new_game(self) -> None:
        """What had to do with less of a GPU's memory than is free by now, or had none, is loaded anew when it is needed: a program that
        shared the GPU has ended."""
        more_room = self._loaded and not self._fallen_back and self._loaded.backend.has_more_room
        if more_room or (self._loading and self._loading.lacked_memory):
            self._made_of = ()

    def _get(self, patience_s: float | None) -> "Loaded | None":
        named, backend, options = (self._settings[name] for name in NAMED_BY)
        weights, _, _ = wanted = self.weights or named, backend, options
        if self._loading is None or wanted != self._made_of:
            from lc0rocm import loading  # here: uci has to be answered before numpy and protobuf are there
            self.close()
            self._loaded, self._fallen_back, self._made_of = None, False, wanted
            self.when_dropped()
            self._loading = loading.Loading(weights, backend, options, lambda line: self._send(["info string " + line]), lambda: self.when_better())
        return self._take(patience_s)

    def better(self) -> "Loaded":
        """In the middle of a search: what has become ready, whatever the options say by now."""
        loaded = self._take(None)
        assert loaded
        return loaded

    def _take(self, patience_s: float | None) -> "Loaded | None":
        if self._loading and not self._fallen_back:
            loaded = self._loading.use(patience_s)
            if loaded and loaded is not self._loaded:
                self._send(["info string " + message for message in loaded.messages])
            self._loaded = loaded
        return self._loaded

    def fall_back(self) -> "Loaded":
        """The CPU, with the same network, in the place of a back end that has failed; until the options change. Raises Error where that
        is no way out."""
        loaded = self._loaded
        if loaded is None or loaded.network is None or loaded.backend.name == "cpu":
            raise Error("the search has ended early: no other back end can go on with it")
        self._loaded, self._fallen_back = loaded._replace(backend=_core.Backend("cpu", loaded.network, {})), True
        self._send([f"info string going on with back end cpu on {self._loaded.backend.info['device']}"])
        return self._loaded

    def close(self) -> None:
        """Ends what is being prepared in the background."""
        if self._loading:
            self._loading.close()
        self._loading = None
