#!/usr/bin/env python3
"""Writes the averaged weights of a training run as an Lc0 net file, and checks that it answers as PyTorch does.

The check evaluates held-out positions with the package's own back end; a difference above 2e-3 in a policy logit, in Q or D, or
in moves left (relative to 10 plies) is an error.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch

import batches
import model
import positions
from lc0rocm import _core
from lc0rocm.netfile import net as net_files, netproto

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from make_net import set_array, write_net

TOLERANCE = 2e-3
LICENSE = b"CC0-1.0: no rights reserved. https://creativecommons.org/publicdomain/zero/1.0/"


def to_message(net: model.Net, log: dict) -> "netproto.Net":
    """The net as a netproto.Net with LINEAR16 weights."""
    message = netproto.Net(magic=0x1C0, license=LICENSE)
    message.min_version.minor = 30  # the first Lc0 line with PE_DENSE bodies
    message.format.weights_encoding = 1
    form = message.format.network_format
    form.input, form.output, form.network = positions.INPUT_FORMAT, 2, 6  # WDL; attention body with head format
    form.policy, form.value, form.moves_left = 3, 2, 1
    form.default_activation, form.smolgen_activation, form.ffn_activation = 1, 7, 8  # mish, swish, relu_2
    form.input_embedding = 2  # PE_DENSE
    message.training_params.training_steps = log["held_out"][-1]["step"]
    message.training_params.policy_loss = log["held_out"][-1]["policy"]
    message.training_params.accuracy = 100 * log["held_out"][-1]["top1"]
    weights = message.weights
    weights.headcount = net.config.heads
    for name, tensor in net.named_parameters():
        set_array(field(weights, name), tensor.detach().float().cpu().numpy())
    return message


def field(message, name: str):
    """The Layer for a parameter's name: encoder.3.mha.ln1.weight is encoder[3].mha.ln1_gammas."""
    *path, kind = name.split(".")
    if path[0] in ("policy", "value", "moves_left"):  # these heads live at the top
        short = {"policy": "", "value": "_val", "moves_left": "_mov"}[path.pop(0)]
        path[0] += short
    for step in path[:-1]:
        if step.isdigit():
            while len(message) <= int(step):
                message.add()
            message = message[int(step)]
        else:
            message = getattr(message, step)
    last = path[-1]
    if last in ("compress", "smolgen_w"):  # no suffix: these have no bias
        return getattr(message, last)
    if "ln" in last:
        return getattr(message, last + {"weight": "_gammas", "bias": "_betas"}[kind])
    return getattr(message, last + {"weight": "_w", "bias": "_b"}[kind])


def check(net: model.Net, path: pathlib.Path, backend: str, records: np.ndarray) -> dict[str, float]:
    """The largest differences between PyTorch in float32 and the back end with the file."""
    core = _core.Backend(backend, net_files.load(path).core())
    logits, q, d, m = core.evaluate(*positions.input_planes(records))
    store = batches.Store(records, "cpu")
    with torch.no_grad():
        policy, value, left = net.eval()(batches.expand(store.masks, store.rule50))
    shares = value.softmax(1).numpy()
    left = left.clamp(min=0).numpy()
    return {"policy": float(np.abs(logits - policy.numpy()).max()),
            "q": float(np.abs(q - (shares[:, 0] - shares[:, 2])).max()),
            "d": float(np.abs(d - shares[:, 1]).max()),
            "moves left": float((np.abs(m - left) / np.maximum(10, left)).max())}


def load_run(run: pathlib.Path) -> tuple[model.Net, dict]:
    """The averaged net of a run and its log."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = model.Net(model.Config(**state["config"]), torch.from_numpy(_core.attention_policy_map().astype(np.int64)))
    net.load_state_dict(state["average"])
    return net, state["log"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="the --out of train.py")
    parser.add_argument("net", type=pathlib.Path, help="the file to write: .pb.gz or .pb")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--positions", type=int, default=1000, help="of the check")
    options = parser.parse_args()
    net, log = load_run(options.run)
    write_net(to_message(net, log), options.net)
    held = np.load(options.run / "held_out.npy")[:options.positions]
    worst = check(net, options.net, options.backend, held)
    print(f"{options.net}: {options.net.stat().st_size / 1e6:.2f} MB, {sum(p.numel() for p in net.parameters()):,} parameters; "
          f"largest differences on {len(held)} positions: " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    if max(worst.values()) > TOLERANCE:
        raise SystemExit(f"the file and PyTorch differ by more than {TOLERANCE}: the net must not be used")


if __name__ == "__main__":
    main()
