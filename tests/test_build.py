"""The AMD build on a machine whose ROCm is made of nothing: for which GPUs it compiles."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
MESON = shutil.which("meson", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))

pytestmark = pytest.mark.skipif(not MESON or not shutil.which("cc"), reason="needs meson and a C compiler")


@pytest.fixture(scope="module")
def rocm(tmp_path_factory):
    """A ROCm that meson finds: hipcc and amdgpu-arch are scripts, the libraries are empty."""
    root = tmp_path_factory.mktemp("rocm")
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    for name in ("amdhip64", "rocblas", "hipblaslt", "MIOpen"):
        subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", root / f"lib/lib{name}.so"], check=True)
    (root / "bin/hipcc").write_text("#!/bin/sh\nexit 1\n")
    (root / "bin/hipcc").chmod(0o755)
    return root


def configure(rocm, folder, printed, *options):
    """What meson says, and the targets of the kernels' compiler."""
    detector = rocm / "bin/amdgpu-arch"
    detector.write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in printed))
    detector.chmod(0o755)
    path = os.pathsep.join([str(rocm / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run([MESON, "setup", folder, ROOT, "-Drocm=amd", "-Dbackends=random", *options], capture_output=True, text=True,
                          env=os.environ | {"ROCM_PATH": str(rocm), "PATH": path}, timeout=300)
    built = folder / "build.ninja"
    of_a_kernel = lambda line: "--offload-arch" in line and ".hip" in line  # what is compiled before them is of one target each
    targets = re.findall(r"--offload-arch=(\S+)", next(filter(of_a_kernel, built.read_text().splitlines()))) if done.returncode == 0 else []
    return done.stdout, targets


def test_native_is_what_is_supported_of_this_machine(rocm, tmp_path):
    """A desktop with a graphics card and a processor with a GPU of its own, and a card that nobody knows yet."""
    said, targets = configure(rocm, tmp_path / "build", ["gfx1100", "gfx1036", "gfx9999", "gfx1100"])
    assert targets == ["gfx1100", "gfx10-3-generic"]
    assert "amd_gfx=native: gfx1036 gets the code of gfx10-3-generic; gfx9999 is not supported and left out" in said


def test_an_unknown_target_is_refused(rocm, tmp_path):
    said, _ = configure(rocm, tmp_path / "build", [], "-Damd_gfx=gfx77")
    assert "gfx77 is no supported target; there are native, all, gfx906" in said
