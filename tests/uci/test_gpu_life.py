"""Anything that a GUI may send to a machine with GPUs that fail, fill up and come back. scripts/soak_uci walks as far as one likes."""
from hypothesis import seed

from . import gpu_life, gui


def test_any_life(emulated_gpu, tmp_path_factory):
    gui.walk(seed(5)(gpu_life.machine(tmp_path_factory.mktemp("life"))), 3, 25)
