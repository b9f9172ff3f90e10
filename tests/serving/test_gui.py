"""Any interleaving of what a GUI may send, to a served engine through `lc0rocm connect`: the model of tests/uci/gui.py holds there, too."""
import sys

from ..uci import gui


def test_a_gui(serve, tmp_path):
    address = "{}:{}".format(*serve(clients=1).server_address)
    gui.walk(type("Served", (gui.Gui,), {"folder": tmp_path, "argv": [sys.executable, "-m", "lc0rocm", "connect", address]}), 3, 60)
