"""The optimizer's step over flat parameters, without waiting for the device.

Clipping, the loss-spike guard and the stop on values that are not finite are decided on the device: the
step's kernel reads from a small tensor by how much to scale the gradient and whether to take the step at all.
The host reads the outcome of a step while the next one runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.adamw_reference import adamw_reference
from models.flat import FlatParameters
from models.ladder import Rung
from models.muon import muon_step
from models.norm import norm

HISTORY = 128  # losses the spike guard remembers
SETTLED = 32  # of them before it judges


@dataclass(frozen=True)
class OptimizerOptions:
    """Constants of a run. spike: standard deviations of the last losses and norms that make a step one to
    skip; 0 never.
    """

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


class SpikeGuard:
    """Whether a step is to be taken: loss and gradient norm are finite and no jump.

    A jump is a value more than `sigmas` standard deviations above the mean of the last 128 steps; the first
    32 are not judged. What jumps enters the history as that limit: one spike hardly widens it, a level that
    stays widens it until it is taken. Everything stays on the device.
    """

    def __init__(self, sigmas: float, device: torch.device) -> None:
        self.sigmas = sigmas
        self.taken = self.seen = torch.zeros((), dtype=torch.int64, device=device)
        self.history = torch.zeros(2, HISTORY, dtype=torch.float64, device=device)  # losses; norms
        self._places = torch.arange(HISTORY, device=device)

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        """A boolean scalar; a finite step enters the history."""
        now = torch.stack((loss, norm)).double()
        count = self.seen.clamp(min=1, max=HISTORY).double()
        mean = self.history.sum(1) / count
        squares = (self.history - mean[:, None]).square() * (self._places < count)
        limit = mean + self.sigmas * (squares.sum(1) / count).sqrt()
        jumps = (now > limit) & (self.seen >= SETTLED) & (self.sigmas > 0)
        finite = torch.isfinite(now).all()
        good = finite & ~jumps.any()
        here = (self._places == self.seen % HISTORY) & finite
        self.history = torch.where(here, torch.where(jumps, limit, now)[:, None], self.history)
        self.seen, self.taken = self.seen + finite, self.taken + good
        return good

    def state(self) -> dict[str, Tensor]:
        """What a run goes on with."""
        return {"taken": self.taken, "seen": self.seen, "history": self.history}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a state."""
        device = self.history.device
        self.taken, self.seen = state["taken"].to(device), state["seen"].to(device)
        self.history = state["history"].to(device)


class Optimizer:
    """AdamW on everything, or Muon on the blocks' matrices and AdamW on the rest.

    moment, square: flat float32, as `flat.master`.
    """

    def __init__(self, flat: FlatParameters, rung: Rung, options: OptimizerOptions) -> None:
        self.flat, self.rung, self.options = flat, rung, options
        self.moment, self.square = torch.zeros_like(flat.master), torch.zeros_like(flat.master)
        self.guard = SpikeGuard(options.spike, flat.master.device)
        self._betas = torch.tensor(options.betas, dtype=torch.float64, device=flat.master.device)

    @torch.no_grad()
    def step(self, loss: Tensor, rate: float) -> Outcome:
        """Take a step unless the guard forbids it; `loss` is the whole step's mean."""
        options, flat = self.options, self.flat
        length = norm(flat.gradient)
        good = self.guard.judge(loss, length)
        corrections = (1 - self._betas ** self.guard.taken.double()).float()
        factor = (options.clip / (length + 1e-6)).clamp(max=1.0)
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
        return Outcome(length, loss.detach(), good)

    def _adamw(self):  # type: ignore[no-untyped-def]
        if not self.flat.master.is_cuda:
            return adamw_reference
        from kernels.adamw import adamw  # noqa: PLC0415 - Triton is there only beside a GPU

        return adamw
