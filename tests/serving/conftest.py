"""A served engine in this process, and clients of it."""
import socket
import threading
import time

import pytest

from lc0rocm import loading
from lc0rocm.serving import tcp
from lc0rocm.serving.session import Limits, Shared

PATIENCE_S = 60


class Peer:
    """A client, byte by byte."""

    def __init__(self, server, token=""):
        self.socket = socket.create_connection(server.server_address[:2], timeout=PATIENCE_S)
        self.file = self.socket.makefile("rb")
        if token:
            self.send(f"token {token}")

    def send(self, *lines):
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def until(self, start):
        seen = []
        while not seen or not seen[-1].startswith(start):
            line = self.file.readline()
            assert line, f"closed after {seen[-5:]}"
            seen.append(line.decode().rstrip("\n"))
        return seen

    def ask(self, *lines):
        self.send(*lines)
        return self.until("bestmove")

    def rest(self):
        return self.file.read().decode().splitlines()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(scope="module")
def shared():
    return Shared(loading.load_backend("", "random", "delay=1"))


@pytest.fixture
def serve(shared):
    servers = []

    def start(token="", clients=8, ram_mb=100, seconds=60.0, threads=2):
        server = tcp.Server(("127.0.0.1", 0), token, clients, shared, Limits(ram_mb, seconds, threads), {})
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def wait_for(fact):
    end = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.01)
