"""The CPU back end counts the processors that it may use, not those of the machine, and says which code runs on them."""
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
