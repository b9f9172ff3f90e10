"""Searches without a network, and what must hold after any search."""
import struct
from typing import NamedTuple

import chess
import pytest

from lc0rocm import _core

SINGLE = {"Threads": 1, "MinibatchSize": 1, "MaxPrefetch": 0, "OutOfOrderEval": False, "SmartPruningFactor": 0.0}


def make(backend="random", options=None, cache=200_000):
    search = _core.Search()
    search.set_backend(_core.Backend(backend, None, options or {}), "fen_only", 1.359, cache)
    return search


def run(search, fen=_core.STARTPOS, moves=(), parameters=SINGLE, **limits):
    """Searches to the end; returns the result."""
    search.set_position(fen, list(moves))
    search.start(parameters, limits)
    return search.result()


def visits(search):
    return {s["move"]: s["visits"] for s in search.move_stats() if s["move"] != "node"}


def root(search):
    return search.move_stats()[-1]


def check_consistent(search):
    """Every visit is accounted for: none is left in flight, and a root has one more than its moves."""
    stats = search.move_stats()
    assert all(s["in_flight"] == 0 for s in stats)
    assert stats[-1]["visits"] == 1 + sum(s["visits"] for s in stats[:-1])
    assert all(abs(s["wl"]) <= 1.0001 and -1e-4 <= s["d"] <= 1.0001 for s in stats if s["wl"] is not None)


def check_means(search, reopened=False):
    """The root's values are the means of its moves' and of its own, which the random back end gives (m is 0), or which is forgotten where
    the root had been proven and was opened again: then the means of its moves'."""
    *moves, root = [s for s in search.move_stats() if s["visits"]]
    below = sum(s["visits"] for s in moves)
    of_moves = {key: sum(s["visits"] * (s[key] + (key == "m")) for s in moves) for key in ("wl", "d", "m")}
    own = {"wl": root["v"], "m": 0}
    if reopened:
        assert root["visits"] == below + 1
        own = {key: total / below for key, total in of_moves.items()}
    for key, value in own.items():
        assert root[key] == pytest.approx((of_moves[key] + value) / root["visits"], rel=1e-3, abs=1e-3), key
    assert -0.01 < root["d"] * root["visits"] - of_moves["d"] < 1.01


class Node(NamedTuple):
    """Of a saved tree; src/search/saved.h."""
    n: int
    wl: float
    d: float
    m: float
    terminal: int  # 0: not
    lower: int
    upper: int
    moves: tuple[str, ...] = ()  # in the frame of the side to move
    children: tuple["Child", ...] = ()


class Child(NamedTuple):
    edge: Node  # what the visits that came this way say
    position: Node  # of a link what all of them say; else the same
    is_link: bool


def saved(search):
    """The root of its tree, from what save() gives."""
    data, at, shared = search.save(), 1, []

    def get(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values

    def body():
        stats, (edges, _, children) = get("Idffbbb"), get("HHH")
        moves = tuple(chess.Move(bits & 63, bits >> 6 & 63).uci() for bits, _ in (get("HH") for _ in range(edges)))
        return Node(*stats, moves, tuple(child() for _ in range(children)))

    def child():
        kind = get("B")[0]
        if kind < 2:
            node = body() if kind else Node(*get("Idffbbb"))
            return Child(node, node, False)
        edge = Node(*get("Idffbbb"))
        if kind == 2:
            position = body()
            shared.append(position)
        else:
            position = shared[get("I")[0]]
        return Child(edge, position, True)

    root = body()
    assert at == len(data)
    return root


def check_graph(search):
    """What holds in every position of the tree or graph. Returns how many positions there are, and how many links."""
    check_consistent(search)
    positions, links, todo = {}, 0, [saved(search)]
    while todo:
        node = todo.pop()
        if not node.moves or id(node) in positions:
            continue
        positions[id(node)] = node
        total = sum(child.edge.n for child in node.children)
        assert abs(node.wl) <= 1.0001 and -1e-3 <= node.d <= 1.001 and node.lower <= node.upper
        if not node.terminal:  # its mean is that of its own evaluation and of what its children say now
            assert node.n == 1 + total
            own = node.n * node.wl + sum(child.edge.n * child.edge.wl for child in node.children)
            assert abs(own) <= 1.001, node[:7]
        for child in node.children:
            links += child.is_link
            assert not child.is_link or child.edge.n > 0
            todo.append(child.position)
    return len(positions), links
