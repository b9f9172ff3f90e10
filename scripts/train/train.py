#!/usr/bin/env python3
"""Trains the net on prepared positions: AdamW, warm-up, plateau and linear decay, averaged weights; bf16 and compiled on a GPU.

The run is planned in steps and may be spread over several calls: each stops after --minutes, leaves checkpoint.pt in --out, and
the next call with the same --out goes on there. The plan may change before the decay begins: a later call may name other
--steps, now that the speed is known. The loss curves are drawn to losses.png, the numbers kept in log.json. With
all data on the device the speed is that of the matrix products.
"""
import argparse
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
import positions

EVALUATE_EVERY, LOG_EVERY = 2000, 100
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


WEIGHTS = {"policy": 1.0, "value": 1.0, "children": 1.0, "moves_left": 0.1}


def learning_rate(step: int, options: argparse.Namespace) -> float:
    """Linear to the top, flat, then linear to a hundredth over the last --decay-share of the steps."""
    left = (options.steps - step) / max(1.0, options.decay_share * options.steps)
    return options.lr * min(1.0, (step + 1) / max(1, options.warmup), max(0.01, left))


def make_optimizer(net: model.Net, options: argparse.Namespace) -> torch.optim.Optimizer:
    matrices = [p for p in net.parameters() if p.ndim == 2]
    others = [p for p in net.parameters() if p.ndim != 2]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
                             lr=options.lr, betas=(0.9, 0.98), fused=options.device == "cuda")


class Sampler:
    """Indices in random order, every one once before any comes again; a pure function of seed and step."""

    def __init__(self, indices: np.ndarray, batch: int, seed: int, device: str) -> None:
        self.indices, self.batch, self.seed = torch.from_numpy(indices).to(device), min(batch, len(indices)), seed
        self.epoch = -1

    def __call__(self, step: int) -> Tensor:
        per_epoch = len(self.indices) // self.batch
        epoch, at = divmod(step, per_epoch)
        if epoch != self.epoch:
            generator = torch.Generator(self.indices.device).manual_seed(self.seed + 1_000_003 * epoch)
            order = torch.randperm(len(self.indices), generator=generator, device=self.indices.device)
            self.order, self.epoch = self.indices[order], epoch
        return self.order[at * self.batch:(at + 1) * self.batch]


@torch.no_grad()
def measure(net: model.Net, store: batches.Store, held: np.ndarray, options: argparse.Namespace) -> dict[str, float]:
    """Held-out losses, agreement with the teacher's best move, correlation with the teacher's W - L."""
    net.eval()
    sums, values, teachers, right, count = {}, [], [], 0, 0
    for part in torch.from_numpy(held[:options.held_out]).to(options.device).split(options.batch):
        batch = batches.make_batch(store, part, options.targets)
        with autocast(options):
            outputs = net(batch.planes)
        for name, loss in losses(outputs, batch).items():
            sums[name] = sums.get(name, 0.0) + loss.item() * len(part)
        best = outputs[0].float().masked_fill(~batch.legal, -torch.inf).argmax(1)
        right += (best == store.moves[part, 0]).sum().item()
        shares, teacher = outputs[1].float().softmax(1), store.teacher(part)
        values.append(shares[:, 0] - shares[:, 2])
        teachers.append(teacher[:, 0] - teacher[:, 2])
        count += len(part)
    net.train()
    result = {name: total / count for name, total in sums.items()}
    correlation = torch.corrcoef(torch.stack([torch.cat(values), torch.cat(teachers)]))[0, 1].item()
    return result | {"top1": right / count, "correlation": correlation}


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


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    started = time.monotonic()
    found, children = positions.load(options.data, "positions"), positions.load(options.data, "children")
    training, held = positions.split(found)
    children_training = np.flatnonzero(~positions.is_held_out(children))
    if not len(training) or not len(held) or not len(children_training):
        raise SystemExit(f"{options.data}: too few positions to train and keep some apart; make more data")
    held = np.random.default_rng(0).permutation(held)
    store, children_store = batches.Store(found, options.device), batches.Store(children, options.device)
    sample = Sampler(training, options.batch, options.seed, options.device)
    sample_children = Sampler(children_training, options.children_batch, options.seed, options.device)
    del found, children

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
    step, log = 0, {"training": [], "held_out": []}
    if state:
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, log = state["step"], state["log"]
    run = torch.compile(net) if options.compile else net
    say(f"{len(training):,} positions and {len(children_training):,} children, {len(held):,} held out; "
        f"{sum(p.numel() for p in net.parameters()):,} parameters, {options.config.flops() / 1e6:.0f} MFLOP a position; "
        f"from step {step} of {options.steps}; loaded in {time.monotonic() - started:.0f} s")

    sums: dict[str, Tensor] = {}
    weights, averages = list(net.parameters()), list(average.parameters())
    fresh = [weight.detach() for weight in weights]
    last_time, last_step = time.monotonic(), step
    while step < options.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options)
        batch = batches.make_batch(store, sample(step), options.targets, children_store, sample_children(step))
        with autocast(options):
            outputs = run(batch.planes, len(batch.policy))
        parts = losses(outputs, batch)
        sum(WEIGHTS[name] * loss for name, loss in parts.items()).backward()
        torch.nn.utils.clip_grad_norm_(weights, options.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        torch._foreach_lerp_(averages, fresh, max(1 - options.average, 1 / (step + 1)))
        for name, loss in parts.items():
            sums[name] = sums.get(name, 0) + loss.detach()
        if step % LOG_EVERY == 0 or step == options.steps:
            now = time.monotonic()
            means = {name: (total / (step - last_step)).item() for name, total in sums.items()}
            if not all(map(math.isfinite, means.values())):
                raise SystemExit(f"step {step}: the loss is not finite; go on from {checkpoint} with a smaller --lr")
            log["training"].append({"step": step} | means)
            say(f"step {step}: {format_row(means)}, lr {learning_rate(step, options):.2e}, "
                f"{(step - last_step) * len(batch.value) / (now - last_time):,.0f} positions/s")
            sums, last_time, last_step = {}, now, step
        stop = step == options.steps or (options.minutes and time.monotonic() - started > 60 * options.minutes)
        if step % EVALUATE_EVERY == 0 or stop:
            row = measure(average, store, held, options)
            log["held_out"].append({"step": step} | row)
            say(f"step {step}, held out, averaged weights: {format_row(row)}")
            save(checkpoint, {"net": net.state_dict(), "average": average.state_dict(), "step": step, "log": log,
                              "optimizer": optimizer.state_dict(), "config": dataclasses.asdict(options.config)})
            (options.out / "log.json").write_text(json.dumps(
                log | {"positions": len(training), "children": len(children_training), "steps": options.steps,
                       "batch": options.batch, "children_batch": options.children_batch,
                       "config": dataclasses.asdict(options.config)}))
            draw(log, options.out / "losses.png")
            last_time = time.monotonic()
        if stop:
            break
    say(f"stopped at step {step} of {options.steps} after {time.monotonic() - started:.0f} s"
        + (": call again to go on" if step < options.steps else ": done, export.py makes the net"))


def format_row(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in row.items())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="folder of prepare.py")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for checkpoint.pt, log.json, losses.png")
    parser.add_argument("--minutes", type=float, default=0, help="stop this call after this time; 0: at the last step")
    parser.add_argument("--steps", type=int, default=30000)
    parser.add_argument("--batch", type=int, default=2048, help="positions with a policy per step")
    parser.add_argument("--children-batch", type=int, default=2048, help="positions that teach the value alone, per step")
    parser.add_argument("--lr", type=float, default=1e-3, help="the highest")
    parser.add_argument("--warmup", type=int, default=1000, help="steps")
    parser.add_argument("--decay-share", type=float, default=0.5, help="of the steps, at the end")
    parser.add_argument("--weight-decay", type=float, default=0.02, help="of the matrices")
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--average", type=float, default=0.999, help="decay of the averaged weights, per step")
    parser.add_argument("--held-out", type=int, default=20000, help="positions of a measurement, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    for default in (model.Config(), batches.Targets()):
        for field in dataclasses.fields(default):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=getattr(default, field.name),
                                help=f"{type(default).__name__.lower()}; default %(default)s")
    options = parser.parse_args()
    for kind in (model.Config, batches.Targets):
        values = kind(**{field.name: getattr(options, field.name) for field in dataclasses.fields(kind)})
        setattr(options, kind.__name__.lower(), values)
    if options.config.embedding % options.config.heads:
        parser.error(f"--embedding {options.config.embedding} is no multiple of --heads {options.config.heads}")
    options.out.mkdir(parents=True, exist_ok=True)
    train(options)


if __name__ == "__main__":
    main()
