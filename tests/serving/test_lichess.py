"""lichess's external-engine protocol, with a server of this machine in lichess's place, written from its documentation."""
import http.server
import json
import queue
import shutil
import ssl
import subprocess
import threading
import time

import chess
import pytest

from lc0rocm._core import Error
from lc0rocm.serving import lichess
from lc0rocm.serving.session import Limits

PATIENCE_S = 60
WORK = {"sessionId": "a", "threads": 1, "hash": 16, "multiPv": 2, "variant": "chess", "initialFen": chess.STARTING_FEN, "moves": ["e2e4"], "nodes": 50}


class Lichess(http.server.ThreadingHTTPServer):
    """engines: that are registered; jobs: works for the board; streams: what came for each, the last one None at its end. closes_after: lines;
    status: of all answers, instead of a good one."""
    daemon_threads = True

    def __init__(self, certificate=None):
        self.engines, self.jobs, self.streams, self.requests = {}, queue.Queue(), {}, []
        self.status, self.closes_after = [], None
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def job(self, name, **changes):
        self.streams[name] = queue.Queue()
        self.jobs.put({"id": name, "work": WORK | changes, "engine": {}})

    def stream(self, name):
        """All lines of a job."""
        return list(iter(lambda: self.streams[name].get(timeout=PATIENCE_S), None))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, status=200):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        lichess, body = self.server, None
        lichess.requests.append((self.command, self.path))
        if length := int(self.headers.get("Content-Length") or 0):
            body = json.loads(self.rfile.read(length))
        if lichess.status:
            return self.answer({"error": "no"}, lichess.status.pop(0))
        if self.path.startswith("/api/external-engine/work/"):
            return self.take(self.path.rpartition("/")[2])
        if self.path == "/api/external-engine/work":
            assert body["providerSecret"] in [engine["providerSecret"] for engine in lichess.engines.values()]
            try:
                return self.answer(lichess.jobs.get(timeout=0.2))
            except queue.Empty:
                return self.answer(None, 204)
        assert self.headers["Authorization"] == "Bearer lip_token"
        if self.command == "GET":
            return self.answer([{"id": name, "name": engine["name"]} for name, engine in lichess.engines.items()])
        assert len(body["providerSecret"]) >= 16 and 3 <= len(body["name"]) <= 200 and body["maxThreads"] >= 1 and body["maxHash"] >= 1
        name = self.path.rpartition("/")[2] if self.command == "PUT" else f"eei_{len(lichess.engines)}"
        lichess.engines[name] = body
        self.answer({"id": name} | body)

    def take(self, name):
        """A body in chunks, line by line."""
        assert self.headers["Transfer-Encoding"] == "chunked" and self.headers["Content-Type"].startswith("text/plain")
        stream, count = self.server.streams[name], 0
        while size := int(self.rfile.readline() or b"0", 16):
            stream.put(self.rfile.read(size).decode())
            self.rfile.readline()
            count += 1
            if count == self.server.closes_after:
                stream.put(None)
                self.close_connection = True
                return
        stream.put(None)
        self.answer(None)

    do_GET = do_POST = do_PUT = handle_any

    def log_message(self, *_):
        pass


@pytest.fixture(params=["http"])
def site(request, tmp_path, monkeypatch):
    certificate = tmp_path / "certificate.pem" if request.param == "https" else None
    if certificate:
        if not shutil.which("openssl"):
            pytest.skip("there is no openssl to make a certificate with")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lichess", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", certificate, "-out", tmp_path / "part.pem"], check=True, capture_output=True)
        certificate.write_bytes(certificate.read_bytes() + (tmp_path / "part.pem").read_bytes())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "part.pem"))
    server = Lichess(certificate)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def provide(site, shared, monkeypatch):
    monkeypatch.setenv(lichess.TOKEN, "lip_token")
    started = []

    def start(wait=None):
        """wait: in place of what it waits with."""
        provider = lichess.Provider(shared, Limits(100, 30, 2), {}, site.address, site.address)
        provider._stop.wait = wait or provider._stop.wait
        provider.failure = None

        def run():
            try:
                provider.run()
            except Error as error:
                provider.failure = error

        provider.thread = threading.Thread(target=run, daemon=True)
        provider.thread.start()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        provider.stop()
        provider.thread.join(PATIENCE_S)
        assert not provider.thread.is_alive()


@pytest.mark.parametrize("site", ["http", "https"], indirect=True)
def test_an_analysis(site, provide):
    provide()
    site.job("one")
    lines = site.stream("one")
    assert lines[-1].startswith("bestmove ") and all(line.endswith("\n") for line in lines)
    for line in lines[:-1]:
        words = line.split()
        assert words[0] == "info" and {"depth", "multipv", "score", "nodes", "time", "pv"} <= set(words)
        board = chess.Board()
        board.push_uci("e2e4")
        for move in words[words.index("pv") + 1:]:
            board.push_uci(move)
    assert {line.split(" multipv ")[1][0] for line in lines[:-1]} == {"1", "2"}
    assert [engine["name"] for engine in site.engines.values()] == [provide().name]  # the second start takes its place
    site.job("two", sessionId="b", initialFen="4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", moves=["e1h1"], depth=2, nodes=None)
    assert site.stream("two")[-1].startswith("bestmove e8")
    assert len(site.engines) == 1


@pytest.mark.parametrize("site", ["http", "https"], indirect=True)
@pytest.mark.parametrize("limit", [{"movetime": 100000}, {"depth": 200}, {"infinite": True}])
def test_a_board_that_goes_is_noticed(site, provide, limit):
    site.closes_after = 2
    provide()
    site.job("long", nodes=None, **limit)
    assert len(site.stream("long")) == 2
    site.closes_after = None
    site.job("next", moves=["d2d4"])
    assert site.stream("next")[-1].startswith("bestmove ")


def test_what_is_not_in_the_protocol_is_passed_over(site, provide):
    provide()
    for number, change in enumerate([{"variant": "atomic"}, {"moves": None}, {"moves": ["e2e4\ngo infinite"]}, {"initialFen": 5}, {"multiPv": "many"},
                                     {"initialFen": "8/8/8/8/8/8/8/8 w - - 0 1"}, {"moves": ["e2e5"]}]):
        site.job(f"bad{number}", **change)
    site.jobs.put(["no job"])
    site.jobs.put({"id": "x"})
    site.jobs.put({"id": "x", "work": "work"})
    site.job("good")
    assert site.stream("good")[-1].startswith("bestmove ")


def test_lichess_that_is_down_is_waited_for(site, provide, monkeypatch):
    monkeypatch.setattr(lichess, "_MOST_WAIT_S", 0.05)
    site.status = [503, 429, 500]
    provider = provide()
    site.job("one")
    assert site.stream("one") and provider.failure is None


def test_an_engine_that_was_deleted_there_is_registered_anew(site, provide, monkeypatch):
    monkeypatch.setattr(lichess, "_MOST_WAIT_S", 0.05)
    provider = provide()
    site.job("one")
    assert site.stream("one")
    site.engines.clear()
    site.status = [404]
    site.job("two")
    assert site.stream("two") and list(site.engines) == ["eei_0"] and provider.failure is None
    site.status = [403, 401]  # and where that is refused, it is said
    provider.thread.join(PATIENCE_S)
    assert "lichess refuses: 401" in str(provider.failure)


def test_a_minute_is_waited_where_lichess_asks_for_it(site, provide):
    waits = []
    site.status = [429, 503]
    provide(waits.append)
    site.job("one")
    assert site.stream("one") and waits[:2] == [60, 60]


def test_answers_that_come_at_once_are_no_reason_to_ask_more_often(site, provide):
    waits = []
    for _ in range(3):
        site.jobs.put({"id": "no work"})
    provide(waits.append)
    site.job("one")
    assert site.stream("one") and sum(wait > 0.5 for wait in waits) >= 3


def test_a_token_that_is_refused_is_said(site, provide):
    site.status = [401]
    provider = provide()
    provider.thread.join(PATIENCE_S)
    assert "lichess refuses: 401" in str(provider.failure)


def test_without_a_token_it_says_where_to_get_one(site, shared, monkeypatch):
    for token in ("", "two words", "\xe9"):
        monkeypatch.setenv(lichess.TOKEN, token)
        with pytest.raises(Error, match="engine:write: make one at"):
            lichess.Provider(shared, Limits(100, 30, 2), {}, site.address, site.address)


def test_stop_ends_an_analysis(site, provide):
    provider = provide()
    site.job("long", nodes=None)
    first = site.streams["long"].get(timeout=PATIENCE_S)
    provider.stop()
    before = time.monotonic()
    provider.thread.join(PATIENCE_S)
    assert first.startswith("info depth") and time.monotonic() - before < 20
