"""Any interleaving of what a GUI may send, over several back ends: about 2,000 steps. scripts/soak_uci walks as far as one likes."""
import pytest

from . import gui

EXAMPLES = {"Random": 12, "RandomInBatches": 3, "RandomInThreads": 3, "Cpu": 2}


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    return {machine.__name__: machine for machine in gui.machines(tmp_path_factory.mktemp("gui"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_gui(machines, name):
    gui.walk(machines[name], EXAMPLES[name])


@pytest.mark.parametrize("words", gui.FAULTS)
def test_an_emulated_gpu_that_fails(machines, words):
    found = [machine for machine in machines.values() if machine.environment.get("ROCM_EMULATED") == words]
    if not found:
        pytest.skip("built without -Drocm=emulated")
    gui.walk(found[0], 2, 50)
