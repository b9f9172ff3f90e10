"""Configuration files and the search for a network."""
import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc0rocm import Error, cli, config, flags, options


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
    path = write(home / "my.config", b"# comment\n\n  --threads=2 \nweights=/a b.pb.gz\nno-ponder\n-t 4\n-v")
    assert config.config_flags(path) == [["--threads=2"], ["--weights=/a b.pb.gz"], ["--no-ponder"], ["-t", "4"], ["-v"]]


@pytest.mark.parametrize("line,word", [
    ("threads = 2", "--threads=2"), ("--threads =2", "--threads=2"), ("threads\t=\t2", "--threads=2"), ("threads 2", "--threads=2"),
    ("threads=2 # four is too much", "--threads=2"), ("threads=2\t#x", "--threads=2"), ("verbose-move-stats # all", "--verbose-move-stats"),
    ('weights="/a b.pb.gz"', "--weights=/a b.pb.gz"), ("weights = '/a # b.pb'  # quoted", "--weights=/a # b.pb"),
    ("weights=/a#1.pb", "--weights=/a#1.pb"), ("weights=/home/o'brien/n.pb", "--weights=/home/o'brien/n.pb"), ("logfile=", "--logfile="),
    ("logfile= # none", "--logfile="), ("backend-opts=a(backend=cpu),b(gpu=0)", "--backend-opts=a(backend=cpu),b(gpu=0)"),
    ('backend-opts=path="/x",n=1', '--backend-opts=path="/x",n=1'), ("contempt=50,bob=20", "--contempt=50,bob=20"),
])
def test_lines_as_people_write_them(home, line, word):
    assert config.config_flags(write(home / "my.config", line.encode())) == [[word]]


@pytest.mark.parametrize("line,flags", [
    ("-t 2 --minibatch-size=32\t-w /a b.pb --contempt=-5 # -b cpu", [["-t", "2"], ["--minibatch-size=32"], ["-w", "/a b.pb"], ["--contempt=-5"]]),
    ("--draw-score -0.5 --no-two-fold-draws", [["--draw-score=-0.5"], ["--no-two-fold-draws"]]),
    ('--weights="/a -b.pb"', [["--weights=/a -b.pb"]]), ("weights=/a -b.pb", [["--weights=/a -b.pb"]]),
])
def test_several_flags_in_a_line(home, line, flags):
    assert config.config_flags(write(home / "my.config", line.encode())) == flags


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_files_of_other_systems(home, encoding, ends):
    text = ends.join(["; a note", "// another", "# and one", "threads=2", "weights=ä.pb", ""])
    path = write(home / "my.config", text.encode(encoding))
    assert config.config_flags(path) == [["--threads=2"], ["--weights=ä.pb"]]


def test_a_path_in_any_encoding(home):
    assert os.fsencode(config.config_flags(write(home / "my.config", b"weights=/\xff.pb"))[0][0]) == b"--weights=/\xff.pb"


@given(st.binary(max_size=60) | st.text("-threadsxweigh=\"'# \t\n", max_size=60).map(str.encode))
def test_any_file_is_flags_or_one_sentence(tmp_path_factory, data):
    path = write(tmp_path_factory.getbasetemp() / "any.config", data)
    try:
        lines = config.config_flags(path)
    except Error as error:
        assert "any.config" in str(error)
        return
    for words in lines:
        assert words[0].startswith("-") and len(words) <= 2
        try:
            flags.parse(words, options.Settings(options.ENGINE), [])
        except Error as error:
            assert len(str(error)) < 400


def test_order_of_folders(home):
    assert config.find_config(print) is None
    write(home / "XDG_CONFIG_HOME" / "lc0" / "lc0.config", b"threads=1")
    assert config.config_flags(config.find_config(print)) == [["--threads=1"]]
    write(home / "bin" / "lc0rocm.config", b"threads=2")
    assert config.config_flags(config.find_config(print)) == [["--threads=2"]]


def test_a_folder_that_cannot_be_looked_into_has_nothing(home, monkeypatch):
    """Another user's home, which `sudo` and `su` leave in HOME; here by a name that no file system takes, as root may look anywhere."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/" + "x" * 300)
    monkeypatch.setenv("XDG_DATA_HOME", "/" + "x" * 300)
    assert config.find_config(print) is None and config.discover_network() is None


@pytest.mark.parametrize("whose", ["everybody's", "another's file", "another's folder"])
def test_what_others_could_have_put_there_is_not_used(home, whose):
    """Flags name files to be written: in a home of another user, or in /tmp as a home, they would be the flags of another."""
    theirs = write(home / "XDG_CONFIG_HOME" / "lc0rocm" / "lc0rocm.config", b"logfile=/root/.profile")
    if whose == "everybody's":
        theirs.chmod(0o666)
    elif os.geteuid() == 0:
        os.chown(theirs if whose == "another's file" else theirs.parent, 12345, 12345)
    else:
        pytest.skip("only root gives files away")
    usual = write(home / "XDG_CONFIG_DIRS" / "lc0rocm" / "lc0rocm.config", b"threads=2")
    said: list[str] = []
    assert config.find_config(said.append) == usual
    (line,) = said
    assert line.startswith(f"{theirs} is not used")


def test_files_that_cannot_be_read(home):
    with pytest.raises(Error, match="nowhere"):
        config.config_flags(home / "nowhere")
    with pytest.raises(Error, match="bin"):
        config.config_flags(write(home / "bin" / "x", b"").parent)


@pytest.fixture
def configured(monkeypatch):
    """configured(*arguments): the settings with which the engine would start."""
    started = []
    monkeypatch.setattr("lc0rocm.engine.uci.run", lambda settings, *_: started.append(settings) or 0)

    def start(*arguments):
        return (cli.main([*arguments]), started and started.pop())

    return start


FOREIGN = b"""threads=3
backend=cudnn-fp16
backend-opts=gpu=1
weights=/nowhere/at/all.pb.gz
no-such-flag=1
minibatch-size=many
time-manager=fast
just words
[section]
cpuct=2.5
task-workers=4
"""


def test_a_file_of_another_engine_that_was_found_prevents_nothing(home, configured, capsys):
    write(home / "bin" / "lc0.config", FOREIGN)
    status, settings = configured()
    assert status == 0 and (settings["Threads"], settings["CPuct"]) == (3, 2.5)
    untouched = options.Settings(options.ENGINE)
    assert all(settings[name] == untouched[name] for name in ("Backend", "BackendOptions", "WeightsFile", "MinibatchSize", "TimeManager"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 + 9 and all(line.startswith("lc0rocm: ") for line in said) and sum("left out" in line for line in said) == 8


def test_a_file_that_was_found_and_cannot_be_read_prevents_nothing(home, configured, capsys):
    write(home / "bin" / "lc0rocm.config", b"\xff\xfe\x00")
    assert configured()[0] == 0 and "cannot read" in capsys.readouterr().err


def test_a_file_that_was_named_must_be_right(home, configured, capsys):
    path = write(home / "my.config", b"threads=3\nthreads=many")
    assert configured(f"--config={path}")[0] == 2
    assert "my.config: Threads takes" in capsys.readouterr().err
    assert configured(f"--config={write(path, b'backend=cpu')}")[1]["Backend"] == "cpu"
    assert configured("--config=/nowhere")[0] == 2


def test_the_command_line_has_the_last_word(home, configured):
    write(home / "bin" / "lc0rocm.config", b"threads=3\nponder=yes\nbackend=cpu")
    settings = configured("--threads=4")[1]
    assert settings["Threads"] == 4 and settings["Backend"] == "cpu"
    assert configured("--config=")[1]["Threads"] == 0


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
