"""bench, benchmark: speed of the whole search, and what would make it faster. backendbench: speed of the back end alone, by batch size.

The formats are Lc0's, so that its numbers and ours lie side by side; what we measure beyond them follows after."""
import math
import os
import statistics
import sys
import threading
import time

import numpy as np

from lc0rocm import _core, contempt, loading, plot, report, results, suggest
from lc0rocm._core import Error
from lc0rocm.engine import scores
from lc0rocm.options import Settings, core_parameters
from lc0rocm.positions import POSITIONS, split
from lc0rocm.threads import begin


def bench(settings: Settings) -> int:
    """Searches positions one after the other; every one gets a new tree, the evaluation cache is kept."""
    json = settings["json"]
    positions = [settings["fen"]] if settings["fen"] else list(POSITIONS[:settings["num-positions"]])
    for text in positions:
        if not _core.Game(*split(text)).legal_moves():
            raise Error(f"nothing to search: '{text[:100]}' is checkmate or stalemate")
    loaded = loading.load_for(settings, unplayable=True)
    if not json:
        print("\n".join(loaded.messages))
    search = _core.Search()
    search.set_backend(loaded.backend, settings["HistoryFill"], settings["PolicyTemperature"], settings["NNCacheSize"])
    done, interrupted = [], False
    with report.progress("searching", len(positions), json or not sys.stdout.isatty()) as step:
        for number, text in enumerate(positions, 1):
            if not json:
                print(f"\nPosition: {number}/{len(positions)} {text}")
            entry, interrupted = _bench_position(search, settings, text)
            done.append(entry)
            step()
            if interrupted:
                break
    total_ms, nodes, evaluations, batches, hits, busy_ms, span_ms = (sum(entry[key] for entry in done) for key in (
        "time_ms", "nodes", "evaluations", "evaluated_batches", "cache_hits", "busy_ms", "span_ms"))
    average_batch = round(evaluations / batches, 1) if batches else 0
    nps = round(1000 * nodes / (total_ms + 1))
    cache_hits, idle = scores.ratio(hits, nodes), scores.idle(busy_ms, span_ms)
    advice = None
    if settings["suggest"] and not interrupted:
        try:
            advice = _suggest(search, settings, loaded.backend.info, positions)
        except KeyboardInterrupt:
            interrupted = True
    if json:
        report.write_json({"command": "bench", "backend": loaded.backend.name, "device": loaded.backend.info["device"],
                           "network": str(loaded.net.path) if loaded.net else None, "context": results.context(settings, loaded),
                           "interrupted": interrupted, "positions": done, "time_ms": total_ms, "nodes": nodes, "nps": nps,
                           "evaluations": evaluations, "eps": round(1000 * evaluations / (total_ms + 1)),
                           "average_batch": average_batch, "cache_hits": cache_hits, "idle": idle, "suggestion": advice and advice.json()})
    else:
        print("\n===========================" + ("\ninterrupted: the sums of what was done" if interrupted else ""))
        print(f"Total time (ms) : {total_ms}\nNodes searched  : {nodes}\nNodes/second    : {nps}")
        print(f"Evaluations     : {evaluations}\nEvaluations/s   : {round(1000 * evaluations / (total_ms + 1))}")
        print(f"Average batch   : {average_batch}")
        if cache_hits is not None and idle is not None:
            print(f"Cache hits      : {100 * cache_hits:.1f} % of the nodes\nBack end idle   : {100 * idle:.1f} % of the time")
        if advice:
            print(f"\n{advice}")
    return 130 if interrupted else 0


_SUGGEST_POSITIONS = 6
_SUGGEST_MS = 200  # at least, of a position


def _suggest(search: _core.Search, settings: Settings, info: "_core.BackendInfo", positions: list[str]) -> suggest.Advice:
    """From the defaults of play. Every position is searched anew with each setting, a tenth as long as by the benchmark."""
    some = positions[::max(1, len(positions) // _SUGGEST_POSITIONS)][:_SUGGEST_POSITIONS]
    values = settings.values | {"movetime": max(_SUGGEST_MS, settings["movetime"] // 10), "nodes": -1, "json": True}
    trial = Settings(settings.options)

    def measure(setting: suggest.Setting) -> suggest.Speeds:
        trial.values = values | {"Threads": setting.threads, "MinibatchSize": setting.minibatch}
        report.note(f"trying Threads {setting.threads}, MinibatchSize {setting.minibatch}")
        speeds = []
        for text in some:
            search.clear()  # the cache, too: it knows the positions from the last setting
            entry, interrupted = _bench_position(search, trial, text)
            if interrupted:
                raise KeyboardInterrupt
            speeds.append(1000 * entry["nodes"] / max(1, entry["time_ms"]))
        return speeds

    most = max(2, len(os.sched_getaffinity(0)))
    batches = [2**i for i in range(11) if 2**i <= info["max_batch"]]
    start = suggest.Setting(info["threads"] + (not info["cpu"]), info["best_batch"])
    return suggest.climb(measure, start, [n for n in (1, 2, 3, 4, 6, 8, 12, 16) if n <= most], batches)


def _bench_position(search: _core.Search, settings: Settings, text: str) -> tuple[dict, bool]:
    """What one search took, and whether Ctrl-C ended it."""
    fen, moves = split(text)
    game = _core.Game(fen, moves)
    sign = contempt.sign(settings["ContemptMode"], game.black_to_move, analysis=False)
    parameters = core_parameters(settings, sign) | {"SmartPruningFactor": 0.0}
    limits = {"nodes": settings["nodes"], "time_ms": settings["movetime"]}
    search.set_position(fen, moves)
    started = time.monotonic()
    search.start(parameters, {key: value for key, value in limits.items() if value >= 0} | {"elapsed_ms": 0})
    interrupted = False
    while True:
        try:
            update = search.wait(0.2)
            if update and not settings["json"]:
                print(_progress(update), flush=True)
            if update is None and not search.running:
                break
        except KeyboardInterrupt:
            interrupted = True
            search.stop()
    result, last = search.result(), search.update()
    elapsed = int((time.monotonic() - started) * 1000)
    if not settings["json"]:
        print(f"{_progress(last)}\nbestmove {result['best_move']}", flush=True)
    return {"position": text, "best_move": result["best_move"], "time_ms": elapsed, "nodes": last["playouts"],
            "evaluations": last["evaluations"], "evaluated_batches": last["evaluated_batches"],
            "cache_hits": last["cache_hits"], "busy_ms": round(last["busy_ms"], 1), "span_ms": round(last["span_ms"], 1)}, interrupted


def _progress(update: "_core.Update") -> str:
    nps = -1 if update["nps"] is None else update["nps"]
    return f"Benchmark time {update['time_ms']} ms, {update['nodes']} nodes, {nps} nps, move {update['pvs'][0]['moves'][0]}"


_HEADER = ("size, mean nps, mean ms,   sdev,     cv, max nps,  median, min nps, first max, first mean, "
           "evals/s, mean batch")


def backendbench(settings: Settings) -> int:
    """Times batches of copies of one position, size by size, on as many threads as asked for."""
    json, threads = settings["json"], settings["Threads"]
    if settings["plot"]:
        plot.require(settings["plot"])
    loaded = loading.load_for(settings, unplayable=True)
    backend, most = loaded.backend, settings["max-batch-size"]
    game = _core.Game(*split(settings["fen"] or POSITIONS[0]))
    moves = game.policy_indices(backend.info["input_format"])  # a search asks for the logits of the legal moves
    masks, values = game.planes(backend.info["input_format"])
    masks, values = np.tile(masks, (most, 1)), np.tile(values, (most, 1))
    sizes = range(settings["start-batch-size"], most + 1, settings["batch-step"])
    count = max(2, math.ceil(settings["batches"] / threads))  # a thread; its first batch counts apart
    rows, interrupted = [], False
    if not json:
        print("\n".join(loaded.messages))
    try:
        _time_threads(backend, masks, values, threads, 2, moves)  # warm-up
        with report.progress("timing", len(sizes), json or not sys.stdout.isatty()) as step:
            for size in sizes:
                ends = _time_threads(backend, masks[:size], values[:size], threads, count, moves)
                rows.append(batch_statistics(size, ends, backend.info["max_batch"]))
                if not json:
                    if (len(rows) - 1) % 32 == 0 and (len(rows) == 1 or not settings["header-only-once"]):
                        print(_HEADER)
                    print(batch_line(rows[-1]), flush=True)
                step()
    except KeyboardInterrupt:
        interrupted = True
    result = {"command": "backendbench", "backend": backend.name, "device": backend.info["device"],
              "network": str(loaded.net.path) if loaded.net else None, "context": results.context(settings, loaded), "threads": threads,
              "batches": count * threads, "interrupted": interrupted, "sizes": rows}
    if json:
        report.write_json(result)
    if settings["plot"] and rows:
        plot.draw([(backend.name, result)], settings["plot"])
    return 130 if interrupted else 0


def _time_threads(backend: _core.Backend, masks, values, threads: int, count: int, moves) -> list[list[float]]:
    """For each thread the seconds, since the start of all, at which each of its batches ended."""
    ends: list = [None] * threads
    start = time.perf_counter()

    def work(thread: int) -> None:
        offset = time.perf_counter() - start
        try:
            ends[thread] = [offset + end for end in backend.time_batches(masks, values, count, moves)]
        except Error as error:
            ends[thread] = error

    workers = [begin(threading.Thread(target=work, args=(thread,), daemon=True)) for thread in range(threads)]
    for worker in workers:
        worker.join()
    for end in ends:
        if isinstance(end, Exception):
            raise end
    return ends


def batch_statistics(size: int, ends: list[list[float]], max_batch: int) -> dict:
    """The columns of backendbench from each thread's completion times in seconds. The first batch of a thread counts
    apart; a sample is the time between two completions on a thread, divided by the number of threads."""
    threads = len(ends)
    samples = sorted((after - before) / threads for end in ends for before, after in zip(end, end[1:]))
    first = sorted(end[0] for end in ends)
    mean, sdev = statistics.fmean(samples), statistics.stdev(samples) if len(samples) > 1 else 0.0
    return {"size": size, "samples": len(samples), "mean_nps": size / mean, "mean_ms": 1000 * mean, "sdev_ms": 1000 * sdev, "cv": sdev / mean,
            "max_nps": size / samples[0], "median_nps": size / statistics.median(samples),
            "min_nps": size / samples[-1],
            "first_max_ms": 1000 * max(b - a for a, b in zip([0.0, *first], first)),
            "first_mean_ms": 1000 * first[-1] / threads,
            "evals_per_second": size * sum(map(len, ends)) / max(end[-1] for end in ends),
            "mean_batch": size / math.ceil(size / max_batch)}


def batch_line(row: dict) -> str:
    ms = row["mean_ms"]
    decimals = max(0, 3 - math.floor(math.log10(ms))) if ms > 0 else 4  # four significant digits
    return (f"{row['size']:4d},{row['mean_nps']:9.0f},{ms:8.{min(decimals, 6)}f},{row['sdev_ms']:7.4f},"
            f"{row['cv']:7.4f},{row['max_nps']:8.0f},{row['median_nps']:8.0f},{row['min_nps']:8.0f},"
            f"{row['first_max_ms']:10.4f},{row['first_mean_ms']:11.4f},{row['evals_per_second']:8.0f},"
            f"{row['mean_batch']:11.1f}")
