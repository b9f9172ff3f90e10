"""Outputs that one process writes at a time."""
import errno
import fcntl

import pytest

from lc0rocm._core import Error
from lc0rocm.annotation import forms
from lc0rocm.annotation.output import Output
from lc0rocm.cluster.parts import Parts
from lc0rocm.match.record import Record

OUTPUTS = {"parts": lambda folder: Parts(folder / "out", {}), "match": lambda folder: Record(str(folder / "out.pgn"), "id", False),
           "annotation": lambda folder: Output(str(folder / "out.pgn"), forms.of_name("out.pgn", ""), {}, False)}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_one_at_a_time(tmp_path, kind):
    first = OUTPUTS[kind](tmp_path)
    with pytest.raises(Error, match="another lc0rocm is writing"):
        OUTPUTS[kind](tmp_path)
    assert first


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, kind, number):
    """Lustre and NFS have them or have not, as they were mounted."""
    def refuse(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert OUTPUTS[kind](tmp_path)
