"""`lc0rocm match` as it is used: our sides share a back end, the games are in the PGN."""
import json

import pytest

from .matches import games_of, match


def test_pairs_of_games_with_both_colours(tmp_path):
    goal = tmp_path / "m.pgn"
    told = json.loads(match(goal, "--games=8", "--second-options=CPuct=3", "--json").stdout)
    games = {game.headers["Round"]: game for game in games_of(goal)}
    assert sorted(games) == [f"{pair}.{game}" for pair in (1, 2, 3, 4) for game in (1, 2)]
    assert told["games"] == 8 == told["wins"] + told["draws"] + told["losses"] and sum(told["pairs"]) == 4
    assert [side["name"] for side in told["sides"]] == ["random", "random CPuct=3"]
    for pair in "1234":
        one, other = games[f"{pair}.1"], games[f"{pair}.2"]
        assert one.headers["White"] == other.headers["Black"] == "random" and one.headers["Black"] == other.headers["White"] == "random CPuct=3"
        openings = [[move.uci() for move in list(game.mainline_moves())[:6]] for game in (one, other)]
        assert openings[0] == openings[1]
        for node in list(one.mainline())[6:]:
            assert node.eval() is not None and node.emt() is not None and node.clock() is None


def test_the_same_command_goes_on(tmp_path):
    goal = tmp_path / "m.pgn"
    match(goal, "--games=2")
    before = goal.read_text()
    assert "2 games are in" in match(goal, "--games=4").stderr
    assert goal.read_text().startswith(before) and len(games_of(goal)) == 4
    refused = match(goal, "--games=4", "--second-options=CPuct=3", code=2)
    assert "holds games of another match" in refused.stderr
    match(goal, "--games=2", "--second-options=CPuct=3", "--again")
    assert len(games_of(goal)) == 2


def test_names_that_are_no_line_of_text(tmp_path):
    goal, flags = tmp_path / "m.pgn", ["--games=2", "--first-name=a\nb\udcff", "--second-options=UCI_Opponent=\udcff"]
    match(goal, *flags)
    assert "2 games are in" in match(goal, *flags).stderr
    assert {game.headers["White"] for game in games_of(goal)} == {"a?b?", "random UCI_Opponent=?"}


def test_sides_clocks_and_openings_of_chess960(tmp_path):
    goal = tmp_path / "m.pgn"
    told = json.loads(match(goal, "--chess960", "--games=4", "--limit=nodes=4 tc=60+0.5", "--json", "--concurrency=2").stdout)
    games = games_of(goal)
    assert told["games"] == 4 and all(game.headers["Variant"] == "Chess960" for game in games)
    assert all(game.headers["TimeControl"] == "60+0.5" and node.clock() is not None for game in games for node in list(game.mainline())[6:])


def test_a_test_ends_the_match(tmp_path):
    """With bounds as far apart as these it takes few pairs to know, whichever it is."""
    goal = tmp_path / "m.pgn"
    sprt = ["--sprt=0,200", "--alpha=0.3", "--beta=0.3", "--games=400", "--concurrency=4", "--max-moves=0"]
    told = json.loads(match(goal, *sprt, "--first-limit=nodes=200", "--second-options=Search=policyhead", "--json").stdout)
    assert told["games"] < 400 and told["sprt"]["decided"] in ("H0", "H1")
    low, high = told["sprt"]["bounds"]
    assert not low < told["sprt"]["llr"] < high
    again = json.loads(match(goal, *sprt, "--first-limit=nodes=200", "--second-options=Search=policyhead", "--json").stdout)
    assert again["games"] == told["games"], "what is decided is decided"


@pytest.mark.parametrize("flags, says", [
    (["--first=nothing"], "is no net, neither a file nor one that lc0rocm nets lists"), (["--first-options=CPuct"], "has no ="),
    (["--first-options=Cpact=1"], "no option 'Cpact'"), (["--second-limit=nodes"], "is no limit of a move"), (["--sprt=5"], "two Elo differences"),
    (["--draw=40"], "MOVE,COUNT,CENTIPAWNS"), (["--resign=a,b"], "COUNT,CENTIPAWNS"), (["--table-results"], "--syzygy-paths"),
    (["--openings=missing.pgn"], "cannot read missing.pgn")])
def test_what_is_wrong_is_one_sentence(tmp_path, flags, says):
    done = match(tmp_path / "m.pgn", *flags, code=2)
    assert says in done.stderr and done.stderr.count("\n") == 1 and "internal" not in done.stderr
    assert not (tmp_path / "m.pgn").exists()


def test_the_defaults_play_by_the_search_that_is_named(tmp_path):
    """Flags are for both sides, options for one."""
    told = json.loads(match(tmp_path / "m.pgn", "--games=2", "--cpuct=2.5", "--second-options=CPuct=3 MinibatchSize=4", "--json").stdout)
    first, second = (side["options"] for side in told["sides"])
    assert (first["CPuct"], first["MinibatchSize"], second["CPuct"], second["MinibatchSize"]) == (2.5, 8, 3.0, 4)
