"""Threads, of which a system may give no more: control groups and `ulimit -u` count them."""
import threading

from lc0rocm._core import Error


def begin(thread: threading.Thread) -> threading.Thread:
    """Starts it. Raises Error where there are enough for the system's taste."""
    try:
        thread.start()
    except RuntimeError:
        raise Error("the system gives no more threads; end other programs, or raise the limit (`ulimit -u`, or pids of a container)") from None
    return thread
