"""Verdicts and accuracy."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc0rocm.annotation.judge import accuracy, judge

LOSS = st.floats(0, 1)


@pytest.mark.parametrize("loss,nag", [(0.049, None), (0.051, 6), (0.101, 2), (0.151, 4), (1.0, 4), (-0.2, None)])
@pytest.mark.parametrize("white", [True, False])
def test_signs_go_by_what_was_lost(loss, nag, white):
    side = 1 if white else -1
    before, after = {"q": side * 1.0, "best_move": "e2e4"}, {"q": side * (1.0 - 2 * loss)}
    assert judge(before, after, "d2d4", white).nag == nag
    assert judge(before, after, "e2e4", white) == (0.0, None)


def test_accuracy_of_one_move_is_lichesss():
    assert accuracy([]) is None
    assert accuracy([0.0]) == pytest.approx(100, abs=0.01)
    assert accuracy([0.1]) == pytest.approx(103.1668 * 2.718281828 ** -0.4354 - 3.1669, abs=0.01)


@given(st.lists(LOSS, min_size=1), LOSS)
def test_accuracy_falls_with_every_loss(losses, more):
    assert 0 <= accuracy(losses) <= 100
    worse = [max(loss, more) for loss in losses]
    assert accuracy(worse) <= accuracy(losses) + 1e-9
