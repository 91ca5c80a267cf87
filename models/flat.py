"""A model's parameters as one buffer, with float32 master weights and gradients beside it.

The optimizer's step, the gradient's norm and a data-parallel sum are then single operations over flat
tensors. In float32 the model computes with the master weights; in bfloat16 with a copy that the optimizer
writes, so that no step casts weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALIGN = 128  # elements: every parameter begins at a multiple of 256 bytes


@dataclass(frozen=True)
class Span:
    """Where a parameter lies in the flat buffers."""

    name: str
    begin: int
    shape: torch.Size

    @property
    def size(self) -> int:
        """Elements."""
        return self.shape.numel()


class FlatParameters:
    """Moves a model's parameters (float32) into flat buffers and computes with `dtype` from then on.

    weights: what the model computes with. master, gradient: float32. spans: the parameters in their order
    there, the blocks' matrices first; `matrices` is where the others begin. Gradients collect in `gradient`,
    those of operators that know `parameter.sink` directly, others through autograd.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        named = dict(model.named_parameters())
        ordered = sorted(named, key=lambda name: not is_block_matrix(name, named[name]))  # stable
        self.spans: list[Span] = []
        end = self.matrices = 0
        for name in ordered:
            self.spans.append(Span(name, end, named[name].shape))
            end += -(-named[name].numel() // ALIGN) * ALIGN
            if is_block_matrix(name, named[name]):
                self.matrices = end
        device = next(iter(named.values())).device
        self.master = torch.zeros(end, dtype=torch.float32, device=device)
        self.gradient = torch.zeros_like(self.master)
        for span in self.spans:
            self.view(self.master, span).copy_(named[span.name].detach())
        self.weights = self.master if dtype == torch.float32 else self.master.to(dtype)
        for span in self.spans:
            parameter = named[span.name]
            parameter.data = self.view(self.weights, span)
            parameter.sink = self.view(self.gradient, span)  # type: ignore[attr-defined]
            if dtype == torch.float32:
                parameter.grad = parameter.sink  # type: ignore[attr-defined]
            else:
                parameter.register_post_accumulate_grad_hook(_collect)

    @property
    def copy(self) -> Tensor | None:
        """The weights in the computing dtype, where that is not the master's."""
        return None if self.weights is self.master else self.weights

    def view(self, flat: Tensor, span: Span) -> Tensor:
        """A parameter's part of a flat buffer, in its shape."""
        return flat[span.begin : span.begin + span.size].view(span.shape)

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """All parameters' parts of a flat buffer by name."""
        return {span.name: self.view(flat, span) for span in self.spans}


def is_block_matrix(name: str, parameter: Tensor) -> bool:
    """A matrix of a layer: what Muon updates."""
    return parameter.dim() == 2 and name.startswith("blocks.")


def _collect(parameter: Tensor) -> None:
    """Add what autograd left in `.grad` to the float32 buffer; operators that knew it left nothing."""
    if parameter.grad is None:
        return
    parameter.sink.add_(parameter.grad)  # type: ignore[attr-defined]
    parameter.grad = None
