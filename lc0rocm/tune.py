"""tune: measures, for every batch size of a network on a GPU, which way of computing each product and convolution is fastest.

Nothing has to be tuned to play: the first use of a network measures what it can in some seconds and takes defaults for the rest."""
import functools
import threading
from concurrent.futures import Future

from lc0rocm import backend_options, gpu, loading, report, threads
from lc0rocm.gpu import auto, child, probe, remember, rocm
from lc0rocm.netfile import net
from lc0rocm._core import Error
from lc0rocm.options import Settings


def tune(settings: Settings) -> int:
    name = "rocm-auto" if settings["Backend"] == "auto" else settings["Backend"]
    if name not in gpu.NAMES:
        raise Error(f"only the GPU back ends are tuned, {', '.join(gpu.NAMES)}, not {name}")
    options = backend_options.parse(settings["BackendOptions"])
    with report.stages(not settings["json"]) as tell:
        path, _ = loading.find_network(settings["WeightsFile"], unplayable=True, tell=tell)
    heads = [str(options.get("policy_head", "vanilla")), str(options.get("value_head", "winner"))]
    rocm.module()
    if settings["again"]:
        for file in (rocm.PLANS, probe.VERDICTS):
            remember.write(file, "")
    before, stop = _plans(), threading.Event()
    with report.stages(not settings["json"]) as tell:
        work = functools.partial(auto.tune, name, options, path, heads, net.load(path).attention_body, settings["max-batch-size"], tell, stop)
        verdicts, interrupted = _until_interrupted(work, stop)
    plans = _plans()
    rows = [[subject.device.index, subject.title, int(size), speed, 1000 * int(size) / speed]
            for subject, verdict in verdicts for size, speed in verdict.speed.items()]
    failures = [f"{subject.title} on GPU {subject.device.index}: {verdict.why_not}" for subject, verdict in verdicts if verdict.why_not]
    if settings["json"]:
        report.write_json({"command": "tune", "network": path, "interrupted": interrupted, "plans": len(plans), "new": len(plans - before),
                           "failures": failures, "sizes": [dict(zip(("gpu", "backend", "batch", "positions_per_second", "ms"), row)) for row in rows]})
    else:
        print("\n".join([report.table(["GPU", "back end", "batch", "positions/s", "ms"], rows), *failures]))
        print(f"{len(plans)} plans are kept, {len(plans - before)} of them new" + ("; interrupted, the rest can follow" if interrupted else ""))
    return 130 if interrupted else 2 if failures and not rows else 0


def _until_interrupted(work, stop: threading.Event) -> tuple[list, bool]:
    """What `work` returns and whether Ctrl-C has ended it. It runs in a thread: the main one stays free for Ctrl-C."""
    done: Future = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threads.begin(threading.Thread(target=run, daemon=True))
    try:
        return done.result(), False
    except KeyboardInterrupt:
        stop.set()
    try:
        return done.result(), True
    except child.Stopped:
        return [], True


def _plans() -> set[str]:
    return {line.split()[0] for line in remember.read(rocm.PLANS).splitlines() if line.strip()}
