"""The search of docs/spec/engine.md 4 in its plainest form: one thread, one visit at a time, no reuse; for tests to compare counts with."""
import math
from dataclasses import dataclass, field

import numpy as np

from lc0rocm import _core

DEFAULTS = {"CPuct": 1.745, "CPuctBase": 38739.0, "CPuctFactor": 3.894, "RootHasOwnCpuctParams": False, "FpuStrategy": "reduction",
            "FpuValue": 0.33, "FpuStrategyAtRoot": "same", "FpuValueAtRoot": 1.0, "DrawScore": 0.0, "TwoFoldDraws": True, "StickyEndgames": True,
            "MovesLeftMaxEffect": 0.0345, "MovesLeftThreshold": 0.8, "MovesLeftSlope": 0.0027, "MovesLeftConstantFactor": 0.0,
            "MovesLeftScaledFactor": 1.6521, "MovesLeftQuadraticFactor": -0.6521}


@dataclass
class Node:
    """A position, whose values are those of the player who moved into it."""
    parent: "Node | None" = None
    edge: int = 0  # of the parent's, that leads here
    edges: list = field(default_factory=list)  # [move, prior], by falling prior
    children: dict = field(default_factory=dict)  # by edge
    wl: float = 0
    d: float = 0
    m: float = 0
    n: int = 0
    terminal: str = ""
    lower: int = -1
    upper: int = 1

    def end(self, kind, wl, d, m):
        self.terminal, self.wl, self.d, self.m = kind, wl, d, m
        if kind == "two-fold":
            return
        self.lower = self.upper = (wl > 0) - (wl < 0)
        if wl < 0 and self.parent:
            self.parent.edges[self.edge][1] = 0.0


def fast_ln(x):
    mantissa, exponent = math.frexp(x)
    part = 2 * mantissa - 1
    return math.log(2) * (exponent - 1 + part * (1.3465552 - 0.34655523 * part))


def priors(logits, temperature):
    """With the curve and the 16 bits of src/nn/softmax.h, which networks are used with."""
    x = np.maximum((logits - logits.max()) / np.float32(temperature) * np.float32(1.442695040), np.float32(-127))
    whole = np.where(x < 0, x - 1, x).astype(np.int32)
    part = x - whole.astype(np.float32)
    mantissa = np.float32(1) + part * (np.float32(0.6602339) + np.float32(0.33976606) * part)
    exps = np.where(x < -126, np.float32(0), (mantissa.view(np.int32) + whole * (1 << 23)).view(np.float32))
    total = np.float32(0)
    for value in exps:
        total += value
    bits = np.maximum((exps / total).view(np.int32) + (1 << 11) - (96 << 23), 0) >> 12
    return ((bits << 12) + (96 << 23)).astype(np.int32).view(np.float32)


class Search:
    def __init__(self, backend, fen, moves, temperature, parameters):
        self.backend, self.game, self.temperature, self.root = backend, _core.Game(fen, moves), temperature, Node()
        self.p, self.known = DEFAULTS | parameters, {}
        self.draw_score = -self.p["DrawScore"] if self.game.black_to_move else self.p["DrawScore"]

    def run(self, nodes):
        while self.root.n < nodes:
            self.visit()
        return self

    def visit(self):
        node, game, depth = self.root, self.game.copy(), 0
        keys = [self.game.hash]
        while node.n and not node.terminal:
            edge = self.choose(node, depth)
            game.push(node.edges[edge][0])
            keys.append(game.hash)
            node = node.children.setdefault(edge, Node(node, edge))
            depth += 1
        first = node.n == 0
        outcome = (0, 0, 0) if node.terminal else self.expand(node, game, depth, keys)
        self.back_up(node, outcome)
        if self.p["StickyEndgames"] and first and node.terminal == "end":
            while node.parent and node.parent.parent and not node.parent.terminal and self.tighten(node.parent, node):
                node = node.parent

    def choose(self, node, depth):
        p, root = self.p, depth == 0
        draw_score = self.draw_score if depth % 2 == 0 else -self.draw_score
        own = "AtRoot" if root and p["RootHasOwnCpuctParams"] else ""
        init, base, factor = (p[name + own] for name in ("CPuct", "CPuctBase", "CPuctFactor"))
        exploration = (init + factor * fast_ln((node.n + base) / base)) * math.sqrt(max(node.n - 1, 1))
        visited = sum(prior for i, (_, prior) in enumerate(node.edges) if i in node.children)
        own = "AtRoot" if root and p["FpuStrategyAtRoot"] != "same" else ""
        value = p["FpuValue" + own]
        fpu = value if p["FpuStrategy" + own] == "absolute" else -(node.wl - draw_score * node.d) - value * math.sqrt(visited)
        scores = []
        for i, (_, prior) in enumerate(node.edges):
            child = node.children.get(i)
            utility = fpu
            if child:
                q = child.wl + draw_score * child.d
                utility = q + self.moves_left(node, child, q)
            scores.append(utility + prior * exploration / (1 + (child.n if child else 0)))
        return max(range(len(scores)), key=lambda i: (scores[i], -i))

    def moves_left(self, node, child, q):
        p = self.p
        threshold, cap = p["MovesLeftThreshold"], p["MovesLeftMaxEffect"]
        if not self.backend.info["moves_left"] or abs(node.wl) <= threshold or q == 0:
            return 0
        m = max(-cap, min(cap, p["MovesLeftSlope"] * (child.m - node.m))) * (-1 if q > 0 else 1)
        size = max(0, abs(q) - threshold) / (1 - threshold) if 0 < threshold < 1 else abs(q)
        return m * (p["MovesLeftConstantFactor"] + p["MovesLeftScaledFactor"] * size + p["MovesLeftQuadraticFactor"] * size**2)

    def expand(self, node, game, depth, keys):
        moves = game.legal_moves()
        if not moves:
            node.end("end", *((1, 0, 0) if game.in_check else (0, 1, 0)))
        elif depth and (game.insufficient_material or game.rule50 >= 100 or game.repetitions >= 2):
            node.end("end", 0, 1, 0)
        elif depth and self.p["TwoFoldDraws"] and game.repetitions == 1 and (back := distance(keys)):
            node.end("two-fold", 0, 1, back)
        if node.terminal:
            return node.wl, node.d, node.m
        key = game.hash, game.repetitions  # positions that differ in history alone are worth the same
        if key not in self.known:
            logits, q, wdl, m = self.backend.evaluate(_core.Inputs([game], self.backend.info["input_format"], "fen_only"))
            found = priors(logits[0][game.policy_indices(self.backend.info["input_format"])].astype(np.float32), self.temperature)
            self.known[key] = (-float(q[0]), float(wdl[0][1]), float(m[0])), sorted(zip(moves, map(float, found)), key=lambda pair: -pair[1])
        outcome, edges = self.known[key]
        node.edges = [list(edge) for edge in edges]
        return outcome

    def back_up(self, node, outcome):
        while node:
            if node.terminal:
                outcome = node.wl, node.d, node.m
            node.n += 1
            wl, d, m = outcome
            node.wl += (wl - node.wl) / node.n
            node.d += (d - node.d) / node.n
            node.m += (m - node.m) / node.n
            outcome = -wl, d, m + 1
            node = node.parent

    def tighten(self, parent, visited):
        children = list(parent.children.values())
        mated = any(child.terminal == "end" and child.lower == 1 for child in children)
        unknown = len(children) < len(parent.edges)
        lower = max(-1 if unknown else -9, *(child.lower for child in children), -9)
        upper = max(1 if unknown else -9, *(child.upper for child in children), -9)
        if mated:
            lower = upper = 1
        if (parent.lower, parent.upper) == (-upper, -lower):
            return False
        parent.lower, parent.upper = -upper, -lower
        if lower != upper:
            return True
        before = parent.wl, parent.d, parent.m
        parent.end("end", -lower, float(lower == 0), 1 + (max(child.m for child in children) if lower == -1 else visited.m))
        wl, d, m = (new - old for new, old in zip((parent.wl, parent.d, parent.m), before))
        ancestor = parent.parent
        while ancestor and not ancestor.terminal:
            wl = -wl
            share = parent.n / ancestor.n
            ancestor.wl, ancestor.d, ancestor.m = ancestor.wl + share * wl, ancestor.d + share * d, ancestor.m + share * m
            ancestor = ancestor.parent
        return True


def distance(keys):
    """Plies back to the latest position like the last one, if the search has passed both and it is 4 at least; else 0."""
    return next((back for back in range(4, len(keys), 2) if keys[-1 - back] == keys[-1]), 0)
