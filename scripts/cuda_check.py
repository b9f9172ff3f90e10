#!/usr/bin/env python3
"""Builds the ROCm back end over CUDA and checks and measures it on the NVIDIA GPU of this machine.

    scripts/cuda_check.py --out results
    scripts/cuda_check.py --out results --rocm emulated --tiny    # the same steps without a GPU

Stages, in the order in which they run; a failing one does not stop the others, and each has its own time limit:
  build      meson, with -Drocm=cuda, into build/check-cuda
  kernels    tests/kernels on the GPU
  golden     every net of DATA/nets against DATA/golden, fp32 and fp16
  play       bench, tune and bench again with rocm-auto from the command line, on a tower and an attention net
  bench      positions a second of five kinds of nets by batch size, fp16 and fp32, after measuring which kernels to use
  soak       8 threads with batches of random sizes for a minute, every answer compared
  memcheck   compute-sanitizer on a small net of either body, and racecheck likewise

Needs Python packages meson, ninja, numpy, protobuf, pybind11, pytest, and oneDNN's two wheels for the CPU back end (left out
where they are missing). Writes OUT/report.md, OUT/results.json and OUT/log.txt. Exit code 1 if a stage failed.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIMITS_S = {"build": 240, "kernels": 120, "golden": 100, "play": 120, "bench": 360, "soak": 150, "memcheck": 90, "racecheck": 90}
KINDS = ("rocm-fp16", "rocm")
BATCHES = (1, 8, 16, 32, 64, 128, 256, 512)
SMOLGEN = (32, 256, 256)
BENCH_NETS = {  # arguments of make_net; a name alone is a file of DATA/nets
    "768x15": dict(embedding=768, encoders=15, heads=24, dff=1024, smolgen=SMOLGEN),
    "1024x15": dict(embedding=1024, encoders=15, heads=32, dff=1536, smolgen=SMOLGEN, pe="dense", preprocessing=512),
    "256x10": dict(embedding=256, encoders=10, heads=8, dff=1024, smolgen=SMOLGEN),
    "SE 256x20": dict(body="tower", filters=256, blocks=20, se_ratio=8, policy="convolution"),
    "maia-1900": None}
TINY = {"attention": dict(embedding=32, encoders=1, heads=2, dff=48, smolgen=(4, 16, 16)),
        "tower": dict(body="tower", filters=32, blocks=1, se_ratio=8, policy="convolution")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "tests/reference", help="folder with nets/ and golden/")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for what was found")
    parser.add_argument("--stages", default=",".join(LIMITS_S), help="some of them, with commas between")
    parser.add_argument("--rocm", choices=("cuda", "emulated", "amd"), default="cuda", help="what to build")
    parser.add_argument("--tiny", action="store_true", help="small nets, small batches, a second of soaking")
    parser.add_argument("--commit", help="what the report calls this tree, where git does not say")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data, options.out = options.data.resolve(), options.out.resolve()
    options.folder = ROOT / "build" / f"check-{options.rocm}"
    if options.child:
        print("\nresult", json.dumps(globals()[options.child[0]](options, *options.child[1:])), flush=True)
        os._exit(0)
    if unknown := set(options.stages.split(",")) - set(LIMITS_S):
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(LIMITS_S)}")
    options.out.mkdir(parents=True, exist_ok=True)
    sys.exit(Run(options).all())


class Run:
    """The stages, one after the other, each as a process of its own with a time limit."""

    def __init__(self, options):
        self.options = options
        self.log = open(options.out / "log.txt", "w")
        self.results, self.texts = {}, [self.headline()]
        folders = [str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = os.environ | {"PATH": os.pathsep.join(folders), "XDG_CACHE_HOME": str(options.folder / "cache")}
        self.deadline = 0.0

    def headline(self):
        commit = self.options.commit or subprocess.run(f"git -C '{ROOT}' describe --always --dirty", shell=True, capture_output=True,
                                                       text=True).stdout.strip()
        gpu = subprocess.run("nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || true", shell=True, capture_output=True,
                             text=True).stdout.strip()
        return f"# {time.strftime('%Y-%m-%d')}, commit {commit or 'unknown'}, {gpu or 'no NVIDIA GPU'}, -Drocm={self.options.rocm}\n"

    def all(self):
        good = True
        for stage in LIMITS_S:
            if stage not in self.options.stages.split(","):
                continue
            start = time.monotonic()
            self.deadline = start + LIMITS_S[stage]
            print(f"{stage}: at most {LIMITS_S[stage]} s", flush=True)
            try:
                text = getattr(self, stage)()
                state = "passed"
            except Failure as failure:
                text, state, good = str(failure), "FAILED", False
            self.texts.append(f"## {stage}: {state} after {time.monotonic() - start:.0f} s\n\n{text}\n")
            print(self.texts[-1], flush=True)
            (self.options.out / "report.md").write_text("\n".join(self.texts))
            (self.options.out / "results.json").write_text(json.dumps(self.results, indent=1))
        return 0 if good else 1

    def run(self, command, most_s=1e9, environment=()):
        """Output of a command that ends well in time; else Failure. It goes into the log, too."""
        limit = max(1.0, min(self.deadline - time.monotonic(), most_s))
        process = subprocess.Popen([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=self.environment | dict(environment), start_new_session=True)
        try:
            out, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            out += f"\nkilled after {limit:.0f} s"
            process.returncode = -9
        self.log.write(f"$ {' '.join(map(str, command))}\n{out}\n")
        self.log.flush()
        if process.returncode != 0:
            raise Failure(f"`{' '.join(map(str, command))[:200]}` ended with {process.returncode}:\n```\n{out[-3000:].strip()}\n```")
        return out

    def child(self, *arguments, most_s=1e9, before=()):
        """A function of this file in a process that sees the built package."""
        tiny = ["--tiny"] if self.options.tiny else []
        command = [*before, sys.executable, "-P", __file__, "--data", self.options.data, "--out", self.options.out, "--rocm",
                   self.options.rocm, *tiny, "--child", *arguments]
        out = self.run(command, most_s, self.installed())
        lines = [line for line in out.splitlines() if line.startswith("result ")]
        if not lines:
            raise Failure(f"no result of {arguments}: {out[-1000:]}")
        return json.loads(lines[-1].removeprefix("result "))

    def installed(self):
        """What makes Python see the built package."""
        paths = [str(self.options.folder / "package"), *filter(None, [os.environ.get("PYTHONPATH")])]
        libraries = [*filter(None, [onednn_folder(), os.environ.get("LD_LIBRARY_PATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), "LD_LIBRARY_PATH": os.pathsep.join(libraries)}

    def build(self):
        folder, package = self.options.folder, self.options.folder / "package"
        settings = [f"-Drocm={self.options.rocm}", "-Dtests=true", "--buildtype=release", f"--prefix={folder}/prefix",
                    f"-Dpython.platlibdir={package}", f"-Dpython.purelibdir={package}"]
        if not onednn_folder():
            settings.append("-Dbackends=random,trivial,check,combine")
        meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
        self.run([*meson, "setup", *(["--reconfigure"] if (folder / "build.ninja").exists() else []), folder, *settings])
        self.run([*meson, "compile", "-C", folder])
        self.run([*meson, "install", "-C", folder, "--quiet"])
        facts = self.results["build"] = self.child("describe", most_s=60)
        return "\n".join(f"- {fact}" for fact in facts)

    def kernels(self):
        platforms = "emulated32 emulated64" if self.options.rocm == "emulated" else self.options.rocm
        out = self.run([sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels"],
                       environment=self.installed() | {"KERNEL_PLATFORMS": platforms})
        return out.strip().splitlines()[-1]

    def golden(self):
        rows = [row for kind in KINDS for row in self.child("golden", kind)]
        bad = [f"{row[0]} {row[1]}" for row in rows if row[-1] != "yes"]
        self.results["golden"] = rows
        text = table(["net", "kind", "positions", "logits, % of bar", "q error", "d error", "m error, %", "within"], rows)
        if bad:
            raise Failure(f"outside the bars: {', '.join(bad)}\n\n{text}")
        return text

    def play(self):
        if not onednn_folder():
            return "not done: rocm-auto compares with the back end cpu, which needs oneDNN's two wheels"
        texts = []
        for net in ("maia-1900", *(() if self.options.tiny else ("ab-pemap-128x3",))):
            for words in (("bench", "--num-positions=2"), ("tune", "--max-batch-size=8"), ("bench", "--num-positions=2")):
                out = self.run([sys.executable, "-P", "-m", "lc0rocm", *words, "--backend=rocm-auto",
                                f"--weights={self.options.data / 'nets' / net}.pb.gz"], environment=self.installed())
                texts += [f"{net} {words[0]}: {line}" for line in out.splitlines()
                          if re.match("Nodes/second|.*(takes|kept|not used)", line)]
        return "\n".join(texts)

    def bench(self):
        rows, failures = [], []
        nets = list(TINY) if self.options.tiny else list(BENCH_NETS)
        for kind in KINDS:
            for net in nets:
                try:
                    rows.append([net, kind, *self.child("bench", net, kind, most_s=75)])
                except Failure as failure:
                    failures.append(f"{net} {kind}: {failure}")
        self.results["bench"] = {"batches": list(batches(self.options)), "rows": rows}
        text = "Positions a second by batch size, medians, one thread:\n\n" + table(["net", "kind", *batches(self.options)], rows)
        if failures:
            raise Failure("\n".join([text, *failures]))
        return text

    def soak(self):
        self.results["soak"] = found = [self.child("soak", kind) for kind in KINDS]
        return "\n".join(found)

    def memcheck(self):
        return "\n".join(self.sanitize("memcheck", kind, "--error-exitcode", "99") for kind in KINDS)

    def racecheck(self):
        """Of our kernels: it does not understand how cuBLAS's newest (nvjet) wait for their asynchronous copies."""
        texts = []
        for kind in KINDS:
            log = self.options.out / f"racecheck-{kind}.txt"
            texts.append(self.sanitize("racecheck", kind, "--log-file", log))
            places = [] if self.options.rocm == "emulated" else re.findall(r"(?:Read|Write) access at (.+)\+0x", log.read_text())
            if ours := sorted({place for place in places if "rocm::" in place}):
                raise Failure(f"{kind}: races in {', '.join(ours)}; see {log}")
            if places:
                texts.append(f"hazards in the libraries alone: {', '.join(sorted(set(places)))}")
        return "\n".join(texts)

    def sanitize(self, tool, kind, *settings):
        before = [] if self.options.rocm == "emulated" else ["compute-sanitizer", "--tool", tool, *settings]
        return self.child("small", kind, before=before)


class Failure(Exception):
    pass


def table(columns, rows):
    cells = [[f"{cell:,.4g}" if isinstance(cell, float) and cell < 1e4 else f"{cell:,.0f}" if isinstance(cell, float) else str(cell)
              for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(map(str, columns)), ["---"] * len(columns), *cells])


def onednn_folder():
    """Where oneDNN's library lies, or "" unless both of its wheels are installed."""
    try:
        importlib.metadata.distribution("onednn-devel-cpu-gomp")
        files = importlib.metadata.files("onednn-cpu-gomp") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    return next((str(file.locate().resolve().parent) for file in files if file.name == "libdnnl.so"), "")


def batches(options):
    return (1, 2) if options.tiny else BATCHES


# what runs with the package --------------------------------------------------------------------------------------------

def describe(options):
    from lc0rocm.gpu import rocm
    loaded = rocm.load()
    if loaded.why_not:
        raise SystemExit(loaded.why_not)
    return [*map(str, loaded.devices), f"Python {sys.version.split()[0]}, identity {loaded.identity}"]


def make(options, name):
    """The file of a net to measure."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import make_net
    if not (shape := (TINY if options.tiny else BENCH_NETS)[name]):
        return options.data / "nets" / f"{name}.pb.gz"
    path = pathlib.Path(tempfile.gettempdir()) / f"lc0rocm-{name.replace(' ', '-')}.pb"
    if not path.exists():
        make_net.write_net(make_net.make_net(**shape), path)
    return path


def open_backend(kind, path, sizes, measure_s, **parameters):
    """A back end that has met batches of these sizes, measuring which kernels to use for so long at most (never in the emulation)."""
    import numpy as np

    from lc0rocm import _core
    from lc0rocm.gpu import rocm
    from lc0rocm.netfile import net
    network = net.load(path).core()
    rocm.module()
    if not rocm.load().devices[0].emulated:
        parameters["measure"] = measure_s
    backend = _core.Backend(kind, network, rocm.told({"warm_up": False} | parameters, []))
    planes = _core.Game().planes(backend.info["input_format"])
    for size in sizes:
        backend.time_batches(*(np.resize(part, (size, len(part))) for part in planes), 1, range(32))
    rocm.keep_plans(backend.plans)
    return backend


def golden_data(options, name):
    import numpy as np
    with np.load(options.data / "golden" / f"{name}.npz") as data:
        keep = slice(2 if options.tiny else None)
        return [data["plane_mask"][keep], data["plane_value"][keep]], [data[key][keep] for key in ("policy_logits", "q", "d", "m")]


def errors(kind, got, wanted):
    """Largest errors: logits as a share of what is allowed (2e-3, or 3% of their range in halves), q, d, and m relatively."""
    import numpy as np
    if not all(np.isfinite(x).all() for x in got):
        return [float("inf")] * 4
    allowed = 0.03 * np.ptp(wanted[0], axis=1, keepdims=True) if kind == "rocm-fp16" else 2e-3
    return [float((np.abs(got[0] - wanted[0]) / allowed).max()), *(float(np.abs(got[i] - wanted[i]).max()) for i in (1, 2)),
            float((np.abs(got[3] - wanted[3]) / np.maximum(np.abs(wanted[3]), 1)).max())]


def golden(options, kind):
    rows = []
    for path in sorted((options.data / "golden").glob("*.npz")):
        planes, wanted = golden_data(options, path.stem)
        size = len(planes[0])
        backend = open_backend(kind, options.data / "nets" / f"{path.stem}.pb.gz", [size], 3, max_batch=size, streams=1)
        for _ in range(3):  # a plain run, the capture of a graph, the graph
            share, q, d, m = errors(kind, backend.evaluate(*planes), wanted)
        good = share <= 1 and max(q, d) <= (0.01 if kind == "rocm-fp16" else 1e-3) and m <= 0.01
        rows.append([path.stem, kind, size, 100 * share, q, d, 100 * m, "yes" if good else "NO"])
    return rows


def bench(options, name, kind):
    import statistics

    import numpy as np

    from lc0rocm import _core
    game = _core.Game()
    backend = open_backend(kind, make(options, name), batches(options), 26, max_batch=max(batches(options)), streams=1)
    moves = game.policy_indices(backend.info["input_format"])
    planes = game.planes(backend.info["input_format"])
    speeds = []
    for size in batches(options):
        batch = [np.resize(part, (size, len(part))) for part in planes]
        once = backend.time_batches(*batch, 3, moves)  # a plain run, the capture of a graph, the graph
        count = 3 if options.tiny else max(10, min(300, int(0.4 / (once[2] - once[1]))))
        ends = backend.time_batches(*batch, count, moves)
        speeds.append(size / statistics.median(after - before for before, after in zip(ends, ends[1:])))
    return speeds


def soak(options, kind):
    import threading

    import numpy as np
    seconds, most, threads = (1, 3, 2) if options.tiny else (60, 256, 8)
    name = "ab-pemap-64x2" if options.tiny else "ab-pemap-128x3"
    planes, wanted = golden_data(options, name)
    backend = open_backend(kind, options.data / "nets" / f"{name}.pb.gz", (1, most), 5, max_batch=most, streams=threads)
    end, counts, failures = time.monotonic() + seconds, [0] * threads, []

    def work(thread):
        dice = np.random.default_rng(thread)
        try:
            while time.monotonic() < end and not failures:
                chosen = dice.integers(0, len(planes[0]), dice.integers(1, most + 1))
                share, q, d, _ = errors(kind, backend.evaluate(*(part[chosen] for part in planes)), [part[chosen] for part in wanted])
                if share > 1 or max(q, d) > 0.01:
                    failures.append(f"batch {counts[thread]} of thread {thread}, {len(chosen)} positions: "
                                    f"logits at {100 * share:.0f}%, q {q:.3g}")
                counts[thread] += 1
        except Exception as error:
            failures.append(f"thread {thread}: {error}")

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise SystemExit("; ".join(failures))
    return f"{kind}: {sum(counts):,} batches of 1 to {most} on {threads} threads in {seconds} s, all right"


def small(options, kind):
    """Both bodies at a few sizes, plainly and as graphs: what a memory checker is to watch."""
    import numpy as np

    from lc0rocm import _core
    options.tiny = True
    done = 0
    for name in TINY:
        backend = open_backend(kind, make(options, name), [], 1, max_batch=17, streams=1)
        planes = _core.Game().planes(backend.info["input_format"])
        for size in (1, 3, 17):
            for _ in range(3):
                if not all(np.isfinite(x).all() for x in backend.evaluate(*(np.resize(part, (size, len(part))) for part in planes))):
                    raise SystemExit(f"{name}: not all numbers are finite")
                done += 1
    return f"{kind}: {done} batches, nothing found"


if __name__ == "__main__":
    main()
