"""The processes of a training run, one per GPU. Each holds a share of the data; all hold the same weights, because they start
from the same ones and apply the same summed gradients."""
import datetime
import pathlib

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = datetime.timedelta(minutes=4)  # for the slowest process, which may have to compile


class Team:
    """This process' place among `size` processes; alone it does nothing."""

    def __init__(self, rank: int, size: int, device: str, meeting: pathlib.Path) -> None:
        """`meeting`: a file that does not exist yet, through which the processes find each other."""
        self.rank, self.size, self.device = rank, size, device
        if device == "cuda":
            torch.cuda.set_device(rank)
        if size > 1:
            dist.init_process_group("nccl" if device == "cuda" else "gloo", init_method=f"file://{meeting.resolve()}", rank=rank,
                                    world_size=size, timeout=PATIENCE)

    def sum(self, values: Tensor) -> Tensor:
        """In place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, thing: object) -> list:
        """Everybody's, in order of rank."""
        things = [thing] * self.size
        if self.size > 1:
            dist.all_gather_object(things, thing)
        return things

    def first_ones(self, value: float) -> float:
        """The value of rank 0, for decisions that all must take alike."""
        return self.sum(torch.tensor(value if self.rank == 0 else 0.0, device=self.device)).item()

    def average_gradients(self, weights: list[Tensor]) -> None:
        if self.size == 1:
            return
        gradients = [weight.grad for weight in weights]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients])) / self.size
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(gradient) for part, gradient in zip(parts, gradients)])

    def leave(self) -> None:
        if self.size > 1:
            dist.destroy_process_group()
