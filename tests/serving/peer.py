"""A client of a served engine, byte by byte."""
import socket
import time

PATIENCE_S = 60


class Peer:
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


def wait_for(fact):
    end = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.01)
