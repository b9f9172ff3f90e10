"""A folder of parts and its manifest: whatever goes wrong at whatever step, each block is in it once, and whole."""
import contextlib
import errno
import itertools
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import Error
from lc0rocm.cluster.parts import MANIFEST, Parts

IDENTITY = {"input": "games", "nodes": 8}


class Killed(BaseException):
    """As by SIGKILL: nothing of ours runs after it."""


def contents(block):
    return {f"{block:03}-{part}.txt": f"block {block}, part {part}\n".encode() * 3 for part in range(block % 3)}


def fill(parts, blocks):
    for block in blocks:
        parts.add(block, contents(block), games=block % 3)


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST and not path.name.startswith(".")}


def failing(patch, after, failure):
    """Of the steps that a disk sees, those after so many raise `failure`."""
    steps = itertools.count()

    def step(real):
        def broken(*arguments):
            if next(steps) >= after:
                raise failure
            return real(*arguments)
        return broken

    for name in ("fsync", "replace"):
        patch.setattr(os, name, step(getattr(os, name)))


FAILURES = st.sampled_from([Killed(), OSError(errno.ENOSPC, "No space left on device")])


@settings(max_examples=40)
@given(st.permutations(range(6)), st.lists(st.tuples(st.integers(0, 12), FAILURES), max_size=4))
def test_failures_at_any_step_lose_nothing(tmp_path_factory, order, failures):
    folder = tmp_path_factory.mktemp("parts") / "out"
    for after, failure in failures:
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
            failing(patch, after, failure)
            try:
                parts = Parts(folder, IDENTITY)
                stack.callback(parts.close)
                fill(parts, (block for block in order if block not in parts.done))
            except (Killed, Error) as error:
                assert isinstance(error, Killed) or "No space left on device" in str(error)
    parts = Parts(folder, IDENTITY)
    fill(parts, (block for block in order if block not in parts.done))
    parts.close()
    assert everything(folder) == {name: data for block in order for name, data in contents(block).items()}
    lines = [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]
    assert lines[0] == IDENTITY and sorted(line["block"] for line in lines[1:]) == list(range(6))
    parts = Parts(folder, IDENTITY)
    assert parts.sum("games") == sum(block % 3 for block in range(6))


@given(st.integers(0, 400), st.binary(max_size=20))
@settings(max_examples=30)
def test_a_manifest_that_was_cut_off(tmp_path_factory, length, garbage):
    folder = tmp_path_factory.mktemp("parts") / "out"
    fill(parts := Parts(folder, IDENTITY), range(6))
    parts.close()
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:length] + garbage.replace(b"\n", b""))
    try:
        parts = Parts(folder, IDENTITY)
    except Error as error:
        assert "--again" in str(error)
        parts = Parts(folder, IDENTITY, again=True)
    fill(parts, range(6))
    parts.close()
    assert everything(folder) == {name: data for block in range(6) for name, data in contents(block).items()}


def test_what_is_not_gone_on_with(tmp_path):
    parts = Parts(tmp_path / "out", IDENTITY)
    fill(parts, range(3))
    with pytest.raises(Error, match="another lc0rocm is writing"):
        Parts(tmp_path / "out", IDENTITY)
    parts.close()
    with pytest.raises(Error, match="another input, network or options; --again"):
        Parts(tmp_path / "out", {**IDENTITY, "nodes": 9})
    assert not Parts(tmp_path / "out", {**IDENTITY, "nodes": 9}, again=True).done and not everything(tmp_path / "out")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").write_text("dear")
    with pytest.raises(Error, match="name a new folder"):
        Parts(tmp_path / "home", IDENTITY)
    Parts(tmp_path / "home", IDENTITY, again=True)
    assert (tmp_path / "home/letter").exists()
    with pytest.raises(Error, match="cannot write"):
        Parts(tmp_path / "home/letter/out", IDENTITY)


def test_a_part_that_is_gone_is_made_again(tmp_path):
    parts = Parts(tmp_path / "out", IDENTITY)
    fill(parts, range(3))
    parts.close()
    (tmp_path / "out/002-1.txt").unlink()
    assert Parts(tmp_path / "out", IDENTITY).done.keys() == {0, 1}
