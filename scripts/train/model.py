"""The attention body of Lc0 nets in PyTorch, with attention policy, WDL value and moves left.

Source of the formulas: the network specification 4.3, 4.4 and 5; names are those of the net file's fields, so that
export.py copies arrays by name. Dense position embedding; gates are left out (they are optional).
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import positions

SQUARES, PLANES = 64, 112
TAUGHT = (*positions.PLANES, 109, 111)
EPS = 1e-3  # of every layer norm, as PE_DENSE nets have it


@dataclass
class Config:
    embedding: int = 192
    encoders: int = 10
    heads: int = 6
    dff: int = 384
    preprocessing: int = 8  # channels per square that see the whole board at once
    compressed: int = 8  # smolgen: channels per square, hidden size, numbers per head
    hidden: int = 96
    generated: int = 64
    policy_size: int = 128  # policy embedding and query size
    value_size: int = 16  # channels per square of the value head
    moves_left_size: int = 4

    def flops(self) -> int:
        """Of one evaluation, counting a multiply and an add as two; dense layers and attention only."""
        e, d = self.embedding, self.dff
        smolgen = self.compressed * (64 * e + 64 * self.hidden) + self.heads * self.generated * (self.hidden + 4096)
        layer = 64 * (4 * e * e + 2 * e * d) + 2 * 64 * 64 * e + smolgen
        embedding = 768 * 64 * self.preprocessing + 64 * ((PLANES + self.preprocessing) * e + 2 * e * d)
        policy = 64 * (e * self.policy_size + 2 * self.policy_size ** 2) + 64 * 64 * self.policy_size
        heads = sum(64 * (e * size + size * 128) for size in (self.value_size, self.moves_left_size))
        return 2 * (embedding + self.encoders * layer + policy + heads)


class FFN(nn.Module):
    """Activation relu_2 (squared relu): costs nothing, and is better than relu."""

    def __init__(self, embedding: int, dff: int) -> None:
        super().__init__()
        self.dense1 = nn.Linear(embedding, dff)
        self.dense2 = nn.Linear(dff, embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense2(F.relu(self.dense1(x)).square())


class Smolgen(nn.Module):
    """A bias for every pair of squares and head, made from the whole board."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads = c.heads
        self.compress = nn.Linear(c.embedding, c.compressed, bias=False)
        self.dense1 = nn.Linear(SQUARES * c.compressed, c.hidden)
        self.ln1 = nn.LayerNorm(c.hidden, EPS)
        self.dense2 = nn.Linear(c.hidden, c.heads * c.generated)
        self.ln2 = nn.LayerNorm(c.heads * c.generated, EPS)

    def forward(self, t: Tensor, smolgen_w: nn.Linear) -> Tensor:
        """(batch, 64, embedding) to (batch, heads, 64, 64); smolgen_w is shared by all layers."""
        x = self.compress(t).flatten(1)
        x = self.ln1(F.silu(self.dense1(x)))
        x = self.ln2(F.silu(self.dense2(x)))
        return smolgen_w(x.unflatten(1, (self.heads, -1))).unflatten(2, (SQUARES, SQUARES))


class MHA(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads = c.heads
        self.q, self.k, self.v, self.dense = (nn.Linear(c.embedding, c.embedding) for _ in range(4))
        self.smolgen = Smolgen(c)

    def forward(self, t: Tensor, smolgen_w: nn.Linear) -> Tensor:
        q, k, v = (dense(t).unflatten(2, (self.heads, -1)).transpose(1, 2) for dense in (self.q, self.k, self.v))
        logits = q @ k.transpose(2, 3) / math.sqrt(q.shape[3]) + self.smolgen(t, smolgen_w)
        return self.dense((logits.softmax(3) @ v).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.alpha = (2 * c.encoders) ** -0.25
        self.mha = MHA(c)
        self.ln1 = nn.LayerNorm(c.embedding, EPS)
        self.ffn = FFN(c.embedding, c.dff)
        self.ln2 = nn.LayerNorm(c.embedding, EPS)

    def forward(self, t: Tensor, smolgen_w: nn.Linear) -> Tensor:
        t = self.ln1(t + self.alpha * self.mha(t, smolgen_w))
        return self.ln2(t + self.alpha * self.ffn(t))


class ScalarHead(nn.Module):
    """Channels per square, then two dense layers over the board."""

    def __init__(self, embedding: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.ip = nn.Linear(embedding, channels)
        self.ip1 = nn.Linear(SQUARES * channels, 128)
        self.ip2 = nn.Linear(128, outputs)

    def forward(self, t: Tensor) -> Tensor:
        return self.ip2(F.mish(self.ip1(F.mish(self.ip(t)).flatten(1))))


class PolicyHead(nn.Module):
    def __init__(self, embedding: int, size: int, move_map: Tensor) -> None:
        super().__init__()
        self.ip_pol = nn.Linear(embedding, size)
        self.ip2_pol = nn.Linear(size, size)
        self.ip3_pol = nn.Linear(size, size)
        self.ip4_pol = nn.Linear(size, 4, bias=False)  # queen, rook, bishop, common
        self.register_buffer("move_map", move_map, persistent=False)  # (1858,): index into the flat form

    def forward(self, t: Tensor) -> Tensor:
        e = F.mish(self.ip_pol(t))
        q, k = self.ip2_pol(e), self.ip3_pol(e)
        m = q @ k.transpose(1, 2) / math.sqrt(q.shape[2])
        r = self.ip4_pol(k[:, 56:])  # (batch, target file, 4)
        promotions = m[:, 48:56, 56:, None] + (r[:, :, :3] + r[:, :, 3:])[:, None]
        return torch.cat([m.flatten(1), promotions.flatten(1)], 1)[:, self.move_map]


class Net(nn.Module):
    """Planes (batch, 112, 64) to policy logits (batch, 1858), WDL logits (batch, 3) and plies left (batch,), the latter
    without the final max(0, .), which would stop its gradient."""

    def __init__(self, c: Config, move_map: Tensor) -> None:
        super().__init__()
        self.config = c
        self.alpha = (2 * c.encoders) ** -0.25
        self.ip_emb_preproc = nn.Linear(12 * SQUARES, SQUARES * c.preprocessing)
        self.ip_emb = nn.Linear(PLANES + c.preprocessing, c.embedding)
        self.ip_emb_ln = nn.LayerNorm(c.embedding, EPS)
        self.ip_emb_ffn = FFN(c.embedding, c.dff)
        self.ip_emb_ffn_ln = nn.LayerNorm(c.embedding, EPS)
        self.encoder = nn.ModuleList(EncoderLayer(c) for _ in range(c.encoders))
        self.smolgen_w = nn.Linear(c.generated, SQUARES * SQUARES, bias=False)
        self.policy = PolicyHead(c.embedding, c.policy_size, move_map)
        self.value = ScalarHead(c.embedding, c.value_size, 3)
        self.moves_left = ScalarHead(c.embedding, c.moves_left_size, 1)
        self.initialise()

    def initialise(self) -> None:
        """Small residual branches: with layer norm after the sum, a deep body then learns at once."""
        small = (8 * self.config.encoders) ** -0.25
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                branch = name.endswith(("mha.v", "mha.dense", "dense1", "dense2")) and "smolgen" not in name
                nn.init.xavier_normal_(module.weight, small if branch else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.moves_left.ip2.bias, 40.0)
        untaught = [plane for plane in range(PLANES) if plane not in TAUGHT]
        self.ip_emb.weight.data[:, untaught] = 0  # and they stay so, as their inputs are 0 in training

    def body(self, planes: Tensor) -> Tensor:
        """(batch, 112, 64) to tokens (batch, 64, embedding)."""
        token = planes.transpose(1, 2)
        board = self.ip_emb_preproc(token[:, :, :12].flatten(1)).unflatten(1, (SQUARES, -1))
        t = self.ip_emb_ln(F.mish(self.ip_emb(torch.cat([token, board], 2))))
        t = self.ip_emb_ffn_ln(t + self.alpha * self.ip_emb_ffn(t))
        for layer in self.encoder:
            t = layer(t, self.smolgen_w)
        return t

    def forward(self, planes: Tensor, policies: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """`policies`: only so many first positions of the batch get policy and plies left."""
        t = self.body(planes)
        some = t[:policies]
        return self.policy(some), self.value(t), self.moves_left(some)[:, 0]
