"""cpu-auto and cpu-int8: the shortest numbers play that cost the network little, and a line says which and why."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from lc0rocm import _core, choose, loading, trust
from lc0rocm._core import Error
from lc0rocm.gpu import auto

WHY_NOT = {name: why_not for name, why_not, *_ in _core.registered_backends()}
EIGHT, BFLOAT16 = WHY_NOT["cpu-int8"], WHY_NOT["cpu-bf16"]
HAS_AMX = "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
needs_int8 = pytest.mark.skipif(bool(EIGHT), reason=EIGHT)
NUMBERS = r"policy KL \d\.\d+ in the mean .*, best move the same in [\d.]+ %, Q off by \d\.\d+"


@pytest.fixture
def lossy(reference):
    """A net that 8 bits change more than is let pass."""
    return str(reference / "nets" / "ab-pemap-64x2.pb.gz")


@needs_int8
def test_the_package_s_network_plays_in_8_bits():
    loaded = loading.load_backend("", "cpu-auto", "threads=1")
    assert loaded.backend.name == "cpu-int8" and loaded.backend.info["device"].startswith("CPU, 1 thread,")
    assert re.search(f"cpu-auto takes cpu-int8: beside fp32 {NUMBERS}", "\n".join(loaded.messages))
    assert re.search(f"^cpu-int8: beside fp32 {NUMBERS}", "\n".join(loading.load_backend("", "cpu-int8", "threads=1").messages), re.MULTILINE)


@needs_int8
def test_a_network_that_8_bits_cost_too_much_takes_longer_numbers(lossy):
    loaded = loading.load_backend(lossy, "cpu-auto", "threads=1")
    assert loaded.backend.name == ("cpu" if BFLOAT16 else "cpu-bf16") and loaded.backend.info["device"].startswith("CPU, 1 thread,")
    assert re.search(f"cpu-auto takes {loaded.backend.name}: .*cpu-int8 costs this network too much: {NUMBERS}.*, where KL 0.001, .* is let pass",
                     "\n".join(loaded.messages))


@needs_int8
def test_a_network_that_everything_costs_too_much(lossy, monkeypatch):
    monkeypatch.setattr(trust, "INT8", trust.Cost(0, 0, 0, 0, 0))
    loaded = loading.load_backend(lossy, "cpu-auto")
    assert loaded.backend.name == "cpu" and any("cpu-auto takes cpu: cpu-int8 costs" in line for line in loaded.messages)


@needs_int8
def test_8_bits_by_name_are_refused_unless_unchecked(lossy):
    with pytest.raises(Error, match=f"cpu-int8 costs this network too much: {NUMBERS}.*; use the back end cpu, or the back-end option probe=false"):
        loading.load_backend(lossy, "cpu-int8")
    for name in ("cpu-int8", "cpu-auto"):
        loaded = loading.load_backend(lossy, name, "probe=false")
        assert loaded.backend.name == "cpu-int8" and not any("no effect" in line for line in loaded.messages)


@needs_int8
def test_a_network_without_encoders(reference):
    """Of bfloat16 only AMX makes it faster."""
    net = str(reference / "nets" / "maia-1900.pb.gz")
    loaded, chosen = loading.load_backend(net, "cpu-auto"), "cpu-bf16" if HAS_AMX else "cpu"
    assert loaded.backend.name == chosen and any(f"cpu-auto takes {chosen}: " in line and "has none" in line for line in loaded.messages)
    with pytest.raises(Error, match="this one has none; use the back end cpu"):
        loading.load_backend(net, "cpu-int8")


def test_amx_is_named_where_the_processor_says_so():
    where = {name: where for name, _, _, where in _core.registered_backends()}
    assert where["cpu-bf16"].removesuffix(", AMX") == where["cpu"]
    assert where["cpu-bf16"].endswith(", AMX") == HAS_AMX


@needs_int8
def test_as_a_part_of_others(lossy):
    loaded = loading.load_backend(lossy, "roundrobin", "a(backend=cpu-auto),b(backend=cpu)")
    assert loaded.backend.info["device"].count("int8") == 0 and any("cpu-auto takes" in line for line in loaded.messages)
    with pytest.raises(Error, match="cpu-int8 costs this network too much"):
        loading.load_backend(lossy, "roundrobin", "a(backend=cpu-int8),b(backend=cpu)")


@pytest.mark.parametrize("name", ["cpu-auto", "cpu-int8"])
@pytest.mark.parametrize("options,match", [("threads=0", "threads is 0"), ("probe=1", "probe must be true or false")])
def test_wrong_options(name, options, match):
    if name == "cpu-int8" and EIGHT:
        match = "no instructions"
    with pytest.raises(Error, match=match):
        loading.load_backend("", name, options)


def test_a_processor_without_short_numbers():
    program = ("from lc0rocm import loading; loaded = loading.load_backend('', 'cpu-auto', 'threads=1')\n"
               "print(loaded.backend.name, *loaded.messages, sep='\\n')")
    done = subprocess.run([sys.executable, "-I", "-c", program], env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}, capture_output=True, text=True, timeout=120)
    name, *messages = done.stdout.splitlines()
    assert name == "cpu" and any("cpu-auto takes cpu: " in line and "no instructions" in line for line in messages), done.stderr


def test_auto_takes_it_where_no_gpu_is():
    choice, line = choose.choose("auto")
    assert choice.name == "cpu-auto" and choice.needs_network and line.startswith("back end cpu-auto, chosen by auto: rocm-auto cannot run: ")


@needs_int8
def test_it_plays_where_no_gpu_passes(monkeypatch, emulated_gpu):
    """The CPU for good, and so at its fastest, in place of rocm-auto."""
    monkeypatch.setattr(auto, "prepare", lambda *_, **__: auto.Prepared("cpu", {}, ["the GPU fails its check"]))
    loaded = loading.load_backend("", "rocm-auto")
    assert loaded.backend.name == "cpu-int8" and "the GPU fails its check" in loaded.messages
