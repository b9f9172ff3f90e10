"""tune: measures, for every batch size of a network on a GPU, which way of computing each product and convolution is fastest.

Nothing has to be tuned to play: loading a network measures what it can in some seconds and takes defaults for the rest."""
import threading

from lc0rocm import _core, backend_options, loading, report
from lc0rocm.gpu import auto, probe, remember, rocm
from lc0rocm._core import Error
from lc0rocm.options import Settings
from lc0rocm.positions import POSITIONS, split


def tune(settings: Settings) -> int:
    from lc0rocm.netfile import net
    name = "rocm-auto" if settings["Backend"] == "auto" else settings["Backend"]
    if name not in rocm.NAMES:
        raise Error(f"only the GPU back ends are tuned, {', '.join(rocm.NAMES)}, not {name}")
    options = backend_options.parse(settings["BackendOptions"])
    path, _ = loading.find_network(settings["WeightsFile"], unplayable=True)
    heads = [str(options.get("policy_head", "vanilla")), str(options.get("value_head", "winner"))]
    network = net.load(path).core(*heads)
    module = rocm.module()
    if settings["again"]:
        module.clear_plans()
        for file in (rocm.PLANS, probe.VERDICTS):
            remember.write(file, "")
    prepared = auto.prepare(name, options, path, heads, report.note)
    if prepared.name not in rocm.NAMES:
        raise Error("; ".join(prepared.messages))

    rows: list[dict] = []
    failures: list[Error] = []
    stop, finished = threading.Event(), threading.Event()
    steps = [step for step in module.ladder(settings["max-batch-size"]) if step <= prepared.options.get("max_batch", step)]

    def work() -> None:  # a thread of its own: the main one stays free for Ctrl-C
        try:
            with module.Measuring():
                backend = _core.Backend(prepared.name, network, prepared.options | {"warm_up": False})
                for size in steps:
                    if stop.is_set():
                        return
                    rows.append(_measure(backend, size))
                    step_done()
        except Error as error:
            failures.append(error)
        finally:
            finished.set()

    with report.progress("measuring", len(steps), not settings["json"]) as step_done:
        try:
            threading.Thread(target=work).start()
            finished.wait()  # not join(), which forgets the thread when it is interrupted
        except KeyboardInterrupt:
            stop.set()
            module.interrupt_measuring(True)
            finished.wait()
    rocm.save_plans()
    if failures:
        raise failures[0]
    plans = module.save_plans().count("\n")
    if settings["json"]:
        report.write_json({"command": "tune", "backend": prepared.name, "options": prepared.options, "network": path,
                           "interrupted": stop.is_set(), "plans": plans, "sizes": rows})
    else:
        table = report.table(["batch", "positions/s", "ms"], [list(row.values()) for row in rows])
        print("\n".join([*prepared.messages, table]))
        print(f"{plans} plans are kept{'; interrupted, the rest can follow' if stop.is_set() else ''}")
    return 130 if stop.is_set() else 0


def _measure(backend: _core.Backend, size: int) -> dict:
    import numpy as np
    masks, values = _core.Game(*split(POSITIONS[0])).planes(backend.info["input_format"])
    planes = [np.resize(part, (size, len(part))) for part in (masks, values)]
    backend.evaluate(*planes)  # measures; and the heads too
    ends = backend.time_batches(*planes, 5, probe.MOVES)
    seconds = min(after - before for before, after in zip(ends[1:], ends[2:]))  # the first two run plainly and capture
    return {"size": size, "positions_per_second": size / seconds, "ms": 1000 * seconds}
