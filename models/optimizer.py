"""The optimizer's step over flat parameters, without waiting for the device.

Clipping, the loss-spike guard and the stop on values that are not finite are decided on the device: the step's
kernel reads from a small tensor by how much to scale the gradient and whether to take the step at all. The host
reads the outcome of a step while the next one runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.adamw_reference import adamw_reference
from models.flat import FlatParameters
from models.ladder import Rung
from models.muon import muon_step

HISTORY = 128  # losses the spike guard remembers
SETTLED = 32  # taken steps before it judges


@dataclass(frozen=True)
class OptimizerOptions:
    """Constants of a run. spike: standard deviations of the last losses and norms that make a step one to skip; 0 never."""

    name: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.05
    clip: float = 1.0
    spike: float = 6.0
    momentum: float = 0.95


@dataclass(frozen=True)
class Outcome:
    """What a step did, on the device: gradient norm before clipping, loss, and 1 where the step was taken."""

    norm: Tensor
    loss: Tensor
    taken: Tensor


class Optimizer:
    """AdamW on everything, or Muon on the blocks' matrices and AdamW on the rest.

    State (see `state`): both moments, flat float32; steps taken; the guard's history.
    """

    def __init__(self, flat: FlatParameters, rung: Rung, options: OptimizerOptions) -> None:
        self.flat, self.rung, self.options = flat, rung, options
        device = flat.master.device
        self.moment, self.square = torch.zeros_like(flat.master), torch.zeros_like(flat.master)
        self.taken = torch.zeros((), dtype=torch.int64, device=device)
        self.history = torch.zeros(2, HISTORY, dtype=torch.float64, device=device)  # losses; norms
        self._betas = torch.tensor(options.betas, dtype=torch.float64, device=device)

    @torch.no_grad()
    def step(self, loss: Tensor, rate: float) -> Outcome:
        """Take a step unless loss or gradient is not finite or jumps; `loss` is the whole step's mean."""
        options, flat = self.options, self.flat
        norm = torch.linalg.vector_norm(flat.gradient)
        good = torch.isfinite(norm) & torch.isfinite(loss) & ~self._spike(loss, norm)
        self._remember(loss, norm, good)
        corrections = (1 - self._betas ** self.taken.double()).float()
        factor = (options.clip / (norm + 1e-6)).clamp(max=1.0)
        control = torch.cat((torch.stack((factor, good.float())), corrections))
        begin = 0
        if options.name == "muon":
            begin = flat.matrices
            muon_step(flat, self.rung, self.moment, control, rate, options.momentum, options.weight_decay)
        copy = None if flat.copy is None else flat.copy[begin:]
        buffers = (flat.master, self.moment, self.square, flat.gradient)
        self._adamw()(
            *(buffer[begin:] for buffer in buffers), copy, control, rate, *options.betas, options.eps,
            options.weight_decay,
        )  # fmt: skip
        return Outcome(norm, loss.detach(), good)

    def _adamw(self):  # type: ignore[no-untyped-def]
        if not self.flat.master.is_cuda:
            return adamw_reference
        from kernels.adamw import adamw  # noqa: PLC0415 - Triton is there only beside a GPU

        return adamw

    def _spike(self, loss: Tensor, norm: Tensor) -> Tensor:
        """Whether loss or norm lies `spike` standard deviations above the mean of those remembered."""
        now = torch.stack((loss, norm)).double()
        count = self.taken.clamp(min=1, max=HISTORY).double()
        mean = self.history.sum(1) / count
        places = torch.arange(HISTORY, device=now.device) < count
        deviation = ((self.history - mean[:, None]).square() * places).sum(1).div(count).sqrt()
        limit = mean + self.options.spike * deviation
        judged = (self.taken >= SETTLED) & (self.options.spike > 0)
        return judged & (now > limit).any()

    def _remember(self, loss: Tensor, norm: Tensor, good: Tensor) -> None:
        now = torch.stack((loss, norm)).double()
        here = torch.arange(HISTORY, device=now.device) == self.taken % HISTORY
        torch.where(here & good, now[:, None], self.history, out=self.history)
        self.taken += good

    def state(self) -> dict[str, Tensor]:
        """Scalars and history; the flat buffers are saved by parameter (see `models.checkpoint`)."""
        return {"taken": self.taken, "history": self.history}
