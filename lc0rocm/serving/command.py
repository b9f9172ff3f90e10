"""`lc0rocm serve` and `lc0rocm connect`."""
from __future__ import annotations

import signal
import threading

from lc0rocm import loading, memory, report, threads
from lc0rocm._core import Error
from lc0rocm.options import Settings
from lc0rocm.serving import lichess, tcp
from lc0rocm.serving.session import Limits, Shared

_TREES = 0.5  # of the memory, for all clients together


def serve(settings: Settings) -> int:
    """Until an interrupt or SIGTERM."""
    clients = 1 if settings["lichess"] else settings["clients"]
    limits = Limits(settings["RamLimitMb"] or max(16, int(memory.granted() * _TREES / 1e6) // clients), settings["seconds"], settings["client-threads"])
    token = "" if settings["lichess"] else tcp.token_of(settings["token-file"], make=True)
    loaded = loading.load_for(settings, unplayable=True)
    for message in loaded.messages:
        report.say(message)
    shared, defaults = Shared(loaded), {option.name: settings[option.name] for option in settings.options if option.name}
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=over.set).start())  # this thread may hold its lock
    work: lichess.Provider | tcp.Server
    failure: list[Error] = []
    if settings["lichess"]:
        work = lichess.Provider(shared, limits, defaults, settings["lichess-url"], settings["engine-url"])
        act, stop = work.run, work.stop
    else:
        work = tcp.Server((settings["host"], settings["port"]), token, clients, shared, limits, defaults)
        act, stop = work.serve_forever, work.shutdown
        report.say(f"serving UCI on {settings['host']}, port {work.server_address[1]}, " + ("with" if token else "without") + " a token")

    def run() -> None:
        try:
            act()
        except Error as error:
            failure.append(error)
        except Exception as error:  # a mistake of ours, which would be lost in this thread
            failure.append(Error(f"internal error: {type(error).__name__}: {error}"))
        finally:
            over.set()

    threads.begin(threading.Thread(target=run, daemon=True))
    over.wait()
    stop()
    if failure:
        raise failure[0]
    return 0


def connect(settings: Settings) -> int:
    host, _, port = settings["server"].rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise Error("connect to a server: lc0rocm connect HOST:PORT")
    return tcp.connect((host.strip("[]"), int(port)), tcp.token_of(settings["token-file"]))
