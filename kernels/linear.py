"""A matrix product whose weight gradient is added straight to a float32 buffer.

With bfloat16 weights autograd rounds each micro-batch's weight gradient to bfloat16 and adds it in another
pass. Here the product itself accumulates in float32 (`sink`): one pass fewer, and no rounding between
micro-batches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kernels.launch import available


def linear_reference(x_ND: Tensor, weight_ED: Tensor) -> Tensor:
    """x Wᵀ."""
    return x_ND @ weight_ED.T


def product(x_NK: Tensor, weight_EK: Tensor) -> Tensor:
    """x Wᵀ, without a gradient."""
    if available(x_NK, weight_EK.shape[0]):
        from kernels import hopper  # noqa: PLC0415

        return hopper.product(x_NK, weight_EK)
    return x_NK @ weight_EK.T


def accumulate(sink_ED: Tensor, dy_NE: Tensor, x_ND: Tensor) -> None:
    """sink += dyᵀ x, the sum in float32 whatever the factors' dtype."""
    if sink_ED.is_cuda and x_ND.dtype != torch.float32:
        torch.addmm(sink_ED, dy_NE.T, x_ND, out_dtype=torch.float32, out=sink_ED)
    else:
        sink_ED.addmm_(dy_NE.T.to(sink_ED.dtype), x_ND.to(sink_ED.dtype))


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_ED: Tensor, sink_ED: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_ND, weight_ED)
        ctx.sink = sink_ED
        return product(x_ND, weight_ED)

    @staticmethod
    def backward(ctx: Any, dy_NE: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x_ND, weight_ED = ctx.saved_tensors
        dx_ND = product(dy_NE, weight_ED.T)
        if ctx.sink is None:
            return dx_ND, dy_NE.T @ x_ND, None
        accumulate(ctx.sink, dy_NE, x_ND)
        return dx_ND, None, None


def linear(x_ND: Tensor, weight_ED: Tensor, sink_ED: Tensor | None = None) -> Tensor:
    """x Wᵀ; with `sink_ED` (float32) the weight's gradient is added to it and autograd gets none."""
    y_NE: Tensor = _Linear.apply(x_ND, weight_ED, sink_ED)
    return y_NE


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids_N: Tensor, weight_VD: Tensor, sink_VD: Tensor | None) -> Tensor:
        ctx.save_for_backward(ids_N)
        ctx.sink, ctx.vocabulary = sink_VD, weight_VD.shape[0]
        return weight_VD[ids_N]

    @staticmethod
    def backward(ctx: Any, dx_ND: Tensor) -> tuple[None, Tensor | None, None]:
        (ids_N,) = ctx.saved_tensors
        gradient_VD = torch.ops.aten.embedding_dense_backward(dx_ND, ids_N, ctx.vocabulary, -1, False)
        if ctx.sink is None:
            return None, gradient_VD, None
        ctx.sink.add_(gradient_VD)
        return None, None, None


def embedding(ids_N: Tensor, weight_VD: Tensor, sink_VD: Tensor | None = None) -> Tensor:
    """Rows of `weight_VD`; with `sink_VD` (float32) their gradient is added to it and autograd gets none."""
    x_ND: Tensor = _Embedding.apply(ids_N, weight_VD, sink_VD)
    return x_ND
