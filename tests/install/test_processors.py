"""The CPU back end counts the processors that it may use, not those of the machine, and says which code runs on them; so is memory counted."""
import json
import os
import platform
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


def inside(folder, files):
    """What starts a process in a namespace where these files, in that folder, are all that control groups say."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text + "\n")
    start = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /sys/fs/cgroup && exec "$@"', str(folder)]
    if subprocess.run([*start, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    with open("/proc/self/cgroup") as groups:
        here = {controller for line in groups for controller in line.split(":")[1].split(",")}  # "" of version 2
    if files and not here & {name.rpartition("/")[0] for name in files}:
        pytest.skip("this kernel has the other version of control groups")
    return start


@pytest.mark.parametrize("files,most", [
    ({"cpu.max": "50000 100000"}, 1), ({"cpu.max": "max 100000"}, 1024),
    ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1), ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1000"}, 1024),
    ({}, 1024)])
def test_control_groups(tmp_path, files, most):
    assert threads(*inside(tmp_path, files)) == min(most, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("files,most", [({"memory.max": "500000000"}, 500_000_000), ({"memory.max": "max"}, None),
                                        ({"memory/memory.limit_in_bytes": "500000000"}, 500_000_000),
                                        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None), ({}, None)])
def test_control_groups_of_memory(tmp_path, files, most):
    command = [*inside(tmp_path, files), sys.executable, "-I", "-c", "from lc0rocm import memory; print(memory.granted())"]
    all_of_it = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout) == (most or all_of_it)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the core is built for several levels of x86-64 only")
@pytest.mark.parametrize("without", [[], ["AVX2"], ["FMA"]])
def test_the_level_of_what_is_loaded(without):
    """glibc takes what the processor runs; without one of the instructions of x86-64-v3, the plain library."""
    program = "import json, lc0rocm._core as core; print(json.dumps([core.registered_backends(), open('/proc/self/maps').read()]))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join("-" + name for name in without)})
    assert done.returncode == 0, done.stderr
    backends, maps = json.loads(done.stdout)
    where = next(entry[3] for entry in backends if entry[0] == "cpu")
    level = "x86-64-v3" if "glibc-hwcaps/x86-64-v3/liblc0rocm.so" in maps else "x86-64"
    assert f"processors, {level}, oneDNN" in where.replace("processor,", "processors,")
    assert not (without and level == "x86-64-v3")
