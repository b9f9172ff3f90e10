"""A served engine in this process."""
import threading

import pytest

from lc0rocm import loading
from lc0rocm.serving import tcp
from lc0rocm.serving.session import Limits, Shared


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
