"""What makes `uci` fast: nothing heavy is imported before it is answered."""
import subprocess
import sys


def test_uci_needs_no_heavy_import(tmp_path):
    code = ("import sys, lc0rocm.cli as cli; status = cli.main(['--config=']); "
            "print('loaded', *sys.modules, file=sys.stderr); sys.exit(status)")
    done = subprocess.run([sys.executable, "-c", code], input=b"uci\nquit\n", capture_output=True, cwd=tmp_path,
                          timeout=20)
    assert done.returncode == 0 and b"uciok" in done.stdout
    loaded = done.stderr.decode().split("loaded ")[1].split()
    heavy = {"numpy", "chess", "rich", "google.protobuf", "dataclasses", "importlib.metadata", "asyncio", "argparse",
             "gzip", "subprocess", "ctypes", "tempfile", "difflib"}
    assert not heavy & set(loaded)
    assert len(loaded) < 130  # a name of Python's library, each about a quarter of a millisecond; 30 are there before any of ours
