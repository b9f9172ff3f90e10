import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def script(name):
    """A module of scripts/, by file name without .py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def maker():
    return script("make_net")


@pytest.fixture(scope="session")
def fuzzer():
    return script("fuzz_nets")


@pytest.fixture(scope="session")
def nets():
    """The folder nets/ of the checkout."""
    return ROOT / "nets"


@pytest.fixture
def written(maker, tmp_path):
    """Writes a message or bytes to a file and gives its path."""
    def write(content, name="net.pb"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            maker.write_net(content, path)
        return path
    return write
