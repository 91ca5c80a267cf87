"""SwiGLU's feed-forward layer (arXiv 2002.05202), y = (silu(x Gᵀ) * (x Uᵀ)) Wᵀ, pointwise parts inside.

Apart, the pointwise passes move gate, up, the hidden layer and its gradient through memory once more: 6 % of
a step of the 1B rung. Here a tile of the first product holds gate and up of the same columns, and what leaves
the chip is h = silu(gate) * up and its slopes, the derivatives by gate and by up. The backward product that
makes h's gradient multiplies it by them at once. The other four products are the library's.

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

from kernels.launch import programs
from kernels.linear import accumulate, linear
from kernels.swiglu import activated, swiglu, swiglu_reference


def feed_forward_reference(x_ND: Tensor, gate_up_2FD: Tensor, down_DF: Tensor) -> Tensor:
    """The layer in plain PyTorch; `gate_up_2FD` holds gate's F rows, then up's."""
    return swiglu_reference(x_ND @ gate_up_2FD.T) @ down_DF.T


@triton.jit
def _tile(index, tiles_n, tiles_f, GROUP: tl.constexpr):
    """Row and column of a tile: GROUP rows at a time, so that what one wave reads stays in the cache."""
    first = index // (GROUP * tiles_f) * GROUP
    rows = min(tiles_n - first, GROUP)
    within = index % (GROUP * tiles_f)
    return first + within % rows, within // rows


@triton.jit
def feed_forward_fwd_kernel(
    x_desc, weight_desc, by_gate_desc, by_up_desc, h_desc, N, F, D,
    BLOCK_N: tl.constexpr, BLOCK_F: tl.constexpr, BLOCK_D: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Tiles of BLOCK_N tokens by BLOCK_F columns of gate and the same of up: one product twice as wide."""
    tiles_n, tiles_f = tl.cdiv(N, BLOCK_N), tl.cdiv(F, BLOCK_F)
    for index in tl.range(tl.program_id(0), tiles_n * tiles_f, tl.num_programs(0), flatten=True):
        tile_n, tile_f = _tile(index, tiles_n, tiles_f, GROUP)
        both = tl.zeros([BLOCK_N, 2 * BLOCK_F], tl.float32)
        for d in range(0, D, BLOCK_D):
            x = x_desc.load([tile_n * BLOCK_N, d])
            weight = weight_desc.load([0, tile_f * BLOCK_F, d]).reshape(2 * BLOCK_F, BLOCK_D)
            both = tl.dot(x, weight.T, both, input_precision="ieee")
        gate, up = both.reshape(BLOCK_N, 2, BLOCK_F).permute(0, 2, 1).split()
        h, by_gate, by_up = activated(gate, up)
        n, f = tile_n * BLOCK_N, tile_f * BLOCK_F
        h_desc.store([n, f], h.to(h_desc.dtype))
        by_gate_desc.store([n, f], by_gate.to(by_gate_desc.dtype))
        by_up_desc.store([n, f], by_up.to(by_up_desc.dtype))


@triton.jit
def _turn(dh, by_gate_desc, by_up_desc, dgate_desc, dup_desc, n, f):
    """Write the gradients of gate and up that dh makes."""
    dgate_desc.store([n, f], (dh * by_gate_desc.load([n, f])).to(dgate_desc.dtype))
    dup_desc.store([n, f], (dh * by_up_desc.load([n, f])).to(dup_desc.dtype))


@triton.jit
def feed_forward_bwd_kernel(
    dy_desc, weight_desc, by_gate_desc, by_up_desc, dgate_desc, dup_desc, N, F, D,
    BLOCK_N: tl.constexpr, BLOCK_F: tl.constexpr, BLOCK_D: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """dh = dy W by tiles, turned in halves: the slopes of a whole tile do not fit the registers as well."""
    tiles_n, tiles_f = tl.cdiv(N, BLOCK_N), tl.cdiv(F, BLOCK_F)
    HALF: tl.constexpr = BLOCK_F // 2
    for index in tl.range(tl.program_id(0), tiles_n * tiles_f, tl.num_programs(0), flatten=True):
        tile_n, tile_f = _tile(index, tiles_n, tiles_f, GROUP)
        dh = tl.zeros([BLOCK_N, BLOCK_F], tl.float32)
        for d in range(0, D, BLOCK_D):
            dy = dy_desc.load([tile_n * BLOCK_N, d])
            weight = weight_desc.load([d, tile_f * BLOCK_F])
            dh = tl.dot(dy, weight, dh, input_precision="ieee")
        n, f = tile_n * BLOCK_N, tile_f * BLOCK_F
        left, right = dh.reshape(BLOCK_N, 2, HALF).permute(0, 2, 1).split()
        _turn(left, by_gate_desc, by_up_desc, dgate_desc, dup_desc, n, f)
        _turn(right, by_gate_desc, by_up_desc, dgate_desc, dup_desc, n, f + HALF)


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, gate_up_2FD: Tensor, down_DF: Tensor,
        gate_up_sink: Tensor | None, down_sink: Tensor | None,
    ) -> Tensor:  # fmt: skip
        (N, D), F = x_ND.shape, down_DF.shape[1]
        slopes_N2F = torch.empty(N, 2 * F, dtype=x_ND.dtype, device=x_ND.device)
        h_NF = torch.empty(N, F, dtype=x_ND.dtype, device=x_ND.device)
        n, f, d = 128, 128, 64
        feed_forward_fwd_kernel[_grid(x_ND, n, F, f)](
            _blocks(x_ND, n, d), _blocks(gate_up_2FD.view(2, F, D), 2, f, d),
            _blocks(slopes_N2F[:, :F], n, f), _blocks(slopes_N2F[:, F:], n, f), _blocks(h_NF, n, f),
            N, F, D, BLOCK_N=n, BLOCK_F=f, BLOCK_D=d, GROUP=16, num_warps=8, num_stages=3,
        )  # fmt: skip
        ctx.save_for_backward(x_ND, gate_up_2FD, down_DF, slopes_N2F, h_NF)
        ctx.sinks = gate_up_sink, down_sink
        return h_NF @ down_DF.T

    @staticmethod
    def backward(ctx: Any, dy_ND: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, gate_up_2FD, down_DF, slopes_N2F, h_NF = ctx.saved_tensors
        (N, D), F = x_ND.shape, down_DF.shape[1]
        dgate_up_N2F = torch.empty_like(slopes_N2F)
        n, f, d = 128, 256, 64
        feed_forward_bwd_kernel[_grid(x_ND, n, F, f)](
            _blocks(dy_ND, n, d), _blocks(down_DF, d, f),
            *(_blocks(x[:, at], n, f // 2)
              for x in (slopes_N2F, dgate_up_N2F) for at in (slice(F), slice(F, None))),
            N, F, D, BLOCK_N=n, BLOCK_F=f, BLOCK_D=d, GROUP=16, num_warps=8, num_stages=3,
        )  # fmt: skip
        gate_up_sink, down_sink = ctx.sinks
        dgate_up_2FD = _weight_gradient(gate_up_sink, dgate_up_N2F, x_ND)
        ddown_DF = _weight_gradient(down_sink, dy_ND, h_NF)
        return dgate_up_N2F @ gate_up_2FD, dgate_up_2FD, ddown_DF, None, None


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
    if not x_ND.is_cuda:
        return True
    narrow = x_ND.element_size() == 2 and x_ND.shape[1] % 8 == 0 and F % 8 == 0
    return narrow and torch.cuda.get_device_capability(x_ND.device)[0] == 9


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
