"""Training batches: all positions live on the device as packed bits and are expanded there."""
import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import positions


@dataclass
class Batch:
    planes: Tensor  # (batch, 112, 64)
    value: Tensor  # (batch, 3): win, draw, loss
    policy: Tensor  # (policies, 1858): target shares, for the first `policies` positions of the batch
    legal: Tensor  # (policies, 1858) bool
    left: Tensor  # (policies,): plies to the end, nan where unknown


@dataclass
class Targets:
    """How the teacher's verdict becomes a target."""
    best: float = 0.2  # share of the best move, beside a softmax over the scores with this temperature:
    temperature: float = 25.0  # centipawns; grows with the score, as a pawn means less in a won game
    rest: float = 0.02  # share spread over all legal moves
    result: float = 0.15  # weight of the game's result beside the teacher's win, draw and loss


@functools.cache
def taught_planes(device: torch.device) -> Tensor:
    """Kept, because the copy to the device would wait for it at every step."""
    return torch.tensor(positions.PLANES, device=device)


def expand(masks: Tensor, rule50: Tensor) -> Tensor:
    """Masks (n, len(positions.PLANES)) int64 and rule50 (n,) to planes (n, 112, 64)."""
    squares = torch.arange(64, device=masks.device)
    planes = torch.zeros(len(masks), 112, 64, device=masks.device)
    planes[:, taught_planes(masks.device)] = (masks[:, :, None] >> squares & 1).float()
    planes[:, 109] = rule50[:, None] / 100
    planes[:, 111] = 1
    return planes


def unpack_bits(packed: Tensor, count: int) -> Tensor:
    """(n, bytes) uint8 to (n, count) bool, lowest bit first."""
    return (packed[:, :, None] >> torch.arange(8, device=packed.device, dtype=torch.uint8) & 1).flatten(1)[:, :count].bool()


class Store:
    """Records on the device, one tensor a field; `add` appends more."""

    def __init__(self, records: np.ndarray, device: str) -> None:
        def field(name: str, kind: type) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(records[name]).astype(kind, copy=False)).to(device)
        self.device = device
        self.masks = field("masks", np.uint64).view(torch.int64)
        self.rule50 = field("rule50", np.uint8)
        self.win, self.loss = field("win", np.uint8), field("loss", np.uint8)
        if "moves" in records.dtype.names:
            self.result, self.legal, self.count = (field(name, np.uint8) for name in ("result", "legal", "count"))
            self.score, self.moves, self.gaps = field("score", np.int16), field("moves", np.int16), field("gaps", np.uint8)
            left = np.where(records["left"] == positions.UNKNOWN, np.nan, records["left"])
            self.left = torch.from_numpy(left.astype(np.float32)).to(device)

    @property
    def size(self) -> int:
        return len(self.masks)

    def add(self, records: np.ndarray) -> None:
        for name, more in vars(Store(records, self.device)).items():
            if isinstance(more, Tensor):
                setattr(self, name, torch.cat([getattr(self, name), more]))

    def teacher(self, at: Tensor) -> Tensor:
        """(n, 3): win, draw, loss."""
        win, loss = self.win[at] / 250, self.loss[at] / 250
        return torch.stack([win, (1 - win - loss).clamp(min=0), loss], 1)


def policy_target(store: Store, at: Tensor, legal: Tensor, targets: Targets) -> Tensor:
    """(n, 1858): a share for the best move, a softmax over the scores of the listed ones, and a little for every legal one."""
    gaps = 20 * (torch.exp2(store.gaps[at] / 40) - 1)  # games.unpack_gap
    listed = torch.arange(positions.LISTED, device=at.device) < store.count[at, None]
    temperature = targets.temperature * (1 + store.score[at, None].abs().clamp(max=1000) / 400)
    shares = (-gaps / temperature).masked_fill(~listed, -torch.inf).softmax(1) * (1 - targets.best)
    shares[:, 0] += targets.best
    target = legal * (targets.rest / legal.sum(1, keepdim=True))
    return target.scatter_add(1, store.moves[at].long(), shares * (1 - targets.rest))


def make_batch(found: Store, at: Tensor, targets: Targets, children: Store | None = None,
               children_at: Tensor | None = None) -> Batch:
    """Positions `at`, then the children, which teach the value alone."""
    legal = unpack_bits(found.legal[at], positions.MOVES)
    value = torch.lerp(found.teacher(at), F.one_hot(2 - found.result[at].long(), 3).float(), targets.result)
    masks, rule50 = found.masks[at], found.rule50[at]
    if children is not None:
        masks = torch.cat([masks, children.masks[children_at]])
        rule50 = torch.cat([rule50, children.rule50[children_at]])
        value = torch.cat([value, children.teacher(children_at)])
    return Batch(expand(masks, rule50), value, policy_target(found, at, legal, targets), legal, found.left[at])
