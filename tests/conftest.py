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
