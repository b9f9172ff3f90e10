"""UCI_LimitStrength and UCI_Elo: which net plays, by how many nodes, and that no two games are alike."""
import collections
import math
import re
import shutil

import chess
import pytest

from lc0rocm import options, strength
from lc0rocm.netfile import fetch

LIMITED = {"UCI_LimitStrength": True}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lc0rocm" / "nets"


@pytest.fixture
def maia(cache, reference):
    """The way to put a Maia net where `lc0rocm nets` would."""
    def put(rating):
        cache.mkdir(parents=True, exist_ok=True)
        return shutil.copy(reference / "nets" / f"maia-{rating}.pb.gz", cache)
    return put


def test_a_higher_rating_draws_less_and_searches_more():
    ways = [strength.of(LIMITED | {"UCI_Elo": elo}) for elo in range(strength.LOWEST, strength.HIGHEST + 1)]
    temperatures = [way.temperature for way in ways if way.temperature is not None]
    assert temperatures == sorted(temperatures, reverse=True) and temperatures[-1] > 0.1
    assert [way.temperature is None for way in ways] == [False] * len(temperatures) + [True] * (len(ways) - len(temperatures))
    nodes = [way.nodes for way in ways]
    assert nodes == sorted(nodes) and nodes[0] == 1 and nodes[-1] > 300
    assert {way.weights for way in ways} == {"<built in>"}
    assert strength.of({"UCI_LimitStrength": False, "UCI_Elo": 1500}) is None


def test_a_net_of_people_near_the_rating_plays(maia):
    path = maia(1500)
    chosen = {elo for elo in range(strength.LOWEST, strength.HIGHEST + 1, 10) if strength.of(LIMITED | {"UCI_Elo": elo}).weights == str(path)}
    assert chosen == set(range(1400, 1601, 10))
    other = maia(1900)
    assert strength.of(LIMITED | {"UCI_Elo": 1960}).weights == str(other)
    other = fetch.nets()["maia-1900"].here()
    other.write_bytes(other.read_bytes()[:-1])
    assert strength.of(LIMITED | {"UCI_Elo": 1960}).weights == "<built in>", "a damaged one is not there"


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_draw_has_the_softmax_of_the_logits(temperature):
    logits, draws = {"a": 2.0, "b": 1.0, "c": -500.0, "d": 1.5}, 4000
    counts = collections.Counter(strength.draw(logits, temperature) for _ in range(draws))
    weights = {move: math.exp(logit / temperature) for move, logit in logits.items()}
    for move, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(counts[move] / draws - share) <= 5 * math.sqrt(share * (1 - share) / draws)


def test_over_uci(start, maia):
    """In one process: by the package's net, by a search, by people's net, and whole again."""
    engine = start("--backend=cpu", "--weights=/no/such/net", "--smart-pruning-factor=0", "--config=")
    engine.send("setoption name UCI_LimitStrength value true", "setoption name UCI_Elo value 1400", "isready")
    lines = engine.ask("position startpos", "go wtime 60000 btime 60000", seconds=60)
    assert "info string plays at 1400: moves drawn from the policy of the package's network at temperature 0.77" in lines
    assert re.match(r"info depth 1 seldepth 1 nodes 1 score cp", lines[-2])
    drawn = {engine.ask("position startpos", "go nodes 1000000")[-1] for _ in range(40)}
    assert len(drawn) > 3
    engine.send("setoption name UCI_Elo value 2000")
    lines = engine.ask("position startpos", "go movetime 100000", seconds=60)
    nodes = strength.of(LIMITED | {"UCI_Elo": 2000}).nodes
    assert f" nodes {nodes} " in lines[-2]
    path = maia(1900)
    engine.send("setoption name UCI_Elo value 1900")
    lines = engine.ask("position startpos", "go movetime 100000", seconds=60)
    assert any(f"like people rated 1900 on lichess, by {path}" in line for line in lines) and " nodes 1 " in lines[-2]
    engine.send("setoption name UCI_LimitStrength value false", f"setoption name WeightsFile value {path}")
    assert " nodes 30 " in engine.ask("position startpos", "go nodes 30", seconds=60)[-2]


def test_no_game_twice_by_searches(start):
    engine, games = start("--backend=cpu", "--limit-strength", "--elo=2000", "--config="), set()
    for _ in range(4):
        board, moves = chess.Board(), []
        engine.send("ucinewgame")
        while len(moves) < 10:
            move = engine.ask(f"position startpos moves {' '.join(moves)}", "go nodes 1000", seconds=60)[-1].split()[1]
            board.push_uci(move)
            moves.append(move)
        games.add(tuple(moves))
        if len(games) > 1:
            return
    pytest.fail("four games are alike")


def test_searchmoves_and_ends(start):
    engine = start("--backend=random", "--limit-strength", "--elo=1320", "--config=")
    assert engine.ask("position startpos", "go searchmoves a2a3")[-1] == "bestmove a2a3"
    assert engine.ask("position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "go")[-1] == "bestmove (none)"


def test_other_options_keep_their_say():
    settings = options.Settings(options.ENGINE)
    settings.set(settings.option("UCI_LimitStrength"), "true")
    settings.set(settings.option("UCI_Elo"), "2300")
    live = options.live_parameters(settings, strength.of(settings))
    assert live["Temperature"] == strength.OF_A_SEARCH["Temperature"] and live["MultiPV"] == settings["MultiPV"]
