"""Input planes against Lc0's, bit for bit."""
import json

import numpy as np
import pytest

from lc0rocm import _core
from lc0rocm.netfile import net as netfile

FORMATS = [1, 2, 3, 4, 5, 132, 133]


def expected_planes(planes):
    masks, values = np.zeros(112, np.uint64), np.ones(112, np.float32)
    for number, plane in planes.items():
        mask, value = plane if isinstance(plane, list) else (plane, 1)
        masks[int(number)], values[int(number)] = int(mask, 16), value
    return masks, values


@pytest.mark.parametrize("input_format", FORMATS)
def test_encoder_vectors(reference, input_format):
    with open(reference / "spec/encoder_vectors.jsonl") as lines:
        vectors = [v for v in map(json.loads, lines) if v["input_format"] == input_format]
    assert vectors
    for v in vectors:
        game = _core.Game(v["fen"], v["moves"], pseudo_legal=True)  # one game steps into check, as Lc0 lets it
        assert game.transform(input_format) == v["transform"]
        for got, expected in zip(game.planes(input_format, v["history_fill"]), expected_planes(v["planes"])):
            np.testing.assert_array_equal(got, expected, f"{v['fen']} {v['moves']} {v['history_fill']}")


def test_golden_planes(reference, reference_net):
    input_format = netfile.load(reference / f"nets/{reference_net}.pb.gz").format.input
    golden = np.load(reference / f"golden/{reference_net}.npz")
    planes = [_core.Game(str(fen), str(moves).split()).planes(input_format)
              for fen, moves in zip(golden["fen"], golden["moves"])]
    np.testing.assert_array_equal([masks for masks, _ in planes], golden["plane_mask"])
    np.testing.assert_array_equal([values for _, values in planes], golden["plane_value"])


@pytest.mark.parametrize("fill", ["no", "fen_only", "always"])
def test_v2_history_ends_at_a_start_with_rule50_running(fill):
    masks, _ = _core.Game("4k3/8/8/8/8/8/8/R3K3 w - - 7 40", ["a1a2", "e8d8"]).planes(5, fill)
    assert masks[:13].any() and not masks[13:104].any()


def test_expand_planes():
    rng = np.random.default_rng(1)
    masks = rng.integers(0, 2**64, (3, 112), np.uint64)
    values = rng.normal(size=(3, 112)).astype(np.float32)
    bits = (masks[..., None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    expected = (bits * values[..., None]).astype(np.float32).reshape(3, 112, 8, 8)
    np.testing.assert_array_equal(_core.expand_planes(masks, values), expected)


def test_expand_planes_of_nothing():
    assert _core.expand_planes(np.zeros((0, 112), np.uint64), np.zeros((0, 112), np.float32)).shape == (0, 112, 8, 8)


@pytest.mark.parametrize("masks,values", [((2, 111), (2, 111)), ((2, 112), (1, 112)), ((112,), (112,))])
def test_expand_planes_checks_shapes(masks, values):
    with pytest.raises(_core.Error, match="same shape"):
        _core.expand_planes(np.zeros(masks, np.uint64), np.zeros(values, np.float32))


@pytest.mark.parametrize("input_format", [-1, 0, 6, 131, 134])
def test_unknown_format(input_format):
    with pytest.raises(_core.Error, match="input format"):
        _core.Game().planes(input_format)


def test_unknown_fill():
    with pytest.raises(_core.Error, match="history fill 'maybe'"):
        _core.Game().planes(1, "maybe")
