"""Batches made ready in the background: windows read, documents found, memory pinned, copies under way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.attention import Packing, packing
from models.data import IGNORED, Batch, DataOrder, Row

AHEAD = 3  # steps held ready


@dataclass(frozen=True)
class StepBatch:
    """A micro-batch on the device: ids, targets and, where documents are kept apart, their begins."""

    tokens: Tensor
    targets: Tensor
    pack: Packing | None


@dataclass(frozen=True)
class Step:
    """A process's part of a step. targets: positions it predicts. rows: the whole step's windows."""

    number: int
    micro_batches: list[StepBatch]
    targets: int
    rows: list[Row]


def to_device(batch: Batch, device: torch.device, apart: bool) -> StepBatch:
    """Copy a batch; with `apart`, its packing too, which is worked out here and not on the device."""
    pack = None
    if apart:
        here = packing(batch.documents)
        pack = Packing(move(here.boundaries_S1, device), move(here.documents_BT, device), here.longest)
    return StepBatch(move(batch.tokens.contiguous(), device), move(batch.targets.contiguous(), device), pack)


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, without waiting for what the device does now."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class Later:
    """Numbers on their way from the device to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._here = tensor.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if tensor.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def read(self) -> list[float]:
        """The numbers; waits until they are there, and not for what was launched since."""
        if self._arrived is not None:
            self._arrived.synchronize()
        numbers: list[float] = self._here.tolist()
        return numbers


def join_documents(batch: Batch) -> Batch:
    """The same windows as if each were one document: a document's first token is predicted, too."""
    targets = torch.cat((batch.tokens[:, 1:], batch.targets[:, -1:]), dim=1)
    return Batch(batch.tokens, targets, torch.zeros_like(batch.documents))


class Prefetcher:
    """Iterates over the steps from `first` on; `rank` of `world` processes takes its block of each step's
    windows.
    """

    def __init__(
        self,
        order: DataOrder,
        first: int,
        micro: int,
        device: torch.device,
        apart: bool,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.order, self.micro, self.device, self.apart = order, micro, device, apart
        self.rank, self.world = rank, world
        self._queue: queue.Queue[Step | BaseException] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(first,), daemon=True, name="prefetch")
        self._thread.start()

    def step(self, number: int) -> Step:
        """The part of a step, made here and now."""
        rows = self.order.rows(number)
        share = len(rows) // self.world
        mine = rows[self.rank * share : (self.rank + 1) * share]
        parts = [self.order.batch(mine[i : i + self.micro]) for i in range(0, share, self.micro)]
        if not self.apart:
            parts = [join_documents(part) for part in parts]
        count = sum(int((part.targets != IGNORED).sum()) for part in parts)
        return Step(number, [to_device(part, self.device, self.apart) for part in parts], count, rows)

    def _work(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                made = self.step(number)
                while not self._stop.is_set():
                    try:
                        self._queue.put(made, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                number += 1
        except BaseException as error:  # handed to the trainer, which raises it
            self._queue.put(error)

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
