"""The training step with parameters and optimizer in shards: FSDP2 (`fully_shard`) around the plain decoder.

Every process holds its rows of each parameter in float32; blocks are gathered in the computing dtype as they
are needed, gradients are summed in float32. At the ladder's sizes whole copies (`models.engine`) fit and are
faster; this is for shapes that do not.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from models.decoder import Decoder
from models.engine import (
    EngineOptions,
    MicroBatch,
    documents,
    plain_attention,
    plain_losses,
    refuse_in_shards,
)
from models.norm import norm
from models.optimizer import OptimizerOptions, Outcome, SpikeGuard

PARTS = ("master", "moment", "square")


class ShardedEngine:
    """The interface of `models.engine.Engine` for a model in shards; AdamW alone."""

    def __init__(self, model: Decoder, options: EngineOptions, optimizer: OptimizerOptions) -> None:
        self.model, self.options = model, options
        self.backend = refuse_in_shards(options, optimizer)
        self.device = next(model.parameters()).device
        mesh = init_device_mesh(self.device.type, (dist.get_world_size(),))
        kind = torch.bfloat16 if options.bfloat16 else torch.float32
        policy = MixedPrecisionPolicy(param_dtype=kind, reduce_dtype=torch.float32)
        for block in model.blocks:
            if options.compile:
                block.compile()
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=0.0,
            betas=optimizer.betas,
            eps=optimizer.eps,
            weight_decay=optimizer.weight_decay,
        )
        self.clip, self.guard = optimizer.clip, SpikeGuard(optimizer.spike, self.device)
        self._loss = torch.zeros((), device=self.device)

    def attention(self, masked: bool) -> str:
        """The attention that runs: the plain decoder's."""
        return plain_attention(self.options, self.device)

    def products(self) -> str:
        """What multiplies: torch's library."""
        return "torch"

    def accumulate(self, batch: MicroBatch, scale: Tensor) -> None:
        """Add a micro-batch's gradient and loss."""
        losses, log_z = plain_losses(self.model, batch.tokens, batch.targets, documents(batch))
        loss = losses.sum() * scale
        total = loss + self.options.z_loss * log_z.square().sum() * scale
        # The scale is the whole step's, and FSDP divides the sum by the number of processes.
        (total * dist.get_world_size()).backward()  # type: ignore[no-untyped-call]
        self._loss += loss.detach()

    def update(self, rate: float) -> Outcome:
        """Clip by the whole gradient's norm and step, unless loss or norm is not finite or jumps."""
        dist.all_reduce(self._loss)
        length = self._clip()
        good = self.guard.judge(self._loss, length)
        if bool(good):
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
        self.optimizer.zero_grad()
        outcome = Outcome(length, self._loss, good)
        self._loss = torch.zeros_like(self._loss)
        return outcome

    def _clip(self) -> Tensor:
        """Scale the gradient to at most `clip`, as `models.optimizer` does; its norm before that."""
        gradients = [p.grad.to_local() for p in self.model.parameters() if isinstance(p.grad, DTensor)]
        squares = torch.stack([norm(gradient) for gradient in gradients]).double().square().sum()
        dist.all_reduce(squares)
        length = squares.sqrt().float()
        factor = (self.clip / (length + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return length

    @torch.no_grad()
    def losses(self, batch: MicroBatch) -> Tensor:
        """Loss (N), float32, of each position, 0 where there is no target."""
        losses = plain_losses(self.model, batch.tokens, batch.targets, documents(batch))[0]
        for module in self.model.modules():  # without a backward pass the root would stay gathered
            if isinstance(module, FSDPModule):
                module.reshard()
        return losses

    def weights(self) -> dict[str, Tensor]:
        """Every parameter whole, in the computing dtype, on the host; all processes must ask."""
        kind = torch.bfloat16 if self.options.bfloat16 else torch.float32
        named = self.model.named_parameters()
        return {name: p.full_tensor().to("cpu", kind) for name, p in named}  # type: ignore[attr-defined]

    def state(self) -> dict[str, Tensor]:
        """This process's rows of master weights and moments, and the guard's history."""
        found = dict(self.guard.state())
        for name, parameter in self.model.named_parameters():
            found[f"master/{name}"] = parameter.to_local()  # type: ignore[attr-defined]
            kept = self.optimizer.state.get(parameter, {})
            for part, key in (("moment", "exp_avg"), ("square", "exp_avg_sq")):
                value = kept[key].to_local() if kept else torch.zeros_like(found[f"master/{name}"])
                found[f"{part}/{name}"] = value
        return found

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a state of whole tensors, each process its rows."""
        self.guard.load(state)
        for name, parameter in self.model.named_parameters():
            mine = [self._rows(state[f"{part}/{name}"], parameter) for part in PARTS]
            parameter.to_local().copy_(mine[0].to_local())  # type: ignore[attr-defined]
            self.optimizer.state[parameter] = {
                "step": self.guard.taken.float().cpu(), "exp_avg": mine[1], "exp_avg_sq": mine[2]
            }  # fmt: skip

    def _rows(self, whole: Tensor, parameter: Tensor) -> DTensor:
        from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415

        like = parameter.data
        assert isinstance(like, DTensor)
        return distribute_tensor(whole.to(self.device), like.device_mesh, like.placements)
