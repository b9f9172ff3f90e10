"""Starts in surroundings that lack something: a package, a home folder, an open descriptor."""
import os
import subprocess
import sys

import pytest


def start(*arguments, code="", **kwargs):
    """`lc0rocm` with these arguments, after `code` has run in the same process."""
    program = f"import sys\n{code}\nfrom lc0rocm.__main__ import main\nsys.argv[1:] = {list(arguments)!r}\nsys.exit(main())"
    return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=120, **kwargs)


@pytest.mark.parametrize("package,arguments", [("numpy", ["check"]), ("google.protobuf", ["describe"]), ("lc0rocm._core", ["backends"])])
def test_a_missing_package_is_a_sentence(package, arguments):
    done = start(*arguments, code=f"sys.modules[{package!r}] = None")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert package.split(".")[-1] in line and "pip install" in line


def test_a_core_that_cannot_be_loaded_is_a_sentence():
    code = """
class Broken:
    def find_spec(name, path, target=None):
        if name == "lc0rocm._core": raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")
sys.meta_path.insert(0, Broken)"""
    done = start("backends", code=code)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "libgomp.so.1" in done.stderr


def test_a_damaged_numpy_is_a_sentence_about_what_is_missing():
    """NumPy's own text begins and ends with general advice."""
    code = """
class Broken:
    def find_spec(name, path, target=None):
        if name == "numpy":
            try: raise ImportError("libblas.so.3: cannot open shared object file: No such file or directory")
            except ImportError as error: raise ImportError("Error importing numpy: please exit the source tree, and\\n   relaunch from there.") from error
sys.meta_path.insert(0, Broken)"""
    done = start("check", code=code)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "libblas.so.3" in done.stderr


def test_without_a_home_folder():
    environment = {"PATH": os.defpath}  # and this user has no entry either: os.path.expanduser leaves ~ as it is
    done = start("bench", "--backend=random", "--nodes=10", "--num-positions=1",
                 code="import pwd\ndef unknown(_):\n    raise KeyError\npwd.getpwuid = pwd.getpwnam = unknown", env=environment)
    assert done.returncode == 0, done.stderr
    played = start("uci", code="sys.modules['pwd'] = None", env=environment, input="isready\ngo nodes 2\nquit\n")
    assert played.returncode == 0 and "readyok" in played.stdout and "bestmove" in played.stdout, played.stderr


def test_a_file_does_not_become_standard_error(tmp_path):
    """Whatever is opened first takes the lowest free descriptor: with 2>&- that would be the log, with complaints in it."""
    log = tmp_path / "log"
    program = [sys.executable, "-I", "-m", "lc0rocm", "uci", f"--logfile={log}"]
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *program], input=b"isready\nquit\n", stdout=subprocess.PIPE, timeout=120)
    assert done.returncode == 0 and b"readyok" in done.stdout
    assert all(line.split()[2] in "<>" for line in log.read_text().splitlines())


@pytest.mark.parametrize("megabytes", [40, 80, 250, 300, 350, 400])
def test_too_little_memory_is_a_sentence(megabytes):
    """Wherever it ends: while libraries are loaded, threads are started, the network is made ready, or in the search."""
    program = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2); os.execv(sys.argv[2], sys.argv[2:])"
    bench = [sys.executable, "-I", "-m", "lc0rocm", "bench", "--backend=cpu", "--nodes=2", "--num-positions=1"]
    done = subprocess.run([sys.executable, "-c", program, str(megabytes << 20), *bench], capture_output=True, text=True, timeout=120)
    said = done.stderr.splitlines()
    if done.returncode == 1 and "OpenBLAS" in done.stderr:
        pytest.skip("NumPy ends the process by itself")
    assert done.returncode == 0 or (done.returncode == 2 and said[-1].startswith("lc0rocm: ") and len(said[-1]) > 25), done.stderr
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr and "std::" not in done.stderr


def test_the_gpus_process_is_as_isolated_as_its_parent(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import pathlib\npathlib.Path(__file__).with_name('was-here').touch()")
    program = "from lc0rocm.gpu import child; print(child.call('os', 'listdir', '/', 60))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert "'usr'" in done.stdout and not (tmp_path / "was-here").exists()
