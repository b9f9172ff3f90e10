"""Work on a cluster of Ray: what becomes of blocks when nodes go and come, and what is said when there is no cluster."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from lc0rocm import Error
from lc0rocm._version import VERSION
from lc0rocm.analysis import spread
from lc0rocm.cluster import workers
from lc0rocm.options import ANALYSIS

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'lc0rocm[ray]'")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nodes do not have the tests

PATIENCE_S = 120
MOVES = ["e2e4", "d2d4", "c2c4", "g1f3", "a2a3"]
FLAGS = ["--backend=random", "--minibatch-size=1", "--nncache=1000"]  # with one leaf at a time runs are alike


def job(make, *arguments, backend="random", **more):
    return workers.Job(make, arguments, backend, "", **more)


def echo(loaded, ram_mb, files, *arguments):
    """A worker that tells what it was given, or ends."""
    def work(block):
        if block == "end":
            os._exit(1)
        if block == "fail":
            raise Error("this block is wrong")
        if block == "break":
            raise ValueError("a mistake")
        return block, loaded.backend.name, files, *arguments
    return work


def lines(count, nodes=20):
    queries = [{"id": i, "fen": "startpos", "moves": MOVES[i % 5], "nodes": nodes} for i in range(count)]
    texts = [json.dumps(query).encode() for query in queries]
    texts[7:7] = [b"{", b'{"id": "a", "action": "clear_cache"}', b'{"fen": "startpos"}']
    return list(enumerate(texts, 1))


def without_order(answers):
    """What is the same in every run. Of actions only one machine knows."""
    return sorted(json.dumps({key: value for key, value in answer.items() if key not in ("time", "evaluations")}, sort_keys=True)
                  for answer in answers if "action" not in answer and answer.get("field") != "action")


def test_a_node_that_is_killed_and_one_that_joins(cluster, capfd):
    """The answers are those of one machine, each once."""
    options = {**ANALYSIS, "MinibatchSize": 1, "NNCacheSize": 1000}
    asked = lines(120)
    arguments = options, 20, 4

    def blocks():
        for number in range(0, len(asked), 5):
            if number == 40:
                cluster.replace()
            yield number, asked[number:number + 5]

    found = dict(workers.run(cluster.address, job(spread.worker, *arguments, searches=5), blocks()))
    assert found.keys() == set(range(0, len(asked), 5))
    here = spread.worker(workers.loading.load_backend("", "random"), 100, {}, *arguments)(asked)
    assert without_order(answer for answers in found.values() for answer in answers) == without_order(here)
    out, err = capfd.readouterr()
    assert not out, "what Ray says is no answer"
    assert all(line.startswith("lc0rocm: ") for line in err.splitlines())


def test_the_command_gives_the_answers_of_one_machine(cluster):
    text = b"\n".join(line for _, line in lines(40))
    command = [sys.executable, "-I", "-m", "lc0rocm", "analyse", *FLAGS]
    one, many = (subprocess.run([*command, *more], input=text, capture_output=True, timeout=PATIENCE_S) for more in ([], [f"--ray={cluster.address}"]))
    assert one.returncode == many.returncode == 0, many.stderr
    assert without_order(map(json.loads, one.stdout.splitlines())) == without_order(map(json.loads, many.stdout.splitlines()))
    said = many.stderr.splitlines()
    assert all(line.startswith(b"lc0rocm: ") for line in said) and any(b"a worker on " in line for line in said)


def test_a_net_that_only_the_driver_has(cluster, tiny_net):
    work = job(echo, backend="cpu", files={"net": str(tiny_net), "book": __file__})
    (_, (block, name, paths)), = workers.run(cluster.address, work, [(0, "block")])
    assert (block, name, paths.keys()) == ("block", "cpu", {"net", "book"}) and {str(tiny_net), __file__}.isdisjoint(paths.values())
    with pytest.raises(Error, match="cannot read /nowhere/net.pb: No such file"):
        list(workers.run(cluster.address, job(echo, files={"net": "/nowhere/net.pb"}), []))


def test_blocks_that_go_wrong(cluster):
    with pytest.raises(Error, match="^this block is wrong$"):
        list(workers.run(cluster.address, job(echo), [(0, "fail")]))
    with pytest.raises(Error, match="^internal error in a worker: .*a mistake"):
        list(workers.run(cluster.address, job(echo), [(0, "break")]))
    with pytest.raises(Error, match="block 3 has ended 3 workers"):
        list(workers.run(cluster.address, job(echo), [(3, "end")]))


def test_workers_that_cannot_begin(cluster, monkeypatch, capfd):
    monkeypatch.setattr(workers, "_PATIENCE_S", 0.5)
    with monkeypatch.context() as patch, pytest.raises(Error, match=f"no worker can begin: .* has lc0rocm {VERSION} .* install the same on all"):
        patch.setattr(workers, "VERSION", "9.9")
        list(workers.run(cluster.address, job(echo), [(0, "block")]))
    with pytest.raises(Error, match="no worker can begin: .*threads"):
        list(workers.run(cluster.address, job(echo, backend="cpu")._replace(backend_options="threads=no"), [(0, "block")]))


def test_a_gpu_that_is_not_there_yet(cluster, monkeypatch):
    """It is said what is waited for, and work begins when the node joins."""
    monkeypatch.setattr(workers, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(workers, "_needs", lambda *_: ({"num_gpus": 1, "num_cpus": 1}, "a GPU and 1 CPU"))
    told, joined = [], []

    def say(line):
        told.append(line)
        if line.startswith("waits for a place in the cluster, a GPU and 1 CPU (CPU: "):
            joined.append(cluster.join(num_gpus=1))

    monkeypatch.setattr(workers.report, "say", say)
    assert [number for number, _ in workers.run(cluster.address, job(echo), [(0, "block")])] == [0]
    cluster.lose(*joined)
    assert [line.split()[0] for line in told] == ["waits", "a"]


class Nodes:
    """What the module ray says of a cluster."""

    def __init__(self, *resources):
        self._resources = resources

    def nodes(self):
        return [{"Alive": True, "Resources": resources} for resources in self._resources]


def test_what_a_worker_needs(capsys):
    with_gpus, without, small = {"CPU": 16.0, "GPU": 2.0}, {"CPU": 8.0}, {"CPU": 4.0}
    assert workers._needs(Nodes(without, small), job(echo, backend="auto")) == ({"num_gpus": 0, "num_cpus": 4}, "4 CPU")
    assert workers._needs(Nodes(without, {}), job(echo, backend="auto", cpus=2)) == ({"num_gpus": 0, "num_cpus": 2}, "2 CPU")
    assert workers._needs(Nodes(with_gpus), job(echo, backend="rocm-fp16")) == ({"num_gpus": 1, "num_cpus": 1}, "a GPU and 1 CPU")
    assert not capsys.readouterr().err
    assert workers._needs(Nodes(with_gpus, without), job(echo, backend="auto"))[0]["num_gpus"] == 1
    assert "1 node has no GPU and will not work" in capsys.readouterr().err
    assert workers._needs(Nodes(with_gpus, without), job(echo, backend="cpu"))[0] == {"num_gpus": 0, "num_cpus": 8}


@pytest.mark.parametrize("backend,options,given", [
    ("cpu", "", "threads=3"), ("cpu-auto", "mlh=false", "mlh=false,threads=3"), ("cpu-int8", "threads=1", "threads=1"), ("rocm", "", "")])
def test_a_processor_s_back_end_takes_its_share(backend, options, given):
    assert workers._with_threads(job(echo, backend=backend, cpus=3)._replace(backend_options=options)) == given


def analyse(address):
    """The sentence that comes, and after how long."""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "analyse", "--backend=random", f"--ray={address}"], input=b"", capture_output=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 2 and not done.stdout
    line, = done.stderr.decode().splitlines()
    return line, time.monotonic() - begin


@pytest.mark.parametrize("address, sentence", [
    ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: "), ("nowhere.invalid:6379", "no Ray cluster answers at nowhere.invalid:6379: "),
    ("here", "--ray takes auto, local or HOST:PORT"), ("ray://127.0.0.1:10001", "--ray takes auto, local or HOST:PORT")])
def test_addresses_without_a_cluster(address, sentence):
    line, seconds = analyse(address)
    assert line.startswith(f"lc0rocm: {sentence}") and seconds < 60


@pytest.mark.parametrize("answer, sentence", [(b"", "no Ray cluster answers at "), (b"HTTP/1.1 400 Bad Request\r\n", "what answers at ")])
def test_others_who_listen(answer, sentence):
    """Somebody who is silent, and a web server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            line, _ = server.accept()
            with line:
                line.sendall(answer)
                line.recv(100)
                time.sleep(0 if answer else 8)
        threading.Thread(target=serve, daemon=True).start()
        line, seconds = analyse(f"127.0.0.1:{server.getsockname()[1]}")
        assert line.startswith(f"lc0rocm: {sentence}") and seconds < 60


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Error, match=r"a cluster needs Ray: pip install 'lc0rocm\[ray\]'"):
        list(workers.run("auto", job(echo), []))
