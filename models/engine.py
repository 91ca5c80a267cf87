"""One training step of a decoder on one device, or on several that each hold all of it.

    engine = Engine(model, EngineOptions(...), OptimizerOptions(...))
    for batch in micro_batches:
        engine.accumulate(batch, scale)     # adds to the gradient
    outcome = engine.update(rate)           # sums over processes, clips, steps

Two ways to compute the same thing: `plain` runs `models.decoder` as it stands (on any device, compiled on
request), `fused` the operators of `kernels/` (on a GPU, or in Triton's interpreter).
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from models.attention import Packing, choose_backend
from models.decoder import Decoder
from models.errors import ModelError
from models.flat import FlatParameters
from models.optimizer import Optimizer, OptimizerOptions, Outcome

IGNORED = -100  # target of a position whose next token is another document's


class MicroBatch(Protocol):
    """What a step computes on: int64 (B, T) ids and targets on the device, and the documents if they are kept
    apart.
    """

    @property
    def tokens(self) -> Tensor:
        """Ids."""

    @property
    def targets(self) -> Tensor:
        """The ids that follow, or IGNORED."""

    @property
    def pack(self) -> Packing | None:
        """Where documents begin; None: attention is causal over the whole window."""


@dataclass(frozen=True)
class EngineOptions:
    """How the step is computed. backend: fused, plain or auto. attention: see `models.attention`."""

    backend: str = "auto"
    attention: str = "auto"
    bfloat16: bool = False
    compile: bool = False
    z_loss: float = 0.0


class Engine:
    """A model with its optimizer; every process of a group holds all of both (data parallel).

    Raises ModelError for options that the device can't do.
    """

    def __init__(self, model: Decoder, options: EngineOptions, optimizer: OptimizerOptions) -> None:
        self.model, self.options = model, options
        self.device = next(model.parameters()).device
        self.backend = choose_engine(options, self.device)
        dtype = torch.bfloat16 if options.bfloat16 else torch.float32
        self.flat = FlatParameters(model, dtype)
        self.optimizer = Optimizer(self.flat, model.rung, optimizer)
        self._plain = torch.compile(plain_losses, dynamic=False) if options.compile else plain_losses
        self._loss = torch.zeros((), device=self.device)

    def attention(self, masked: bool) -> str:
        """The attention that runs; ModelError for a choice that can't."""
        return choose_attention(self.options, self.backend, self.device, masked, self.model.rung.head_width)

    def products(self) -> str:
        """What multiplies: quack (see `kernels.hopper`), or torch's library."""
        if self.backend == "fused":
            from kernels.launch import available  # noqa: PLC0415

            if available(self.model.embedding.weight, columns=8):
                return "quack"
        return "torch"

    def accumulate(self, batch: MicroBatch, scale: Tensor) -> None:
        """Add a micro-batch's gradient and loss; `scale` is 1 / targets of the whole step, over all
        processes.
        """
        if self.backend == "fused":
            from models import fused  # noqa: PLC0415 - needs Triton

            way = self.attention(batch.pack is not None)
            self._loss += fused.accumulate(
                self.model, batch.tokens, batch.targets, batch.pack, scale, self.options.z_loss, way
            )
        else:
            losses, log_z = self._plain(self.model, batch.tokens, batch.targets, documents(batch))
            loss = losses.sum() * scale
            total = loss + self.options.z_loss * log_z.square().sum() * scale
            total.backward()  # type: ignore[no-untyped-call]
            self._loss += loss.detach()

    def update(self, rate: float) -> Outcome:
        """Sum gradients and loss over processes, take the step, begin anew."""
        if dist.is_initialized():
            dist.all_reduce(self.flat.gradient)
            dist.all_reduce(self._loss)
        outcome = self.optimizer.step(self._loss, rate)
        self._loss = torch.zeros_like(self._loss)
        return outcome

    @torch.no_grad()
    def losses(self, batch: MicroBatch) -> Tensor:
        """Loss (N), float32, of each position, 0 where there is no target."""
        if self.backend == "fused":
            from models import fused  # noqa: PLC0415

            way = self.attention(batch.pack is not None)
            return fused.losses(self.model, batch.tokens, batch.targets, batch.pack, way)
        return plain_losses(self.model, batch.tokens, batch.targets, documents(batch))[0]

    def weights(self) -> dict[str, Tensor]:
        """What the model computes with, by name."""
        return self.flat.named(self.flat.weights)

    def state(self) -> dict[str, Tensor]:
        """Master weights and moments by parameter, and the guard's history: all that a run goes on with."""
        optimizer = self.optimizer
        found = dict(optimizer.guard.state())
        for part, buffer in (
            ("master", self.flat.master),
            ("moment", optimizer.moment),
            ("square", optimizer.square),
        ):
            found |= {f"{part}/{name}": x for name, x in self.flat.named(buffer).items()}
        return found

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a state."""
        optimizer = self.optimizer
        optimizer.guard.load(state)
        for part, buffer in (
            ("master", self.flat.master),
            ("moment", optimizer.moment),
            ("square", optimizer.square),
        ):
            for name, x in self.flat.named(buffer).items():
                x.copy_(state[f"{part}/{name}"])
        if self.flat.copy is not None:
            self.flat.copy.copy_(self.flat.master)


def choose_engine(options: EngineOptions, device: torch.device) -> str:
    """`auto` resolved; ModelError for what can't be."""
    choice = options.backend
    if choice == "auto":
        choice = "fused" if device.type == "cuda" and not options.compile else "plain"
    if choice == "fused" and options.compile:
        raise ModelError("compile: is for the plain backend; leave it out or set backend: plain")
    if choice == "fused":
        # Triton is not imported to find out: it reads TRITON_INTERPRET at its first import, once for all.
        if importlib.util.find_spec("triton") is None:
            raise ModelError("backend: fused needs the package triton; set backend: plain")
        if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
            raise ModelError(
                "backend: fused needs a GPU, or Triton's interpreter (TRITON_INTERPRET=1); set backend: plain"
            )
    return choice


def choose_attention(
    options: EngineOptions, backend: str, device: torch.device, masked: bool, width: int
) -> str:
    """The attention that a backend runs with heads of `width`; in float32 on a GPU, which the libraries'
    kernels lack, the plain one. ModelError for a choice that can't run.
    """
    if backend == "plain":
        return plain_attention(options, device)
    if options.attention == "auto" and not options.bfloat16:
        return "math"
    return choose_backend(options.attention, device, masked, width)


def refuse_in_shards(options: EngineOptions, optimizer: OptimizerOptions) -> str:
    """The backend of `models.sharded`, plain; ModelError for what it can't do."""
    if optimizer.name != "adamw":
        raise ModelError("optimizer: muon needs whole matrices; with parallel: fsdp choose adamw")
    if options.backend == "fused":
        raise ModelError("backend: fused needs whole parameters; with parallel: fsdp choose plain or auto")
    return "plain"


def plain_attention(options: EngineOptions, device: torch.device) -> str:
    """What the plain decoder attends with, which is not to be chosen; ModelError for another choice."""
    way = "math" if device.type == "cpu" else "scaled_dot_product_attention"
    if options.attention not in ("auto", way):
        raise ModelError(f"attention: {options.attention} is for the fused backend on a GPU; choose auto")
    return way


def documents(batch: MicroBatch) -> Tensor | None:
    """The document of each position, where attention keeps them apart."""
    return None if batch.pack is None else batch.pack.documents_BT


def plain_losses(
    model: nn.Module, tokens_BT: Tensor, targets_BT: Tensor, documents_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Loss (N) and log Z (N) of each position in float32, both 0 where there is no target."""
    logits_NV = model(tokens_BT, documents_BT).flatten(0, 1).float()
    targets_N = targets_BT.flatten()
    losses_N = functional.cross_entropy(logits_NV, targets_N, ignore_index=IGNORED, reduction="none")
    return losses_N, logits_NV.logsumexp(-1) * (targets_N != IGNORED)
