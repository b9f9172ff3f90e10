"""Trees in files: Engine.save and load, savetree and loadtree, and files that are none."""
import hashlib
import os
import pathlib
import random
import threading
import zlib

import chess
import pytest

import lc0rocm
from lc0rocm import Error, _core, saved_tree

HEADS = pathlib.Path(__file__).parents[1] / "nets/attention-dense-multihead.pb.gz"
SINGLE = {"Threads": 1, "MinibatchSize": 1, "NNCacheSize": 0}  # an evaluation depends on nothing but its own game


@pytest.fixture(scope="module")
def network():
    return lc0rocm.Network(backend="random")


@pytest.fixture(params=["classic", "dag"])
def options(request):
    return SINGLE | {"Search": request.param}


def test_an_analysis_goes_on_where_it_was(network, options, tmp_path):
    board = chess.Board()
    board.push_san("e4")
    first, second = lc0rocm.Engine(network, options), lc0rocm.Engine(network, options)
    first.search(board, nodes=1500)
    first.save(tmp_path / "tree")
    loaded = second.load(tmp_path / "tree")
    assert loaded == board and loaded.move_stack == board.move_stack
    assert second.search(loaded, nodes=3000).visits == first.search(board, nodes=3000).visits
    second.save(tmp_path / "tree")  # over the one that is there
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_an_engine_that_never_searched(network, options, tmp_path):
    engine = lc0rocm.Engine(network, options)
    engine.save(tmp_path / "tree")
    assert engine.load(tmp_path / "tree") == chess.Board()


def test_castling_and_chess960_come_back(network, tmp_path):
    for start, moves in ((chess.Board(), "e4 e5 Nf3 Nc6 Bc4 Bc5 O-O"), (chess.Board.from_chess960_pos(518), "e4 e5 Nf3 Nc6 Bc4 Bc5 O-O")):
        for move in moves.split():
            start.push_san(move)
        engine = lc0rocm.Engine(network, SINGLE)
        engine.search(start, nodes=20)
        engine.save(tmp_path / "tree")
        loaded = engine.load(tmp_path / "tree")
        assert (loaded, loaded.chess960, loaded.move_stack) == (start, start.chess960, start.move_stack)


def test_other_options_and_networks(network, tmp_path, reference):
    engine = lc0rocm.Engine(network, SINGLE)
    engine.search(chess.Board(), nodes=20)
    engine.save(tmp_path / "tree")
    for options, why in (({"PolicyTemperature": 2.0}, "PolicyTemperature 1.359, which is 2.0 now"), ({"Search": "dag"}, "Search 'classic'")):
        with pytest.raises(Error, match=why):
            lc0rocm.Engine(network, SINGLE | options).load(tmp_path / "tree")
    lc0rocm.Engine(network, SINGLE | {"CPuct": 3.0}).load(tmp_path / "tree")
    other = lc0rocm.Network(reference / "nets/se-relu-32x2.pb.gz", backend="cpu")
    with pytest.raises(Error, match="another network"):
        lc0rocm.Engine(other, SINGLE).load(tmp_path / "tree")


def test_other_heads_of_the_network(tmp_path):
    nets = [lc0rocm.Network(HEADS, "cpu", backend_options=f"policy_head={head},probe=false") for head in ("vanilla", "soft", "vanilla")]
    first, other, same = (lc0rocm.Engine(net, SINGLE) for net in nets)
    first.search(chess.Board(), nodes=3)
    first.save(tmp_path / "tree")
    same.load(tmp_path / "tree")
    with pytest.raises(Error, match="another network, or other heads"):
        other.load(tmp_path / "tree")


@pytest.mark.parametrize("path, why", [(None, "a path is the name of a file, not NoneType"), (5, "not int"), (["tree"], "not list"),
                                       ("", "the name of a file for the tree is missing")])
def test_what_is_no_path(network, path, why):
    engine = lc0rocm.Engine(network, SINGLE)
    for call in (engine.save, engine.load):
        with pytest.raises(Error, match=why):
            call(path)


def test_links_pipes_and_paths_of_bytes(network, tmp_path):
    """What is there stays what it is."""
    engine = lc0rocm.Engine(network, SINGLE)
    engine.search(chess.Board(), nodes=20)
    (tmp_path / "link").symlink_to("far")
    for path in (os.fsencode(tmp_path / "link"), tmp_path / "link"):
        engine.save(path)
        assert engine.load(path) == chess.Board()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far").is_file()
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    engine.save(tmp_path / "pipe")
    reader.join()
    assert got == [(tmp_path / "far").read_bytes()] and (tmp_path / "pipe").is_fifo()
    if os.path.exists("/dev/full"):
        with pytest.raises(Error, match="/dev/full: the tree cannot be saved there: No space left on device"):
            engine.save("/dev/full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "link", "pipe"]


@pytest.mark.parametrize("content, why", [(None, "cannot be read: No such file"), (b"", "no tree"), (b"\0" * 100, "no tree"),
                                          (b"lc0rocm saved tree 1\n", "damaged")])
def test_files_that_are_none(network, tmp_path, content, why):
    if content is not None:
        (tmp_path / "tree").write_bytes(content)
    with pytest.raises(Error, match=f"tree: .*{why}"):
        lc0rocm.Engine(network, SINGLE).load(tmp_path / "tree")


def test_where_nothing_can_be_written(network, tmp_path):
    engine = lc0rocm.Engine(network, SINGLE)
    for path in (tmp_path / "no" / "tree", tmp_path, "a\0b"):
        with pytest.raises(Error, match="cannot be saved"):
            engine.save(path)
    assert list(tmp_path.iterdir()) == []


def test_every_damage_of_a_file_is_seen(network, options, tmp_path):
    engine, dice = lc0rocm.Engine(network, options), random.Random(1)
    engine.search(chess.Board(), nodes=300)
    engine.save(tmp_path / "tree")
    good = (tmp_path / "tree").read_bytes()
    for _ in range(150):
        bad = bytearray(good)
        if dice.random() < 0.3:
            del bad[dice.randrange(len(bad)):]
        else:
            bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        (tmp_path / "tree").write_bytes(bad)
        with pytest.raises(Error, match="no tree|damaged"):
            engine.load(tmp_path / "tree")


def test_bytes_that_somebody_made_up(options):
    """Whatever passes for a tree makes a search of legal moves; the rest is an Error."""
    search, dice, passed = _core.Search(), random.Random(2), 0
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1.4, 1000)
    parameters = {"Threads": 1, "MinibatchSize": 1, "SmartPruningFactor": 0.0, "Graph": "on" if options["Search"] == "dag" else "off"}
    fen = "8/k7/3p4/p2P1p2/P2P1P2/8/8/K7 w - - 0 1"
    search.set_position(fen, [])
    search.start(parameters, {"nodes": 200})
    search.result()
    good = search.save()
    for _ in range(700):
        bad = bytearray(good)
        for _ in range(dice.choice([1, 1, 3])):
            bad[dice.randrange(len(bad))] = dice.choice([0, 1, 2, 3, 127, 128, 255, dice.randrange(256)])
        if dice.random() < 0.2:
            del bad[dice.randrange(len(bad)):]
        search.set_position(fen, [])
        try:
            search.load(bytes(bad))
        except Error as error:
            assert "damaged" in str(error) and search.root_visits == 0
            continue
        passed += 1
        search.start(parameters, {"playouts": 30})
        assert search.result()["best_move"] in _core.Game(fen).legal_moves()
    assert 50 < passed < 650


def test_a_header_that_somebody_made_up(network, tmp_path):
    engine = lc0rocm.Engine(network, SINGLE)
    engine.save(tmp_path / "tree")
    magic = (tmp_path / "tree").read_bytes()[:21]
    for text in (b"", b"\n", b"[]\n", b"{}\n", b'{"fen": 3, "moves": 4, "made_of": {}, "extra": 0}\n', b"\xff\n"):
        body = zlib.compress(text)
        (tmp_path / "tree").write_bytes(magic + hashlib.sha256(body).digest() + body)
        with pytest.raises(Error, match=r"tree: "):
            engine.load(tmp_path / "tree")
    made_of = engine._tree_made_of()
    for fen, moves in ((3, 4), ("x", []), (chess.STARTING_FEN, ["e2e5"]), (chess.STARTING_FEN, [3])):
        saved_tree.write(tmp_path / "tree", saved_tree.Saved(fen, moves, made_of, False, b"\0"))
        with pytest.raises(Error, match=r"tree: "):
            engine.load(tmp_path / "tree")
