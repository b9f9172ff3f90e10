"""What is kept in the cache folder decides what is loaded without a check: who may have written it matters."""
import os

import pytest

from lc0rocm.gpu import remember


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lc0rocm"


def test_remembers(cache):
    remember.remember("facts.json", "a", 1)
    remember.remember("facts.json", "b", [2])
    assert remember.recall("facts.json") == {"a": 1, "b": [2]}
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_have_written_is_not_believed(cache, capsys, mode):
    remember.remember("facts.json", "a", 1)
    (cache / "facts.json").chmod(mode)
    assert remember.recall("facts.json") == {} and "is not used" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_owns_is_not_believed(cache, capsys):
    remember.remember("facts.json", "a", 1)
    os.chown(cache / "facts.json", 12345, 12345)
    assert remember.recall("facts.json") == {} and "is not used" in capsys.readouterr().err


def test_a_pipe_is_not_waited_for(cache):
    cache.mkdir()
    os.mkfifo(cache / "facts.json", 0o600)
    assert remember.recall("facts.json") == {}


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe\0", b"null"])
def test_a_damaged_file_is_dropped_with_a_line(cache, capsys, content):
    cache.mkdir()
    (cache / "facts.json").write_bytes(content)
    (cache / "facts.json").chmod(0o600)
    assert remember.recall("facts.json") == {} and "damaged" in capsys.readouterr().err
    assert remember.recall("facts.json") == {} and capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_nothing_is_kept_where_others_could_hold_the_lock(cache, mode):
    cache.mkdir()
    cache.chmod(mode)
    remember.remember("facts.json", "a", 1)
    assert remember.recall("facts.json") == {} and not os.listdir(cache)


@pytest.mark.parametrize("home", ["~unknown-user/cache", "relative"])
def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch, home):
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.chdir(tmp_path)
    remember.remember("facts.json", "a", 1)
    assert remember.recall("facts.json") == {} and not os.listdir(tmp_path)
