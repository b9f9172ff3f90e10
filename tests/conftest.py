"""Where the reference data lies: tests/reference (networks, Lc0's outputs for them, vectors of the specification)."""
import pathlib

import pytest

REFERENCE = pathlib.Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference() -> pathlib.Path:
    return REFERENCE


def pytest_generate_tests(metafunc):
    """A test that asks for `reference_net` runs with the name of each network that Lc0's outputs are known of."""
    if "reference_net" in metafunc.fixturenames:
        metafunc.parametrize("reference_net", sorted(path.stem for path in (REFERENCE / "golden").glob("*.npz")))


# What `make quick` leaves out: whole games, builds and training, fault by fault and net by net. By the start of a test's name.
SLOW = ("tests/install", "tests/train", "tests/test_build.py", "tests/uci/test_gpu.py", "tests/search/test_golden.py",
        "tests/backends/test_rocm_conv.py", "tests/backends/test_rocm_gemm.py", "tests/backends/test_rocm_faults.py",
        "tests/backends/test_rocm.py::test_golden", "tests/backends/test_rocm.py::test_spec_nets", "tests/nn/test_fuzz.py",
        "tests/standin", "tests/uci/test_hostile.py", "tests/uci/test_python_chess.py", "tests/test_rocm_loading.py")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
