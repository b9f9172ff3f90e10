"""A small network of each kind of body and head, made here; the CPU is compared with the formulas on them, and the GPU with the CPU."""
from emulated import make_net
from lc0rocm.netfile import net

# Sizes that no kernel likes: heads of 12 channels, an encoding of 3 a square, odd widths.
NETS = {
    "map": {"embedding": 36, "heads": 3, "dff": 50, "smolgen": (3, 10, 7), "gates": True, "policy_size": 20, "value_size": 5,
            "head_hidden": 9},
    "dense": {"embedding": 44, "heads": 2, "d_model": 24, "dff": 30, "pe": "dense", "preprocessing": 3, "ffn_activation": "relu2"},
    "tower": {"body": "tower", "filters": 21, "blocks": 2, "se_ratio": 3, "policy": "convolution", "value_size": 3, "head_hidden": 7},
    "classical": {"body": "tower", "filters": 12, "blocks": 1, "policy": "classical", "policy_size": 5, "value": "classical"},
    "both": {"body": "both", "filters": 24, "blocks": 1, "se_ratio": 4, "embedding": 32, "heads": 4, "dff": 40},
}


def load(name, folder):
    """The core's network, and its architecture."""
    return made(folder, encoders=2, **NETS[name])


def made(folder, **sizes):
    make_net.write_net(make_net.make_net(seed=3, **sizes), folder / "odd.pb")
    file = net.load(folder / "odd.pb")
    return file.core(), file.architecture()
