"""Time budgets, computed by hand from docs/spec/engine.md 5."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import Error
from lc0rocm.engine import timeman
from lc0rocm.engine.timeman import Clock


def manager(text="legacy", overhead=200, slowmover=1.0):
    return timeman.create(text, slowmover, overhead)


def test_first_move_and_what_it_saves():
    legacy = manager()
    # 59800 ms over 51.5 moves, 2.8 times that for the first.
    assert legacy.budget(Clock(60000)) == 3251
    legacy.moved(1251)
    # (58749 - 200 - 2000 saved) / 50.5 moves, and the 2000 on top.
    assert legacy.budget(Clock(58749, ply=2)) == 3119


def test_overspending_is_paid_back():
    legacy = manager()
    limit = legacy.budget(Clock(60000))
    legacy.moved(limit + 1000)
    assert legacy.budget(Clock(60000 - limit - 1000, ply=2)) == int((60000 - limit - 1000 - 200) / 50.5)


def test_increment_counts_for_every_move_but_this():
    assert manager().budget(Clock(10000, 100)) == 807  # (10000 + 100 * 50.5 - 200) / 51.5 * 2.8


def test_what_every_move_costs_beyond_its_limit_is_expected_of_the_next_ones():
    def budget_at(time_ms, late):
        legacy = manager()
        clock = 60_000
        while clock > time_ms:
            limit = max(0, legacy.budget(Clock(clock, 10)))
            legacy.moved(limit + late // 2)
            clock += 10 - limit - late
        return legacy.budget(Clock(clock, 10))

    assert budget_at(800, 0) > 15 and budget_at(800, 30) == 0, "time for the moves to come, which cost 20 ms more than they bring"


def test_moves_to_go():
    assert manager().budget(Clock(60000, moves_to_go=1)) == 59800
    assert manager().budget(Clock(60000, moves_to_go=10)) == int(59800 / 10 * (1 + 1.8 * 10 / 51.5))
    assert manager().budget(Clock(2000, moves_to_go=3)) < 700  # of 1800 for three moves
    assert manager().budget(Clock(60000, moves_to_go=1000)) == 3251


def test_a_book_makes_the_first_move_longer():
    # Observed of Lc0, which takes the move number 40 of a FEN for the ply: 11.0 s; with the true ply 78 24.1 s.
    assert manager().budget(Clock(60000, ply=40, book_plies=12)) == pytest.approx(11000, abs=50)
    assert manager().budget(Clock(60000, ply=78, book_plies=12)) == pytest.approx(24100, abs=50)
    # Ours: the true ply, and no bonus for plies that nobody played.
    assert manager().budget(Clock(60000, ply=78, book_plies=0)) == pytest.approx(24100 * 2.8 / 5.8, abs=50)


def test_slowmover():
    assert manager("legacy(slowmover=2)").budget(Clock(60000)) == 6502
    assert manager(slowmover=2.0).budget(Clock(60000)) == 6502
    slow = manager(slowmover=0.5)
    assert slow.budget(Clock(60000)) == 1625
    assert slow.spare == pytest.approx(3251.26 / 2, abs=0.01)


def test_slowmover_does_not_stretch_short_moves():
    assert manager(slowmover=1.5).budget(Clock(2200)) == 108  # 2000 / 51.5 * 2.8 * 1.5 = 163 is below 200


def test_what_is_kept_back_is_half_of_it_at_most():
    assert manager().budget(Clock(100)) == 2  # 50 / 51.5 * 2.8
    assert manager().budget(Clock(100, moves_to_go=1)) == 50
    assert timeman.fixed(100, 200) == 50 and timeman.fixed(1000, 200) == 800
    assert manager("alphazero").budget(Clock(100)) == 6
    assert manager("simple").budget(Clock(-5)) <= 0


def test_a_late_move_number_is_no_overflow():
    assert 0 < manager("legacy(steepness=1000)").budget(Clock(60000, ply=20_000_000)) <= 59800


def test_alphazero():
    assert manager("alphazero").budget(Clock(60000)) == 7176
    assert manager("alphazero(alphazero-time-pct=50)").budget(Clock(60000)) == 29900


def test_simple():
    simple = manager("simple")
    assert simple.budget(Clock(60000, ply=10)) == 1130  # 59800 * (1.4 + 0.49) / 100
    # 500 ms used of 1130.22: (59300 * 1.988 %) + 630.22
    assert simple.budget(Clock(59500, ply=12)) == int(59300 * 0.01988 + 1130.22 - 500)


def test_smooth():
    smooth = manager("smooth")
    # 59800 + 1000 * 44.2 ms; 5400 go to the piggybank first, 12 % of this share follows. It is worth the more if the
    # tree keeps 52 % of its nodes, and if 30 % of it will not be used.
    share = (59800 + 44200 - 5400) / 45.2 / 0.48
    assert smooth.budget(Clock(60000, 1000)) == int(share * 0.88 / 0.7) == 5713
    assert smooth.bank()["bank_ms"] == pytest.approx(5400 * 0.94)
    assert smooth.piggybank == pytest.approx(5400 + 0.12 * share)
    smooth.moved(5713 + 1000, nodes=6713, playouts=6713)  # 1000 nodes a second, and 1000 ms from the piggybank
    assert smooth.piggybank == pytest.approx(4400 + 0.12 * share)
    assert smooth.nps == pytest.approx(1000)
    assert smooth.time_use == pytest.approx(1 - 0.3 * 0.5 ** (6713 / smooth.average / 5.51))
    before = smooth.reuse
    smooth.budget(Clock(54288, 1000, ply=2, nodes=0))
    assert smooth.reuse < before, "the tree has kept nothing"


def test_smooth_plays_at_once_what_it_knows():
    smooth = manager("smooth")
    smooth.budget(Clock(60000))
    smooth.moved(1000, nodes=1000, playouts=1000)
    assert smooth.budget(Clock(59000, ply=2, nodes=10**7)) == 0


def test_parameters_of_smooth_in_lc0_s_form():
    assert manager("smooth(mle-legacy(midpoint=20.0,steepness=3))").parameters["midpoint"] == 20
    assert manager("smooth(midpoint=20)").budget(Clock(60000)) > manager("smooth").budget(Clock(60000))


@pytest.mark.parametrize("text", ["fast", "smooth(min-timeuse=0)", "smooth(max-tree-reuse=1)", "smooth(mle-legacy=3)", "smooth(mle-legacy(x=1))",
                                  "smooth(max-move-budget=1.5)", "legacy,simple", "legacy(slowmover=x)", "legacy(speed=1)", "legacy=1",
                                  "legacy(",
                                  "legacy(midpoint-move=0)", "legacy(steepness=-1)", "simple(base-pct=-1)", "legacy(slowmover=1e308)"])
def test_bad_managers(text):
    with pytest.raises(Error):
        manager(text)


def test_slowmover_and_a_manager_exclude_each_other():
    with pytest.raises(Error, match="Slowmover"):
        manager("simple", slowmover=2.0)


@given(st.sampled_from(list(timeman.MANAGERS)), st.data(), st.integers(0, 10**8))
def test_no_budget_exceeds_the_clock(name, data, overhead):
    ranges = {key: timeman.RANGES.get(key, (1, 1000)) for key in timeman.MANAGERS[name].defaults}
    given = data.draw(st.fixed_dictionaries({}, optional={key: st.floats(*ends) | st.sampled_from(ends) for key, ends in ranges.items()}))
    one = manager(name + (f"({','.join(f'{key}={value:.6f}' for key, value in given.items())})" if given else ""), overhead)
    for _ in range(4):
        clock = Clock(data.draw(st.integers(0, 10**9)), data.draw(st.integers(0, 10**6)), data.draw(st.integers(0, 100)),
                      data.draw(st.integers(0, 20000)), data.draw(st.integers(0, 300)))
        assert one.budget(clock) <= max(0, clock.time_ms)
        assert 0 <= one.budget(clock) + one.bank().get("bank_ms", 0) <= max(clock.time_ms, 0) or not one.bank()
        one.moved(data.draw(st.integers(0, 10**6)), data.draw(st.integers(0, 10**9)), data.draw(st.integers(0, 10**9)))


def test_time_saved_on_a_long_clock_is_not_spent_on_a_short_one():
    legacy, simple = manager(), manager("simple")
    for used in (legacy, simple):
        used.budget(Clock(840_000))
        used.moved(10)
    assert legacy.budget(Clock(3000, ply=2)) <= manager().budget(Clock(3000, ply=2)) < 160
    assert simple.budget(Clock(3000, ply=2)) == manager("simple").budget(Clock(3000, ply=2))
    assert simple.budget(Clock(840_000, ply=2)) == manager("simple").budget(Clock(840_000, ply=2)), "nor the other way round"


@pytest.mark.parametrize("name", timeman.MANAGERS)
def test_a_clock_that_runs_out_is_seen_from_what_moves_cost(name):
    one = manager(name)
    assert not one.runs_out(Clock(150)) and one.runs_out(Clock(50)), "whatever moves cost"
    left = 400
    while left > 150:  # each move takes 20 ms more than it may, and gets 10 back
        took = max(0, one.budget(Clock(left, 10, ply=20))) + 20
        one.moved(took)
        left += 10 - took
    assert one.runs_out(Clock(150, 10, ply=20)) and not one.runs_out(Clock(150, 20, ply=20)), "another increment carries it"
    assert not one.runs_out(Clock(1000, 10, ply=20)), "there is time"
    assert not one.runs_out(Clock(150, 10, moves_to_go=2))


CLOCKS = st.builds(Clock, st.integers(-100, 10**7), st.integers(0, 10**5), st.integers(0, 60), st.integers(0, 300), st.integers(0, 30))
MOVES = st.lists(st.tuples(CLOCKS, st.floats(0, 2)), max_size=5)  # with the share of its limit that each takes


@settings(max_examples=300)
@given(text=st.sampled_from(["legacy", "legacy(slowmover=3)", "legacy(slowmover=0.3)", "legacy(immediate-use=0.5)", "alphazero"]),
       overhead=st.sampled_from([0, 200, 1000]), before=MOVES, clock=CLOCKS)
def test_no_move_takes_more_of_a_clock_than_a_first_one_would(text, overhead, before, clock):
    used, fresh = manager(text, overhead), manager(text, overhead)
    for other, share in before:
        used.moved(int(max(0, used.budget(other)) * share))
    limit = used.budget(clock)
    assert limit <= fresh.budget(clock) + 2
    assert limit <= max(0, clock.time_ms)
    if clock.time_ms <= min(overhead, 200) and clock.moves_to_go == 0 and text != "alphazero":
        assert limit <= 60, "in trouble the increment refills the clock"
