"""The CPU back end counts the processors that it may use, not those of the machine."""
import os
import re
import subprocess
import sys

import pytest

PROGRAM = """
import lc0rocm._core as core
from lc0rocm.netfile import net
print(core.Backend("cpu", net.load(net.default_net()["path"]).core(), {}).info["device"])
"""


def threads(*before):
    """What a process that `before` starts counts."""
    done = subprocess.run([*before, sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"(\d+) thread", done.stdout)[1])


def test_affinity():
    one = min(os.sched_getaffinity(0))
    assert threads(sys.executable, "-c", f"import os, sys; os.sched_setaffinity(0, [{one}]); os.execv(sys.argv[1], sys.argv[1:])") == 1


@pytest.mark.parametrize("files,most", [
    ({"cpu.max": "50000 100000"}, 1), ({"cpu.max": "max 100000"}, 1024),
    ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1), ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1000"}, 1024),
    ({}, 1024)])
def test_control_groups(tmp_path, files, most):
    """In a namespace where these files are all that control groups say."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    inside = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /sys/fs/cgroup && exec "$@"', str(tmp_path)]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    with open("/proc/self/cgroup") as groups:
        kinds = {"cpu/" if "cpu" in line.split(":")[1].split(",") else "" for line in groups if line.split(":")[1] in ("", "cpu", "cpu,cpuacct")}
    if files and not kinds & {name.rpartition("/")[0] + ("/" if "/" in name else "") for name in files}:
        pytest.skip("this kernel has the other version of control groups")
    assert threads(*inside) == min(most, len(os.sched_getaffinity(0)))
