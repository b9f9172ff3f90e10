"""Prepared positions: the planes are the core's, the targets are those of the game they came from."""
import json

import games
import numpy as np
import positions
import pytest

import prepare
from lc0rocm import _core

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it trains the net")
import batches  # noqa: E402


def test_training_planes_are_the_cores(games_folder, prepared):
    """Record by record along the games: masks, values and the expansion on the device."""
    found = positions.load(prepared, "positions")
    sources = {game.index: game for path in games_folder.glob("*.games") for game in games.read_games(path)}
    seen = dict.fromkeys(sources, 0)
    rows, expected = [], []
    for i, record in enumerate(found):
        source = sources[record["game"]]
        searched = np.flatnonzero(source.plies["score"] != games.UNSEARCHED)
        number = searched[seen[source.index]]
        seen[source.index] += 1
        if i % 23:
            continue
        game = _core.Game(source.fen, [games.move_name(code) for code in source.plies["played"][:number]])
        masks, values = game.planes(positions.INPUT_FORMAT)
        masks[[plane for plane in range(112) if plane not in (*positions.PLANES, 109, 111)]] = 0
        rows.append(i)
        expected.append(_core.expand_planes(masks[None], values[None])[0])
        legal = np.zeros(positions.MOVES, bool)
        legal[game.policy_indices(positions.INPUT_FORMAT)] = True
        assert (positions.legal_moves(found[i:i + 1])[0] == legal).all()
        assert legal[record["moves"][:record["count"]]].all()
    expected = np.stack(expected).reshape(-1, 112, 64)
    ours = _core.expand_planes(*positions.input_planes(found[rows])).reshape(-1, 112, 64)
    store = batches.Store(found[rows], "cpu")
    on_device = batches.expand(store.masks, store.rule50).numpy()
    assert (ours == expected).all() and np.abs(on_device - expected).max() < 1e-7
    assert list(seen.values()) == [int((source.plies["score"] != games.UNSEARCHED).sum()) for source in sources.values()]


def test_golden_planes(reference):
    """The reference planes of format 4 positions through the training path."""
    records, expected = [], []
    for line in (reference / "spec" / "encoder_vectors.jsonl").open():
        vector = json.loads(line)
        if vector["input_format"] != positions.INPUT_FORMAT:  # any history fill: the first board is the same
            continue
        records.append(np.zeros(1, positions.POSITION))
        prepare.encode(_core.Game(vector["fen"], vector["moves"], pseudo_legal=True), records[-1][0])
        masks = np.zeros(112, np.uint64)
        for plane, mask in vector["planes"].items():
            masks[int(plane)] = int(mask[0] if isinstance(mask, list) else mask, 16)
        expected.append(masks)
    ours, _ = positions.input_planes(np.concatenate(records))
    taught = [*positions.PLANES, 109, 111]
    assert len(expected) > 10
    assert (ours[:, taught] == np.stack(expected)[:, taught]).all()


def test_children_follow_their_parent(games_folder, prepared):
    """A child is the position after a listed move that was not played; its value is near the score's."""
    children = positions.load(prepared, "children")
    source = next(game for path in sorted(games_folder.glob("*.games")) for game in games.read_games(path))
    number = next(i for i, ply in enumerate(source.plies) if (ply["moves"] > 0).sum() > 2 and abs(ply["score"]) < 200)
    ply = source.plies[number]
    game = _core.Game(source.fen, [games.move_name(code) for code in source.plies["played"][:number]])
    name = next(games.move_name(code) for code, gap in zip(ply["moves"][1:], ply["gaps"][1:]) if gap < 200 and code != ply["played"])
    game.push(prepare.CASTLING[name] if name not in game.legal_moves() else name)
    wanted = np.zeros(1, positions.CHILD)
    prepare.encode(game, wanted[0])
    mine = children[children["game"] == source.index]
    same = (np.delete(mine["masks"], 12, 1) == np.delete(wanted["masks"], 12, 1)).all(1)
    assert same.any()


def test_targets(prepared):
    found = positions.load(prepared, "positions")
    store = batches.Store(found, "cpu")
    at = torch.arange(len(found))
    batch = batches.make_batch(store, at, batches.Targets())
    assert torch.allclose(batch.policy.sum(1), torch.ones(len(found)), atol=1e-4)
    assert (batch.policy[~batch.legal] == 0).all()
    assert torch.allclose(batch.value.sum(1), torch.ones(len(found)), atol=1e-5)
    best = torch.from_numpy(found["moves"][:, 0].astype(np.int64))
    assert (batch.policy.gather(1, best[:, None])[:, 0] >= batch.policy.max(1).values - 1e-6).all()
    assert (batch.policy.gather(1, best[:, None])[:, 0] > batches.Targets().best * 0.97).all()
    gaps = games.unpack_gap(found["gaps"])
    assert np.allclose(gaps[:, 1], 20 * (2 ** (found["gaps"][:, 1] / 40) - 1), rtol=1e-5)
    clear = found["score"] > 1500
    assert (batch.value[clear, 0] > batch.value[clear, 2]).float().mean() > 0.95


def test_a_folder_without_positions_is_named(tmp_path):
    with pytest.raises(SystemExit, match="run prepare.py first"):
        positions.load(tmp_path, "positions")


def test_growing_files_wait(tmp_path):
    paths = [tmp_path / f"{name}.games" for name in ("s1-000-000-0000", "s1-000-000-0001", "s1-000-001-0000", "s1-000-002-0000",
                                                     "s1-000-002-0001", "s1-000-002-0002")]
    assert prepare.full_files(paths) == [paths[0], paths[3], paths[4]]


def test_win_rate_is_the_teachers(games_folder):
    """The fitted curve gives back the stored win rates of positions with a small score."""
    paths = sorted(games_folder.glob("*.games"))
    rate = prepare.WinRate(paths)
    errors = []
    for game in (game for path in paths for game in games.read_games(path)):
        first = _core.Game(game.fen).ply
        errors += [rate(int(ply["score"]), first + i) - ply["win"] / 250 for i, ply in enumerate(game.plies)
                   if ply["score"] != games.UNSEARCHED and abs(ply["score"]) < 1000]
    assert np.abs(errors).mean() < 0.03
