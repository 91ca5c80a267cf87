"""SwiGLU's pointwise part (arXiv 2002.05202): silu(gate) * up, numbers of gate and up in turn in one row.

In turn, so that a thread which holds a tile of the projection's product holds both numbers of a pair. The
backward pass writes both gradients in one pass, so that the projection's two matrix products need no
concatenation.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional


def swiglu_reference(gate_up_N2F: Tensor) -> Tensor:
    """silu(gate) * up, in float32, back in the dtype that came."""
    gate_NF, up_NF = gate_up_N2F.float().unflatten(-1, (-1, 2)).unbind(-1)
    h_NF: Tensor = functional.silu(gate_NF) * up_NF
    return h_NF.to(gate_up_N2F.dtype)


@triton.jit
def activated(gate, up):
    """silu(gate) * up of float32 tiles, and its derivatives by gate and by up.

    d silu(g) = s (1 + g (1 - s)) = s + silu(g) (1 - s) with s = sigmoid(g). exp2 and rsqrt are an instruction
    each where exp and a division are six: with those the forward product of the layer waits for its epilogue.
    """
    root = tl.rsqrt(1.0 + tl.exp2(gate * -1.4426950408889634))
    s = root * root
    silu = gate * s
    return silu * up, up * (s + silu * (1.0 - s)), silu


@triton.jit
def _pairs(row_ptr, cols, inside):
    at = cols[:, None] * 2 + tl.arange(0, 2)[None, :]
    gate, up = tl.load(row_ptr + at, mask=inside[:, None], other=0.0).to(tl.float32).split()
    return gate, up


@triton.jit
def swiglu_fwd_kernel(gate_up_ptr, h_ptr, F, BLOCK: tl.constexpr):
    """One block of one row a program."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < F
    gate, up = _pairs(gate_up_ptr + row * 2 * F, cols, inside)
    h, _by_gate, _by_up = activated(gate, up)
    tl.store(h_ptr + row * F + cols, h.to(h_ptr.dtype.element_ty), mask=inside)


@triton.jit
def swiglu_bwd_kernel(gate_up_ptr, dh_ptr, dgate_up_ptr, F, BLOCK: tl.constexpr):
    """One block of one row a program."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < F
    gate, up = _pairs(gate_up_ptr + row * 2 * F, cols, inside)
    dh = tl.load(dh_ptr + row * F + cols, mask=inside, other=0.0).to(tl.float32)
    _h, by_gate, by_up = activated(gate, up)
    both = tl.join(dh * by_gate, dh * by_up).to(dgate_up_ptr.dtype.element_ty)
    at = cols[:, None] * 2 + tl.arange(0, 2)[None, :]
    tl.store(dgate_up_ptr + row * 2 * F + at, both, mask=inside[:, None])


def _grid(N: int, F: int) -> tuple[tuple[int, int], int]:
    # The largest block that leaves at most a third of its lanes idle: 4,096 was the fastest where it fits.
    blocks = (b for b in (4096, 2048, 1024, 512) if triton.cdiv(F, b) * b <= 1.34 * F)
    block = next(blocks, triton.next_power_of_2(min(F, 512)))
    return (N, triton.cdiv(F, block)), block


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up_N2F: Tensor) -> Tensor:
        N, F = gate_up_N2F.shape[0], gate_up_N2F.shape[1] // 2
        h_NF = torch.empty(N, F, dtype=gate_up_N2F.dtype, device=gate_up_N2F.device)
        grid, block = _grid(N, F)
        swiglu_fwd_kernel[grid](gate_up_N2F, h_NF, F, BLOCK=block)
        ctx.save_for_backward(gate_up_N2F)
        return h_NF

    @staticmethod
    def backward(ctx: Any, dh_NF: Tensor) -> Tensor:
        (gate_up_N2F,) = ctx.saved_tensors
        N, F = dh_NF.shape
        dgate_up_N2F = torch.empty_like(gate_up_N2F)
        grid, block = _grid(N, F)
        swiglu_bwd_kernel[grid](gate_up_N2F, dh_NF, dgate_up_N2F, F, BLOCK=block)
        return dgate_up_N2F


def swiglu(gate_up_N2F: Tensor) -> Tensor:
    """The fused operator; see `swiglu_reference`. Rows must be contiguous."""
    h_NF: Tensor = _SwiGLU.apply(gate_up_N2F)
    return h_NF
