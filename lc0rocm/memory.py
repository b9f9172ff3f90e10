"""How much main memory there is for us."""
import contextlib
import os


def granted() -> int:
    """Bytes: the machine's, or what a control group grants, where that is less, as in a container that would be killed beyond."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError):  # no control groups
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as groups:
            # Lines: 0::/path (version 2), 4:memory:/path (version 1). Every group up to the root limits; inside of a container the path may be
            # the host's, and then the root is the container's own.
            for _, controllers, path in (line.rstrip("\n").split(":", 2) for line in groups):
                if controllers in ("", "memory"):
                    root, name = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes") if controllers else ("/sys/fs/cgroup", "memory.max")
                    parts = path.strip("/").split("/")
                    for depth in range(len(parts) + 1):
                        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
                            with open(os.path.join(root, *parts[:depth], name)) as limit:
                                most = min(most, int(limit.read()))
    return most
