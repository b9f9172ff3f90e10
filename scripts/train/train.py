#!/usr/bin/env python3
"""Trains the net on prepared positions: AdamW, warm-up, plateau and linear decay, averaged weights; bf16 and compiled on GPUs.

A run may be spread over several calls: each stops after --minutes, leaves checkpoint.pt in --out, and the next call with the
same --out goes on there. The positions may grow meanwhile: what prepare.py adds to the folder is used from the next look on.
The rate falls either over the last part of --steps or, with --finish, over the last part of the call, whatever its speed.
Several GPUs are used by a process each, with a share of the data on it; batch sizes are those of one GPU. The loss curves are
drawn to losses.png, the numbers kept in log.json, the newest held-out positions and children in held_out.npy and
held_out_children.npy. With all data on the GPU the speed is that of the matrix products.
"""
import argparse
import collections
import dataclasses
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import batches
import model
from share import Share
from team import Team

EVALUATE_EVERY, GROW_EVERY, LOG_EVERY, CLOCK_EVERY = 2000, 500, 100, 20  # steps
MOVES_LEFT_SCALE = 20.0  # plies


def losses(outputs: tuple[Tensor, Tensor, Tensor], batch: batches.Batch) -> dict[str, Tensor]:
    """Means over the batch: policy and value cross entropy (value: positions and children apart), plies left."""
    policy, value, left = (output.float() for output in outputs)
    logs = policy.masked_fill(~batch.legal, -1e4).log_softmax(1)
    values = -(batch.value * value.log_softmax(1)).sum(1)
    known = ~batch.left.isnan()
    plies = F.huber_loss(left / MOVES_LEFT_SCALE, batch.left.nan_to_num() / MOVES_LEFT_SCALE, reduction="none")
    count = len(batch.policy)
    result = {"policy": -(batch.policy * logs).sum(1).mean(), "value": values[:count].mean(),
              "moves_left": (plies * known).sum() / known.sum().clamp(min=1)}
    if len(values) > count:
        result["children"] = values[count:].mean()
    return result


WEIGHTS = {"policy": 1.25, "value": 1.0, "children": 1.0, "moves_left": 0.05}


def learning_rate(step: int, elapsed: float, options: argparse.Namespace) -> float:
    """Linear to the top, flat, then linear to a hundredth over the last --decay-share: with --finish of the call, of which a
    share `elapsed` is over, else of the steps."""
    left = 1 - (elapsed if options.finish else step / options.steps)
    return options.lr * min(1.0, (step + 1) / max(1, options.warmup), max(0.01, left / max(1e-9, options.decay_share)))


def make_optimizer(net: model.Net, options: argparse.Namespace) -> torch.optim.Optimizer:
    matrices = [p for p in net.parameters() if p.ndim == 2]
    others = [p for p in net.parameters() if p.ndim != 2]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
                             lr=options.lr, betas=(0.9, 0.98), fused=options.device == "cuda")


class Sampler:
    """Indices below `count` in random order, every one once before any comes again; a pure function of count, seed and step."""

    def __init__(self, count: int, batch: int, seed: int, device: str) -> None:
        self.count, self.batch, self.seed, self.device = count, min(batch, count), seed, device
        self.epoch = -1

    def __call__(self, step: int) -> Tensor:
        epoch, at = divmod(step, self.count // self.batch)
        if epoch != self.epoch:
            generator = torch.Generator(self.device).manual_seed(self.seed + 1_000_003 * epoch)
            self.order, self.epoch = torch.randperm(self.count, generator=generator, device=self.device), epoch
        return self.order[at * self.batch:(at + 1) * self.batch]


def moments(value: Tensor, teacher: Tensor, prefix: str = "") -> dict[str, float | Tensor]:
    """Sums over the net's WDL logits and the teacher's win, draw and loss that give the correlation of both W - L."""
    shares, teacher = value.double().softmax(1), teacher.double()
    q, wanted = shares[:, 0] - shares[:, 2], teacher[:, 0] - teacher[:, 2]
    sums = {"q": q.sum(), "wanted": wanted.sum(), "q q": q @ q, "wanted wanted": wanted @ wanted, "q wanted": q @ wanted,
            "count": len(q)}
    return {prefix + name: each for name, each in sums.items()}


def correlation(sums: dict[str, float], prefix: str = "") -> float:
    def covariance(a: str, b: str) -> float:
        count = sums[prefix + "count"]
        return sums[f"{prefix}{a} {b}"] / count - sums[prefix + a] * sums[prefix + b] / count ** 2
    return covariance("q", "wanted") / max(math.sqrt(covariance("q", "q") * covariance("wanted", "wanted")), 1e-12)


@torch.no_grad()
def measure(net: model.Net, share: Share, team: Team, options: argparse.Namespace) -> dict[str, float]:
    """Held-out losses, agreement with the teacher's best move, correlation with the teacher's W - L; of the children too, which
    are what a search asks for. (Positions that occur in training are not among the first, one in a hundred is among the latter.)"""
    net.eval()
    held, children = (batches.Store(records[team.rank::team.size], options.device)
                      for records in share.newest_held_out(options.held_out))
    sums: dict[str, float] = collections.defaultdict(float)
    for part in torch.arange(held.size, device=options.device).split(options.batch):
        batch = batches.make_batch(held, part, options.targets)
        with autocast(options):
            outputs = net(batch.planes)
        best = outputs[0].float().masked_fill(~batch.legal, -torch.inf).argmax(1)
        row = {name: loss * len(part) for name, loss in losses(outputs, batch).items()}
        row |= {"top1": (best == held.moves[part][:, 0]).sum()} | moments(outputs[1], held.teacher(part))
        for name, value in row.items():
            sums[name] += float(value)
    for part in torch.arange(children.size, device=options.device).split(options.batch):
        with autocast(options):
            value = net(batches.expand(children.masks[part], children.rule50[part]), policies=0)[1].float()
        teacher = children.teacher(part)
        row = {"children": -(teacher * value.log_softmax(1)).sum()} | moments(value, teacher, "children ")
        for name, each in row.items():
            sums[name] += float(each)
    net.train()
    sums = dict(zip(sums, team.sum(torch.tensor(list(sums.values()), dtype=torch.float64, device=options.device)).tolist()))
    return {name: sums[name] / sums["count"] for name in ("policy", "value", "moves_left", "top1")} | {
        "correlation": correlation(sums), "children": sums["children"] / sums["children count"],
        "children_correlation": correlation(sums, "children ")}


def autocast(options: argparse.Namespace):
    return torch.autocast(options.device, torch.bfloat16, enabled=options.device == "cuda")


def draw(log: dict, path: pathlib.Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    panels = ("policy", "value", "children", "moves_left", "top1", "correlation")
    figure, axes = plt.subplots(2, 3, figsize=(14, 7), constrained_layout=True)
    for axis, name in zip(axes.flat, panels):
        for kind in ("training", "held_out"):
            rows = [row for row in log[kind] if name in row]
            axis.plot([row["step"] for row in rows], [row[name] for row in rows], label=kind.replace("_", " "))
        axis.set(title=name.replace("_", " "), xlabel="step")
        axis.legend()
    figure.savefig(path, dpi=100)


def save(path: pathlib.Path, state: dict) -> None:
    partial = path.with_suffix(".tmp")
    torch.save(state, partial)
    partial.rename(path)


class Run:
    """One process's part of a training: the net and its average, the data that it draws from, the step it is at, and the log of all."""

    def __init__(self, rank: int, options: argparse.Namespace) -> None:
        self.options = options
        self.team = Team(rank, options.processes, options.device, options.out / "meeting")
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        self.share = Share(options.data, self.team, options.device)
        self.net = model.Net(options.config, torch.from_numpy(np.load(options.data / "move_map.npy").astype(np.int64)))
        self.net.to(options.device)
        self.average = model.Net(options.config, self.net.policy.move_map).to(options.device)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False)
        self.weights, self.averages = list(self.net.parameters()), list(self.average.parameters())
        self.fresh = [weight.detach() for weight in self.weights]  # the same memory, as the averages see it
        self.optimizer = make_optimizer(self.net, options)
        self.step, self.log = 0, {"data": [], "training": [], "held_out": []}
        self.checkpoint = options.out / "checkpoint.pt"
        self.resume()
        self.compiled = torch.compile(self.net) if options.compile else self.net
        self.say(f"{sum(p.numel() for p in self.net.parameters()):,} parameters, {options.config.flops() / 1e6:.0f} MFLOP a position; "
                 f"{self.team.size} processes; from step {self.step} of {options.steps}; loaded in {self.seconds():.0f} s")
        self.look_at_data()
        self.sums: dict[str, Tensor] = {}  # of the losses since last_step
        self.last_time, self.last_step = time.monotonic(), self.step

    def resume(self) -> None:
        """Goes on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.options.device, weights_only=True)
        if state["config"] != dataclasses.asdict(self.options.config):
            raise SystemExit(f"{self.checkpoint} is of another network size: choose another --out or the same sizes")
        for name in ("net", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.log = state["step"], state["log"]

    def say(self, text: str) -> None:
        if self.team.rank == 0:
            print(text, file=sys.stderr, flush=True)

    def seconds(self) -> float:
        return time.monotonic() - self.options.started

    def elapsed(self) -> float:
        """The share of this call that is over, as rank 0 sees it."""
        minutes = self.options.minutes
        return self.team.first_ones(self.seconds() / (60 * minutes)) if minutes else 0.0

    def look_at_data(self) -> None:
        """Notes how much there is, and draws from all of it from now on."""
        totals = dict(zip(("positions", "children", "held_out", "held_out_children"), self.share.totals()))
        self.log["data"].append({"step": self.step} | totals)
        self.say(f"step {self.step}: data: " + ", ".join(f"{name} {total:,}" for name, total in totals.items()) + f", {self.seconds():.0f} s")
        self.positions, self.children = (
            Sampler(store.size, size, self.options.seed, self.options.device)
            for store, size in ((self.share.positions, self.options.batch), (self.share.children, self.options.children_batch)))

    def learn(self, rate: float) -> int:
        """A step of the optimizer; returns how many positions and children it saw."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = batches.make_batch(self.share.positions, self.positions(self.step), self.options.targets,
                                   self.share.children, self.children(self.step))
        with autocast(self.options):
            outputs = self.compiled(batch.planes, len(batch.policy))
        parts = losses(outputs, batch)
        sum(WEIGHTS[name] * loss for name, loss in parts.items()).backward()
        self.team.average_gradients(self.weights)
        torch.nn.utils.clip_grad_norm_(self.weights, self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        torch._foreach_lerp_(self.averages, self.fresh, max(1 - self.options.average, 1 / (self.step + 1)))
        for name, loss in parts.items():
            self.sums[name] = self.sums.get(name, 0) + loss.detach()
        return len(batch.value)

    def report(self, rate: float, seen: int) -> None:
        """Logs the mean losses since the last report, and the speed at `seen` positions a step."""
        steps, now = self.step - self.last_step, time.monotonic()
        totals = self.team.sum(torch.stack(list(self.sums.values()))) / (self.team.size * steps)
        means = dict(zip(self.sums, totals.tolist()))
        if not all(map(math.isfinite, means.values())):
            raise SystemExit(f"step {self.step}: the loss is not finite; go on from {self.checkpoint} with a smaller --lr")
        self.log["training"].append({"step": self.step} | means)
        self.say(f"step {self.step}: {format_row(means)}, lr {rate:.2e}, {steps * seen * self.team.size / (now - self.last_time):,.0f} positions/s")
        self.sums, self.last_time, self.last_step = {}, now, self.step

    def measure(self) -> None:
        """Logs what the averaged net does on held-out positions, and keeps the state of the run."""
        row = measure(self.average, self.share, self.team, self.options)
        self.log["held_out"].append({"step": self.step} | row)
        self.say(f"step {self.step}, held out, averaged weights: {format_row(row)}")
        if self.team.rank == 0:
            save(self.checkpoint, {name: getattr(self, name).state_dict() for name in ("net", "average", "optimizer")}
                 | {"step": self.step, "log": self.log, "config": dataclasses.asdict(self.options.config)})
        self.last_time = time.monotonic()

    def finish(self) -> None:
        """Leaves the log, its picture and the held-out positions beside the checkpoint."""
        options = self.options
        kept_apart = self.share.newest_held_out(options.held_out)
        if self.team.rank == 0:
            for name, records in zip(("held_out", "held_out_children"), kept_apart):
                np.save(options.out / f"{name}.npy", records)
            (options.out / "log.json").write_text(json.dumps(
                self.log | {"processes": self.team.size, "batch": options.batch, "children_batch": options.children_batch,
                            "config": dataclasses.asdict(options.config)}))
            draw(self.log, options.out / "losses.png")
        self.say(f"stopped at step {self.step} of {options.steps} after {self.seconds():.0f} s"
                 + (": call again to go on" if self.step < options.steps and not options.finish else ": done, export.py makes the net"))
        self.team.leave()


def train(rank: int, options: argparse.Namespace) -> None:
    run = Run(rank, options)
    over, stop = run.elapsed(), run.step >= options.steps
    while not stop:
        seen = run.learn(learning_rate(run.step, over, options))
        if run.step % CLOCK_EVERY == 0:
            over = run.elapsed()
        stop = run.step == options.steps or over >= 1
        if run.step % LOG_EVERY == 0 or stop:
            run.report(learning_rate(run.step, over, options), seen)
        if run.step % EVALUATE_EVERY == 0 or stop:
            run.measure()
        if run.step % GROW_EVERY == 0 and not stop and run.share.grow():
            run.look_at_data()
            run.last_time = time.monotonic()
    run.finish()


def format_row(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in row.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="folder of prepare.py")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for checkpoint.pt, log.json, losses.png")
    parser.add_argument("--minutes", type=float, default=0, help="stop this call after this time; 0: at the last step")
    parser.add_argument("--steps", type=int, default=30000)
    parser.add_argument("--finish", action="store_true", help="let the rate fall to the end of --minutes, whatever the step")
    parser.add_argument("--batch", type=int, default=1280, help="positions with a policy per step and process")
    parser.add_argument("--children-batch", type=int, default=1024, help="positions that teach the value alone, likewise")
    parser.add_argument("--lr", type=float, default=1.5e-3, help="the highest")
    parser.add_argument("--warmup", type=int, default=1000, help="steps")
    parser.add_argument("--decay-share", type=float, default=0.5, help="of the steps, or of the call with --finish: its end")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="of the matrices")
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--average", type=float, default=0.999, help="decay of the averaged weights, per step")
    parser.add_argument("--held-out", type=int, default=20000, help="positions of a measurement, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, default=max(1, torch.cuda.device_count()), help="default: one for each GPU")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    for default in (model.Config(), batches.Targets()):
        for field in dataclasses.fields(default):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=getattr(default, field.name),
                                help=f"{type(default).__name__.lower()}; default %(default)s")
    options = parser.parse_args()
    options.started = time.monotonic()
    for kind in (model.Config, batches.Targets):
        values = kind(**{field.name: getattr(options, field.name) for field in dataclasses.fields(kind)})
        setattr(options, kind.__name__.lower(), values)
    if options.config.embedding % options.config.heads:
        parser.error(f"--embedding {options.config.embedding} is no multiple of --heads {options.config.heads}")
    if options.finish and not options.minutes:
        parser.error("--finish needs --minutes")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "meeting").unlink(missing_ok=True)
    if options.processes == 1:
        train(0, options)
    else:
        torch.multiprocessing.spawn(train, (options,), options.processes)


if __name__ == "__main__":
    main()
