"""What a process holds: every position once, whole games apart, and more as the folder grows."""
import pathlib
import shutil
import threading

import numpy as np
import positions
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it trains the net")
from share import Share  # noqa: E402


class Together:
    """Two threads that talk as two processes do."""

    def __init__(self, rank: int, barrier: threading.Barrier, words: list) -> None:
        self.rank, self.size, self.barrier, self.words = rank, 2, barrier, words

    def gather(self, thing: object) -> list:
        self.words[self.rank] = thing
        self.barrier.wait(60)
        both = list(self.words)
        self.barrier.wait(60)
        return both


class Alone:
    rank, size = 0, 1

    def gather(self, thing: object) -> list:
        return [thing]


@pytest.fixture
def halves(prepared, tmp_path) -> pathlib.Path:
    """The prepared positions as four parts, each with a held-out game."""
    shutil.copy(prepared / "move_map.npy", tmp_path)
    for kind in ("positions", "children"):
        records = positions.load(prepared, kind)
        records["game"] %= 16  # so that of 70 games more are held out
        records["game"] += records["game"] == 0  # none of them 0,
        records["game"][records["game"] == 5] = 64  # but these
        for i in range(4):
            np.save(tmp_path / f"part-{i}.{kind}.npy", records[i::4])
    return tmp_path


def rows(records: np.ndarray) -> list[bytes]:
    return sorted(map(bytes, np.delete(records["masks"], 12, 1)))


def test_held_out_games_share_no_position(halves):
    share = Share(halves, Alone(), "cpu")
    found = positions.load(halves, "positions")
    held = positions.is_held_out(found)
    training = set(rows(found[~held]))
    assert share.positions.size == (~held).sum() and 0 < len(share.held) < held.sum() + 1
    assert rows(share.held) == [row for row in rows(found[held]) if row not in training]


def test_shares_hold_out_the_same(halves):
    """Two processes with half the parts each keep apart what one with all does, also when half of them come later."""
    barrier, words, shares = threading.Barrier(2), [None] * 2, [None] * 2
    later = halves / "later"
    later.mkdir()
    for path in halves.glob("part-[23].*"):
        path.rename(later / path.name)

    def begin(rank: int) -> None:
        shares[rank] = Share(halves, Together(rank, barrier, words), "cpu")
        assert not shares[rank].grow()
        barrier.wait(60)
        if rank == 0:
            for path in sorted(later.glob("*"), reverse=True):  # positions last, as prepare.py does
                path.rename(halves / path.name)
        barrier.wait(60)
        assert shares[rank].grow()

    threads = [threading.Thread(target=begin, args=(rank,)) for rank in range(2)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    alone = Share(halves, Alone(), "cpu")
    assert sum(share.positions.size for share in shares) == alone.positions.size
    assert sum(share.children.size for share in shares) == alone.children.size
    assert rows(np.concatenate([share.held for share in shares])) == rows(alone.held)


def test_growing_keeps_the_records(halves):
    found = positions.load(halves, "positions")
    found = found[~positions.is_held_out(found)]
    share = Share(halves, Alone(), "cpu")
    assert (share.positions.masks.numpy().view(np.uint64) == found["masks"]).all()
    assert (share.positions.legal.numpy() == found["legal"]).all() and (share.positions.win.numpy() == found["win"]).all()
