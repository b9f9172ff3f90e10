"""UCI over TCP: many clients, some of them hostile, slow, gone or strangers."""
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import types

import chess
import chess.engine
import pytest

from lc0rocm import loading
from lc0rocm._core import Error
from lc0rocm.serving import tcp
from lc0rocm.engine.backend import BackEnd
from lc0rocm.serving.session import Limits, Shared, SharedBackEnd

from .peer import PATIENCE_S, Peer, wait_for

TOKEN = "a-token-of-some-length"


def free(server):
    """Places that nobody has."""
    return server.places._value


def play(server, moves, seed):
    """A client's game: every answer is legal in the position that this client sent. The visits that it got."""
    dice, visits = random.Random(seed), 0
    with Peer(server) as peer:
        peer.send("uci")
        peer.until("uciok")
        board = chess.Board()
        for _ in range(moves):
            board.push(dice.choice(list(board.legal_moves)))
            lines = peer.ask("position startpos moves " + " ".join(move.uci() for move in board.move_stack), "go nodes 60")
            move = chess.Move.from_uci(lines[-1].split()[1])
            assert move in board.legal_moves
            board.push(move)
            visits += int(re.search(r" nodes (\d+)", next(line for line in reversed(lines) if " nodes " in line))[1])
        peer.send("quit")
        assert not [line for line in peer.rest() if line.startswith("bestmove")]
    return visits


def test_eight_clients_one_of_them_hostile(serve, shared):
    """Seven games go on while the eighth asks for all that it can think of and reads nothing."""
    server = serve()
    hostile = Peer(server)
    hostile.send("setoption name Threads value 999", "setoption name Threads value 2", "setoption name MinibatchSize value 100000",
                 "setoption name NNCacheSize value 999999999", "setoption name MultiPV value 500", "setoption name LogLiveStats value true",
                 "setoption name VerboseMoveStats value true", "go infinite")
    over = threading.Event()

    def flood():
        try:
            while not over.is_set():
                hostile.socket.sendall(b"\0\xff garbage " * 5000 + b"\nposition fen x\nsetoption name UCI value\n")
        except OSError:
            pass

    threading.Thread(target=flood, daemon=True).start()
    visits = []
    games = [threading.Thread(target=lambda seed=seed: visits.append(play(server, 4, seed))) for seed in range(7)]
    for game in games:
        game.start()
    for game in games:
        game.join(PATIENCE_S)
    over.set()
    hostile.close()
    assert len(visits) == 7 and min(visits) >= 4 * 60
    wait_for(lambda: free(server) == 8)


def test_what_is_the_servers_stays_so(serve, tmp_path):
    with Peer(serve()) as peer:
        peer.send("uci")
        options = [line for line in peer.until("uciok") if line.startswith("option")]
        names = {re.match(r"option name (.*) type", line)[1] for line in options}
        assert not names & {"WeightsFile", "Backend", "BackendOptions", "LogFile", "ConfigFile", "SyzygyPath", "RamLimitMb"} and "MultiPV" in names
        assert any("Threads type spin default 1 min 1 max 2" in line for line in options)
        for name, value in (("LogFile", tmp_path / "log"), ("WeightsFile", "maia-1500"), ("SyzygyPath", "/"), ("RamLimitMb", "0")):
            peer.send(f"setoption name {name} value {value}", "isready")
            assert f"info string {name} is the server's: it stays as it is" in peer.until("readyok")
        peer.ask("go nodes 10")
        for command in ("savetree", "loadtree"):
            peer.send(f"{command} {tmp_path}/tree", "isready")
            assert any("unknown command" in line for line in peer.until("readyok"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("first", ["", "uci", "token", "token wrong", "token " + TOKEN[:-1], "token " + TOKEN + "x", "TOKEN " + TOKEN, TOKEN,
                                   "token \xe9", "x" * 5000, "GET / HTTP/1.1"])
def test_a_wrong_token(serve, monkeypatch, first):
    monkeypatch.setattr(tcp, "_GREETING_S", 0.5)
    monkeypatch.setattr(tcp.time, "sleep", lambda _: None)
    server = serve(TOKEN)
    with Peer(server) as peer:
        peer.send(first, "uci", "isready")
        try:
            assert all(line == "info string error: the first line has to be: token TOKEN" for line in peer.rest())
        except ConnectionResetError:  # it had not read all
            pass
    assert free(server) == 8
    with Peer(server, TOKEN) as peer:
        assert peer.ask("go nodes 5")


def test_tokens_are_compared_in_constant_time(serve, monkeypatch):
    compared = []
    monkeypatch.setattr(tcp.hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    with Peer(serve(TOKEN), TOKEN) as peer:
        peer.ask("go nodes 5")
    assert compared == [(TOKEN.encode(), TOKEN.encode())]


def test_a_silent_stranger_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(tcp, "_GREETING_S", 0.2)
    server = serve(TOKEN)
    with Peer(server) as peer:
        assert peer.rest() == []
    with Peer(server) as peer:
        peer.socket.sendall(b"tok")
        assert peer.rest() == []


def test_a_page_in_a_browser_is_no_client(serve):
    with Peer(serve()) as peer:
        peer.send("POST / HTTP/1.1", "Host: localhost", "", "go infinite")
        try:
            assert peer.rest() == []
        except ConnectionResetError:
            pass


def test_a_huge_line(serve):
    server = serve()
    with Peer(server) as peer:
        peer.send("uci", "x" * 5_000_000)
        lines = peer.until("info string error")
        assert len(lines[-1]) < 300 and peer.ask("go nodes 5")


def test_a_slow_reader_is_let_go(serve, monkeypatch):
    monkeypatch.setattr(tcp, "_SLOW_S", 0.3)
    server = serve()
    with Peer(server) as peer:
        peer.send("setoption name MultiPV value 500", "setoption name VerboseMoveStats value true", "setoption name LogLiveStats value true",
                  *["uci"] * 3000, "go infinite")
        wait_for(lambda: free(server) == 8)


@pytest.mark.parametrize("how", ["closed", "reset", "half"])
@pytest.mark.parametrize("go", ["go infinite", "go movetime 100000", "go ponder", "go nodes 1000000"])
def test_a_client_that_goes_in_the_middle_of_a_search(serve, how, go):
    server = serve(seconds=1)
    peer = Peer(server)
    peer.send("setoption name VerboseMoveStats value true", "setoption name LogLiveStats value true", go)
    peer.until("info depth")
    if how == "reset":
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "half":  # as `echo go nodes 100 | nc` does: it still listens
        peer.socket.shutdown(socket.SHUT_WR)
        assert [line for line in peer.rest() if line.startswith("bestmove")]
    peer.close()
    wait_for(lambda: free(server) == 8)


def with_a_place(server):
    """A client that is served: where there is much else to do, those who are gone have their places for a while."""
    while True:
        peer = Peer(server)
        try:
            peer.send("isready")
            peer.until("readyok")
            return peer
        except (AssertionError, OSError):
            peer.close()


def test_clients_that_come_and_go_do_not_get_each_others_words(serve):
    """A descriptor's number goes to the next client: nothing may still read it."""
    server = serve(clients=8)

    def come_and_go(seed):
        dice = random.Random(seed)
        for _ in range(15):
            try:
                with Peer(server) as peer:
                    peer.send(*["isready"] * dice.randrange(40), *["xyzzy"] * dice.randrange(2), *["go nodes 500"] * dice.randrange(2))
            except OSError:
                pass

    rude = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(3)]
    for thread in rude:
        thread.start()
    for _ in range(6):
        with with_a_place(server) as peer:
            for number in range(2, 6):
                lines = peer.ask(f"setoption name MultiPV value {number}", "position startpos moves e2e4", "go nodes 40")
                assert f" multipv {number} " in "".join(lines) and not [line for line in lines if "xyzzy" in line or line == "readyok"]
    for thread in rude:
        thread.join()
    wait_for(lambda: free(server) == 8)


def test_no_more_clients_than_there_are_places(serve):
    server = serve(clients=1)
    with Peer(server) as first:
        first.ask("go nodes 5")
        with Peer(server) as second:
            second.send("uci")
            try:
                assert second.rest() == ["info string error: 1 clients are served already; try later"]
            except ConnectionResetError:
                pass
        first.send("quit")
        first.rest()
    wait_for(lambda: free(server) == 1)


def test_a_search_ends_when_its_time_is_over(serve):
    with Peer(serve(seconds=0.5)) as peer:
        assert peer.ask("go movetime 1000000")
        peer.send("go infinite")
        lines = peer.until("info string a search may take 0.5 s here, which are over")
        peer.send("isready")
        assert not [line for line in lines + peer.until("readyok") if line.startswith("bestmove")]
        assert peer.ask("stop")


def test_memory_of_a_client(serve):
    with Peer(serve(ram_mb=1, seconds=30)) as peer:
        peer.send("setoption name NNCacheSize value 999999999", "setoption name RamLimitMb value 0")
        lines = peer.ask("go nodes 1000000")
        nodes = int(re.findall(r" nodes (\d+)", "".join(lines))[-1])
        assert nodes < 20000


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid"])
def test_strangers_need_a_token(shared, host):
    with pytest.raises(Error, match="can be reached from other machines: give --token-file|cannot listen on"):
        tcp.Server((host, 0), "", 8, shared, Limits(100, 60, 2), {})


def test_token_files(tmp_path, monkeypatch):
    path = str(tmp_path / "token")
    with pytest.raises(Error, match="no token can be had from it: No such file"):
        tcp.token_of(path)  # a client's: what it made would open nothing
    token = tcp.token_of(path, make=True)
    assert len(token) >= 32 and os.stat(path).st_mode & 0o777 == 0o600 and tcp.token_of(path) == token
    os.chmod(path, 0o644)
    with pytest.raises(Error, match="chmod 600"):
        tcp.token_of(path)
    for content in (b"", b"short", b"two words of some length", b"\xff" * 40):
        (tmp_path / "bad").write_bytes(content)
        os.chmod(tmp_path / "bad", 0o600)
        with pytest.raises(Error):
            tcp.token_of(str(tmp_path / "bad"))
    with pytest.raises(Error, match="no token can be had"):
        tcp.token_of(str(tmp_path / "no/such"), make=True)
    monkeypatch.setenv(tcp.TOKEN, "from-the-environment")
    assert tcp.token_of("") == "from-the-environment"


def test_a_back_end_that_fails_is_replaced_for_all(reference):
    loaded = loading.load_backend(str(reference / "nets/se-relu-32x2.pb.gz"), "cpu")
    from lc0rocm import _core
    shared = Shared(loaded._replace(backend=_core.Backend("random", None, {})))
    first = shared.loaded
    one, other = shared.instead_of(first), shared.instead_of(first)
    assert one is other and one is not first and "oneDNN" in one.backend.info["device"]
    with pytest.raises(Error, match="no other back end"):
        shared.instead_of(one)


def test_a_gpu_that_fails_loses_nobodys_search(emulated_gpu, tiny_net, tmp_path):
    """Several searches meet the fault at once; the CPU takes over for all."""
    command = [sys.executable, "-m", "lc0rocm", "serve", "--port=0", "--backend=rocm", f"--weights={tiny_net}",
               "--backend-opts=max_batch=4,streams=1,warm_up=false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                          env=os.environ | {"ROCM_EMULATED": "fail=fault:400+", "XDG_CACHE_HOME": str(tmp_path)}) as process:
        try:
            port = next(int(re.search(r"port (\d+), without a token", line)[1]) for line in process.stderr if "serving UCI" in line)
            server = types.SimpleNamespace(server_address=("127.0.0.1", port))
            said = []
            searches = [threading.Thread(target=lambda: said.extend(search(server))) for _ in range(3)]
            for thread in searches:
                thread.start()
            for thread in searches:
                thread.join(PATIENCE_S)
            assert sum(line.startswith("bestmove ") for line in said) == 3 and not any("(none)" in line for line in said)
            assert any(line.startswith("info string going on with back end cpu on ") for line in said)
            assert any("emulated GPU" in line for line in said)
        finally:
            process.send_signal(signal.SIGTERM)


def search(server):
    with Peer(server) as peer:
        return [*peer.ask("isready", "go nodes 300")]


def test_the_commands(tmp_path):
    """serve and connect as processes, and python-chess between them."""
    token = str(tmp_path / "token")
    lc0rocm = [sys.executable, "-m", "lc0rocm"]
    server = subprocess.Popen([*lc0rocm, "serve", "--port=0", "--backend=random", f"--token-file={token}"], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        port = next(re.search(r"port (\d+), with a token", line)[1] for line in server.stderr if "serving UCI" in line)
        with chess.engine.SimpleEngine.popen_uci([*lc0rocm, "connect", f"127.0.0.1:{port}", f"--token-file={token}"], timeout=60, cwd=tmp_path) as engine:
            assert engine.id["name"].startswith("lc0rocm")
            engine.configure({"Threads": 2})
            result = engine.play(chess.Board(), chess.engine.Limit(nodes=50))
            assert result.move in chess.Board().legal_moves
            info = engine.analyse(chess.Board(), chess.engine.Limit(nodes=50), multipv=3)
            assert len(info) == 3
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
    refused = subprocess.run([*lc0rocm, "connect", f"127.0.0.1:{port}"], capture_output=True, text=True, input="", timeout=60, cwd=tmp_path)
    assert refused.returncode == 2 and "Connection refused" in refused.stderr
    bad = subprocess.run([*lc0rocm, "connect", "nowhere"], capture_output=True, text=True, input="", timeout=60, cwd=tmp_path)
    assert bad.returncode == 2 and "lc0rocm connect HOST:PORT" in bad.stderr


def test_a_client_plays_several_games(serve):
    with Peer(serve()) as peer:
        for _ in range(3):
            peer.send("ucinewgame", "isready")
            assert not any("error" in line for line in [*peer.until("readyok"), *peer.ask("position startpos", "go nodes 5")])


def test_a_client_loads_nothing():
    """Whatever a back end of one's own does, that of all does in a way of its own."""
    public = {name for name in vars(BackEnd) if not name.startswith("_")}
    assert public <= set(vars(SharedBackEnd))
