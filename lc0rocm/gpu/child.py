"""A function called in a process of its own: what ends it, hangs or corrupts memory there costs the caller one sentence.

The child sends lines: progress as it comes, then the answer. It ends when its parent does."""
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable

_START = """
import sys; sys.path[:] = {path!r}
import importlib, json, os, signal, threading
from lc0rocm._core import Error
signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's business
request = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()  # the end of the input is the end of the parent
try: answer = [importlib.import_module({module!r}).{function}(request), '']
except Error as error: answer = [None, str(error)]
print('\\nanswer', json.dumps(answer), flush=True)
os._exit(0)  # what ROCm does at exit is no matter here
"""


class Stopped(Exception):
    """The caller wants no answer any more; the child is gone."""


def call(module: str, function: str, argument: Any, patience_s: float, tell: Callable[[Any], None] = lambda _: None,
         stop: threading.Event | None = None) -> tuple[Any, str]:
    """module.function(argument): its value, or one sentence why there is none. All travel as JSON. tell: gets what the child
    passes to progress(). patience_s: for the next line of the child. Raises Stopped after stop.set()."""
    with tempfile.TemporaryFile() as errors:
        isolated = ["-I"] if sys.flags.isolated else []  # what the environment adds to Python is not wanted there either
        child = subprocess.Popen([sys.executable, *isolated, "-c", _START.format(path=sys.path, module=module, function=function)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        assert child.stdin
        answer = None
        try:
            child.stdin.write(json.dumps(argument).encode() + b"\n")
            child.stdin.flush()
            for kind, value in _lines(child, patience_s, stop):
                if kind == "answer":
                    answer = value
                elif kind == "progress":
                    tell(value)
        except BrokenPipeError:
            pass  # it has ended already
        except TimeoutError:
            return None, f"it gave no answer within {patience_s:.0f} s"
        finally:
            if answer is None:
                child.kill()  # and no wait for one that hangs in a driver: it may not end
        if answer is not None:
            return tuple(answer)
        errors.seek(0)
        last = next((line for line in reversed(errors.read().decode(errors="replace").splitlines()) if line.strip()), "")[:200]
    return None, f"the process ended with {_end_of(child)}" + (f" after saying: {last}" if last else "")


def progress(value: Any) -> None:
    """In the child."""
    print("\nprogress", json.dumps(value), flush=True)


def _lines(child: subprocess.Popen, patience_s: float, stop: threading.Event | None):
    """What the child sends, until it ends. Raises TimeoutError and Stopped."""
    assert child.stdout
    rest, deadline = b"", time.monotonic() + patience_s
    while True:
        if stop is not None and stop.is_set():
            raise Stopped
        if not select.select([child.stdout], [], [], 0.1)[0]:
            if time.monotonic() > deadline:
                raise TimeoutError
            continue
        data = os.read(child.stdout.fileno(), 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            kind, _, value = line.partition(b" ")
            if kind in (b"answer", b"progress"):
                deadline = time.monotonic() + patience_s
                yield kind.decode(), json.loads(value)


def _end_of(child: subprocess.Popen) -> str:
    code = child.wait()
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
