"""Libraries that the dynamic linker does not find by itself are loaded from ROCm's folder."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
PROGRAM = "import ctypes, sys\nfrom lc0rocm.gpu import libraries\nprint(libraries._with_libraries(lambda: ctypes.CDLL(sys.argv[1]), ()).outer())"


@pytest.fixture(scope="module")
def rocm(tmp_path_factory):
    """A folder with libouter.so, which needs libmiddle.so.7, which needs libinner.so.7; those two are in lib/ without a path to each other."""
    root = tmp_path_factory.mktemp("rocm")
    (root / "lib").mkdir()
    for name, needed, code in (("inner", "", "int inner() { return 7; }"), ("middle", "inner", "int inner(); int middle() { return inner(); }"),
                               ("outer", "middle", "int middle(); int outer() { return middle(); }")):
        file = root / ("libouter.so" if name == "outer" else f"lib/lib{name}.so.7")
        subprocess.run(["cc", "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so.7", "-o", file, "-x", "c", "-", "-x", "none",
                        *([root / f"lib/lib{needed}.so.7"] if needed else [])], input=code, text=True, check=True)
    return root


def load(rocm, path):
    return subprocess.run([sys.executable, "-c", PROGRAM, str(rocm / "libouter.so")], capture_output=True, text=True, timeout=120,
                          cwd=os.path.dirname(sys.executable), env={"PATH": os.defpath, "ROCM_PATH": str(path)})


def test_found_one_after_the_other(rocm):
    done = load(rocm, rocm)
    assert done.stdout == "7\n", done.stderr


def test_what_is_missing_is_named(rocm, tmp_path):
    (tmp_path / "lib").mkdir()
    shutil.copy(rocm / "lib/libmiddle.so.7", tmp_path / "lib")
    done = load(rocm, tmp_path)
    assert done.returncode == 1 and "ROCM_PATH does not say where: libinner.so.7 is missing" in done.stderr


def test_a_folder_relative_to_the_working_folder_is_not_looked_into(rocm):
    done = load(rocm, os.path.relpath(rocm, os.path.dirname(sys.executable)))
    assert "libmiddle.so.7 is missing" in done.stderr


# folders ---------------------------------------------------------------------------------------------------------------

def temporary_folder(shared):
    program = ("import os\nfrom lc0rocm.gpu import libraries\nlibraries.own_temporary_folder()\n"
               "print(os.environ['TMPDIR'], oct(os.stat(os.environ['TMPDIR']).st_mode))")
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=120, env={"TMPDIR": str(shared)})
    folder, mode = done.stdout.split()
    assert mode == "0o40700"
    return pathlib.Path(folder)


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_mine_is_kept(shared):
    folder = temporary_folder(shared)
    assert folder == shared / f"lc0rocm-{os.geteuid()}" and temporary_folder(shared) == folder
    assert temporary_folder(folder) == folder  # one of this user's alone needs no other in it


@pytest.mark.parametrize("obstacle", ["open to all", "link", "file"])
def test_what_others_put_there_is_not_used(shared, obstacle):
    mine = shared / f"lc0rocm-{os.geteuid()}"
    if obstacle == "open to all":
        mine.mkdir()
        mine.chmod(0o777)
    elif obstacle == "link":
        mine.symlink_to(shared.parent)
    else:
        mine.touch()
    folder = temporary_folder(shared)
    assert folder != mine and folder.parent == shared and not folder.exists()  # gone with the process
