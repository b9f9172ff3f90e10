"""The scripts that measure run to their end, on the least work that they take."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
NET = "reference/nets/se-relu-32x2.pb.gz"


@pytest.mark.parametrize("script, arguments, printed", [
    ("bench_cpu.py", [NET, "--rounds=1", "--batch=2", "--threads=1"], "se-relu-32x2 "),
    ("bench_evaluate.py", [NET, "--rounds=1", "--boards=4"], "speed of evaluate"),
    ("bench_perft.py", ["--depth=2", "--runs=1"], "perft 2: 400 leaves"),
    ("bench_search.py", ["--threads=1", "--seconds=0.05", "--rounds=1", "--cache=1000"], "nodes/s"),
])
def test_runs(script, arguments, printed):
    done = subprocess.run([sys.executable, ROOT / "scripts" / script, *arguments], cwd=ROOT / "tests", capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0 and printed in done.stdout, done.stdout + done.stderr
