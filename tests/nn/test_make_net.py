"""make_net writes sound nets of every kind, and the nets of the repository are what it writes."""
import gzip
import itertools
import json
import re
import shlex

import numpy as np
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net, weights

SIZES = dict(filters=8, blocks=1, embedding=16, encoders=1, heads=2, dff=16, preprocessing=2, value_size=2, head_hidden=8,
             policy_size=4, policy_heads=2)
KINDS = [dict(body="tower", policy=policy, se_ratio=se, value=value, activation=activation)
         for policy, se, value, activation in itertools.product(("classical", "convolution", "attention"), (0, 4),
                                                               ("wdl", "classical"), ("relu", "mish"))]
KINDS += [dict(body=body, pe=pe, multihead=multihead, smolgen=smolgen, gates=not multihead)
          for body, pe, multihead, smolgen in itertools.product(("attention", "both"), ("map", "dense"), (False, True),
                                                                (None, (2, 8, 4)))]
KINDS += [dict(body="tower", policy="attention", policy_encoders=2), dict(policy_encoders=1), dict(d_model=24),
          dict(moves_left=False), dict(body="tower", policy="convolution", batch_norm=False)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(f"{v}" for v in kind.values()))
def test_every_kind_loads(maker, written, kind):
    assert net.load(written(maker.make_net(**SIZES | kind))).core()


@pytest.mark.parametrize("encoding,error", [("linear16", 4e-5), ("float16", 2e-3), ("bfloat16", 2e-2), ("float32", 0)])
def test_encodings_keep_values(maker, encoding, error):
    layer = maker.netproto.Net().weights.smolgen_w
    values = np.random.default_rng(0).normal(size=500).clip(-2, 2).astype(np.float32)
    maker.set_array(layer, values, encoding)
    got = weights.decode((layer.encoding, layer.params, layer.min_val, layer.max_val, values.shape))
    assert np.abs(got - values).max() <= error


def test_seed_decides(maker):
    one, same, other = (maker.make_net(**SIZES, seed=seed).SerializeToString() for seed in (1, 1, 2))
    assert one == same != other


def flags_in_readme(nets):
    return re.findall(r"^\| `([\w-]+)` \|.*\| `(--.*)` \|$", (nets / "README.md").read_text(), re.M)


def test_readme_lists_every_net(nets):
    playable = {entry["name"][:-6] for entry in json.loads((nets / "nets.json").read_text()) if entry["playable"]}
    random = {name for name, _ in flags_in_readme(nets)}
    assert random | playable == {path.name[:-6] for path in nets.glob("*.pb.gz")} and not random & playable
    assert all(f"## {name}.pb.gz" in (nets / "README.md").read_text() for name in playable)


def test_flags_of_the_readme_make_the_nets(maker, nets, tmp_path, monkeypatch):
    for name, flags in flags_in_readme(nets):
        monkeypatch.setattr("sys.argv", ["make_net.py", str(tmp_path / name), *shlex.split(flags)])
        maker.main()
        made, kept = (tmp_path / name).read_bytes(), gzip.decompress((nets / f"{name}.pb.gz").read_bytes())
        # NumPy may change its normal variates between versions: sizes and settings must agree, the architecture above all.
        assert len(made) == len(kept)
        assert net.load(tmp_path / name).architecture() == net.load(nets / f"{name}.pb.gz").architecture()


@pytest.mark.parametrize("name", ["classical-relu", "se-convolution", "se-attention-policy", "attention-map",
                                  "attention-dense-multihead", "attention-on-tower", "random-attention"])
def test_outputs_are_sane(nets, name):
    """Neither flat nor saturated: policies and values vary from position to position within a playable range."""
    file = net.load(nets / f"{name}.pb.gz")
    moves, games = ["e2e4", "c7c5", "g1f3", "d7d6", "d2d4", "c5d4", "f3d4", "g8f6", "b1c3", "a7a6"], []
    for i in range(len(moves) + 1):
        games.append(_core.Game(moves=moves[:i]).planes(file.format.input))
    masks, values = (np.stack(part) for part in zip(*games))
    policy, q, _, m = _core.Backend("cpu", file.core()).evaluate(masks, values)
    assert 0.2 < policy.std(axis=1).min() and policy.std(axis=1).max() < 6
    assert 1e-3 < q.std() and np.abs(q).max() < 0.99
    assert not file.format.moves_left or (0 < m.min() and m.max() < 200 and m.std() > 1e-3)
