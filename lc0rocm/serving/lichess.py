"""lichess's external-engine protocol: the engine registers, waits for positions of the analysis board by long polling, and streams UCI's info
lines to it until the board wants no more (https://lichess.org/api#tag/External-engine)."""
from __future__ import annotations

import http.client
import json
import os
import queue
import secrets
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any

from lc0rocm import report
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.serving.session import Limits, Session, Shared

TOKEN = "LICHESS_API_TOKEN"
_POLL_S = 90.0  # longer than lichess holds a poll
_LOOK_S = 0.2  # how often it is looked whether the board still listens
_LEAST_S = 1.0  # of a poll that brought nothing: what stands before lichess may answer at once, for ever
_MOST_WAIT_S = 60.0  # between tries while lichess cannot be reached, and what it asks for with 429
_MOST_REPLY = 1 << 20


class Refused(Exception):
    """An answer that is no 2xx. status: its number."""

    def __init__(self, status: int, text: str):
        super().__init__(f"{status} {report.printable(text[:200])}".strip())
        self.status = status


class _Lines:
    """The output of a session, for this thread."""
    failure: OSError | None = None

    def __init__(self) -> None:
        self.queue: queue.Queue[str] = queue.Queue()

    def write(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.queue.put(line)


class Provider:
    """site, engine: the addresses of lichess that register, and that have the work."""

    def __init__(self, shared: Shared, limits: Limits, defaults: dict, site: str, engine: str):
        token = os.environ.get(TOKEN, "")
        if not token or not token.isascii() or token.split() != [token]:
            raise Error(f"{TOKEN} has to hold a token of lichess with engine:read and engine:write: make one at "
                        f"{site}/account/oauth/token/create?scopes[]=engine:read&scopes[]=engine:write")
        self._site, self._engine, self._limits = site, engine, limits
        self._bearer = {"Authorization": f"Bearer {token}"}
        self._secret = secrets.token_urlsafe(32)
        self._lines = _Lines()
        self._session = Session(shared, limits, defaults, self._lines)
        self._session_id: Any = None
        self._is_registered = False
        net = shared.loaded.net
        self.name = f"lc0rocm {VERSION}" + (f" {net.path.name.partition('.')[0]}"[:100] if net else "")
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Registers, and serves until stop(). Raises Error if lichess refuses that."""
        while not self._stop.is_set():
            self._again(self._work)

    def _again(self, act) -> None:
        """Until lichess can be reached."""
        wait = 1.0
        while not self._stop.is_set():
            try:
                return act()
            except Refused as refused:
                if refused.status == 429:
                    wait = _MOST_WAIT_S
                elif refused.status < 500:
                    if not self._is_registered:
                        raise Error(f"lichess refuses: {refused}") from None
                    self._is_registered = False  # it may have been deleted there
                report.say(f"lichess answers {refused}; trying again in {wait:.0f} s")
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:  # ValueError: no JSON; the others: not what it has
                report.say(f"lichess cannot be reached: {type(error).__name__}: {error}; trying again in {wait:.0f} s")
            self._stop.wait(wait)
            wait = min(2 * wait, _MOST_WAIT_S)

    def _register(self) -> None:
        about = {"name": self.name, "maxThreads": self._limits.threads, "maxHash": max(1, self._limits.ram_mb // 2), "defaultDepth": 20,
                 "variants": ["chess"], "providerSecret": self._secret}
        known = self._ask("GET", "/api/external-engine") or []
        mine = next((str(engine["id"]) for engine in known if engine["name"] == self.name), None)
        path = "/api/external-engine" + (f"/{urllib.parse.quote(mine, safe='')}" if mine else "")
        self._ask("PUT" if mine else "POST", path, about)
        self._is_registered = True
        report.say(f"registered as '{self.name}': choose it on {self._site}/analysis")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """Of the site. Raises Refused and what connections raise."""
        connection = _connect(self._site, 30.0)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._bearer | {"Content-Type": "application/json"})
            return _answer(connection)
        finally:
            connection.close()

    def _work(self) -> None:
        """One poll, and the analysis that it may ask for."""
        if not self._is_registered:
            self._register()
        begin = time.monotonic()
        connection = _connect(self._engine, _POLL_S)
        try:
            connection.request("POST", "/api/external-engine/work", json.dumps({"providerSecret": self._secret}), {"Content-Type": "application/json"})
            job = _answer(connection)
        finally:
            connection.close()
        if job is None:
            return self._rest(begin)
        try:
            name, commands = str(job["id"]), self._commands(job["work"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            report.say(f"lichess asks for something else than the protocol has: {type(error).__name__}: {error}")
            return self._rest(begin)
        try:
            self._stream(f"/api/external-engine/work/{urllib.parse.quote(name, safe='')}", commands)
        except (OSError, http.client.HTTPException):
            pass  # the board has gone: that is how an analysis ends
        finally:
            self._session.player.settle()
            while not self._lines.queue.empty():
                self._lines.queue.get()

    def _rest(self, begin: float) -> None:
        self._stop.wait(max(0.0, begin + _LEAST_S - time.monotonic()))

    def _commands(self, work: Any) -> list[str]:
        """UCI for what the board wants. Raises AttributeError, KeyError, TypeError, ValueError for what the protocol does not have."""
        if work.get("variant", "chess") not in ("chess", "standard", "chess960", "fromPosition"):
            raise ValueError(f"variant {work['variant']}")
        limit = next((f"{name} {int(work[name])}" for name in ("movetime", "depth", "nodes") if work.get(name)), f"movetime {1000 * self._limits.seconds:.0f}")
        fen, moves = " ".join(str(work["initialFen"]).split()), [str(move) for move in work["moves"]]
        if any(not move.isalnum() for move in moves):
            raise ValueError("moves that are none")
        begin = [] if work["sessionId"] == self._session_id else ["ucinewgame"]
        self._session_id = work["sessionId"]
        options = {"UCI_Chess960": "true", "UCI_AnalyseMode": "true", "SmartPruningFactor": 0, "MultiPV": min(5, max(1, int(work["multiPv"]))),
                   "Threads": min(self._limits.threads, max(1, int(work["threads"]))), "Hash": max(1, min(int(work["hash"]), self._limits.ram_mb // 2))}
        return [*begin, *(f"setoption name {name} value {value}" for name, value in options.items()),
                f"position fen {fen} moves {' '.join(moves)}", f"go {limit}"]

    def _stream(self, path: str, commands: list[str]) -> None:
        """Info lines as they come, until bestmove, or until the server answers or closes. Raises what connections raise."""
        connection = _connect(self._engine, 30.0)
        try:
            connection.putrequest("POST", path)
            connection.putheader("Content-Type", "text/plain")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            for command in commands:
                self._session.handle(command, time.monotonic())
            ended = False
            while not (ended or self._stop.is_set() or _has_gone(connection.sock)):
                try:
                    line = self._lines.queue.get(timeout=_LOOK_S)
                except queue.Empty:
                    continue
                ended = line.startswith("bestmove")
                if line.startswith("info depth ") or ended:
                    data = line.encode() + b"\n"
                    connection.send(b"%x\r\n%s\r\n" % (len(data), data))
            if ended:
                connection.send(b"0\r\n\r\n")
                connection.getresponse().read(_MOST_REPLY)
        finally:
            connection.close()


def _has_gone(connection: socket.socket) -> bool:
    """The board wants no more: it is closed, or there is an answer already. What TLS says beside the data is neither."""
    before = connection.gettimeout()
    connection.settimeout(0)
    try:
        connection.recv(1)
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.settimeout(before)


def _connect(address: str, patience_s: float) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(address)
    kind = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
    return kind(parts.hostname or "", parts.port, timeout=patience_s)


def _answer(connection: http.client.HTTPConnection) -> Any:
    """None for an empty one. Raises Refused."""
    response = connection.getresponse()
    data = response.read(_MOST_REPLY)
    if not 200 <= response.status < 300:
        raise Refused(response.status, response.reason + " " + data.decode("utf-8", "replace"))
    return json.loads(data) if data and response.status != 204 else None
