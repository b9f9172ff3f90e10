"""From option values to a loaded back end: finds the network, reads it, chooses the back end.

A GPU that has to be checked and measured first takes its time; load_backend() waits for it, a Loading has the CPU play until then."""
import contextlib
import difflib
import functools
import os
import threading
from typing import TYPE_CHECKING, Callable, NamedTuple

from lc0rocm import _core, backend_options, choose, config, cpu, gpu, report, threads
from lc0rocm._core import Error
from lc0rocm.options import CPU_AUTO, ONNX, Settings, backend_names
from lc0rocm.report import Progress

if TYPE_CHECKING:
    from lc0rocm.netfile.net import NetFile


class Loaded(NamedTuple):
    backend: _core.Backend
    net: "NetFile | None"  # None where the back end works without a network
    network: _core.Network | None
    messages: list[str]  # for the user: what was chosen and why


def find_network(weights: str, unplayable: bool = False, tell: Callable[[Progress], None] = lambda _: None,
                 may_fetch: bool = True) -> tuple[str, str]:
    """The file that the option WeightsFile means, and one line about it: a file, or the name of a net, which is fetched if it is not here,
    as tell hears. "" and <built in> mean the network that came with the package, <autodiscover> the newest in the usual folders, else
    the package's if it can play or if `unplayable` allows a random one. Raises Error if there is none."""
    from lc0rocm.netfile import fetch, net
    if weights not in ("<autodiscover>", "<built in>", ""):
        is_file = os.path.lexists(weights)
        if not is_file and (named := fetch.nets().get(weights)):
            if not may_fetch and not named.here():
                raise Error(f"{weights} is not here yet: it is fetched when it is used, or by lc0rocm nets {weights}")
            return str(path := fetch.get(named, tell)), report.printable(f"network {weights}, {path}")
        if not is_file and (near := difflib.get_close_matches(weights, fetch.nets(), 1)):
            raise Error(f"{weights}: cannot be read: there is no such file; did you mean the net {near[0]}? lc0rocm nets lists them")
        return weights, report.printable(f"network {weights}")
    if weights == "<autodiscover>" and (found := config.discover_network()):
        return str(found), report.printable(f"network {found}, found as the newest")
    shipped = net.default_net()
    if shipped["playable"] or unplayable or weights != "<autodiscover>":
        kind = "" if shipped["playable"] else ", which is random: good for measuring, not for playing"
        return str(shipped["path"]), f"network {shipped['name']} of the package{kind}"
    raise Error("no network: set WeightsFile to an Lc0 network (.pb.gz), or put one beside the program or into "
                "~/.local/share/lc0rocm")


def load_backend(weights: str = "<autodiscover>", backend: str = "auto", options: str = "", unplayable: bool = False,
                 tell: Callable[[Progress], None] = lambda _: None) -> Loaded:
    """A back end for the values of WeightsFile, Backend and BackendOptions. tell: hears how far what takes long is. Raises Error with
    what to do."""
    return _Request(weights, backend, options, unplayable, tell).load()


def load_for(settings: Settings, unplayable: bool = False) -> Loaded:
    """load_backend for the present values of the options; a terminal shows how far it is."""
    with report.stages() as tell:
        return load_backend(settings["WeightsFile"], settings["Backend"], settings["BackendOptions"], unplayable, tell)


def network_of(settings: Settings) -> str | None:
    """The file that load_for() would read, for loading it elsewhere; None where the back end works without one. Raises Error."""
    name, options = settings["Backend"], backend_options.parse(settings["BackendOptions"])
    if name != "auto" and not _needs_network(name, options):
        return None
    with report.stages() as tell:
        return find_network(settings["WeightsFile"], True, tell)[0]


class _Request:
    """What load_backend() is asked for, and the parts of the answer that a stand-in of the CPU shares with it."""

    def __init__(self, weights: str, backend: str, options: str, unplayable: bool, tell: Callable[[Progress], None],
                 stop: threading.Event | None = None, tell_fetch: Callable[[Progress], None] | None = None):
        self.weights, self.backend, self.unplayable, self.tell, self.stop = weights, backend, unplayable, tell, stop
        self._tell_fetch = tell_fetch or tell
        self.options: dict = {}
        self._wrong: Error | None = None  # options that do not parse
        try:
            self.options = backend_options.parse(options)
        except Error as error:
            self._wrong = error
        self.chose_cpu = False  # by `auto`, as what was asked for
        self._one = threading.RLock()  # reads the network, makes the CPU's back end
        self._network: tuple[NetFile, _core.Network | None, str] | Error | None = None

    @property
    def heads(self) -> list[str]:
        return backend_options.heads(self.options)

    def network(self) -> tuple["NetFile", _core.Network | None, str]:
        """The file, its contents (None where those are an ONNX model), and a line about it. Raises Error, the same one each time: a fetch
        that failed is not tried again."""
        with self._one:
            if self._network is None:
                try:
                    self._network = self._read()
                except Error as error:
                    self._network = error
            if isinstance(self._network, Error):
                raise self._network
            return self._network

    def _read(self) -> tuple["NetFile", _core.Network | None, str]:
        from lc0rocm.netfile import net
        path, message = find_network(self.weights, self.unplayable, self._tell_fetch)
        file = net.load(path)
        return file, file.core(*self.heads) if file.message.HasField("weights") else None, message

    @functools.cached_property
    def _cpu(self) -> _core.Backend:
        return _core.Backend("cpu", self.network()[1], {})

    def on_cpu(self, reason: str) -> Loaded:
        """The CPU instead of what was asked for."""
        with self._one:
            file, network, message = self.network()
            return Loaded(self._cpu, file, network, [message, f"{reason}; runs on {self._cpu.info['device']}"])

    def load(self) -> Loaded:
        if self._wrong:
            raise self._wrong
        choice, reason = choose.choose(self.backend)
        self.chose_cpu = choice.name in (CPU_AUTO, "cpu")
        if not _needs_network(choice.name, self.options):
            core_backend = _core.Backend(choice.name, None, self.options)
            return Loaded(core_backend, None, None, [reason, *_without_effect(core_backend, set())])
        file, network, message = self.network()
        if choice.name == ONNX or network is None:
            return self._by_onnxruntime(reason)
        name, options, notes = self._prepare(choice.name, self.options)
        if name == "cpu" and choice.name in gpu.NAMES:
            if choose.find("cpu").why_not:
                raise Error("; ".join(notes))
            return self._without_gpu(reason, notes)
        made: _core.Backend | None
        try:
            made = _core.Backend(name, network, options)
        except Error as error:
            if choice.name != "rocm-auto" or _is_wrong_option(error) or choose.find("cpu").why_not:
                raise
            made, problems = self._without_failing_parts(name, network, options)
            notes += problems
            if made is None:
                return self._without_gpu(reason, [*notes, f"{name} failed although its check had passed: {error}"])
        return Loaded(made, file, network, [message, *notes, *_without_effect(made, _READ_HERE), f"{reason}; runs on {made.info['device']}"])

    def _without_gpu(self, reason: str, notes: list[str]) -> Loaded:
        """The CPU for good, as fast as this network lets it be."""
        file, network, message = self.network()
        name, options, more = self._prepare(CPU_AUTO, {})
        with self._one:
            made = self._cpu if name == "cpu" else _core.Backend(name, network, options)
        return Loaded(made, file, network, [message, *notes, *more, f"{reason}; runs on {made.info['device']}"])

    def _by_onnxruntime(self, reason: str) -> Loaded:
        file, network, message = self.network()
        if self.backend not in ("auto", ONNX):
            file.fail(f"holds only an ONNX model, which the back end {ONNX} runs: choose that, or a net with weights of its own")
        if self.backend == "auto":
            choose.choose(ONNX)  # raises Error where it cannot run
            reason = f"back end {ONNX}, chosen by auto: the file holds only an ONNX model"
        from lc0rocm import onnx_backend
        made = onnx_backend.make(file, self.heads, self.options)
        return Loaded(made, file, network, [message, *_without_effect(made, _READ_HERE), f"{reason}; runs on {made.info['device']}"])

    def _prepare(self, name: str, options: dict) -> tuple[str, dict, list[str]]:
        """Makes what is named, also what another back end combines, into what this machine runs."""
        if name in gpu.NAMES:
            from lc0rocm.gpu import auto
            file = self.network()[0]
            return auto.prepare(name, options, str(file.path), self.heads, file.attention_body, self.tell, self.stop)
        if name in cpu.NAMES:
            file, network, _ = self.network()
            assert network
            return cpu.prepare(name, options, file, network)
        notes: list[str] = []
        for key, part in options.items():
            if isinstance(part, dict):
                child, child_options, more = self._prepare(part.get("backend", key), part)
                options = options | {key: child_options | {"backend": child}}
                notes += more
        return name, options, notes

    @staticmethod
    def _without_failing_parts(name: str, network: _core.Network, options: dict) -> tuple[_core.Backend | None, list[str]]:
        """Of several GPUs those that can be loaded, and a line for each of the others."""
        good, notes = {}, []
        for key, part in options.items():
            if not isinstance(part, dict):
                continue
            try:
                _core.Backend(part["backend"], network, part)
                good[key] = part
            except Error as error:
                notes.append(f"{part['backend']} on GPU {part['gpu']} failed although its check had passed: {error}")
        return (_core.Backend(name, network, good) if good else None), notes


_READ_HERE = {"policy_head", "value_head", "probe", "tune"}  # the other options are for the core


def _without_effect(backend: _core.Backend, read_here: set[str]) -> list[str]:
    return [f"back-end option {key} has no effect: {backend.name} does not know it" for key in backend.unasked_options
            if key.rpartition(".")[2] not in read_here]


def _is_wrong_option(error: Error) -> bool:
    return str(error).startswith("back-end option ")


def _lacks_memory(why: object) -> bool:
    return "hipErrorOutOfMemory" in str(why)


def _free_memory() -> list[int]:
    """Bytes of each GPU."""
    from lc0rocm.gpu import rocm
    loaded = rocm.load()
    return [loaded.module.free_memory(device.index) for device in loaded.devices]


def _needs_network(name: str, options: dict) -> bool:
    """Whether a back end, or one that it combines, evaluates a network."""
    parts = {key: part for key, part in options.items() if isinstance(part, dict)}
    return any(_needs_network(part.get("backend", key), part) for key, part in parts.items()) or (
        name in backend_names()[1:] and choose.find(name).needs_network)


def _names_gpu(name: str, options: dict) -> bool:
    """Whether a GPU is asked for, or may be found."""
    return name in ("auto", *gpu.NAMES) or any(_names_gpu(part.get("backend", key), part)
                                               for key, part in options.items() if isinstance(part, dict))


# while a game waits ---------------------------------------------------------------------------------------------------

_GPU_ALONE_S = 3.0  # one that is ready by then, without being measured first, needs no stand-in
_MORE = 1.25  # times as much free memory is worth another loading of all


class Loading:
    """A back end to use now, and perhaps a better one later: while a GPU is loaded, checked and measured in a thread, the CPU plays.

    say: takes lines for the user, also from that thread; better: is called there when use() gives another back end than before."""

    def __init__(self, weights: str, backend: str, options: str, say: Callable[[str], None], better: Callable[[], None] = lambda: None):
        self._say, self._better, self._stop = say, better, threading.Event()
        self._tell_progress = report.as_lines(self._tell)
        self._request = _Request(weights, backend, options, False, self._hear, self._stop, self._tell_progress)
        self._changed = threading.Condition()  # of the following
        self._measures = False  # something that takes long
        self._final: Loaded | None = None
        self._stand_in: Loaded | None = None
        self._error: Error | None = None
        self._free: list[int] = []  # bytes of each GPU, where one could not be loaded for want of them
        threads.begin(threading.Thread(target=self._load, daemon=True))
        if _names_gpu(backend, self._request.options):
            with contextlib.suppress(Error):  # then there is none
                threads.begin(threading.Thread(target=self._load_stand_in, daemon=True))

    def use(self, patience_s: float | None = None) -> Loaded | None:
        """What was asked for, or the CPU until that is ready. Waits for one of them, so long at most; None: not yet. Where a GPU that was
        asked for has failed it is the CPU for good: a lost game is worse. Raises Error where that is no way out."""
        with self._changed:
            self._changed.wait_for(lambda: self._final or self._stand_in or self._error, patience_s)
            if self._error and not self._stand_in:
                raise self._error
            return self._final or self._stand_in

    @property
    def failed(self) -> bool:
        """What was asked for cannot be had; another Loading would try again."""
        return self._error is not None

    @property
    def lacked_memory(self) -> bool:
        """No GPU plays for want of its memory, which may be there by another time; or one of several does not, and more is free by now."""
        with self._changed:
            told = [self._error] if self._error else self._final.messages if self._final else []
            if not any(map(_lacks_memory, told)):
                return False
            on_gpu = self._final and not self._final.backend.info["cpu"]
        return not on_gpu or any(now > _MORE * then for now, then in zip(_free_memory(), self._free))

    def close(self) -> None:
        """Ends what goes on in the background and lets go of what was loaded; what was measured is kept."""
        with self._changed:
            self._stop.set()
            self._final = self._stand_in = None

    def _hear(self, progress: Progress) -> None:
        with self._changed:
            self._measures = True
            self._changed.notify_all()
        self._tell_progress(progress)

    def _tell(self, line: str) -> None:
        if not self._stop.is_set():
            self._say(line)

    def _load(self) -> None:
        loaded, failure = None, None
        try:
            loaded = self._request.load()
            if any(map(_lacks_memory, loaded.messages)):
                self._free = _free_memory()
        except Error as error:
            failure = error
        except Exception as error:  # Stopped, or a mistake of ours
            failure = Error(f"internal error: {type(error).__name__}: {error}")
        instead = self._instead_of_gpu(failure) if failure else None
        with self._changed:
            if self._stop.is_set():  # whoever waits hears that
                loaded, failure, instead = None, Error("what was being loaded is not wanted any more"), None
            self._final, self._error = loaded, failure
            stand_in = self._stand_in
            self._stand_in = self._stand_in or instead
            self._changed.notify_all()
        if stand_in and failure:
            self._tell(f"error: {failure}; the CPU goes on")
        elif stand_in and loaded:
            self._tell("no GPU can be used; the CPU goes on" if loaded.backend.info["cpu"] else  # rocm-auto's choice
                       "the GPU is ready; it takes over at the next go, and in an infinite search at once")
            if loaded.backend is not stand_in.backend:
                self._better()

    def _instead_of_gpu(self, failure: Error) -> Loaded | None:
        if not _names_gpu(self._request.backend, self._request.options):
            return None
        until = "until Backend or BackendOptions change" + (", or a new game begins" if _lacks_memory(failure) else "")
        try:
            return self._request.on_cpu(f"error: {failure}; the CPU plays instead, {until}")
        except Error:  # the network is no good, which is what `failure` says; or there is no back end cpu
            return None

    def _load_stand_in(self) -> None:
        with contextlib.suppress(Error):  # which _load says
            self._request.network()  # may have to be fetched: the GPU's time begins then
        with self._changed:
            self._changed.wait_for(lambda: self._final or self._error or self._measures, _GPU_ALONE_S)
            if self._final or self._error or self._request.chose_cpu:
                return
        try:
            loaded = self._request.on_cpu("the CPU plays until the GPU is ready")
        except Error:  # the network is no good, which _load says; or there is no back end cpu
            return
        with self._changed:
            if not self._final and not self._error and not self._stop.is_set():
                self._stand_in = loaded
            self._changed.notify_all()
