"""The training scripts import each other as a folder of modules; a tiny data set made by the real chain, once a session."""
import pathlib
import shutil
import subprocess
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "train"
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture(scope="session")
def run_script():
    """Runs a training script with arguments; fails with the script's own words."""
    def run(name: str, *arguments: object) -> subprocess.CompletedProcess:
        done = subprocess.run([sys.executable, SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done
    return run


@pytest.fixture(scope="session")
def games_folder(run_script, tmp_path_factory) -> pathlib.Path:
    """70 games of the real generator at a few nodes a move (the 65th is held out)."""
    if not shutil.which("stockfish", path="/usr/games:/usr/bin:/usr/local/bin"):
        pytest.skip("no stockfish: the teacher is not installed (Debian: apt-get install stockfish)")
    out = tmp_path_factory.mktemp("games")
    run_script("make_data.py", "--out", out, "--games", 70, "--nodes", 60, "--multipv-nodes", 60, "--workers", 2)
    return out


@pytest.fixture(scope="session")
def prepared(run_script, games_folder, tmp_path_factory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("prepared")
    run_script("prepare.py", games_folder, "--out", out, "--workers", 2)
    return out
