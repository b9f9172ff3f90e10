"""SyzygyPath over UCI."""


def test_tables_are_found_and_used(engine, reference):
    engine.send(f'setoption name SyzygyPath value "{reference / "syzygy"}"')
    assert engine.sync() == ["info string Syzygy tables: 35 WDL and 35 DTZ files, up to 4 men"]
    lines = engine.ask("position fen 8/8/8/8/8/3P1k2/8/4K3 w - - 0 1", "go nodes 30")
    assert lines[-1].startswith("bestmove e1d2") and " tbhits 1 " in lines[-2]


def test_the_latest_path_holds(engine, reference, tmp_path):
    position = "position fen 8/8/8/8/8/3P1k2/8/4K3 w - - 0 1"
    for folder, hits in ((tmp_path, 0), (reference / "syzygy", 1), (tmp_path, 0)):
        engine.send(f"setoption name SyzygyPath value {folder}")
        assert f" tbhits {hits} " in engine.ask(position, "go nodes 30")[-2]


def test_a_path_that_is_not_there(engine):
    engine.send("setoption name SyzygyPath value /no/such/folder")
    assert engine.sync() == ["info string Syzygy tables: 0 WDL and 0 DTZ files, up to 0 men",
                             "info string Syzygy folder /no/such/folder cannot be read: No such file or directory"]
    assert engine.ask("position startpos", "go nodes 5")[-1].startswith("bestmove")


def test_no_tables_again(engine, reference):
    engine.send(f"setoption name SyzygyPath value {reference / 'syzygy'}", "isready", "setoption name SyzygyPath value <empty>")
    engine.until("readyok")
    assert " tbhits 0 " in engine.ask("position fen 8/8/8/8/8/3P1k2/8/4K3 w - - 0 1", "go nodes 30")[-2]
