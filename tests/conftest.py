"""Where the reference data lies: ../shared beside the checkout (nets, golden outputs, spec vectors)."""
import pathlib

import pytest

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout: reference nets and golden outputs are there")
    return SHARED
