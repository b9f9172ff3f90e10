"""From the weights of a net file to the architecture and the named arrays the core reads, every presence and size checked.

The walk below is the definition of what a net needs: it follows docs/spec/networks.md 2 (layouts) and 5 (heads) in the order of
evaluation, and names arrays as src/nn/description.cc says. Sizes that nothing else fixes are read off the first array that has
them. No array is expanded: the core decodes.
"""
import math

import numpy as np

POLICY_HEADS = {"vanilla": "vanilla", "optimistic": "optimistic_st", "soft": "soft", "opponent": "opponent"}
VALUE_HEADS = {"winner": "winner", "q": "q", "st": "st"}  # option value -> field
_ACTIVATION = {1: "mish", 2: "relu", 3: "none", 4: "tanh", 5: "sigmoid", 6: "selu", 7: "swish", 8: "relu2"}
ELEMENT_SIZE = {1: 2, 2: 2, 3: 2, 4: 4}  # bytes, by encoding
_EXPONENT = {2: (np.dtype("<u2"), 0x7C00), 3: (np.dtype("<u2"), 0x7F80), 4: (np.dtype("<u4"), 0x7F800000)}
_POLICY_CLASSICAL, _POLICY_CONVOLUTION = 1, 2  # NetworkFormat.policy
_INPUTS, _MOVES = 112, 1858
_EMBEDDING_DENSE = 2  # INPUT_EMBEDDING_PE_DENSE


def read(net, policy_head: str, value_head: str) -> tuple[dict, dict]:
    """NetFile.read(): (architecture, arrays)."""
    if not net.message.HasField("weights"):
        net.fail("holds only an ONNX model, expected a net with weights of its own (the original of the converted file)")
    return _Walk(net).walk(policy_head, value_head)


def decode(array) -> np.ndarray:
    """float32 values, flat, of an entry of `arrays`. The core has its own: this is for the few that are looked at here."""
    encoding, params, low, high, _ = array
    if encoding == 4:
        return np.frombuffer(params, "<f4")
    if encoding == 3:
        return (np.frombuffer(params, "<u2").astype(np.uint32) << 16).view(np.float32)
    if encoding == 2:
        return np.frombuffer(params, "<f2").astype(np.float32)
    theta = np.frombuffer(params, "<u2") / np.float32(65535)
    return np.float32(low) * (1 - theta) + np.float32(high) * theta


class _Walk:
    """Takes arrays from the messages into `arrays`. `name` is the core's array name, `path` the file's field."""

    def __init__(self, net):
        self.net, self.format, self.weights = net, net.format, net.message.weights
        self.arrays = {}

    def fail(self, path, text):
        self.net.fail(f"weights.{path} {text}")

    def walk(self, policy_head, value_head):
        form, weights, attention = self.format, self.weights, self.net.attention_body
        default = "mish" if form.default_activation == 1 else "relu"
        arch = {
            "input_format": form.input, "filters": 0, "blocks": len(weights.residual), "attention_body": attention,
            "dense_embedding": attention and form.input_embedding == _EMBEDDING_DENSE, "embedding": 0, "encoders": 0, "heads": 0,
            "activation": default, "smolgen_activation": _ACTIVATION.get(form.smolgen_activation, default),
            "ffn_activation": _ACTIVATION.get(form.ffn_activation, default), "policy": form.policy, "policy_encoders": 0,
            "policy_heads": 0, "wdl": form.value == 2, "moves_left": form.moves_left == 1,
        }
        if not attention or arch["blocks"]:
            arch["filters"] = self.tower()
        channels = arch["filters"]
        if attention:
            channels = arch["embedding"] = self.body(arch)
        arch |= self.policy(policy_head, channels)
        self.value(value_head, channels, 3 if arch["wdl"] else 1)
        if arch["moves_left"]:
            self.scalar_head(weights, "", "", "mov", "moves_left", channels, 1)
        return arch, self.arrays

    # arrays ---------------------------------------------------------------------------------------------------------

    def array(self, name, message, path, shape=None):
        """Takes one array of the given shape, or, without, of one dimension of any size but 0; its number of elements."""
        layer = getattr(message, path.rpartition(".")[2])
        encoding = layer.encoding if layer.HasField("encoding") else 1
        params = layer.params  # the one copy
        if not params:
            self.fail(path, f"is missing{f', expected {_shape(shape)}' if shape else ''}")
        if encoding not in ELEMENT_SIZE:
            self.fail(path, f"has encoding {encoding}, expected 1 (LINEAR16), 2 (FLOAT16), 3 (BFLOAT16) or 4 (FLOAT32)")
        size, odd = divmod(len(params), ELEMENT_SIZE[encoding])
        if odd:
            self.fail(path, f"has {len(params)} bytes, expected a multiple of {ELEMENT_SIZE[encoding]}")
        if shape and size != math.prod(shape):
            self.fail(path, f"has {size} values, expected {_shape(shape)}")
        if encoding == 1:
            finite = math.isfinite(layer.min_val) and math.isfinite(layer.max_val)
        else:
            kind, exponent = _EXPONENT[encoding]
            finite = not np.any(np.frombuffer(params, kind) & exponent == exponent)
        if not finite:
            self.fail(path, "has infinities or NaN, expected finite values")
        self.arrays[name] = (encoding, params, layer.min_val, layer.max_val, shape or (size,))
        return size

    def split(self, name, message, path, inner):
        """Takes an array of shape (n, *inner) for any n; n."""
        size = self.array(name, message, path)
        if size % math.prod(inner):
            self.fail(path, f"has {size} values, expected a multiple of {_shape(inner)}")
        self.arrays[name] = (*self.arrays[name][:4], (size // math.prod(inner), *inner))
        return size // math.prod(inner)

    def convolution(self, name, message, path, inputs, kernel, outputs=None):
        """A convolution with its batch norm; number of output channels."""
        block = getattr(message, path.rpartition(".")[2])
        name, path = name + ".", path + "."
        inner = (inputs, kernel, kernel)
        if outputs is None:
            outputs = self.split(name + "weights", block, path + "weights", inner)
        else:
            self.array(name + "weights", block, path + "weights", (outputs, *inner))
        normalized = bool(block.bn_means.params)
        if block.biases.params or not normalized:
            self.array(name + "biases", block, path + "biases", (outputs,))
        if normalized:
            fields = ["bn_means", "bn_stddivs"] + ["bn_betas", "bn_gammas"] * bool(block.bn_betas.params)
            for field in fields:
                self.array(name + field, block, path + field, (outputs,))
            gamma = decode(self.arrays[name + "bn_gammas"]) if "bn_gammas" in fields else np.ones(outputs, np.float32)
            with np.errstate(all="ignore"):
                scale = gamma / np.sqrt(decode(self.arrays[name + "bn_stddivs"]) + np.float32(1e-5))
            if not np.all(np.isfinite(scale)):
                self.fail(path + "bn_stddivs", "gives scales that are not finite, expected variances of at least 0")
        return outputs

    def dense(self, name, message, path, inputs, outputs=None):
        """path_w (outputs, inputs) and path_b; number of outputs."""
        if outputs is None:
            outputs = self.array(name + "_b", message, path + "_b")
        else:
            self.array(name + "_b", message, path + "_b", (outputs,))
        self.array(name + "_w", message, path + "_w", (outputs, inputs))
        return outputs

    def norm(self, name, message, path, size):
        self.array(name + "_gammas", message, path + "_gammas", (size,))
        self.array(name + "_betas", message, path + "_betas", (size,))

    # bodies ---------------------------------------------------------------------------------------------------------

    def tower(self):
        filters = self.convolution("input", self.weights, "input", _INPUTS, 3)
        for i, block in enumerate(self.weights.residual):
            name, path = f"residual.{i}.", f"residual[{i}]."
            self.convolution(name + "conv1", block, path + "conv1", filters, 3, filters)
            self.convolution(name + "conv2", block, path + "conv2", filters, 3, filters)
            if block.HasField("se"):
                hidden = self.array(name + "se.b1", block.se, path + "se.b1")
                self.array(name + "se.w1", block.se, path + "se.w1", (hidden, filters))
                self.array(name + "se.w2", block.se, path + "se.w2", (2 * filters, hidden))
                self.array(name + "se.b2", block.se, path + "se.b2", (2 * filters,))
        return filters

    def body(self, arch):
        weights, dense_embedding = self.weights, arch["dense_embedding"]
        if arch["blocks"]:
            inputs = arch["filters"]
        elif dense_embedding:
            size = self.split("ip_emb_preproc_b", weights, "ip_emb_preproc_b", (64,))
            self.dense("ip_emb_preproc", weights, "ip_emb_preproc", 768, 64 * size)
            inputs = _INPUTS + size
        else:
            inputs = _INPUTS + 64
        embedding = self.dense("ip_emb", weights, "ip_emb", inputs)
        if weights.ip_mult_gate.params and weights.ip_add_gate.params:  # one alone is ignored
            self.array("ip_mult_gate", weights, "ip_mult_gate", (embedding, 64))
            self.array("ip_add_gate", weights, "ip_add_gate", (embedding, 64))
        if dense_embedding:
            self.norm("ip_emb_ln", weights, "ip_emb_ln", embedding)
            self.ffn("ip_emb_ffn", weights.ip_emb_ffn, "ip_emb_ffn", embedding)
            self.norm("ip_emb_ffn_ln", weights, "ip_emb_ffn_ln", embedding)
        arch |= {"encoders": len(weights.encoder), "heads": weights.headcount}
        if not arch["encoders"]:
            self.fail("encoder", "is missing, expected at least one encoder layer in an attention body")
        generated = 0  # inputs of smolgen's last layer, which all encoder layers share
        for i, layer in enumerate(weights.encoder):
            generated = self.encoder(f"encoder.{i}", layer, f"encoder[{i}]", embedding, weights.headcount, "headcount", generated)
        return embedding

    def encoder(self, name, layer, path, embedding, heads, heads_path, generated=None):
        """One encoder layer; the size `generated` that smolgen found in it or was given, None where smolgen has no place."""
        mha, ffn = layer.mha, layer.ffn
        name, path = name + ".", path + "."
        for field in ("rpe_q", "rpe_k", "rpe_v"):
            if mha.HasField(field):
                self.fail(f"{path}mha.{field}", "is present, expected a net without relative position encodings")
        if heads == 0:
            self.fail(heads_path, "is 0, expected the number of attention heads")
        width = self.dense(name + "mha.q", mha, path + "mha.q", embedding)
        if width % heads:
            self.fail(path + "mha.q_b", f"has {width} values, expected a multiple of {heads} ({heads_path})")
        self.dense(name + "mha.k", mha, path + "mha.k", embedding, width)
        self.dense(name + "mha.v", mha, path + "mha.v", embedding, width)
        self.dense(name + "mha.dense", mha, path + "mha.dense", width, embedding)
        if mha.HasField("smolgen"):
            if generated is None:
                self.fail(path + "mha.smolgen", "is present, expected a policy encoder without smolgen")
            generated = self.smolgen(name + "mha.smolgen.", mha.smolgen, path + "mha.smolgen.", embedding, heads, generated)
        self.norm(name + "ln1", layer, path + "ln1", embedding)
        self.ffn(name + "ffn", ffn, path + "ffn", embedding)
        self.norm(name + "ln2", layer, path + "ln2", embedding)
        return generated

    def smolgen(self, name, smolgen, path, embedding, heads, generated):
        compressed = self.split(name + "compress", smolgen, path + "compress", (embedding,))
        hidden = self.dense(name + "dense1", smolgen, path + "dense1", 64 * compressed)
        self.norm(name + "ln1", smolgen, path + "ln1", hidden)
        if not generated:
            generated = self.split(name + "dense2_b", smolgen, path + "dense2_b", (heads,))
            self.array("smolgen_w", self.weights, "smolgen_w", (4096, generated))
        self.dense(name + "dense2", smolgen, path + "dense2", hidden, heads * generated)
        self.norm(name + "ln2", smolgen, path + "ln2", heads * generated)
        return generated

    def ffn(self, name, ffn, path, embedding):
        hidden = self.dense(name + ".dense1", ffn, path + ".dense1", embedding)
        self.dense(name + ".dense2", ffn, path + ".dense2", hidden, embedding)

    # heads ----------------------------------------------------------------------------------------------------------

    def choose(self, kind, heads, choice):
        """The message of the chosen head and its path: a sub-message of `kind`, or the top level, which has the same fields."""
        if choice not in heads:
            self.net.fail(f"has no {kind[:-6]} head {choice}, expected one of {', '.join(heads)}")
        default = next(iter(heads))
        if self.weights.HasField(kind):
            group = getattr(self.weights, kind)
            if choice != default and not group.HasField(heads[choice]):
                here = [name for name, field in heads.items() if name == default or group.HasField(field)]
                self.net.fail(f"has no {kind[:-6]} head {choice}, expected one of {', '.join(here)}")
            return getattr(group, heads[choice]), f"{kind}.{heads[choice]}."
        if choice != default:
            self.net.fail(f"has no {kind[:-6]} head {choice}, expected {default}: the only one in this net")
        return self.weights, ""

    def policy(self, choice, channels):
        head, path = self.choose("policy_heads", POLICY_HEADS, choice)
        if self.format.policy == _POLICY_CONVOLUTION:
            self.convolution("policy.policy1", head, path + "policy1", channels, 3, channels)
            self.convolution("policy.policy", head, path + "policy", channels, 3, 80)
            return {}
        if self.format.policy == _POLICY_CLASSICAL:
            planes = self.convolution("policy.policy", head, path + "policy", channels, 1)
            self.shared_embedding(head, path, 64 * planes, _MOVES)
            return {}
        embedding = self.shared_embedding(head, path, channels)
        for i, layer in enumerate(head.pol_encoder):
            self.encoder(f"policy.pol_encoder.{i}", layer, f"{path}pol_encoder[{i}]", embedding, head.pol_headcount,
                         path + "pol_headcount")
        width = self.dense("policy.ip2_pol", head, path + "ip2_pol", embedding)
        self.dense("policy.ip3_pol", head, path + "ip3_pol", embedding, width)
        self.array("policy.ip4_pol_w", head, path + "ip4_pol_w", (4, width))
        return {"policy_encoders": len(head.pol_encoder), "policy_heads": head.pol_headcount if head.pol_encoder else 0}

    def shared_embedding(self, head, path, inputs, outputs=None):
        """ip_pol_w and _b, each from the head, else from what its heads share, else from the top level."""
        def place(field):
            for message, prefix in ((head, path), (self.weights.policy_heads, "policy_heads."), (self.weights, "")):
                if getattr(message, field).params:
                    return message, prefix + field
            return head, path + field
        if outputs is None:
            outputs = self.array("policy.ip_pol_b", *place("ip_pol_b"))
        else:
            self.array("policy.ip_pol_b", *place("ip_pol_b"), (outputs,))
        self.array("policy.ip_pol_w", *place("ip_pol_w"), (outputs, inputs))
        return outputs

    def value(self, choice, channels, outputs):
        head, path = self.choose("value_heads", VALUE_HEADS, choice)
        self.scalar_head(head, "value.", path, "val", "value", channels, outputs)

    def scalar_head(self, head, name, path, short, block, channels, outputs):
        """Value and moves left: one embedding a square, then two dense layers."""
        if self.net.attention_body:
            width = self.dense(f"{name}ip_{short}", head, f"{path}ip_{short}", channels)
        else:
            width = self.convolution(name + block, head, path + block, channels, 1)
        hidden = self.dense(f"{name}ip1_{short}", head, f"{path}ip1_{short}", 64 * width)
        self.dense(f"{name}ip2_{short}", head, f"{path}ip2_{short}", hidden, outputs)


def _shape(shape):
    size = str(math.prod(shape))
    return size if len(shape) == 1 else f"{size} ({' x '.join(map(str, shape))})"
