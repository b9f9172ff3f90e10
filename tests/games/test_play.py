"""One game: its end on the board, by the clock, by a fault, by those who watch."""
import chess
import pytest

from lc0rocm import _core
from lc0rocm.games import limit, play
from lc0rocm.games.limit import Clock, Limit, parse
from lc0rocm.games.player import CRASH, TIME, Fault, Found
from lc0rocm.games.verdict import ADJUDICATION, Adjudication, Judge, on_the_board

ONE = Limit(nodes=1)


class Scripted:
    """Plays these moves, with these scores for them; a Fault among them is raised."""

    def __init__(self, moves, scores=(), name="scripted"):
        self.name, self._moves, self._scores, self.asked = name, iter(moves), iter(scores), []

    def new_game(self, chess960):
        pass

    def find(self, position, request):
        self.asked.append(request)
        move = next(self._moves)
        if isinstance(move, Fault):
            raise move
        return Found(move, next(self._scores, None))

    def close(self):
        pass


START = play.Start()


def game(white, black, start=START, limits=(ONE, ONE), **more):
    return play.play(start, (Scripted(white.split()), Scripted(black.split())), limits, **more)


def test_mate():
    over = game("f2f3 g2g4", "e7e5 d8h4")
    assert (over.result, over.ending, over.reason, len(over.moves)) == ("0-1", "", "Black mates", 4)


def test_the_third_occurrence_draws():
    over = game("g1f3 f3g1 " * 3, "g8f6 f6g8 " * 3)
    assert (over.result, over.reason, len(over.moves)) == ("1/2-1/2", "threefold repetition", 8)


def test_occurrences_in_the_opening_count():
    start = play.Start(moves=("g1f3", "g8f6", "f3g1", "f6g8"))
    assert len(game("g1f3 f3g1", "g8f6 f6g8", start).moves) == 4


@pytest.mark.parametrize("fen, result, reason", [
    ("8/8/8/8/8/5k2/5q2/7K w - - 0 1", "1/2-1/2", "stalemate"), ("7k/8/8/8/8/8/8/KB6 w - - 0 1", "1/2-1/2", "insufficient material"),
    ("7k/8/8/8/8/8/8/KR6 w - - 100 99", "1/2-1/2", "50-move rule"), ("R6k/6pp/8/8/8/8/8/K7 b - - 100 99", "1-0", "White mates")])
def test_ends(fen, result, reason):
    end = on_the_board(_core.Game(fen))
    assert (end.result, end.reason) == (result, reason)
    board = chess.Board(fen)
    assert board.outcome(claim_draw=True).result() == result


def test_a_fault_loses():
    white, black = Scripted(["e2e4", Fault(CRASH, "has ended")]), Scripted(["e7e5"])
    over = play.play(play.Start(), (white, black), (ONE, ONE))
    assert (over.result, over.ending, over.reason, len(over.moves)) == ("0-1", CRASH, "scripted has ended", 2)


def test_castling_is_written_as_king_takes_rook():
    start = play.Start("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1")
    with pytest.raises(StopIteration):
        game("e1h1", "e8a8", start)
    assert _core.Game(start.fen, ["e1h1", "e8a8"]).fen().startswith("2kr3r/8/8/8/8/8/8/R4RK1")


# clocks --------------------------------------------------------------------------------------------------------------

def test_limits_are_read_as_they_are_written():
    for text in ("nodes=400", "depth=8", "movetime=100", "tc=60+0.6", "tc=40/300", "tc=40/300+2", "tc=1234567.5+12345.678", "nodes=5 tc=1+0.01"):
        assert str(parse(text)) == text
    assert parse("tc=1:30+1").base_ms == 90_000


@pytest.mark.parametrize("text", ["", "nodes", "nodes=0", "nodes=x", "time=5", "tc=", "tc=+1", "tc=0", "tc=5+", "tc=1+1 movetime=10", "movetime=-1"])
def test_what_is_no_limit(text):
    with pytest.raises(_core.Error, match="limit|clock"):
        parse(text)


def test_a_clock():
    clock = Clock(parse("tc=2/10+1"))
    assert clock.moves_to_go == 2
    clock.moved(4, 0)
    assert (clock.left_s, clock.moves_to_go) == (7, 1)
    clock.moved(7.05, margin_ms=50)  # late, but not too late
    assert (clock.left_s, clock.moves_to_go) == (11, 2)
    with pytest.raises(Fault) as fault:
        clock.moved(11.06, margin_ms=50)
    assert fault.value.kind == TIME


def test_a_time_for_each_move():
    clock = Clock(parse("movetime=100"))
    clock.moved(0.12, margin_ms=20)
    with pytest.raises(Fault):
        clock.moved(0.13, margin_ms=20)


def test_both_hear_of_both_clocks():
    white, black = Scripted(["f2f3", "g2g4"]), Scripted(["e7e5", "d8h4"])
    play.play(play.Start(), (white, black), (parse("tc=60+1"), parse("nodes=7")))
    assert white.asked[0].wtime == 60_000 and white.asked[0].winc == 1000 and white.asked[0].btime is None and white.asked[0].nodes is None
    assert black.asked[0].nodes == 7 and 60_000 < black.asked[0].wtime <= 61_000


def test_equal_limits_have_clocks_of_their_own():
    both = parse("tc=3/60")
    clocks = Clock(both), Clock(both)
    clocks[0].moved(20, 0)
    assert [limit.request(clocks, side).movestogo for side in (0, 1)] == [2, 3]


# adjudication --------------------------------------------------------------------------------------------------------

KNIGHTS = ["g1f3 b1c3 f3g1 c3b1 g1h3 b1a3 h3g1 a3b1".split(), "g8f6 b8c6 f6g8 c6b8 g8h6 b8a6 h6g8 a6b8".split()]


def watched(whites, blacks, rules):
    scores = [[("cp", value) if isinstance(value, int) else value for value in values] for values in (whites, blacks)]
    players = [Scripted(moves, values) for moves, values in zip(KNIGHTS, scores)]
    return play.play(START, players, (ONE, ONE), Judge(rules))


def test_a_draw_by_agreement():
    rules = Adjudication(draw_move=2, draw_count=2, draw_score=10)
    over = watched([30, 5, -10, 0], [0, 10, 5, 0], rules)
    assert (over.result, over.ending, len(over.moves)) == ("1/2-1/2", ADJUDICATION, 5)  # the four from Black's first on


def test_no_draw_before_its_move():
    assert len(watched([0] * 8, [0] * 8, Adjudication(draw_move=3, draw_count=1, draw_score=10)).moves) == 6


def test_who_is_lost_resigns_if_both_agree():
    rules = Adjudication(resign_count=2, resign_score=500)
    over = watched([-600, -700, ("mate", -3), -700], [600, 300, 500, ("mate", 4)], rules)
    assert (over.result, over.reason, len(over.moves)) == ("0-1", "White resigns", 8)  # 300 was not enough


def test_a_score_that_is_not_told_agrees_to_nothing():
    rules = Adjudication(resign_count=1, resign_score=1, draw_count=1, draw_score=5000, most_moves=4)
    over = watched([-600, None, -700, None], [None, 600, None, 700], rules)
    assert over.reason == "White resigns"
    over = watched([-600, None, -700, None], [None, None, None, 7], rules)
    assert (over.result, over.reason, len(over.moves)) == ("1/2-1/2", "drawn after 4 moves", 8)


def test_the_moves_after_which_a_game_is_drawn_are_its_own():
    """The number of the first one is whatever the opening's FEN has."""
    start = START._replace(fen=START.fen.removesuffix("0 1") + "0 300")
    over = play.play(start, [Scripted(moves, [None] * 8) for moves in KNIGHTS], (ONE, ONE), Judge(Adjudication(most_moves=3)))
    assert (over.reason, len(over.moves)) == ("drawn after 3 moves", 6)


class Tables:
    """Says of every ending of at most three men that the side to move has `wdl`."""
    largest = 3

    def __init__(self, wdl):
        self._wdl = wdl

    def wdl(self, fen):
        return self._wdl


@pytest.mark.parametrize("wdl, side, result", [(2, "w", "1-0"), (2, "b", "0-1"), (-2, "w", "0-1"), (-2, "b", "1-0"), (1, "w", "1/2-1/2"),
                                               (0, "b", "1/2-1/2"), (None, "w", None)])
def test_what_the_tables_say(wdl, side, result):
    judge = Judge(Adjudication(tables=Tables(wdl)))
    end = judge.verdict(_core.Game(f"8/8/8/4k3/8/8/8/KQ6 {side} - - 0 1"))
    assert (end and end.result) == result
    assert judge.verdict(_core.Game(f"8/8/8/4k3/8/8/8/KQ6 {side} - - 1 1")) is None, "the 50-move rule's count has begun"
    assert judge.verdict(_core.Game(f"8/8/8/4k3/8/8/8/KQR5 {side} - - 0 1")) is None, "four men"
