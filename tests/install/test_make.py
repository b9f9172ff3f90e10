"""The Makefile's own environment: made once, made anew after an interruption or in another place, and gone after `make clean`. With a
Python that does nothing but say what it was asked."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = """#!/bin/sh
# `-m venv DIR` makes DIR with this same program as its python; FAIL names a word at which it fails, as if it had been interrupted.
echo "$*" >> "$LOG"
case "$*" in *"$FAIL"*) exit 1 ;; esac
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "meson.build", "meson_options.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("src", "lc0rocm", "nets"):
        (folder / name).mkdir()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return folder


def make(checkout, target="bench", fail="nothing"):
    """What Python was asked, a line each; and whether make succeeded."""
    log = checkout.parent / "log"
    log.write_text("")
    done = subprocess.run(["make", "--silent", f"PYTHON={checkout.parent / 'python'}", "ROCM=disabled", target], cwd=checkout,
                          env={"PATH": "/usr/bin:/bin", "LOG": str(log), "FAIL": fail}, capture_output=True, text=True)
    return log.read_text().splitlines(), done.returncode == 0


def test_sets_up_once(checkout):
    lines, fine = make(checkout)
    assert fine and lines[0] == "-m venv .venv" and lines[-1] == "-I -m lc0rocm bench" and len(lines) == 5
    assert make(checkout) == (["-I -m lc0rocm bench"], True)


@pytest.mark.parametrize("step", ["-m venv", "requirements.py", "install --quiet -r"])
def test_an_interrupted_environment_is_made_anew(checkout, step):
    assert not make(checkout, fail=step)[1]
    (checkout / ".venv").mkdir(exist_ok=True)
    (checkout / ".venv/rest").touch()
    lines, fine = make(checkout)
    assert fine and lines[0] == "-m venv .venv" and not (checkout / ".venv/rest").exists()


def test_an_interrupted_installation_leaves_nothing(checkout):
    assert not make(checkout, fail="--no-deps")[1]
    half = checkout / ".venv/lib/python3.11/site-packages/lc0rocm-0.1.0.dist-info"
    half.mkdir(parents=True)
    lines, fine = make(checkout)
    assert fine and len(lines) == 2 and not half.exists()


def test_a_copy_makes_its_own(checkout):
    make(checkout)
    (checkout / "build").mkdir()
    copy = checkout.parent / "copy"
    shutil.copytree(checkout, copy)
    lines, fine = make(copy)
    assert fine and lines[0] == "-m venv .venv" and len(lines) == 5 and not (copy / "build").exists()
    assert make(copy) == (["-I -m lc0rocm bench"], True)


def test_clean_leaves_nothing(checkout):
    before = sorted(checkout.rglob("*"))
    make(checkout)
    for name in ("build", "dist", ".pytest_cache", ".hypothesis", "src/__pycache__"):
        (checkout / name).mkdir()
    assert make(checkout, "clean")[1]
    assert sorted(checkout.rglob("*")) == before
