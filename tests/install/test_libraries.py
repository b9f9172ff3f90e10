"""What the installed package's libraries tell the dynamic linker, and what it then looks for: nothing where others might be able to
write. Runs on the package that the tests import, or on LC0ROCM_WHEEL: a wheel, or a folder that something was built in."""
import importlib.resources
import os
import pathlib
import re
import stat
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> pathlib.Path:
    """A folder with everything that an installation brings."""
    wheel = os.environ.get("LC0ROCM_WHEEL")
    if not wheel:
        return pathlib.Path(str(importlib.resources.files("lc0rocm")))
    if os.path.isdir(wheel):
        return pathlib.Path(wheel)
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="module")
def wheel() -> zipfile.ZipFile:
    if not os.path.isfile(os.environ.get("LC0ROCM_WHEEL", "")):
        pytest.skip("of a wheel: LC0ROCM_WHEEL=dist/NAME.whl")
    return zipfile.ZipFile(os.environ["LC0ROCM_WHEEL"])


def dynamic(library: pathlib.Path) -> list[tuple[str, str]]:
    """(tag, value) of the entries of its dynamic section that have text, such as ("NEEDED", "libm.so.6")."""
    text = subprocess.run(["readelf", "--dynamic", "--wide", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\((\w+)\).*?\[(.*)\]", text)


def libraries(installed: pathlib.Path) -> list[pathlib.Path]:
    return [file for file in installed.rglob("*") if file.is_file() and file.open("rb").read(4) == b"\x7fELF"]


def test_search_paths_and_names_stay_in_the_package(installed):
    assert "liblc0rocm.so" in {file.name for file in libraries(installed)}
    outside = []
    for library in libraries(installed):
        for tag, value in dynamic(library):
            if tag in ("RPATH", "RUNPATH"):
                for folder in value.split(":"):
                    relative = os.path.normpath(library.relative_to(installed).parent / folder.removeprefix("$ORIGIN").strip("/"))
                    if not folder.startswith("$ORIGIN") or relative.startswith(".."):
                        outside.append(f"{library.name}: {tag} {value}")
            elif tag == "NEEDED" and "/" in value:
                outside.append(f"{library.name}: {tag} {value}")
    assert not outside


def test_nothing_is_looked_for_where_others_may_write(tmp_path):
    """In folders that are there, and in those that anybody could make."""
    done = subprocess.run([sys.executable, "-I", "-m", "lc0rocm", "bench", "--nodes=2", "--num-positions=1"], capture_output=True, text=True, timeout=300,
                          env={"PATH": os.defpath, "HOME": str(tmp_path), "LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": str(tmp_path / "linker")})
    assert done.returncode == 0, done.stderr
    tried = {path for log in tmp_path.glob("linker.*") for path in re.findall(r"(?:trying file=|calling init: )(\S+)", log.read_text())}
    assert any(path.endswith("liblc0rocm.so") for path in tried)
    open_to_others = set()
    for path in tried:
        folder = next(folder for folder in pathlib.Path(path).parents if folder.exists())
        status = folder.stat()
        if not path.startswith("/") or status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            open_to_others.add(path)
    assert not open_to_others


def test_device_code_is_compressed_bundles(installed, tmp_path):
    """Nothing but bundles is loaded by HIP; compressed, those for all targets have a tenth of the size."""
    with_code = [library for library in libraries(installed) if re.match(r"_rocm\b", library.name) and ("NEEDED", "libamdhip64.so.7") in dynamic(library)]
    if not with_code:
        pytest.skip("has no code for AMD GPUs")
    parts = {}
    for name in (".hip_fatbin", ".hipFatBinSegment"):
        subprocess.run(["objcopy", "-O", "binary", "-j", name, with_code[0], tmp_path / "part"], check=True)
        parts[name] = (tmp_path / "part").read_bytes()
    wrappers = len(parts[".hipFatBinSegment"]) // 24  # one a file of kernels: magic, version, address, nothing
    starts = [parts[".hip_fatbin"][at:at + 4] for at in range(0, len(parts[".hip_fatbin"]), 4096)]  # where each is aligned
    assert wrappers > 5 and starts.count(b"CCOB") == wrappers


def test_a_process_has_one_openmp_library(installed):
    """oneDNN takes its number of threads from the one that the core sets it in."""
    needed = {value for library in libraries(installed) for tag, value in dynamic(library)
              if tag == "NEEDED" and re.match("lib(gomp|omp|iomp5)\\b", value)}
    assert len(needed) == 1


def test_a_wheel_has_licences_types_and_the_right_name(wheel):
    names = wheel.namelist()
    metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert "License-Expression: GPL-3.0-or-later\n" in metadata and "Requires-Dist: onednn" not in metadata
    assert "manylinux_2_" in wheel.filename
    for wanted in ("dist-info/licenses/LICENSE", "lc0rocm/licences/oneDNN-LICENSE", "lc0rocm/licences/oneDNN-THIRD-PARTY-PROGRAMS",
                   "lc0rocm/py.typed", "lc0rocm/nets/nets.json", "lc0rocm/glibc-hwcaps/x86-64-v3/liblc0rocm.so"):
        assert any(name.endswith(wanted) for name in names), wanted
    assert not [name for name in names if name.startswith("lc0rocm/") and re.search(r"emulated|standin(?!g)|kernel_launch|rocm_calls", name)]
