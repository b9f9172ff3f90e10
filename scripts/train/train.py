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


def train(rank: int, options: argparse.Namespace) -> None:
    team = Team(rank, options.processes, options.device, options.out / "meeting")
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    share = Share(options.data, team, options.device)

    checkpoint = options.out / "checkpoint.pt"
    state = torch.load(checkpoint, map_location=options.device, weights_only=True) if checkpoint.exists() else None
    if state and state["config"] != dataclasses.asdict(options.config):
        raise SystemExit(f"{checkpoint} is of another network size: choose another --out or the same sizes")
    net = model.Net(options.config, torch.from_numpy(np.load(options.data / "move_map.npy").astype(np.int64)))
    net.to(options.device)
    average = model.Net(options.config, net.policy.move_map).to(options.device)
    average.load_state_dict(net.state_dict())
    average.requires_grad_(False)
    optimizer = make_optimizer(net, options)
    step, log = 0, {"data": [], "training": [], "held_out": []}
    if state:
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, log = state["step"], state["log"]
    run = torch.compile(net) if options.compile else net

    def say(text: str) -> None:
        if rank == 0:
            print(text, file=sys.stderr, flush=True)

    def seconds() -> float:
        return time.monotonic() - options.started

    def elapsed() -> float:
        """The share of this call that is over, as rank 0 sees it."""
        return team.first_ones(seconds() / (60 * options.minutes)) if options.minutes else 0.0

    def samplers() -> list[Sampler]:
        """Of positions and children. Also says what there is."""
        totals = dict(zip(("positions", "children", "held_out", "held_out_children"), share.totals()))
        log["data"].append({"step": step} | totals)
        say(f"step {step}: data: " + ", ".join(f"{name} {total:,}" for name, total in totals.items()) + f", {seconds():.0f} s")
        return [Sampler(store.size, size, options.seed, options.device)
                for store, size in ((share.positions, options.batch), (share.children, options.children_batch))]

    say(f"{sum(p.numel() for p in net.parameters()):,} parameters, {options.config.flops() / 1e6:.0f} MFLOP a position; "
        f"{team.size} processes; from step {step} of {options.steps}; loaded in {seconds():.0f} s")

    sample, sample_children = samplers()
    sums: dict[str, Tensor] = {}
    weights, averages = list(net.parameters()), list(average.parameters())
    fresh = [weight.detach() for weight in weights]
    over, last_time, last_step = elapsed(), time.monotonic(), step
    while step < options.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, over, options)
        batch = batches.make_batch(share.positions, sample(step), options.targets, share.children, sample_children(step))
        with autocast(options):
            outputs = run(batch.planes, len(batch.policy))
        parts = losses(outputs, batch)
        sum(WEIGHTS[name] * loss for name, loss in parts.items()).backward()
        team.average_gradients(weights)
        torch.nn.utils.clip_grad_norm_(weights, options.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        torch._foreach_lerp_(averages, fresh, max(1 - options.average, 1 / (step + 1)))
        for name, loss in parts.items():
            sums[name] = sums.get(name, 0) + loss.detach()
        if step % CLOCK_EVERY == 0:
            over = elapsed()
        stop = step == options.steps or over >= 1
        if step % LOG_EVERY == 0 or stop:
            totals = team.sum(torch.stack(list(sums.values()))) / (team.size * (step - last_step))
            means, now = dict(zip(sums, totals.tolist())), time.monotonic()
            if not all(map(math.isfinite, means.values())):
                raise SystemExit(f"step {step}: the loss is not finite; go on from {checkpoint} with a smaller --lr")
            log["training"].append({"step": step} | means)
            say(f"step {step}: {format_row(means)}, lr {learning_rate(step, over, options):.2e}, "
                f"{(step - last_step) * len(batch.value) * team.size / (now - last_time):,.0f} positions/s")
            sums, last_time, last_step = {}, now, step
        if step % EVALUATE_EVERY == 0 or stop:
            row = measure(average, share, team, options)
            log["held_out"].append({"step": step} | row)
            say(f"step {step}, held out, averaged weights: {format_row(row)}")
            if rank == 0:
                save(checkpoint, {"net": net.state_dict(), "average": average.state_dict(), "step": step, "log": log,
                                  "optimizer": optimizer.state_dict(), "config": dataclasses.asdict(options.config)})
            last_time = time.monotonic()
        if stop:
            break
        if step % GROW_EVERY == 0 and share.grow():
            sample, sample_children = samplers()
            last_time = time.monotonic()
    kept_apart = share.newest_held_out(options.held_out)
    if rank == 0:
        for name, records in zip(("held_out", "held_out_children"), kept_apart):
            np.save(options.out / f"{name}.npy", records)
        (options.out / "log.json").write_text(json.dumps(
            log | {"processes": team.size, "batch": options.batch, "children_batch": options.children_batch,
                   "config": dataclasses.asdict(options.config)}))
        draw(log, options.out / "losses.png")
    say(f"stopped at step {step} of {options.steps} after {seconds():.0f} s"
        + (": call again to go on" if step < options.steps and not options.finish else ": done, export.py makes the net"))
    team.leave()


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
