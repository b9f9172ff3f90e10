"""A network as an ONNX model, docs/spec/networks.md 4 and 5 once more: for programs that run ONNX, and for what else Lc0's `leela2onnx` is
used for. Names of inputs and outputs are Lc0's, tensors between layers have those of `network.layers`. Needs the package onnx."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from lc0rocm import _core
from lc0rocm._version import VERSION
from lc0rocm.netfile import netproto
from lc0rocm.netfile.net import MAGIC, NetFile

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise _core.Error(f"exporting needs the Python package onnx, which is missing or damaged ({error}): pip install onnx") from None

INPUT, POLICY, WDL, VALUE, MOVES_LEFT = "/input/planes", "/output/policy", "/output/wdl", "/output/value", "/output/mlh"
_OPSET, _IR_VERSION = 17, 8  # 17 has LayerNormalization; both are old enough for every onnxruntime since 1.12


def model(net: NetFile, policy_head: str = "vanilla", value_head: str = "winner", half: bool = False) -> onnx.ModelProto:
    """Planes (n, 112, 8, 8) to policy (n, 1858), raw logits; wdl (n, 3), probabilities, or value (n, 1); mlh (n, 1) where the net has it; for
    any n. half: numbers of 16 bits, those of inputs and outputs too. Raises Error for a net that is not sound."""
    return _Writer(net, policy_head, value_head, half).write()


def message(made: onnx.ModelProto, net: NetFile) -> Any:
    """A net file's message (netproto.Net) that holds the model in place of the weights of `net`."""
    file = netproto.Net()
    file.magic, file.min_version.minor = MAGIC, 28  # of Lc0, long since
    for field in ("license", "training_params"):
        if net.message.HasField(field):
            file.MergeFrom(netproto.Net(**{field: getattr(net.message, field)}))
    file.format.weights_encoding = 1
    file.format.network_format.CopyFrom(net.format)
    file.format.network_format.network = 5  # NETWORK_ONNX
    inside = file.onnx_model
    inside.model, inside.input_planes = made.SerializeToString(), INPUT.encode()
    inside.data_type = 10 if made.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16 else 1
    fields = {POLICY: "output_policy", WDL: "output_wdl", VALUE: "output_value", MOVES_LEFT: "output_mlh"}
    for value in made.graph.output:
        setattr(inside, fields[value.name], value.name.encode())
    return file


class _Writer:
    """Each method adds nodes that compute a layer, and returns the name of its tensor."""

    def __init__(self, net: NetFile, policy_head: str, value_head: str, half: bool):
        self.net = net
        self.architecture, self.arrays = net.read(policy_head, value_head)
        self.core = _core.Network(self.architecture, self.arrays)
        self.half, self.element = half, TensorProto.FLOAT16 if half else TensorProto.FLOAT
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def write(self) -> onnx.ModelProto:
        a = self.architecture
        x = INPUT
        if a["filters"]:
            x = self.tower(x)
        if a["attention_body"]:
            x = self.body(x)
        outputs = {POLICY: 1858}
        self.policy(x)
        value = self.scalar_head(x, "value", "value.", "val", "value.value")
        if a["wdl"]:
            self.node("Softmax", value, name=WDL, axis=-1)
            outputs[WDL] = 3
        else:
            self.node("Tanh", value, name=VALUE)
            outputs[VALUE] = 1
        if a["moves_left"]:
            self.node("Relu", self.scalar_head(x, "moves_left", "", "mov", "moves_left"), name=MOVES_LEFT)
            outputs[MOVES_LEFT] = 1
        info = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, "lc0", [info(INPUT, self.element, ["batch", 112, 8, 8])],
                                  [info(name, self.element, ["batch", size]) for name, size in outputs.items()], list(self.constants.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="lc0rocm",
                                 producer_version=VERSION)
        helper.set_model_props(made, {"input_format": str(a["input_format"]), "network": self.net.path.name})
        onnx.checker.check_model(made)
        return made

    # parts ----------------------------------------------------------------------------------------------------------

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"/{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, name: str, values: Any, integers: bool = False) -> str:
        """A tensor by its name, which two callers may want."""
        if name not in self.constants:
            array = np.ascontiguousarray(values, np.int64 if integers else np.float32)
            if self.half and not integers:
                if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
                    self.net.fail(f"has weights of {name} that are beyond the range of 16 bits; export it in 32")
                array = array.astype(np.float16)
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def array(self, name: str) -> np.ndarray:
        return self.core.array(name).reshape(self.arrays[name][4])

    def reshape(self, x: str, *shape: int, name: str = "") -> str:
        """Of each position."""
        return self.node("Reshape", x, self.constant("/shape/" + "x".join(map(str, shape)), [0, *shape], integers=True), name=name)

    def slice(self, x: str, axis: int, begin: int, end: int) -> str:
        bounds = [self.constant(f"/number/{n}", [n], integers=True) for n in (begin, end, axis)]
        return self.node("Slice", x, *bounds)

    def activate(self, kind: str, x: str, name: str = "") -> str:
        """name: of the result."""
        if kind == "relu2":
            x = self.node("Relu", x)
            return self.node("Mul", x, x, name=name)
        if kind == "mish":
            return self.node("Mul", x, self.node("Tanh", self.node("Softplus", x)), name=name)
        if kind == "swish":
            return self.node("Mul", x, self.node("Sigmoid", x), name=name)
        return self.node({"relu": "Relu", "selu": "Selu", "tanh": "Tanh", "sigmoid": "Sigmoid", "none": "Identity"}[kind], x, name=name)

    def dense(self, x: str, weights: str, biases: str = "", scale: float = 1, name: str = "") -> str:
        """scale * (w x + b), over the last axis."""
        if not biases:
            return self.node("MatMul", x, self.constant(weights, scale * self.array(weights).T), name=name)
        product = self.node("MatMul", x, self.constant(weights, scale * self.array(weights).T))
        return self.node("Add", product, self.constant(biases, scale * self.array(biases)), name=name)

    def layer(self, x: str, name: str, scale: float = 1, shown: str = "") -> str:
        return self.dense(x, name + "_w", name + "_b", scale, shown)

    def norm(self, x: str, name: str, eps: float, shown: str = "") -> str:
        return self.node("LayerNormalization", x, *(self.constant(name + part, self.array(name + part)) for part in ("_gammas", "_betas")),
                         name=shown, axis=-1, epsilon=eps)

    def convolution(self, x: str, name: str, kernel: int, shown: str = "") -> str:
        weights, biases = self.core.convolution(name)
        weights = weights.reshape(len(biases), -1, kernel, kernel)
        return self.node("Conv", x, self.constant(name + ".weights", weights), self.constant(name + ".biases", biases), name=shown,
                         kernel_shape=[kernel, kernel], pads=[kernel // 2] * 4)

    # bodies ---------------------------------------------------------------------------------------------------------

    def tower(self, planes: str) -> str:
        act = self.architecture["activation"]
        x = self.activate(act, self.convolution(planes, "input", 3), "input")
        for i in range(self.architecture["blocks"]):
            name, shown = f"residual.{i}.", f"block.{i}"
            y = self.activate(act, self.convolution(x, name + "conv1", 3), shown + ".conv1")
            squeezed = name + "se.w1" in self.arrays
            y = self.convolution(y, name + "conv2", 3, "" if squeezed else shown + ".branch")
            if squeezed:
                filters = self.architecture["filters"]
                means = self.node("Flatten", self.node("GlobalAveragePool", y))
                gates = self.dense(self.activate(act, self.dense(means, name + "se.w1", name + "se.b1")), name + "se.w2", name + "se.b2")
                gates = self.reshape(gates, 2 * filters, 1, 1)
                scaled = self.node("Mul", self.node("Sigmoid", self.slice(gates, 1, 0, filters)), y)
                y = self.node("Add", scaled, self.slice(gates, 1, filters, 2 * filters), name=shown + ".branch")
            x = self.activate(act, self.node("Add", x, y), shown)
        return x

    def tokens(self, x: str) -> str:
        """(n, C, 8, 8) as (n, 64, C)."""
        return self.node("Transpose", self.node("Reshape", x, self.constant("/shape/squares", [0, 0, 64], integers=True)), perm=[0, 2, 1])

    def body(self, x: str) -> str:
        a = self.architecture
        tokens = self.tokens(x)
        if a["dense_embedding"] and not a["filters"]:
            pieces = self.reshape(self.tokens(self.slice(x, 1, 0, 12)), 768)
            extra = self.layer(pieces, "ip_emb_preproc")
            tokens = self.node("Concat", tokens, self.reshape(extra, 64, self.arrays["ip_emb_preproc_b"][4][0] // 64), axis=-1)
        if a["filters"] or a["dense_embedding"]:
            t = self.layer(tokens, "ip_emb")
        else:  # the map's columns give a constant of each square
            weights = self.array("ip_emb_w")
            table = _position_map() @ weights[:, 112:].T + self.array("ip_emb_b")
            t = self.node("Add", self.node("MatMul", tokens, self.constant("ip_emb_w", weights[:, :112].T)), self.constant("ip_emb_b", table))
        gated = "ip_mult_gate" in self.arrays
        shown = "embedding"
        t = self.activate(a["activation"], t, "" if a["dense_embedding"] or gated else shown)
        if a["dense_embedding"]:
            t = self.norm(t, "ip_emb_ln", 1e-3)
        if gated:
            t = self.node("Mul", t, self.constant("ip_mult_gate", self.array("ip_mult_gate").T))
            t = self.node("Add", t, self.constant("ip_add_gate", self.array("ip_add_gate").T), name="" if a["dense_embedding"] else shown)
        alpha, eps = (2 * a["encoders"]) ** -0.25, 1e-3 if a["dense_embedding"] else 1e-6
        if a["dense_embedding"]:
            t = self.feed_forward(t, "ip_emb_ffn", a["ffn_activation"], alpha, "ip_emb_ffn_ln", 1e-3, shown)
        for i in range(a["encoders"]):
            t = self.encoder(t, f"encoder.{i}.", a["heads"], a["ffn_activation"], alpha, eps, f"encoder.{i}")
        return t

    def feed_forward(self, t: str, name: str, activation: str, alpha: float, norm: str, eps: float, shown: str) -> str:
        hidden = self.activate(activation, self.layer(t, name + ".dense1"), shown + ".hidden")
        return self.norm(self.node("Add", t, self.layer(hidden, name + ".dense2", alpha)), norm, eps, shown)

    def encoder(self, t: str, name: str, heads: int, ffn_activation: str, alpha: float, eps: float, shown: str) -> str:
        width = self.arrays[name + "mha.q_b"][4][0]
        q, k, v = (self.reshape(self.layer(t, f"{name}mha.{part}"), 64, heads, width // heads, name=f"{shown}.{part}") for part in "qkv")
        scores = self.node("MatMul", self.node("Transpose", q, perm=[0, 2, 1, 3]), self.node("Transpose", k, perm=[0, 2, 3, 1]))
        root = self.constant(f"/root/{width // heads}", math.sqrt(heads / width))
        scores = self.node("Mul", scores, root)
        if name + "mha.smolgen.compress" in self.arrays:
            scores = self.node("Add", scores, self.smolgen(t, name + "mha.smolgen.", heads, shown + ".smolgen"))
        weights = self.node("Softmax", scores, name=shown + ".attention", axis=-1)
        mixed = self.node("MatMul", weights, self.node("Transpose", v, perm=[0, 2, 1, 3]))
        mixed = self.reshape(self.node("Transpose", mixed, perm=[0, 2, 1, 3], name=shown + ".heads"), 64, width)
        t = self.norm(self.node("Add", t, self.layer(mixed, name + "mha.dense", alpha)), name + "ln1", eps, shown + ".ln1")
        return self.feed_forward(t, name + "ffn", ffn_activation, alpha, name + "ln2", eps, shown)

    def smolgen(self, t: str, name: str, heads: int, shown: str) -> str:
        act = self.architecture["smolgen_activation"]
        c = self.reshape(self.dense(t, name + "compress"), self.arrays[name + "dense1_w"][4][1])
        c = self.norm(self.activate(act, self.layer(c, name + "dense1")), name + "ln1", 1e-3)
        c = self.norm(self.activate(act, self.layer(c, name + "dense2")), name + "ln2", 1e-3)
        c = self.reshape(c, heads, self.arrays[name + "dense2_b"][4][0] // heads)
        return self.reshape(self.dense(c, "smolgen_w"), heads, 64, 64, name=shown)

    # heads ----------------------------------------------------------------------------------------------------------

    def scalar_head(self, x: str, shown: str, prefix: str, kind: str, block: str) -> str:
        act = self.architecture["activation"]
        embed = self.layer(x, f"{prefix}ip_{kind}") if self.architecture["attention_body"] else self.convolution(x, block, 1)
        flat = self.node("Flatten", self.activate(act, embed, shown + ".embedding"))
        hidden = self.activate(act, self.layer(flat, f"{prefix}ip1_{kind}"), shown + ".hidden")
        return self.layer(hidden, f"{prefix}ip2_{kind}")

    def policy(self, x: str) -> None:
        a = self.architecture
        if a["policy"] == 1:
            p = self.node("Flatten", self.activate(a["activation"], self.convolution(x, "policy.policy", 1), "policy.embedding"))
            self.dense(p, "policy.ip_pol_w", "policy.ip_pol_b", name=POLICY)
        elif a["policy"] == 2:
            inner = self.activate(a["activation"], self.convolution(x, "policy.policy1", 3), "policy.embedding")
            flat = self.node("Flatten", self.convolution(inner, "policy.policy", 3))
            self.node("Gather", flat, self.constant("/places", _core.convolution_policy_map(), integers=True), name=POLICY, axis=1)
        else:
            self.attention_policy(x)

    def attention_policy(self, x: str) -> None:
        a = self.architecture
        act, ffn = (a["activation"], a["ffn_activation"]) if a["attention_body"] else ("selu", "selu")
        e = self.activate(act, self.layer(x if a["attention_body"] else self.tokens(x), "policy.ip_pol"), "policy.embedding")
        for i in range(a["policy_encoders"]):
            e = self.encoder(e, f"policy.pol_encoder.{i}.", a["policy_heads"], ffn, 1, 1e-6, f"policy.encoder.{i}")
        width = self.arrays["policy.ip2_pol_b"][4][0]
        q, k = (self.layer(e, f"policy.{name}_pol", shown="policy." + shown) for name, shown in (("ip2", "q"), ("ip3", "k")))
        root = self.constant(f"/root/{width}", 1 / math.sqrt(width))
        moves = self.node("Mul", self.node("MatMul", q, self.node("Transpose", k, perm=[0, 2, 1])), root)
        of_target = self.dense(self.slice(k, 1, 56, 64), "policy.ip4_pol_w")  # (n, 8, 4)
        of_target = self.node("Add", self.slice(of_target, 2, 0, 3), self.slice(of_target, 2, 3, 4))
        steps = self.reshape(self.slice(self.slice(moves, 1, 48, 56), 2, 56, 64), 8, 8, 1)
        promotions = self.node("Add", steps, self.reshape(of_target, 1, 8, 3))
        flat = self.node("Concat", self.node("Flatten", moves), self.node("Flatten", promotions), axis=1)
        self.node("Gather", flat, self.constant("/places", _core.attention_policy_map(), integers=True), name=POLICY, axis=1)


def _position_map() -> np.ndarray:
    """(64, 64): -1 on the diagonal, 1 where a queen or a knight could go."""
    table = -np.eye(64, dtype=np.float32)
    for move in _core.policy_moves():
        if len(move) == 4:
            start, end = (8 * (int(move[i + 1]) - 1) + "abcdefgh".index(move[i]) for i in (0, 2))
            table[start, end] = 1
    return table
