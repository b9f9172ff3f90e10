"""The chain from positions to a net file: training learns and resumes, the file answers as PyTorch does."""
import json
import pathlib
import subprocess
import sys

import numpy as np
import positions
import pytest
from lc0rocm import _core
from lc0rocm.netfile import net as net_files

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it trains the net")
import evaluate  # noqa: E402
import export  # noqa: E402
import model  # noqa: E402
import train  # noqa: E402

SCRIPTS = pathlib.Path(train.__file__).parent
TINY = ["--embedding", "32", "--heads", "2", "--encoders", "2", "--dff", "32", "--hidden", "16", "--generated", "16",
        "--policy-size", "32", "--batch", "64", "--children-batch", "32", "--warmup", "10", "--lr", "3e-3", "--no-compile",
        "--device", "cpu"]


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    """Two calls: the second goes on where the first stopped."""
    out = tmp_path_factory.mktemp("run")
    monkeypatch = pytest.MonkeyPatch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for minutes in ("0.03", "0"):
        monkeypatch.setattr(sys, "argv", ["train.py", str(prepared), "--out", str(out), "--steps", "120", "--minutes", minutes, *TINY])
        train.main()
    torch.set_num_threads(threads)
    monkeypatch.undo()
    return out


def test_training_learns_and_resumes(run):
    log = json.loads((run / "log.json").read_text())
    steps = [row["step"] for row in log["held_out"]]
    assert len(steps) == 2 and 0 < steps[0] < steps[1] == 120
    assert log["training"][-1]["policy"] < 3.2  # untrained: above 3.3
    assert log["held_out"][1]["policy"] < log["held_out"][0]["policy"]
    assert (run / "losses.png").stat().st_size > 10_000


def test_two_processes_train_one_net(run_script, prepared, tmp_path):
    """With the decay over the call. A weight that the processes did not share would spoil the held-out loss, which both measure."""
    for _ in range(2):
        done = run_script("train.py", prepared, "--out", tmp_path, "--minutes", 0.12, "--finish", "--processes", 2, *TINY)
    log = json.loads((tmp_path / "log.json").read_text())
    rates = [float(line.split(" lr ")[1].split(",")[0]) for line in done.stderr.splitlines() if " lr " in line]
    assert log["processes"] == 2 and log["held_out"][-1]["policy"] < log["held_out"][0]["policy"]
    assert rates[-1] < 0.1 * 3e-3 and "2 processes; from step" in done.stderr
    held = np.load(tmp_path / "held_out.npy")
    assert len(held) == log["data"][-1]["held_out"] and positions.is_held_out(held).all()
    assert positions.is_held_out(np.load(tmp_path / "held_out_children.npy")).all()


HALF_A_BATCH = """
import pathlib, sys, torch
from team import Team
rank, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
team = Team(rank, 2, "cpu", folder / "meeting")
layer = torch.nn.Linear(2, 1, bias=False)
layer(torch.tensor([[1.0, 2.0], [3.0, 4.0]])[rank:rank + 1]).sum().backward()
team.average_gradients(list(layer.parameters()))
print(layer.weight.grad.tolist(), team.first_ones(5.0 + rank), team.gather(rank))
team.leave()
"""


def test_processes_agree(tmp_path):
    """Each has half a batch; both have the gradient of the whole, the first one's word and everybody's."""
    both = [subprocess.Popen([sys.executable, "-c", HALF_A_BATCH, str(rank), tmp_path], cwd=SCRIPTS, stdout=subprocess.PIPE, text=True)
            for rank in range(2)]
    assert [each.communicate(timeout=100)[0] for each in both] == ["[[2.0, 3.0]] 5.0 [0, 1]\n"] * 2


def test_file_answers_as_pytorch(run, prepared, tmp_path):
    net, log = export.load_run(run)
    path = tmp_path / "tiny.pb.gz"
    export.write_net(export.to_message(net, log), path)
    found = positions.load(prepared, "positions")[:200]
    worst = export.check(net, path, "cpu", found)
    assert max(worst.values()) < export.TOLERANCE, worst
    loaded = net_files.load(path)
    assert loaded.format.input == positions.INPUT_FORMAT and b"CC0" in loaded.message.license
    core = _core.Backend("cpu", loaded.core())
    assert core.info["wdl"] and core.info["moves_left"]
    scores = evaluate.evaluate(core, found)
    assert 0 < scores["top1"] < scores["top3"] <= 1 and -1 <= scores["correlation"] <= 1


def test_file_knows_children_as_the_log_says(run, prepared, tmp_path):
    net, log = export.load_run(run)
    path = tmp_path / "tiny.pb.gz"
    export.write_net(export.to_message(net, log), path)
    scores = evaluate.evaluate(_core.Backend("cpu", net_files.load(path).core()), np.load(run / "held_out_children.npy"))
    assert scores["value"] == pytest.approx(log["held_out"][-1]["children"], abs=1e-3)
    assert scores["correlation"] == pytest.approx(log["held_out"][-1]["children_correlation"], abs=1e-3)
    assert "top1" not in scores


def test_history_does_not_matter_to_the_net(run, tmp_path):
    """The engine sends history planes; the net was taught none and must not see them."""
    net, log = export.load_run(run)
    path = tmp_path / "tiny.pb.gz"
    export.write_net(export.to_message(net, log), path)
    core = _core.Backend("cpu", net_files.load(path).core())
    game = _core.Game(_core.STARTPOS, ["g1f3", "g8f6", "b1c3", "b8c6"])
    with_history = core.evaluate(*(plane[None] for plane in game.planes(positions.INPUT_FORMAT)))
    without = core.evaluate(*(plane[None] for plane in _core.Game(game.fen()).planes(positions.INPUT_FORMAT, "no")))
    assert np.abs(with_history[0] - without[0]).max() < 1e-5 and abs(with_history[1] - without[1]).max() < 1e-5


def test_another_size_is_refused(run, prepared):
    arguments = [sys.executable, train.__file__, prepared, "--out", run, *TINY, "--encoders", "3"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode and "another network size" in done.stderr


def test_sampler_visits_everything_once():
    sample = train.Sampler(100, 30, 0, "cpu")
    first = torch.cat([sample(step) for step in range(3)])
    assert len(set(first.tolist())) == 90
    assert sample(4).tolist() != sample(1).tolist()
    again = train.Sampler(100, 30, 0, "cpu")
    assert again(4).tolist() == sample(4).tolist()


def test_learning_rate_shape():
    class Options:
        lr, warmup, steps, decay_share, finish = 1e-3, 100, 1000, 0.5, False
    rates = [train.learning_rate(step, 0.9, Options) for step in (0, 50, 100, 499, 750, 999)]
    assert rates[0] < rates[1] < rates[2] == rates[3] == 1e-3 and rates[4] == pytest.approx(5e-4) and rates[5] == pytest.approx(1e-5)
    Options.finish = True
    assert [train.learning_rate(500, share, Options) for share in (0, 0.75, 1)] == pytest.approx([1e-3, 5e-4, 1e-5])


def test_flops_count():
    """Against PyTorch's own counter, which sees dense layers and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode
    net = model.Net(model.Config(), torch.zeros(1858, dtype=torch.long))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 112, 64))
    assert model.Config().flops() == pytest.approx(counter.get_total_flops(), rel=0.01)
