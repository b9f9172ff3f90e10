"""doctor: what it says of machines that are made of files, and of this one."""
import json
import os
import subprocess
import sys

import pytest

from lc0rocm import doctor
from lc0rocm.gpu import machine

NOTHING = {"why_not": "", "devices": [], "files": [], "auto": "", "network": "", "checks": []}


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


NODE = "sys/class/kfd/kfd/topology/nodes/"
CARD = {NODE + "0/properties": "cpu_cores_count 16\ngfx_target_version 0\n",
        NODE + "1/properties": "simd_count 192\ngfx_target_version 110000\ndrm_render_minor 128\n",
        NODE + "1/name": "navi31\n", NODE + "1/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 25753026560\n",
        "sys/bus/pci/devices/0000:03:00.0/vendor": "0x1002\n", "sys/bus/pci/devices/0000:03:00.0/class": "0x030000\n",
        "sys/bus/pci/devices/0000:00:01.0/vendor": "0x8086\n", "sys/bus/pci/devices/0000:00:01.0/class": "0x060000\n",
        "sys/module/amdgpu/version": "6.8.5\n", "opt/rocm-7.2.4/.info/version": "7.2.4-81\n"}
NODES = {"dev/kfd": "", "dev/dri/renderD128": ""}


@pytest.mark.parametrize("version,name", [(110000, "gfx1100"), (90010, "gfx90a"), (90402, "gfx942"), (100306, "gfx1036"),
                                          (110501, "gfx1151"), (120001, "gfx1201")])
def test_names_of_architectures(version, name):
    assert machine.architecture_of(version) == name


def test_a_machine_is_read_from_its_files(tmp_path):
    write(tmp_path, CARD | NODES)
    here = machine.look(tmp_path, {"HIP_VISIBLE_DEVICES": "0", "HOME": "/root"})
    assert here.cards == [machine.Card("navi31", "gfx1100", 25753026560, "/dev/dri/renderD128")]
    assert here.driver == "amdgpu 6.8.5" and here.amd_displays == 1 and here.container == ""
    assert here.roots == [("/opt/rocm-7.2.4", "7.2.4-81")] and here.variables == {"HIP_VISIBLE_DEVICES": "0"}
    assert [(node.path, node.exists, node.opens) for node in here.nodes] == [("/dev/kfd", True, True), ("/dev/dri/renderD128", True, True)]


def problems(tmp_path, files, environment=None, libraries=(), **found):
    write(tmp_path, files)
    return doctor.diagnose(machine.look(tmp_path, environment or {}), NOTHING | found, list(libraries))


def test_a_machine_without_an_amd_gpu_has_no_problem(tmp_path):
    assert problems(tmp_path, {"sys/bus/pci/devices/0/vendor": "0x10de\n"}, why_not="this package was built without it") == []


def test_a_machine_in_order_has_no_problem(tmp_path):
    assert problems(tmp_path, CARD | NODES, {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}, devices=[{}]) == []


@pytest.mark.parametrize("files,without,what,mend", [
    (NODES, "sys/module", "its driver amdgpu is not loaded", "sudo modprobe amdgpu"),
    ({}, "", "has not made /dev/kfd", "sudo dmesg | grep -i kfd"),
    ({".dockerenv": ""}, "", "was not given the GPU", "docker run --device=/dev/kfd --device=/dev/dri"),
    ({"run/.containerenv": "", "dev/kfd": ""}, NODE, "has /dev/kfd and no /dev/dri", "podman run --device=/dev/kfd --device=/dev/dri"),
])
def test_the_driver_and_its_files(tmp_path, files, without, what, mend):
    kept = {name: text for name, text in CARD.items() if not without or not name.startswith(without)}
    problem, = problems(tmp_path, kept | files)
    assert what in problem.what and problem.next.startswith(mend)


@pytest.mark.parametrize("container, group, process, listed, what, mend", [
    ("", "render", ["users"], [], "it is not in the groups render", "sudo usermod -aG render $USER"),
    ("", "render", ["users"], ["render"], "it is in the groups render since its login", "log out and in again"),
    ("", "render", ["render"], ["render"], "although it is in the groups render", "ls -lZ /dev/kfd"),
    ("docker", "109", ["0"], [], "may not open", "docker run --group-add 109"),
    ("podman", "nogroup", ["root"], [], "unknown in this container", "podman run --group-add keep-groups"),
    ("", "nobody", ["root"], [], "unknown in this container", "podman run --group-add keep-groups"),  # one of a kind that we do not know
])
def test_groups(tmp_path, container, group, process, listed, what, mend):
    write(tmp_path, CARD | NODES)
    here = machine.look(tmp_path, {})._replace(container=container, groups=process, listed=listed)
    here = here._replace(nodes=[node._replace(opens=False, group=group) for node in here.nodes])
    problem, = doctor.diagnose(here, NOTHING, [])
    assert "may not open /dev/kfd, /dev/dri/renderD128" in problem.what
    assert what in problem.what and problem.next.startswith(mend)


@pytest.mark.parametrize("environment,found,what", [
    ({"HSA_OVERRIDE_GFX_VERSION": "10.3.0"}, {}, "HSA_OVERRIDE_GFX_VERSION=10.3.0 makes ROCm take gfx1100 for gfx1030"),
    ({"HSA_OVERRIDE_GFX_VERSION": "gfx1100"}, {}, "for nothing that exists"),
    ({"HIP_VISIBLE_DEVICES": "7"}, {}, "HIP_VISIBLE_DEVICES=7 hides all GPUs"),
    ({}, {"why_not": "this package was built without it; docs"}, "built without the GPU back end"),
    ({}, {"why_not": "loading ROCm failed: it crashed"}, "loading ROCm failed: it crashed"),
    ({}, {"checks": [{"backend": "rocm", "gpu": 0, "why_not": "hipErrorNoBinaryForGpu", "when": 1}]}, "rocm fails its check on GPU 0"),
])
def test_what_is_set_and_what_failed(tmp_path, environment, found, what):
    problem, = problems(tmp_path, CARD | NODES, environment, **found)
    assert what in problem.what and problem.next


def test_libraries_and_their_kernels(tmp_path):
    names = ["one/librocblas.so.5.2", "two/libhipblaslt.so.1.2", "one/rocblas/library/TensileLibrary_Type_HH_gfx1100.dat",
             "one/rocblas/library/Kernels.so-000-gfx1100.hsaco", "one/rocblas/library/Kernels.so-000-gfx11001.hsaco"]
    write(tmp_path, dict.fromkeys(names, ""))
    files = [str(tmp_path / name) for name in names[:2]]
    libraries = machine.libraries(files, ["gfx1100", "gfx1036"], {})
    assert [(library.name, library.version, library.kernels) for library in libraries] == [
        ("rocBLAS", "5.2", {"gfx1100": 2, "gfx1036": 0}), ("hipBLASLt", "1.2", {"gfx1100": 0, "gfx1036": 0})]
    several, = problems(tmp_path, CARD | NODES, {"LD_LIBRARY_PATH": "x"}, libraries)
    assert "several ROCm installations" in several.what and several.next == "unset LD_LIBRARY_PATH"
    environment = {"ROCBLAS_TENSILE_LIBPATH": str(tmp_path / "two")}
    wrong, = problems(tmp_path, CARD | NODES, environment, machine.libraries(files[:1], ["gfx1100"], environment))
    assert "has no kernels of rocBLAS for gfx1100" in wrong.what and wrong.next == "unset ROCBLAS_TENSILE_LIBPATH"


def run(tmp_path, *arguments, settings=""):
    return subprocess.run([sys.executable, "-m", "lc0rocm", "doctor", *arguments], cwd="/", capture_output=True, text=True, timeout=120,
                          env=os.environ | {"ROCM_EMULATED": settings, "XDG_CACHE_HOME": str(tmp_path)})


def test_one_screen(tmp_path):
    done = run(tmp_path)
    labels = [line.split(" ")[0] for line in done.stdout.splitlines()]
    assert {"lc0rocm", "GPU", "driver", "devices", "groups", "ROCm", "overrides", "network", "auto", "next"} <= set(labels)
    assert len(labels) < 40 and done.stdout.splitlines()[-1].startswith("next       lc0rocm ")


def test_json(tmp_path):
    report = json.loads(run(tmp_path, "--json").stdout)
    assert {"machine", "devices", "libraries", "checks", "problems", "auto", "version"} <= set(report)


def test_it_never_hangs(tmp_path, monkeypatch, capsys):
    """Nor dies of what ROCm does."""
    monkeypatch.setattr(doctor, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(doctor.child, "call", lambda module, function, argument, patience, call=doctor.child.call:
                        call("time", "sleep", 60, patience))
    settings = dict.fromkeys(("WeightsFile", "BackendOptions"), "") | {"json": False}
    doctor.doctor(settings)
    assert "asking ROCm failed: it gave no answer within 0 s" in capsys.readouterr().out
