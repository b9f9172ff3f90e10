"""`lc0rocm match` as it is used: our sides share a back end, the games are in the PGN."""
import json

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
