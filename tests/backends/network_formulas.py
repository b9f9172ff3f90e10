"""The network in float64 NumPy, written like the formulas of docs/spec/networks.md 4 and 5: slow, and what every back end is
compared with.

Every body and head is covered. Activations of a tower are (n, C, 8, 8), tokens (n, 64, E).
"""
import numpy as np

from lc0rocm import _core


def relu(x):
    return np.maximum(x, 0)


def selu(x):
    return 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(np.minimum(x, 0)))


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


ACTIVATIONS = {
    "none": lambda x: x, "relu": relu, "relu2": lambda x: relu(x) ** 2,
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)), "swish": lambda x: x * sigmoid(x),
    "selu": selu, "tanh": np.tanh, "sigmoid": sigmoid,
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Reference:
    """core: a _core.Network; architecture: the dictionary it was made from. replace: layer -> a function of its array; `layers` has them all
    after evaluate()."""

    def __init__(self, core, architecture, replace=None):
        self.core, self.architecture = core, architecture
        self.replace, self.layers = replace or {}, {}
        self.act = ACTIVATIONS[architecture["activation"]]

    def at(self, name, x):
        """What the pass goes on with, where a back end shows x as this layer."""
        self.layers[name] = x = self.replace[name](x) if name in self.replace else x
        return x

    def at_tower(self, name, x):
        """The same for x (n, C, 8, 8), which back ends show squares first."""
        return self.at(name, x.reshape(len(x), -1, 64).swapaxes(1, 2)).swapaxes(1, 2).reshape(x.shape)

    def array(self, name):
        return self.core.array(name).astype(np.float64)

    def has(self, name):
        try:
            self.core.array(name)
        except _core.Error:
            return False
        return True

    def dense(self, x, weights, biases=None):
        matrix = self.array(weights).reshape(-1, x.shape[-1])
        return x @ matrix.T + (self.array(biases) if biases else 0)

    def layer(self, x, name):
        return self.dense(x, name + "_w", name + "_b")

    def norm(self, x, name, eps):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return self.array(name + "_betas") + self.array(name + "_gammas") * (x - mean) / np.sqrt(variance + eps)

    def convolution(self, x, name, kernel):
        """(n, in, 8, 8) to (n, out, 8, 8), zero padding."""
        weights, biases = (a.astype(np.float64) for a in self.core.convolution(name))
        weights = weights.reshape(len(biases), x.shape[1], kernel, kernel)
        margin = kernel // 2
        padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
        out = np.zeros((len(x), len(biases), 8, 8)) + biases[:, None, None]
        for y in range(kernel):
            for z in range(kernel):
                out += np.einsum("oc,ncrf->norf", weights[:, :, y, z], padded[:, :, y:y + 8, z:z + 8])
        return out

    def evaluate(self, masks, values):
        """Planes (n, 112) to policy logits (n, 1858), q, d, m (n,)."""
        a = self.architecture
        x = planes = _core.expand_planes(masks, values).astype(np.float64)
        if a["filters"]:
            x = self.tower(x)
        if a["attention_body"]:
            x = self.body(x, planes)
        policy = self.policy(x)
        y = self.scalar_head(x, "value.", "val", "value.value")
        if a["wdl"]:
            win, draw, loss = softmax(y).T
            q, d = win - loss, draw
        else:
            q, d = np.tanh(y[:, 0]), np.zeros(len(y))
        m = relu(self.scalar_head(x, "", "mov", "moves_left")[:, 0]) if a["moves_left"] else np.zeros(len(y))
        return policy, q, d, m

    def tower(self, planes):
        x = self.at_tower("input", self.act(self.convolution(planes, "input", 3)))
        for i in range(self.architecture["blocks"]):
            name = f"residual.{i}."
            shown = f"block.{i}"
            z = self.convolution(self.at_tower(shown + ".conv1", self.act(self.convolution(x, name + "conv1", 3))), name + "conv2", 3)
            if self.has(name + "se.w1"):
                hidden = self.act(self.dense(z.mean((2, 3)), name + "se.w1", name + "se.b1"))
                scale, shift = np.split(self.dense(hidden, name + "se.w2", name + "se.b2")[..., None, None], 2, axis=1)
                z = sigmoid(scale) * z + shift
            x = self.at_tower(shown, self.act(x + self.at_tower(shown + ".branch", z)))
        return x

    def body(self, x, planes):
        a, n = self.architecture, len(x)
        tokens = x.reshape(n, -1, 64).swapaxes(1, 2)
        if not a["filters"]:
            if a["dense_embedding"]:
                pieces = planes[:, :12].reshape(n, 12, 64).swapaxes(1, 2).reshape(n, 768)
                extra = self.layer(pieces, "ip_emb_preproc").reshape(n, 64, -1)
            else:
                extra = np.broadcast_to(position_map(), (n, 64, 64))
            tokens = np.concatenate([tokens, extra], -1)
        t = self.act(self.layer(tokens, "ip_emb"))
        if a["dense_embedding"]:
            t = self.norm(t, "ip_emb_ln", 1e-3)
        if self.has("ip_mult_gate"):
            t = t * self.array("ip_mult_gate").reshape(-1, 64).T + self.array("ip_add_gate").reshape(-1, 64).T
        alpha, eps = (2 * a["encoders"]) ** -0.25, 1e-3 if a["dense_embedding"] else 1e-6
        if a["dense_embedding"]:
            t = self.norm(t + alpha * self.feed_forward(t, "ip_emb_ffn", a["ffn_activation"], "embedding"), "ip_emb_ffn_ln", 1e-3)
        t = self.at("embedding", t)
        for i in range(a["encoders"]):
            t = self.encoder(t, f"encoder.{i}.", a["heads"], a["ffn_activation"], alpha, eps, f"encoder.{i}")
        return t

    def feed_forward(self, t, name, activation, shown):
        return self.layer(self.at(shown + ".hidden", ACTIVATIONS[activation](self.layer(t, name + ".dense1"))), name + ".dense2")

    def encoder(self, t, name, heads, ffn_activation, alpha, eps, shown):
        n = len(t)
        q, k, v = (self.at(f"{shown}.{part}", self.layer(t, f"{name}mha.{part}").reshape(n, 64, heads, -1)) for part in "qkv")
        scores = np.einsum("nihc,njhc->nhij", q, k) / np.sqrt(q.shape[-1])
        if self.has(name + "mha.smolgen.compress"):
            scores += self.at(shown + ".smolgen", self.smolgen(t, name + "mha.smolgen.", heads))
        attention = self.at(shown + ".attention", softmax(scores))
        mixed = self.at(shown + ".heads", np.einsum("nhij,njhc->nihc", attention, v)).reshape(n, 64, -1)
        t = self.at(shown + ".ln1", self.norm(t + alpha * self.layer(mixed, name + "mha.dense"), name + "ln1", eps))
        return self.at(shown, self.norm(t + alpha * self.feed_forward(t, name + "ffn", ffn_activation, shown), name + "ln2", eps))

    def smolgen(self, t, name, heads):
        act, n = ACTIVATIONS[self.architecture["smolgen_activation"]], len(t)
        c = self.dense(t, name + "compress").reshape(n, -1)
        a = self.norm(act(self.layer(c, name + "dense1")), name + "ln1", 1e-3)
        b = self.norm(act(self.layer(a, name + "dense2")), name + "ln2", 1e-3)
        return self.dense(b.reshape(n, heads, -1), "smolgen_w").reshape(n, heads, 64, 64)

    def scalar_head(self, x, prefix, kind, block):
        shown = "value" if kind == "val" else "moves_left"
        if self.architecture["attention_body"]:
            v = self.at(shown + ".embedding", self.act(self.layer(x, f"{prefix}ip_{kind}")))
        else:
            v = self.at_tower(shown + ".embedding", self.act(self.convolution(x, block, 1)))
        hidden = self.at(shown + ".hidden", self.act(self.layer(v.reshape(len(x), -1), f"{prefix}ip1_{kind}")))
        return self.layer(hidden, f"{prefix}ip2_{kind}")

    def policy(self, x):
        a, n = self.architecture, len(x)
        if a["policy"] == 1:
            p = self.at_tower("policy.embedding", self.act(self.convolution(x, "policy.policy", 1)))
            return self.layer(p.reshape(n, -1), "policy.ip_pol")
        if a["policy"] == 2:
            inner = self.at_tower("policy.embedding", self.act(self.convolution(x, "policy.policy1", 3)))
            p = self.convolution(inner, "policy.policy", 3)
            return p.reshape(n, -1)[:, _core.convolution_policy_map()]
        tokens, act, ffn = x, a["activation"], a["ffn_activation"]
        if not a["attention_body"]:
            tokens, act, ffn = x.reshape(n, -1, 64).swapaxes(1, 2), "selu", "selu"
        e = self.at("policy.embedding", ACTIVATIONS[act](self.layer(tokens, "policy.ip_pol")))
        for i in range(a["policy_encoders"]):
            e = self.encoder(e, f"policy.pol_encoder.{i}.", a["policy_heads"], ffn, 1, 1e-6, f"policy.encoder.{i}")
        q, k = self.at("policy.q", self.layer(e, "policy.ip2_pol")), self.at("policy.k", self.layer(e, "policy.ip3_pol"))
        moves = np.einsum("nic,njc->nij", q, k) / np.sqrt(q.shape[-1])
        promotion = self.dense(k[:, 56:], "policy.ip4_pol_w")  # (n, 8, 4)
        promotion = moves[:, 48:56, 56:, None] + promotion[:, None, :, :3] + promotion[:, None, :, 3:]
        flat = np.concatenate([moves.reshape(n, -1), promotion.reshape(n, -1)], 1)
        return flat[:, _core.attention_policy_map()]


def position_map():
    """(64, 64): -1 on the diagonal, 1 where a queen or a knight could go."""
    table = -np.eye(64)
    squares = {f"{file}{rank + 1}": 8 * rank + i for rank in range(8) for i, file in enumerate("abcdefgh")}
    for move in _core.policy_moves():
        if len(move) == 4:
            table[squares[move[:2]], squares[move[2:]]] = 1
    return table
