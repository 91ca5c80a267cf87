"""The processes of a run: one, or those that torchrun started."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from models.errors import ModelError


@dataclass(frozen=True)
class Processes:
    """This process's number among `world`, and its device."""

    rank: int
    world: int
    device: torch.device

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def barrier(self) -> None:
        """Wait for the others."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join torchrun's group, if there is one (NCCL on GPUs, gloo on CPUs), and leave it at the end."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("device: cuda, but no GPU is there; choose cpu or auto")
    kind = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device(kind, local) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(place)
    if world > 1:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Processes(rank, world, place)
        if world > 1:
            dist.barrier()  # a process whose peer has gone already can abort while it takes its threads down
    finally:
        if world > 1:
            gc.collect()  # what still refers to the group keeps its threads alive into the interpreter's end
            dist.destroy_process_group()
