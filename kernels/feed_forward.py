"""SwiGLU's feed-forward layer (arXiv 2002.05202), y = (silu(x Gᵀ) * (x Uᵀ)) Wᵀ, pointwise parts inside.

Apart, the pointwise passes move gate, up, the hidden layer and its gradient through memory once more: 6 % of
a step of the 1B rung. Here a tile of the first product holds gate and up of the same columns, and what leaves
the chip is h = silu(gate) * up and its slopes, the derivatives by gate and by up. The backward product that
makes h's gradient multiplies it by them at once. The weights' gradients and the input's are the library's
products. Where QuACK is installed (`kernels.hopper`), its kernels stand in for these two.

Slopes, and not gate and up, because a backward epilogue that computed the sigmoid again took longer than half
of its product: a tensor core waits for it.

Launches are those that were the fastest on an H100; docs/training.md tells what lost.

Shape suffixes: N tokens, D width, F hidden width.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from kernels.launch import available, on_hopper, programs
from kernels.linear import accumulate, linear, product
from kernels.swiglu import activated, swiglu, swiglu_reference


def feed_forward_reference(x_ND: Tensor, gate_up_2FD: Tensor, down_DF: Tensor) -> Tensor:
    """The layer in plain PyTorch; rows of `gate_up_2FD` are gate's and up's in turn."""
    return swiglu_reference(x_ND @ gate_up_2FD.T) @ down_DF.T


@triton.jit
def _tile(index, tiles_n, tiles_f, GROUP: tl.constexpr):
    """Row and column of a tile: GROUP rows at a time, so that what one wave reads stays in the cache."""
    first = index // (GROUP * tiles_f) * GROUP
    rows = min(tiles_n - first, GROUP)
    within = index % (GROUP * tiles_f)
    return first + within % rows, within // rows


@triton.jit
def _halves(x):
    """The left and the right half of a tile: a whole one's stores do not fit the shared memory as well."""
    return x.reshape(x.shape[0], 2, x.shape[1] // 2).permute(0, 2, 1).split()


@triton.jit
def _activate(gate_up, slopes_desc, h_desc, n, f):
    """Write h and the slopes."""
    gate, up = gate_up.reshape(gate_up.shape[0], gate_up.shape[1] // 2, 2).split()
    h, by_gate, by_up = activated(gate, up)
    h_desc.store([n, f], h.to(h_desc.dtype))
    slopes = tl.join(by_gate, by_up).reshape(gate_up.shape[0], gate_up.shape[1])
    slopes_desc.store([n, 2 * f], slopes.to(slopes_desc.dtype))


@triton.jit
def feed_forward_fwd_kernel(
    x_desc, weight_desc, slopes_desc, h_desc, N, F, D,
    BLOCK_N: tl.constexpr, BLOCK_F: tl.constexpr, BLOCK_D: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Tiles of BLOCK_N tokens by BLOCK_F columns of gate and the same of up: one product twice as wide."""
    tiles_n, tiles_f = tl.cdiv(N, BLOCK_N), tl.cdiv(F, BLOCK_F)
    for index in tl.range(tl.program_id(0), tiles_n * tiles_f, tl.num_programs(0), flatten=True):
        tile_n, tile_f = _tile(index, tiles_n, tiles_f, GROUP)
        n, f = tile_n * BLOCK_N, tile_f * BLOCK_F
        both = tl.zeros([BLOCK_N, 2 * BLOCK_F], tl.float32)
        for d in range(0, D, BLOCK_D):
            both = tl.dot(x_desc.load([n, d]), weight_desc.load([2 * f, d]).T, both, input_precision="ieee")
        left, right = _halves(both)
        _activate(left, slopes_desc, h_desc, n, f)
        _activate(right, slopes_desc, h_desc, n, f + BLOCK_F // 2)


@triton.jit
def _turn(dh, slopes_desc, dgate_up_desc, n, f):
    """Write the gradients of gate and up that dh makes."""
    by_gate, by_up = slopes_desc.load([n, 2 * f]).reshape(dh.shape[0], dh.shape[1], 2).split()
    both = tl.join(dh * by_gate, dh * by_up).reshape(dh.shape[0], 2 * dh.shape[1])
    dgate_up_desc.store([n, 2 * f], both.to(dgate_up_desc.dtype))


@triton.jit
def feed_forward_bwd_kernel(
    dy_desc, weight_desc, slopes_desc, dgate_up_desc, N, F, D,
    BLOCK_N: tl.constexpr, BLOCK_F: tl.constexpr, BLOCK_D: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """dh = dy W by tiles, turned a quarter at a time."""
    tiles_n, tiles_f = tl.cdiv(N, BLOCK_N), tl.cdiv(F, BLOCK_F)
    QUARTER: tl.constexpr = BLOCK_F // 4
    for index in tl.range(tl.program_id(0), tiles_n * tiles_f, tl.num_programs(0), flatten=True):
        tile_n, tile_f = _tile(index, tiles_n, tiles_f, GROUP)
        n, f = tile_n * BLOCK_N, tile_f * BLOCK_F
        dh = tl.zeros([BLOCK_N, BLOCK_F], tl.float32)
        for d in range(0, D, BLOCK_D):
            dh = tl.dot(dy_desc.load([n, d]), weight_desc.load([d, f]), dh, input_precision="ieee")
        left, right = _halves(dh)
        first, second = _halves(left)
        third, fourth = _halves(right)
        _turn(first, slopes_desc, dgate_up_desc, n, f)
        _turn(second, slopes_desc, dgate_up_desc, n, f + QUARTER)
        _turn(third, slopes_desc, dgate_up_desc, n, f + 2 * QUARTER)
        _turn(fourth, slopes_desc, dgate_up_desc, n, f + 3 * QUARTER)


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, gate_up_2FD: Tensor, down_DF: Tensor,
        gate_up_sink: Tensor | None, down_sink: Tensor | None,
    ) -> Tensor:  # fmt: skip
        h_NF, slopes_N2F = _swiglu_product(x_ND, gate_up_2FD)
        ctx.save_for_backward(x_ND, gate_up_2FD, down_DF, slopes_N2F, h_NF)
        ctx.sinks = gate_up_sink, down_sink
        return product(h_NF, down_DF)

    @staticmethod
    def backward(ctx: Any, dy_ND: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, gate_up_2FD, down_DF, slopes_N2F, h_NF = ctx.saved_tensors
        dgate_up_N2F = _swiglu_gradient(dy_ND, down_DF, slopes_N2F)
        gate_up_sink, down_sink = ctx.sinks
        dgate_up_2FD = _weight_gradient(gate_up_sink, dgate_up_N2F, x_ND)
        ddown_DF = _weight_gradient(down_sink, dy_ND, h_NF)
        return dgate_up_N2F @ gate_up_2FD, dgate_up_2FD, ddown_DF, None, None


def _swiglu_product(x_ND: Tensor, gate_up_2FD: Tensor) -> tuple[Tensor, Tensor]:
    """h (N, F) and its slopes (N, 2F), in turn as gate and up are."""
    (N, D), F = x_ND.shape, gate_up_2FD.shape[0] // 2
    if available(x_ND, F):
        from kernels import hopper  # noqa: PLC0415

        return hopper.swiglu_product(x_ND, gate_up_2FD)
    h_NF = torch.empty(N, F, dtype=x_ND.dtype, device=x_ND.device)
    slopes_N2F = torch.empty(N, 2 * F, dtype=x_ND.dtype, device=x_ND.device)
    n, f, d = 128, 128, 64
    feed_forward_fwd_kernel[_grid(x_ND, n, F, f)](
        _blocks(x_ND, n, d), _blocks(gate_up_2FD, 2 * f, d), _blocks(slopes_N2F, n, f),
        _blocks(h_NF, n, f // 2),
        N, F, D, BLOCK_N=n, BLOCK_F=f, BLOCK_D=d, GROUP=16, num_warps=8, num_stages=3,
    )  # fmt: skip
    return h_NF, slopes_N2F


def _swiglu_gradient(dy_ND: Tensor, down_DF: Tensor, slopes_N2F: Tensor) -> Tensor:
    """The gradient (N, 2F) of gate and up in turn."""
    (N, D), F = dy_ND.shape, down_DF.shape[1]
    if available(dy_ND, F):
        from kernels import hopper  # noqa: PLC0415

        return hopper.swiglu_gradient(dy_ND, down_DF, slopes_N2F)
    dgate_up_N2F = torch.empty_like(slopes_N2F)
    n, f, d = 128, 256, 64
    feed_forward_bwd_kernel[_grid(dy_ND, n, F, f)](
        _blocks(dy_ND, n, d), _blocks(down_DF, d, f), _blocks(slopes_N2F, n, f // 2),
        _blocks(dgate_up_N2F, n, f // 2),
        N, F, D, BLOCK_N=n, BLOCK_F=f, BLOCK_D=d, GROUP=16, num_warps=8, num_stages=3,
    )  # fmt: skip
    return dgate_up_N2F


def _blocks(x: Tensor, *block: int) -> TensorDescriptor:
    return TensorDescriptor.from_tensor(x, list(block))


def _grid(x_ND: Tensor, n: int, F: int, f: int) -> tuple[int]:
    """One program a multiprocessor: its tile takes all of the shared memory."""
    return (programs(x_ND.device, triton.cdiv(x_ND.shape[0], n) * triton.cdiv(F, f), 1),)


def _weight_gradient(sink: Tensor | None, dy_NE: Tensor, x_ND: Tensor) -> Tensor | None:
    if sink is None:
        return dy_NE.T @ x_ND
    accumulate(sink, dy_NE, x_ND)
    return None


def fusible(x_ND: Tensor, F: int) -> bool:
    """Whether the tiles fit: Hopper's shared memory and 16-bit numbers, rows of a multiple of 16 bytes.

    A CPU (the interpreter) has no such bounds.
    """
    return not x_ND.is_cuda or on_hopper(x_ND, F)


def feed_forward(
    x_ND: Tensor, gate_up_2FD: Tensor, down_DF: Tensor,
    gate_up_sink: Tensor | None = None, down_sink: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The fused operator; see `feed_forward_reference`. Sinks as in `kernels.linear`.

    Where its tiles don't fit, the products are the library's and only the pointwise part is a kernel.
    """
    if not fusible(x_ND, down_DF.shape[1]):
        return linear(swiglu(linear(x_ND, gate_up_2FD, gate_up_sink)), down_DF, down_sink)
    y_ND: Tensor = _FeedForward.apply(x_ND, gate_up_2FD, down_DF, gate_up_sink, down_sink)
    return y_ND
