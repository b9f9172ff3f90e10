"""UCI over TCP. A client's first line is `token TOKEN` where a token is wanted; from then on it is the engine."""
from __future__ import annotations

import contextlib
import hmac
import ipaddress
import os
import secrets
import select
import socket
import socketserver
import stat
import sys
import threading
import time

from lc0rocm import report
from lc0rocm._core import Error
from lc0rocm.engine.stream import Input, Output
from lc0rocm.engine.uci import converse, ending
from lc0rocm.serving.session import Limits, Session, Shared

TOKEN = "LC0ROCM_TOKEN"  # the variable that may hold it
_GREETING_S = 10.0  # for the first line
_GREETING_BYTES = 1024
_SLOW_S = 30.0  # that a reader may keep the engine waiting
_REST_S = 0.001  # after a client's line, at least
_LINE = 1 << 16  # bytes; a game of 500 moves has 5 KB


def token_of(path: str, make: bool = False) -> str:
    """What the variable or the file holds; "" without either. make: a file that is not there, with a new token. Raises Error."""
    if not path:
        return os.environ.get(TOKEN, "")
    try:
        if make:
            with contextlib.suppress(FileExistsError), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        with open(path, encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Error(f"{path}: others can read the token: chmod 600 {path}")
            token = file.read(_GREETING_BYTES).strip()
    except (OSError, ValueError) as error:
        raise Error(f"{path}: no token can be had from it: {getattr(error, 'strerror', None) or error}") from None
    if len(token) < 16 or token.split() != [token]:
        raise Error(f"{path}: a token is one word of at least 16 letters; remove the file, and serve makes one")
    return token


class Server(socketserver.ThreadingTCPServer):
    """clients: that are served at once. Raises Error where it cannot listen, and where it would let strangers in."""
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], token: str, clients: int, shared: Shared, limits: Limits, defaults: dict):
        self.token, self.shared, self.limits, self.defaults, self.clients = token, shared, limits, defaults, clients
        self.places, self.doors = threading.Semaphore(clients), threading.Semaphore(clients + 16)  # served, and those who have not said who they are
        try:
            family, _, _, _, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
            if not token and not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
                raise Error(f"{address[0]} can be reached from other machines: give --token-file, or serve on 127.0.0.1")
            self.address_family = family
            super().__init__(where, Client)  # type: ignore[arg-type]
        except (OSError, UnicodeError) as error:  # UnicodeError: no name of a machine
            raise Error(f"cannot listen on {address[0]}, port {address[1]}: {getattr(error, 'strerror', None) or error}") from None

    def verify_request(self, request, client_address) -> bool:
        return self.doors.acquire(blocking=False)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # which are the client's
            super().handle_error(request, client_address)


class Client(socketserver.BaseRequestHandler):
    """In a thread of its own."""
    server: Server

    def handle(self) -> None:
        connection = self.request
        name = f"{self.client_address[0]}, port {self.client_address[1]}"
        try:
            rest = self._greeted(connection)
        finally:
            self.server.doors.release()
        if rest is None:
            report.say(f"{name}: turned away")
            return
        if not self.server.places.acquire(blocking=False):
            connection.sendall(f"info string error: {self.server.clients} clients are served already; try later\n".encode())
            return
        try:
            report.say(f"{name}: served")
            connection.setblocking(False)
            session = Session(self.server.shared, self.server.limits, self.server.defaults, Output(connection.fileno(), _SLOW_S))
            commands = Input(connection.fileno(), rest, _LINE, _REST_S)
            ending(commands, session)
            try:
                converse(commands, session)
            finally:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                commands.close()
            del session.player  # its tree and cache
        finally:
            self.server.places.release()
            report.say(f"{name}: gone")

    def _greeted(self, connection: socket.socket) -> bytes | None:
        """What follows the first line, or all that came where none is wanted; None for a stranger."""
        data, end = b"", time.monotonic() + (_GREETING_S if self.server.token else 1e6)
        while b"\n" not in data and len(data) < _GREETING_BYTES:
            connection.settimeout(max(0.01, end - time.monotonic()))
            part = connection.recv(_GREETING_BYTES - len(data))
            if not part or time.monotonic() >= end:
                return None
            data += part
        line, _, rest = data.partition(b"\n")
        if b" HTTP/" in line:  # a page in a browser on this machine, which may want to be a client
            return None
        if not self.server.token:
            return data
        word, _, token = line.strip().partition(b" ")
        if hmac.compare_digest(token.strip(), self.server.token.encode()) and word == b"token":
            return rest
        time.sleep(1)  # for each guess
        connection.sendall(b"info string error: the first line has to be: token TOKEN\n")
        return None


def connect(address: tuple[str, int], token: str) -> int:
    """Standard input and output to a server and back, for a GUI that starts a program. Raises Error."""
    try:
        connection = socket.create_connection(address, timeout=_GREETING_S)
        connection.settimeout(None)
        if token:
            connection.sendall(f"token {token}\n".encode())
        ends = [0, connection.fileno()]
        while True:
            for ready in select.select(ends, [], [])[0]:
                data = os.read(ready, 1 << 16)
                if ready == 0 and data:
                    connection.sendall(data)
                elif ready == 0:
                    ends.remove(0)
                    connection.shutdown(socket.SHUT_WR)
                elif data:
                    os.write(1, data)
                else:
                    return 0
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a machine
        raise Error(f"{address[0]}, port {address[1]}: {getattr(error, 'strerror', None) or error}") from None
