"""Nets by name, fetched from a server of this machine that does what servers and networks do."""
import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lc0rocm import cli, loading
from lc0rocm._core import Error
from lc0rocm.netfile import fetch

NET = fetch.nets()["maia-1500"]


class Server(http.server.ThreadingHTTPServer):
    """Gives `data`. cuts: after how many bytes each next answer ends; ranges: whether it can begin in the middle, or "whole" where it says so and does
    not, or "refused"; status: of all answers, but for the first ones, which have those of statuses; page: what stands before it gives that instead,
    of a length that it says or, chunked, does not."""
    daemon_threads = True

    def __init__(self, data):
        self.data, self.cuts, self.ranges, self.status, self.statuses, self.asked = data, [], True, 200, [], []
        self.page, self.says_length = b"", True
        self.goes_on = threading.Event()
        self.goes_on.set()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/mirror/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, start = self.server, int((self.headers.get("Range") or "bytes=0-")[6:-1])
        server.asked.append((self.path, start))
        server.goes_on.wait(60)
        if (status := server.statuses.pop(0) if server.statuses else server.status) != 200:
            return self.send_error(status)
        if server.page:
            self.send_response(200)
            if server.says_length:
                self.send_header("Content-Length", str(len(server.page)))
            self.end_headers()
            self.wfile.write(server.page)
            return
        if start and server.ranges == "refused":
            return self.send_error(416)
        self.send_response(206 if start and server.ranges else 200)
        start = start if server.ranges is True else 0
        self.send_header("Content-Length", str(len(server.data) - start))
        if server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(server.data)
        self.wfile.write(server.data[start:start + cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(reference, tmp_path, monkeypatch):
    server = Server((reference / "nets/maia-1500.pb.gz").read_bytes())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(fetch.MIRROR, server.address)
    monkeypatch.setattr(fetch, "_SILENCE_S", 1.0)
    monkeypatch.setattr(fetch, "_PAUSE_S", 0)
    monkeypatch.chdir(tmp_path)
    yield server
    server.goes_on.set()
    server.shutdown()
    server.server_close()


def cache(tmp_path):
    """The files in the cache but for locks."""
    return [path.name for path in (tmp_path / "cache/lc0rocm/nets").iterdir() if not path.name.endswith(".lock")]


def test_the_table():
    nets = fetch.nets()
    assert list(nets) == [f"maia-{rating}" for rating in range(1100, 2000, 100)]
    for name, net in nets.items():
        assert net.file == f"{name}.pb.gz" and len(net.sha256) == 64 and net.size > 1e6 and net.url.startswith("https://") and net.licence


def test_the_table_is_right(reference):
    for name in ("maia-1500", "maia-1900"):
        data, net = (reference / f"nets/{name}.pb.gz").read_bytes(), fetch.nets()[name]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (net.size, net.sha256)


def test_once_and_then_without_network_and_pooch(server, tmp_path, monkeypatch):
    heard = []
    loaded = loading.load_backend("maia-1500", "cpu", tell=heard.append)
    assert server.asked == [("/mirror/maia-1500.pb.gz", 0)] and loaded.net.path.read_bytes() == server.data
    assert {news.stage for news in heard} == {"fetching maia-1500 (KB)"} and heard[-1].done == heard[-1].total == NET.size // 1000
    assert "network maia-1500, " in loaded.messages[0] and cache(tmp_path) == ["maia-1500.pb.gz"]
    server.shutdown()
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert fetch.get(NET) == loaded.net.path


@pytest.mark.parametrize("cuts", [[1], [0, 70000, 0, 0, 300000, 1], [1258198]])
def test_cut_connections_go_on(server, cuts):
    server.cuts = list(cuts)
    assert fetch.get(NET).read_bytes() == server.data
    starts = [start for _, start in server.asked]
    assert starts[0] == 0 and len(starts) == len(cuts) + 1
    assert all(before + cut - 4096 < after <= before + cut for before, after, cut in zip(starts, starts[1:], cuts))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, NET.size), max_size=6), wrong=st.integers(0, NET.size - 1) | st.none(), ranges=st.booleans(),
       failures=st.lists(st.sampled_from([200, 200, 404, 500, 503]), max_size=4), begun=st.integers(0, NET.size + 10) | st.none())
def test_whatever_happens_it_is_the_net_or_one_sentence(server, tmp_path, cuts, wrong, ranges, failures, begun):
    """And what is in the cache is never taken for it: a part, which the next try goes on with, or nothing."""
    good = (pathlib.Path(__file__).parents[1] / "reference/nets/maia-1500.pb.gz").read_bytes()
    folder = tmp_path / "cache/lc0rocm/nets"
    for path in folder.glob("*") if folder.exists() else ():
        path.unlink()
    if begun is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder.parent).chmod(0o700)
        (folder / f".{NET.file}.part").write_bytes((good + b"x" * 10)[:begun])
    server.data = good if wrong is None else good[:wrong] + bytes([good[wrong] ^ 1]) + good[wrong + 1:]
    server.cuts, server.ranges, server.statuses = list(cuts), ranges, list(failures)
    for _ in range(12):
        try:
            assert fetch.get(NET).read_bytes() == good and cache(tmp_path) == [NET.file]
            return
        except Error as error:
            assert "\n" not in str(error) and not set(cache(tmp_path)) - {f".{NET.file}.part"}
        server.cuts, server.statuses, server.data = [], [], good  # the next try meets a good day
    pytest.fail("a good server is not enough")


@pytest.mark.parametrize("ranges", [False, "whole", "refused"])
def test_a_server_that_cannot_begin_in_the_middle(server, ranges):
    """Whether it gives all, says that it gives a part and gives all, or gives nothing."""
    server.cuts, server.ranges = [70000], ranges
    assert fetch.get(NET).read_bytes() == server.data


@pytest.mark.parametrize("says_length", [True, False])
def test_a_page_in_place_of_the_net(server, tmp_path, says_length):
    """As hotels have them. It is told as what it is where it says how long it is; what is here of the net stays, and once the page is gone, it comes."""
    server.cuts = [70000, *[0] * 10]
    with pytest.raises(Error):
        fetch.get(NET)
    server.page, server.says_length = b"<html>your room number?</html>", says_length
    with pytest.raises(Error, match="is not maia-1500" if says_length else "cannot be fetched"):
        fetch.get(NET)
    server.page = b""
    server.cuts.clear()
    server.asked.clear()
    assert fetch.get(NET).read_bytes() == server.data
    assert server.asked[0][1] == (70000 // 4096 * 4096 if says_length else 30) and cache(tmp_path) == ["maia-1500.pb.gz"]


def test_a_process_goes_on_where_another_was_cut(server, tmp_path):
    server.cuts = [70000, *[0] * 10]
    with pytest.raises(Error, match="cannot be fetched .* the connection was cut"):
        fetch.get(NET)
    assert cache(tmp_path) == [".maia-1500.pb.gz.part"]
    server.asked.clear()
    server.cuts.clear()
    assert fetch.get(NET).read_bytes() == server.data
    assert [start for _, start in server.asked] == [70000 // 4096 * 4096] and cache(tmp_path) == ["maia-1500.pb.gz"]


def test_a_server_that_always_cuts_is_given_up(server):
    server.cuts, server.ranges = [70000] * 100, False
    with pytest.raises(Error, match="cannot be fetched"):
        fetch.get(NET)
    assert len(server.asked) < 10


@pytest.mark.parametrize("damage", ["bit", "long", "other"])
def test_what_is_not_the_net_is_refused_and_gone(server, tmp_path, damage):
    good = server.data
    server.data = {"bit": good[:9999] + bytes([good[9999] ^ 4]) + good[10000:], "long": good + b"x", "other": b"<html>" * 300000}[damage]
    with pytest.raises(Error, match="its sha256 is another; nothing of it was kept") as failure:
        fetch.get(NET)
    assert "\n" not in str(failure.value) and not cache(tmp_path)
    server.data = good
    assert fetch.get(NET).read_bytes() == good


@pytest.mark.parametrize("damage", ["bit", "short", "empty", "folder"])
def test_a_damaged_file_in_the_cache_is_fetched_again(server, damage):
    path = fetch.get(NET)
    if damage == "bit":
        data = bytearray(server.data)
        data[123456] ^= 1
        path.write_bytes(data)
    elif damage in ("short", "empty"):
        path.write_bytes(server.data[:1000 if damage == "short" else 0])
    else:
        path.unlink()
        path.mkdir()
        with pytest.raises(Error, match="maia-1500 cannot be kept"):
            fetch.get(NET)
        return
    assert fetch.get(NET) == path and path.read_bytes() == server.data and len(server.asked) == 2
    path.write_bytes(b"")
    server.status = 503
    with pytest.raises(Error, match="cannot be fetched from .*: 503"):
        fetch.get(NET)


def test_no_network(server, monkeypatch):
    for address in ("http://127.0.0.1:9", "http://no-such-host.invalid", "/srv/nets"):
        monkeypatch.setenv(fetch.MIRROR, address)
        with pytest.raises(Error, match=f"maia-1500 cannot be fetched from {address}/maia-1500.pb.gz: ") as failure:
            fetch.get(NET)
        assert "\n" not in str(failure.value)


def test_a_server_that_says_nothing_or_no(server):
    server.goes_on.clear()
    with pytest.raises(Error, match="no answer|was cut"):
        fetch.get(NET)
    server.goes_on.set()
    server.status = 404
    server.asked.clear()
    with pytest.raises(Error, match=": 404 "):
        fetch.get(NET)
    assert len(server.asked) == 1


@pytest.mark.parametrize("home", ["/sys", "file", "open"])
def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch, home):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "open/lc0rocm").mkdir(parents=True)
    (tmp_path / "open/lc0rocm").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", home if home[0] == "/" else str(tmp_path / home))
    with pytest.raises(Error, match="maia-1500 cannot be kept: .*; let XDG_CACHE_HOME name a folder of yours, or download"):
        fetch.get(NET)
    assert not server.asked


def test_a_cache_that_cannot_be_written_serves_what_it_has(server, monkeypatch):
    path = fetch.get(NET)
    monkeypatch.setattr(fetch.files, "own_cache", lambda _: pytest.fail("written to"))
    assert fetch.get(NET) == path


def test_without_pooch_it_says_what_to_do(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(Error, match=f"pip install pooch, or download {server.address}maia-1500.pb.gz"):
        fetch.get(NET)


def test_two_processes_at_once(server, tmp_path):
    server.goes_on.clear()
    code = "from lc0rocm.netfile import fetch; print(fetch.get(fetch.nets()['maia-1500']))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) for _ in range(2)]
    while not server.asked:
        assert all(process.poll() is None for process in both)
        time.sleep(0.01)
    server.goes_on.set()
    paths = {process.communicate(timeout=60)[0].decode().strip() for process in both}
    assert len(paths) == 1 and len(server.asked) == 1 and hashlib.sha256(open(paths.pop(), "rb").read()).hexdigest() == NET.sha256


def test_a_file_of_that_name_comes_first(server, tmp_path):
    (tmp_path / "maia-1500").write_bytes(b"no net")
    with pytest.raises(Error, match="maia-1500: is no Lc0 net"):
        loading.load_backend("maia-1500", "cpu")
    assert not server.asked


def test_the_command(server, capsys):
    assert cli.main(["nets"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(fetch.nets()) and all(" no " in row for row in rows) and not server.asked
    assert cli.main(["nets", "maia-1500"]) == 0
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines() if " yes " in row] == ["maia-1500"]
    assert cli.main(["nets", "maia-15"]) == 2 and "lc0rocm nets lists them" in capsys.readouterr().err
    assert cli.main(["describe", "maia-1500"]) == 0 and len(server.asked) == 1
    assert cli.main(["describe", "maia-1550"]) == 2 and "did you mean the net maia-1500" in capsys.readouterr().err


def test_doctor_fetches_nothing(server):
    with pytest.raises(Error, match="maia-1500 is not here yet"):
        loading.find_network("maia-1500", may_fetch=False)
    assert not server.asked


def test_over_uci(server, tmp_path):
    """isready does not wait for it, and a go does; all that is said is protocol."""
    server.goes_on.clear()
    engine = subprocess.Popen([sys.executable, "-m", "lc0rocm", "--config=", "--backend=cpu"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, cwd=tmp_path, text=True, env=os.environ)
    engine.stdin.write("setoption name WeightsFile value maia-1500\nisready\ngo nodes 1\n")
    engine.stdin.flush()
    lines = []
    while "readyok" not in lines:
        lines.append(engine.stdout.readline().rstrip())
    assert "info string the network is still being loaded; a go waits for it" in lines
    server.goes_on.set()
    rest = engine.communicate("quit\n", timeout=60)[0].splitlines()
    assert any(line.startswith("info string fetching maia-1500 (KB): ") for line in rest) and rest[-1].startswith("bestmove ")
    assert all(line.startswith(("info ", "readyok", "bestmove ")) for line in lines + rest)
