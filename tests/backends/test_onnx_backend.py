"""The back end onnx: net files that hold a model play, and one sentence says what is wrong with others."""
import subprocess
import sys
import threading

import chess
import lc0rocm
import numpy as np
import pytest

from lc0rocm import _core, cli
from lc0rocm.netfile import net

REFERENCE = ["se-relu-32x2", "ab-pemap-64x2", "maia-1500"]
BOARDS = [chess.Board(), chess.Board("8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"), chess.Board("4k3/4p3/8/8/8/8/4P3/4K3 b - - 0 1")]


@pytest.fixture(scope="module")
def packages():
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"pip install {package}: what runs or makes the models is not here")


@pytest.fixture(scope="module")
def exported(packages, reference, tmp_path_factory):
    """A net file that holds a model, and the net that it was made from."""
    folder = tmp_path_factory.mktemp("onnx")

    def export(name, *flags):
        source, path = reference / "nets" / f"{name}.pb.gz", folder / f"{name}{''.join(flags)}.pb.gz"
        if not path.exists():
            assert cli.main(["export", str(path), f"--weights={source}", *flags]) == 0
        return path, source
    return export


@pytest.mark.parametrize("flags, share", [((), 1e-4), (("--half",), 3e-3)], ids=["float", "half"])
@pytest.mark.parametrize("name", REFERENCE)
def test_agrees_with_the_weights(exported, name, flags, share):
    path, source = exported(name, *flags)
    with lc0rocm.Network(path, "onnx") as held, lc0rocm.Network(source, "cpu") as own:
        got, wanted = held.evaluate(BOARDS), own.evaluate(BOARDS)
        np.testing.assert_allclose(got.policy, wanted.policy, atol=share * np.ptp(wanted.policy))
        np.testing.assert_allclose(got.wdl, wanted.wdl, atol=share)
        np.testing.assert_allclose(got.moves_left, wanted.moves_left, rtol=share, atol=share)
        assert held.policy(BOARDS[1]).keys() == own.policy(BOARDS[1]).keys()
        assert (held.info.wdl, held.info.moves_left, held.info.input_format) == (own.info.wdl, own.info.moves_left, own.info.input_format)


def test_auto_takes_it_for_such_a_file(exported):
    with lc0rocm.Network(exported("se-relu-32x2")[0]) as held:
        assert held.info.backend == "onnx" and "onnxruntime" in held.info.device
        assert any("onnx" in line for line in held.messages)


def test_runs_nets_with_weights_too(exported, reference):
    path = reference / "spec/nets/multihead_7_dense.pb.gz"
    for head in ("vanilla", "soft"):
        with lc0rocm.Network(path, "onnx", backend_options=f"policy_head={head}") as by_onnx, \
                lc0rocm.Network(path, "cpu", backend_options=f"policy_head={head}") as own:
            np.testing.assert_allclose(by_onnx.evaluate(BOARDS).policy, own.evaluate(BOARDS).policy, atol=1e-3)


def test_searches_as_the_cpu_does(exported):
    path, source = exported("se-relu-32x2")
    moves = []
    for weights, backend in ((path, "onnx"), (source, "cpu")):
        with lc0rocm.Network(weights, backend) as held:
            moves.append(lc0rocm.Engine(held, {"Threads": 1, "MinibatchSize": 1}).search(chess.Board(), nodes=60).best_move)
    assert moves[0] == moves[1]


def test_many_threads_at_once(exported):
    with lc0rocm.Network(exported("se-relu-32x2")[0], "onnx", backend_options="threads=1,max_batch=2") as held:
        wanted, outs = held.evaluate(BOARDS).policy, []
        threads = [threading.Thread(target=lambda: outs.append(held.evaluate(BOARDS).policy)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outs) == 6
        for out in outs:
            np.testing.assert_allclose(out, wanted, atol=1e-4)


def test_a_game_by_uci(exported):
    words = f"uci\nsetoption name WeightsFile value {exported('se-relu-32x2')[0]}\nsetoption name Backend value onnx\nisready\n" \
            "position startpos moves e2e4\ngo nodes 30\n"
    engine = subprocess.Popen([sys.executable, "-I", "-m", "lc0rocm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    engine.stdin.write(words)
    engine.stdin.flush()
    for line in engine.stdout:
        if line.startswith("bestmove"):
            assert chess.Move.from_uci(line.split()[1]) in chess.Board("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1").legal_moves
            break
    engine.communicate("quit\n", timeout=60)
    assert engine.returncode == 0


def damaged(exported, tmp_path, change):
    message = net.load(exported("se-relu-32x2")[0]).message
    change(message)
    path = tmp_path / "net.pb"
    path.write_bytes(message.SerializeToString())
    return path


@pytest.mark.parametrize("change, sentence", [
    (lambda m: setattr(m.onnx_model, "model", b"nonsense"), "its ONNX model cannot be run"),
    (lambda m: setattr(m.onnx_model, "model", m.onnx_model.model[:5000]), "its ONNX model cannot be run"),
    (lambda m: setattr(m.onnx_model, "output_policy", b"/output/none"), "has no output /output/none, only /output/mlh, "),
    (lambda m: m.onnx_model.ClearField("output_policy"), "names no output for policy or value"),
    (lambda m: setattr(m.onnx_model, "input_planes", b"planes"), "has no input 'planes'"),
    (lambda m: setattr(m.onnx_model, "output_policy", b"/output/wdl"), "wrong shapes"),
    (lambda m: setattr(m.onnx_model, "output_wdl", b"/output/mlh"), "wrong shapes"),
    (lambda m: setattr(m.onnx_model, "data_type", 16), "onnx_model.data_type is 16"),
    (lambda m: setattr(m.onnx_model, "data_type", 10), "onnxruntime failed"),
    (lambda m: setattr(m.format.network_format, "input", 77), "input is 77"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_model_that_does_not_fit_is_one_sentence(exported, tmp_path, change, sentence):
    path = damaged(exported, tmp_path, change)
    for backend in ("onnx", "auto"):
        with pytest.raises(lc0rocm.Error) as error:
            lc0rocm.Network(path, backend)
        assert sentence in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("options, sentence", [("threads=-1", "back-end option threads is -1"), ("max_batch=0", "back-end option max_batch is 0"),
                                               ("provider=Nothing", "provider is Nothing, which this onnxruntime does not have")])
def test_options_out_of_range(exported, options, sentence):
    with pytest.raises(lc0rocm.Error, match=sentence):
        lc0rocm.Network(exported("se-relu-32x2")[0], "onnx", backend_options=options)


def test_other_back_ends_say_which_one_does(exported):
    with pytest.raises(lc0rocm.Error, match="holds only an ONNX model, which the back end onnx runs"):
        lc0rocm.Network(exported("se-relu-32x2")[0], "cpu")


def test_without_onnxruntime_one_sentence_says_what_to_install(exported):
    code = ("import sys; sys.modules['onnxruntime'] = None; import lc0rocm\n"
            f"try: lc0rocm.Network({str(exported('se-relu-32x2')[0])!r})\nexcept lc0rocm.Error as error: print(error)")
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "pip install onnxruntime" in done.stdout and len(done.stdout.splitlines()) == 1, done.stderr


def test_what_the_function_raises_is_an_error():
    def evaluate(masks, values):
        raise ZeroDivisionError("nothing to divide")

    back = _core.Backend.of_function("test", evaluate, device="test", input_format=1, wdl=False, moves_left=False, half=False, cpu=True,
                                     max_batch=4, best_batch=4, unasked_options=[])
    with pytest.raises(lc0rocm.Error, match="nothing to divide"):
        back.evaluate(_core.Inputs(BOARDS, 1))
