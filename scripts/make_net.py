#!/usr/bin/env python3
"""Makes a net file with random weights: any architecture and size, for tests and speed measurements.

    scripts/make_net.py tower.pb.gz --body tower --filters 64 --blocks 6 --se-ratio 8 --policy convolution
    scripts/make_net.py big.pb.gz --body attention --embedding 768 --encoders 15 --heads 24 --dff 1024 --smolgen 32 256 256

Weights keep the size of activations from layer to layer, so that values and policies vary without being saturated.
"""
import argparse
import gzip
import math
import pathlib

import numpy as np

from lc0rocm.netfile import netproto

POLICIES = {"classical": 1, "convolution": 2, "attention": 3}
ENCODINGS = {"linear16": 1, "float16": 2, "bfloat16": 3, "float32": 4}
ACTIVATIONS = {"default": 0, "mish": 1, "relu": 2, "none": 3, "tanh": 4, "sigmoid": 5, "selu": 6, "swish": 7, "relu2": 8}
POLICY_HEADS = ("vanilla", "optimistic_st", "soft", "opponent")
VALUE_HEADS = ("winner", "q", "st")


def write_net(message, path):
    """Writes a netproto.Net; gzipped if the path ends in .gz. The same message gives the same bytes."""
    data = message.SerializeToString(deterministic=True)
    pathlib.Path(path).write_bytes(gzip.compress(data, 9 if len(data) < 1 << 24 else 1, mtime=0)
                                   if str(path).endswith(".gz") else data)


def set_array(layer, values, encoding="linear16"):
    """Stores float values in a Layer. linear16 spreads 0..65535 over their range."""
    values = np.asarray(values, np.float32).ravel()
    layer.encoding = ENCODINGS[encoding]
    if encoding == "linear16":
        low, high = float(values.min()), float(values.max())
        layer.min_val, layer.max_val = low, high
        scale = 65535 / (high - low) if high > low else 0.0
        layer.params = np.round((values - low) * scale).astype("<u2").tobytes()
    elif encoding == "float16":
        layer.params = values.astype("<f2").tobytes()
    elif encoding == "bfloat16":
        bits = values.view(np.uint32)
        layer.params = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()  # to nearest even
    else:
        layer.params = values.astype("<f4").tobytes()


def make_net(*, body="attention", filters=64, blocks=6, se_ratio=0, embedding=128, encoders=3, heads=4, dff=256, d_model=0,
             smolgen=None, pe="map", preprocessing=16, gates=False, policy="attention", policy_size=0, policy_encoders=0,
             policy_heads=4, value="wdl", value_size=32, head_hidden=128, moves_left=True, multihead=False, input_format=1,
             encoding="linear16", activation="mish", smolgen_activation="swish", ffn_activation="default", batch_norm=True, seed=0):
    """A netproto.Net. body: tower, attention, or both (a tower of `blocks` under an attention body). smolgen: None or
    (compressed channels, hidden, generated). pe: map or dense. 0 for d_model and policy_size: as wide as their input."""
    return _Maker(encoding, seed).net(argparse.Namespace(**{k: v for k, v in locals().items() if k not in ("encoding", "seed")}))


class _Maker:
    def __init__(self, encoding, seed):
        self.encoding, self.rng = encoding, np.random.default_rng(seed)

    def put(self, layer, values):
        set_array(layer, values, self.encoding)

    def random(self, layer, size, spread, centre=0.0):
        self.put(layer, centre + spread * self.rng.standard_normal(size, np.float32))

    def first(self, layer, outputs, channels, kernel, spread, input_format):
        """The layer that sees the planes. Plane 109 counts plies in formats 1 to 3: it must not drown the others."""
        values = spread * self.rng.standard_normal((outputs, channels, kernel), np.float32)
        if input_format < 4:
            values[:, 109] /= 50
        self.put(layer, values)

    def dense(self, message, name, inputs, outputs, gain=1.0):
        self.random(getattr(message, name + "_w"), outputs * inputs, gain / math.sqrt(inputs))
        self.random(getattr(message, name + "_b"), outputs, 0.1)

    def norm(self, message, name, size):
        self.random(getattr(message, name + "_gammas"), size, 0.1, 1.0)
        self.random(getattr(message, name + "_betas"), size, 0.1)

    def convolution(self, block, inputs, outputs, kernel, gain=1.4, batch_norm=False):
        self.random(block.weights, outputs * inputs * kernel * kernel, gain / math.sqrt(inputs * kernel * kernel))
        if batch_norm:
            self.random(block.bn_means, outputs, 0.1)
            self.put(block.bn_stddivs, self.rng.uniform(0.5, 1.5, outputs))
            self.random(block.bn_gammas, outputs, 0.1, 1.0)
            self.random(block.bn_betas, outputs, 0.1)
        else:
            self.random(block.biases, outputs, 0.1)

    def net(self, o):
        attention = o.body in ("attention", "both")
        net = netproto.Net(magic=0x1C0, license=b"random weights, no rights reserved")
        net.min_version.minor = 33 if self.encoding != "linear16" else 30
        net.format.weights_encoding = 1
        form, weights = net.format.network_format, net.weights
        form.input, form.output = o.input_format, 2 if o.value == "wdl" else 1
        form.network = (7 if o.multihead else 6) if attention else (4 if o.se_ratio else 3)
        form.policy, form.value = POLICIES[o.policy], 2 if o.value == "wdl" else 1
        form.moves_left, form.default_activation = int(o.moves_left), int(o.activation == "mish")
        channels = 112
        if not attention or o.body == "both":
            channels = self.tower(weights, o)
        if attention:
            form.smolgen_activation = ACTIVATIONS[o.smolgen_activation]
            form.ffn_activation = ACTIVATIONS[o.ffn_activation]
            form.input_embedding = 2 if o.pe == "dense" else 1
            channels = self.body(weights, o, channels)
        heads = [weights]
        if o.multihead:  # they share one embedding
            self.dense(weights.policy_heads, "ip_pol", channels, o.policy_size or channels)
            heads = [getattr(weights.policy_heads, name) for name in POLICY_HEADS]
        for head in heads:
            self.policy(head, o, channels)
        for head in [getattr(weights.value_heads, name) for name in VALUE_HEADS] if o.multihead else [weights]:
            self.head(head, "val", "value", attention, channels, o.value_size, o.head_hidden, 3 if o.value == "wdl" else 1)
        if o.moves_left:
            self.head(weights, "mov", "moves_left", attention, channels, min(8, o.value_size), o.head_hidden, 1)
            self.put(weights.ip2_mov_b, [30.0])  # plies: away from the final relu's zero
        return net

    def tower(self, weights, o):
        self.convolution(weights.input, 112, o.filters, 3, 1.4, o.batch_norm)
        self.first(weights.input.weights, o.filters, 112, 9, 1.4 / math.sqrt(112 * 9), o.input_format)
        for _ in range(o.blocks):
            block = weights.residual.add()
            self.convolution(block.conv1, o.filters, o.filters, 3, 1.4, o.batch_norm)
            self.convolution(block.conv2, o.filters, o.filters, 3, 0.5, o.batch_norm)
            if o.se_ratio:
                hidden = max(1, o.filters // o.se_ratio)
                for layer, inputs, outputs in ((block.se.w1, o.filters, hidden), (block.se.w2, hidden, 2 * o.filters)):
                    self.random(layer, outputs * inputs, 1 / math.sqrt(inputs))
                self.random(block.se.b1, hidden, 0.1)
                self.random(block.se.b2, 2 * o.filters, 0.1)
        return o.filters

    def body(self, weights, o, channels):
        width = o.embedding
        if channels == 112:
            if o.pe == "dense":
                self.dense(weights, "ip_emb_preproc", 768, 64 * o.preprocessing, 4.0)
            channels += o.preprocessing if o.pe == "dense" else 64
        self.dense(weights, "ip_emb", channels, width)
        if o.body == "attention":
            self.first(weights.ip_emb_w, width, channels, 1, 1 / math.sqrt(channels), o.input_format)
        if o.gates:
            self.random(weights.ip_mult_gate, width * 64, 0.1, 1.0)
            self.random(weights.ip_add_gate, width * 64, 0.1)
        if o.pe == "dense":
            self.norm(weights, "ip_emb_ln", width)
            self.ffn(weights.ip_emb_ffn, width, o.dff)
            self.norm(weights, "ip_emb_ffn_ln", width)
        weights.headcount = o.heads
        for _ in range(o.encoders):
            layer = weights.encoder.add()
            self.encoder(layer, width, o.d_model or width, o.dff)
            if o.smolgen:
                compressed, hidden, generated = o.smolgen
                smolgen = layer.mha.smolgen
                self.random(smolgen.compress, compressed * width, 1 / math.sqrt(width))
                self.dense(smolgen, "dense1", 64 * compressed, hidden)
                self.norm(smolgen, "ln1", hidden)
                self.dense(smolgen, "dense2", hidden, o.heads * generated)
                self.norm(smolgen, "ln2", o.heads * generated)
        if o.smolgen:
            self.random(weights.smolgen_w, 4096 * generated, 1 / math.sqrt(generated))
        return width

    def encoder(self, layer, width, d_model, dff):
        for name in "qkv":
            self.dense(layer.mha, name, width, d_model)
        self.dense(layer.mha, "dense", d_model, width)
        self.norm(layer, "ln1", width)
        self.ffn(layer.ffn, width, dff)
        self.norm(layer, "ln2", width)

    def ffn(self, ffn, width, dff):
        self.dense(ffn, "dense1", width, dff)
        self.dense(ffn, "dense2", dff, width)

    def policy(self, head, o, channels):
        if o.policy == "convolution":
            self.convolution(head.policy1, channels, channels, 3, 1.4, o.batch_norm)
            self.convolution(head.policy, channels, 80, 3, 4.0)
        elif o.policy == "classical":
            planes = o.policy_size or 32
            self.convolution(head.policy, channels, planes, 1, 1.4, o.batch_norm)
            self.dense(head, "ip_pol", 64 * planes, 1858, 6.0)
        else:
            width = o.policy_size or channels
            if not o.multihead:
                self.dense(head, "ip_pol", channels, width)
            for _ in range(o.policy_encoders):
                self.encoder(head.pol_encoder.add(), width, width, o.dff)
            if o.policy_encoders:
                head.pol_headcount = o.policy_heads
            self.dense(head, "ip2_pol", width, width, 2.0)
            self.dense(head, "ip3_pol", width, width, 2.0)
            self.random(head.ip4_pol_w, 4 * width, 1 / math.sqrt(width))

    def head(self, head, short, block, attention, channels, width, hidden, outputs):
        if attention:
            self.dense(head, f"ip_{short}", channels, width, 1.4)
        else:
            self.convolution(getattr(head, block), channels, width, 1, 1.4)
        self.dense(head, f"ip1_{short}", 64 * width, hidden, 1.4)
        self.dense(head, f"ip2_{short}", hidden, outputs, 0.7)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("path", help="gzipped if it ends in .gz")
    p.add_argument("--body", choices=("tower", "attention", "both"), default="attention")
    p.add_argument("--filters", type=int, default=64)
    p.add_argument("--blocks", type=int, default=6, help="residual blocks")
    p.add_argument("--se-ratio", type=int, default=0, help="filters per hidden unit of squeeze-and-excitation; 0: none")
    p.add_argument("--embedding", type=int, default=128)
    p.add_argument("--encoders", type=int, default=3)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--dff", type=int, default=256, help="hidden units of the feed-forward layers")
    p.add_argument("--d-model", type=int, default=0, help="width of q, k and v; 0: the embedding's")
    p.add_argument("--smolgen", type=int, nargs=3, metavar=("COMPRESSED", "HIDDEN", "GENERATED"))
    p.add_argument("--pe", choices=("map", "dense"), default="map", help="position encoding of the embedding")
    p.add_argument("--preprocessing", type=int, default=16, help="channels that --pe dense adds to a square")
    p.add_argument("--gates", action="store_true")
    p.add_argument("--policy", choices=POLICIES, default="attention")
    p.add_argument("--policy-size", type=int, default=0, help="policy embedding or planes; 0: as its input, 32 planes")
    p.add_argument("--policy-encoders", type=int, default=0)
    p.add_argument("--policy-heads", type=int, default=4, help="attention heads of the policy encoders")
    p.add_argument("--value", choices=("wdl", "classical"), default="wdl")
    p.add_argument("--value-size", type=int, default=32, help="channels of a square in the value head")
    p.add_argument("--head-hidden", type=int, default=128, help="hidden units of the value and moves-left heads")
    p.add_argument("--no-moves-left", dest="moves_left", action="store_false")
    p.add_argument("--multihead", action="store_true", help="four policy heads and three value heads")
    p.add_argument("--input-format", type=int, choices=(1, 2, 3, 4, 5, 132, 133), default=1)
    p.add_argument("--encoding", choices=ENCODINGS, default="linear16")
    p.add_argument("--activation", choices=("relu", "mish"), default="mish")
    p.add_argument("--smolgen-activation", choices=ACTIVATIONS, default="swish")
    p.add_argument("--ffn-activation", choices=ACTIVATIONS, default="default")
    p.add_argument("--no-batch-norm", dest="batch_norm", action="store_false")
    p.add_argument("--seed", type=int, default=0)
    options = vars(p.parse_args())
    write_net(make_net(**{k: v for k, v in options.items() if k != "path"}), options["path"])


if __name__ == "__main__":
    main()
