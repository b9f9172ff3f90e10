"""Configuration files and the search for a network."""
import gzip
import os

import pytest

from lc0rocm import Error, config


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(tmp_path / "bin" / "lc0rocm")])
    for variable in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_flags_of_a_file(home):
    path = write(home / "my.config", b"# comment\n\n  --threads=2 \nweights=/a b.pb.gz\nno-ponder\n")
    assert config.config_flags(str(path)) == (["--threads=2", "--weights=/a b.pb.gz", "--no-ponder"], path)


def test_order_of_folders(home):
    assert config.config_flags(None) == ([], None)
    write(home / "XDG_CONFIG_HOME" / "lc0" / "lc0.config", b"threads=1")
    assert config.config_flags(None)[0] == ["--threads=1"]
    write(home / "bin" / "lc0rocm.config", b"threads=2")
    assert config.config_flags(None)[0] == ["--threads=2"]
    assert config.config_flags("") == ([], None)


@pytest.mark.parametrize("data", [b"-t 4\n", b"\xff\xfe"])
def test_bad_files(home, data):
    with pytest.raises(Error, match="my.config"):
        config.config_flags(str(write(home / "my.config", data)))


def test_missing_file(home):
    with pytest.raises(Error, match="nowhere"):
        config.config_flags("nowhere")


NET = b"\x0d\xc0\x01\x00\x00" + os.urandom(600_000)


def test_no_network(home):
    write(home / "XDG_DATA_HOME" / "lc0" / "small.pb", NET[:1000])
    write(home / "XDG_DATA_HOME" / "lc0" / "other.pb", bytes(600_000))
    write(home / "XDG_DATA_HOME" / "lc0" / "bad.pb.gz", b"\x1f\x8b" + bytes(600_000))
    assert config.discover_network() is None


@pytest.mark.parametrize("folder", ["", "networks", "weights"])
def test_newest_of_the_first_folder_wins(home, folder):
    old = write(home / "XDG_DATA_HOME" / "lc0" / folder / "a.pb", NET)
    new = write(home / "XDG_DATA_HOME" / "lc0" / folder / "b.pb.gz", gzip.compress(NET))
    write(home / "XDG_DATA_DIRS" / "lc0" / "c.pb", NET)
    os.utime(old, (1e9, 1e9))
    assert config.discover_network() == new
    os.utime(new, (5e8, 5e8))
    assert config.discover_network() == old
