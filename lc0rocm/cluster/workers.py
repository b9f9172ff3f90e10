"""Workers of a Ray cluster: an actor a GPU, or a share of a node's processors, that loads a back end and then takes blocks of work.

Ray finds the places, starts the actors and notices which are lost. Here is what it leaves open. One actor more than there is room for always
waits in Ray's queue: it begins where a node joins, or where one was lost, and then the next one is queued. Ray's own restarts would keep a
block with the lost actor until there is room for it, though others idle; ray.util.ActorPool hands the next block to a dead actor."""
from __future__ import annotations

import collections
import contextlib
import importlib
import os
import pathlib
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lc0rocm import backend_options, gpu, loading, memory, report
from lc0rocm._commit import COMMIT
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.option import Settings
from lc0rocm.options import CPU_AUTO

_ANSWER_S = 5.0  # of an address
_QUIET_S = 0.05  # between looks whether there is a new block, where the next one is yet to come
_PATIENCE_S = 15.0  # without any worker, before it is said what is being waited for
_MOST_AT_ONCE = 256
_LOSSES = 3  # of workers by one block, or of such as could not begin: then it is no accident


class Job(NamedTuple):
    """What workers do. make: a function of a module that takes a Loaded, the megabytes that trees may have, the paths of files, and `arguments`;
    it gives the function that makes a result of a block. files: by what they are for, with their paths here; their contents are sent, `make`
    can read them, and the one for "net" is loaded. searches: that a block holds at once: a worker has so many blocks at a time, in threads of
    its own, that they fill its back end's batches, or at_once. All of it, blocks and results travel as pickles."""
    make: Callable[..., Callable[[Any], Any]]
    arguments: tuple[Any, ...]
    backend: str
    backend_options: str
    files: Mapping[str, str] = {}
    searches: int = 1
    at_once: int = 0
    cpus: int = 0  # processors of a worker; 0: of the smallest node, or 1 beside a GPU
    ram_mb: int = 0  # 0: the worker's share of half of its node's


def job(settings: Settings, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...], searches: int, at_once: int = 0,
        files: Mapping[str, str] = {}) -> Job:
    """For the options of a command, whose network is looked for here."""
    if net := loading.network_of(settings):
        files = {**files, "net": net}
    return Job(make, arguments, settings["Backend"], settings["BackendOptions"], files, searches, at_once, settings["worker-cpus"], settings["RamLimitMb"])


def run(address: str, work: Job, blocks: Iterable[tuple[int, Any] | None]) -> Generator[tuple[int, Any], None, None]:
    """Results as they are found, each with the number of its block. blocks: (number, block), taken when a worker is free; None: the next one
    is not known yet. Raises Error where the cluster cannot be had, no worker can begin, or a block ends its workers; and what `make`'s
    function raises."""
    with _cluster(address) as ray:
        yield from _Crew(ray, work).run(blocks)


class _Crew:
    def __init__(self, ray: Any, work: Job):
        self._ray = ray
        needs, self._place = _needs(ray, work)
        self._actor = ray.remote(Worker).options(max_concurrency=_MOST_AT_ONCE, **needs)
        contents = {use: (os.path.basename(path), _bytes(path)) for use, path in work.files.items()}
        backend = CPU_AUTO if work.backend == "auto" and not needs["num_gpus"] else work.backend  # a GPU that Ray was not told of is not shared out
        # The files once to each node, whatever its workers.
        self._arguments = ray.put(contents), work._replace(files={}, backend=backend, cpus=needs["num_cpus"])
        self._begins: dict[Any, tuple[str, Any]] = {}  # reference -> what is awaited of an actor, "place" or "load"
        self._doing: dict[Any, tuple[Any, int, Any]] = {}  # reference -> the actor, number and block
        self._free: collections.deque[Any] = collections.deque()  # an actor as often as it can take a block
        self._again: list[tuple[int, Any]] = []  # blocks whose worker was lost
        self._losses: collections.Counter[int] = collections.Counter()  # by block
        self._refused: list[Any] = []  # actors that cannot work where they are; they keep their places, lest the next one gets them
        self._stillborn = 0  # lost as they began, since one that was not
        self._why = ""  # the last of these could not begin
        self._names: dict[Any, str] = {}

    def run(self, blocks: Iterable[tuple[int, Any] | None]) -> Generator[tuple[int, Any], None, None]:
        source, more, alone_since = iter(blocks), True, time.monotonic()
        while True:
            pause = False
            while self._free and not pause and (self._again or more):
                try:
                    block = self._again.pop() if self._again else next(source)
                except StopIteration:
                    more = False
                else:
                    if block:
                        self._give(block)
                    pause = block is None
            if not (more or self._again or self._doing):
                return
            if (more or self._again) and not any(kind == "place" for kind, _ in self._begins.values()) and self._stillborn < _LOSSES:
                actor = self._actor.remote()
                self._begins[actor.place.remote(VERSION, COMMIT)] = "place", actor
            awaited = [*self._doing, *self._begins]
            if not self._doing and not self._free:
                if self._why and (not awaited or time.monotonic() > alone_since + _PATIENCE_S):
                    raise Error(f"no worker can begin: {self._why}")
                if time.monotonic() > alone_since + _PATIENCE_S and all(kind == "place" for kind, _ in self._begins.values()):
                    self._tell_what_is_missing()
                    alone_since = time.monotonic() + 9 * _PATIENCE_S
            else:
                alone_since = time.monotonic()
            for reference in self._ready(awaited, _QUIET_S if pause else 1.0):
                if reference in self._begins:
                    self._begun(reference)
                elif reference in self._doing:
                    actor, number, block = self._doing.pop(reference)
                    try:
                        result = self._get(reference)
                    except self._ray.exceptions.RayError as error:
                        self._lost(actor, number, block, error)
                        continue
                    if actor in self._names:  # it was not lost since
                        self._free.append(actor)
                    yield number, result

    def _ready(self, awaited: list[Any], seconds: float) -> list[Any]:
        if not awaited:  # all that there are wait for a block
            time.sleep(seconds)
            return []
        return self._ray.wait(awaited, num_returns=1, timeout=seconds)[0]

    def _give(self, block: tuple[int, Any]) -> None:
        actor = self._free.popleft()
        self._doing[actor.run.remote(block[1])] = actor, *block

    def _begun(self, reference: Any) -> None:
        kind, actor = self._begins.pop(reference)
        try:
            answer = self._get(reference)
        except Error as error:
            self._refused.append(actor)
            self._why = str(error)
            report.say(f"a worker cannot begin: {error}")
        except self._ray.exceptions.RayError as error:
            self._stillborn += 1
            self._why = _sentence(error)
            report.say(f"a worker was lost as it began: {self._why}")
        else:
            if kind == "place":
                self._begins[actor.load.remote(*self._arguments)] = "load", actor
            else:
                self._stillborn = 0
                self._names[actor], at_once = answer
                report.say(f"a worker on {self._names[actor]}")
                self._free.extend([actor] * at_once)

    def _lost(self, actor: Any, number: int, block: Any, error: Exception) -> None:
        self._again.append((number, block))
        self._losses[number] += 1
        if actor in self._names:  # its other blocks come here, too
            report.say(f"the worker on {self._names.pop(actor)} is lost; others do what it was doing")
            self._free = collections.deque(other for other in self._free if other != actor)
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        if self._losses[number] >= _LOSSES:
            raise Error(f"block {number} has ended {_LOSSES} workers: {_sentence(error)}")

    def _get(self, reference: Any) -> Any:
        """What has come. Raises Error for what was raised there, and RayError for what was lost."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise cause if isinstance(cause, Error) else Error(f"internal error in a worker: {_sentence(cause or error)}") from None

    def _tell_what_is_missing(self) -> None:
        there, free = self._ray.cluster_resources(), self._ray.available_resources()
        kinds = "; ".join(f"{kind}: {free.get(kind, 0):g} of {there.get(kind, 0):g} free" for kind in ("CPU", "GPU"))
        report.say(f"waits for a place in the cluster, {self._place} ({kinds})")


class Worker:
    """An actor: loads, then works. Its methods raise Error."""

    def place(self, version: str, commit: str) -> None:
        """Called at once: when it returns there was room for the actor."""
        if (version, commit) != (VERSION, COMMIT):
            raise Error(f"{socket.gethostname()} has lc0rocm {VERSION} ({COMMIT}), here is {version} ({commit}): install the same on all")

    def load(self, contents: dict[str, tuple[str, bytes]], work: Job) -> tuple[str, int]:
        """Gives node and device, and how many blocks it takes at once."""
        files = {}
        with tempfile.TemporaryDirectory(prefix="lc0rocm-") as folder:  # files are read by the time that all is made
            for use, (name, data) in contents.items():
                files[use] = os.path.join(folder, use, name)
                os.mkdir(os.path.dirname(files[use]))
                pathlib.Path(files[use]).write_bytes(data)
            loaded = loading.load_backend(files.get("net", "<built in>"), work.backend, _with_threads(work), unplayable=True)
            self._work = work.make(loaded, work.ram_mb or _share_of_memory(), files, *work.arguments)
        info = loaded.backend.info
        at_once = work.at_once or max(2, -(-info["best_batch"] // work.searches))
        return f"{socket.gethostname()}: {loaded.backend.name}, {info['device']}", min(at_once, _MOST_AT_ONCE)

    def run(self, block: Any) -> Any:
        return self._work(block)


def _share_of_memory() -> int:
    """Megabytes: of half of the node's as much as it has of the node's processors or GPUs."""
    ray = importlib.import_module("ray")
    context = ray.get_runtime_context()
    there = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    share = max(amount / there.get(kind, amount) for kind, amount in context.get_assigned_resources().items() if kind in ("CPU", "GPU") and amount)
    return int(share * memory.granted() / 2e6)


def _bytes(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror or error}") from None


def _with_threads(work: Job) -> str:
    """The CPU's back end would take every processor that it sees."""
    given = backend_options.parse(work.backend_options)
    if work.backend.partition("-")[0] == "cpu" and "threads" not in given:
        return ",".join(filter(None, [work.backend_options, f"threads={work.cpus}"]))
    return work.backend_options


def _needs(ray: Any, work: Job) -> tuple[dict[str, Any], str]:
    """Of an actor, and in words. With auto GPUs work where the cluster has any, and only those: beside them a processor would keep the last
    block for minutes, and give other numbers."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(node.get("GPU", 0) for node in nodes)
    if work.backend in gpu.NAMES or work.backend == "auto" and gpus:
        cpus = work.cpus or 1
        if idle := sum(not node.get("GPU") and bool(node.get("CPU")) for node in nodes):
            report.say(f"{idle} {'node has' if idle == 1 else 'nodes have'} no GPU and will not work; --backend=cpu works on processors alone")
        return {"num_gpus": 1, "num_cpus": cpus}, f"a GPU and {cpus} CPU"
    cpus = work.cpus or int(min((node["CPU"] for node in nodes if node.get("CPU", 0) >= 1), default=1))
    return {"num_gpus": 0, "num_cpus": cpus}, f"{cpus} CPU"


# the cluster ----------------------------------------------------------------------------------------------------------

# Read by Ray as it is imported: no lines about connections, none of what will change one day, and five attempts to reach a head, a second each.
_ENVIRONMENT = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_NUM_REDIS_GET_RETRIES": "5"}


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """The module ray, connected. What Ray writes to standard output meanwhile is dropped: results go there, and Ray's log has it."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise Error("a cluster needs Ray: pip install 'lc0rocm[ray]'") from None
    if address not in ("auto", "local"):
        _knock(address)
    terminate = signal.getsignal(signal.SIGTERM)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            with _apart():
                ray.init(address=address, log_to_driver=False, logging_level="CRITICAL", include_dashboard=False if address == "local" else None)
        except Exception as error:
            if address == "auto" and isinstance(error, ConnectionError):
                raise Error("no Ray cluster runs on this machine: `ray start --head` begins one, --ray=local is one for this command alone") from None
            raise Error(f"cannot join the Ray cluster at {address}: {_sentence(error)}") from None
        try:
            signal.signal(signal.SIGTERM, terminate)  # Ray's would print a stack and abort
            yield ray
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Not in the current folder: Ray has workers import from there first, and it may hold anything, a checkout that is not built among it. And
    without a word on standard error, where Ray writes a line for each of its attempts."""
    here, errors, nowhere = os.open(".", os.O_RDONLY), os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.chdir("/")
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(errors, 2)
        os.fchdir(here)
        for descriptor in (here, errors, nowhere):
            os.close(descriptor)


def _knock(address: str) -> None:
    """Raises Error if nobody answers there as Ray's head does: Ray itself would try for two minutes. It speaks gRPC, on HTTP/2."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise Error(f"--ray takes auto, local or HOST:PORT of a cluster's head, whose port is 6379 by default, not {address[:80]}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S) as line:
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))
            answer = line.recv(9)
    except (OSError, OverflowError) as error:
        raise Error(f"no Ray cluster answers at {address}: {getattr(error, 'strerror', None) or error}") from None
    if answer[3:4] != b"\4":  # a frame of settings, as ours
        raise Error(f"what answers at {address} is no Ray cluster; the head's port is 6379 by default")


def _sentence(error: BaseException) -> str:
    """The first line that says something: Ray's errors are pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error:" in line] or lines or [type(error).__name__]
    return " ".join(told[0].split())[:300]
