"""Matrix products of 16-bit numbers on NVIDIA's Hopper GPUs, SwiGLU inside, by QuACK (package quack-kernels).

In a Triton kernel a multiprocessor's tensor cores wait while a tile becomes what leaves the chip: a fifth of
SwiGLU's forward product at 150M, half of its backward one. QuACK's kernels have two groups of warps with a
tile each. One multiplies while the other one's tile leaves ("pingpong"), and two multiprocessors share what
they read. Its epilogues are functions of an accumulator: those below are SwiGLU's, and log Z's parts for the
loss; the rest is as it came.

Importing this module imports the package, which takes seconds: ask `available` of `kernels.launch` first.
Shape suffixes: N tokens, D width, E a projection's rows, F hidden width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

try:
    from quack.activation import sigmoid
    from quack.epilogue.frontend import gemm_epilogue
    from quack.epilogue.math import pack, unpack
    from quack.epilogue.ops import OnlineLSEReduce
except ImportError as error:
    raise ImportError(
        f"kernels.hopper needs quack-kernels 0.6.5 ({error}); pip install '.[hopper]'"
    ) from error

TILE = 128, 192  # the fastest of nine for all that is here, or within 2 % of it, from 150M to 750M on an H100


@gemm_epilogue()
def _plain(acc: Any) -> dict[str, Any]:
    return {"D": acc}


@gemm_epilogue(outs={"log_z": OnlineLSEReduce("log_z")})
def _log_z(acc: Any) -> dict[str, Any]:
    return {"D": acc, "log_z": acc}


@gemm_epilogue(outputs=("h",), mode="acc_pair")
def _swiglu(acc: Any) -> dict[str, Any]:
    """As `kernels.swiglu.activated`: h, and its derivatives by gate and by up side by side."""
    gate, up = unpack(acc)
    s = sigmoid(gate)
    silu = gate * s
    return {"D": pack(up * (s + silu - silu * s), silu), "h": silu * up}


@gemm_epilogue(mode="packed_cd_b16x2")
def _swiglu_gradient(acc: Any, c: Any) -> dict[str, Any]:
    """The gradients of gate and up, side by side, from dh and the derivatives."""
    by_gate, by_up = unpack(c)
    return {"D": pack(acc * by_gate, acc * by_up)}


def product(x_NK: Tensor, weight_EK: Tensor) -> Tensor:
    """x Wᵀ (N, E)."""
    y_NE = torch.empty(x_NK.shape[0], weight_EK.shape[0], dtype=x_NK.dtype, device=x_NK.device)
    _run(_plain, x_NK, weight_EK, y_NE, cluster=(2, 1))
    return y_NE


def logits(h_ND: Tensor, weight_VD: Tensor) -> tuple[Tensor, Tensor]:
    """h Wᵀ (N, V), and the logarithms (N, tiles), float32, of the sums of its exponentials tile by tile."""
    N, V = h_ND.shape[0], weight_VD.shape[0]
    logits_NV = torch.empty(N, V, dtype=h_ND.dtype, device=h_ND.device)
    log_z_NP = torch.empty(N, -(-V // TILE[1]), dtype=torch.float32, device=h_ND.device)
    _run(_log_z, h_ND, weight_VD, logits_NV, cluster=(2, 1), log_z=log_z_NP[None])
    return logits_NV, log_z_NP


def swiglu_product(x_ND: Tensor, gate_up_2FD: Tensor) -> tuple[Tensor, Tensor]:
    """h (N, F) of x and the projection whose rows are gate's and up's in turn, and its slopes (N, 2F)."""
    N, F = x_ND.shape[0], gate_up_2FD.shape[0] // 2
    h_NF = torch.empty(N, F, dtype=x_ND.dtype, device=x_ND.device)
    slopes_N2F = torch.empty(N, 2 * F, dtype=x_ND.dtype, device=x_ND.device)
    _run(_swiglu, x_ND, gate_up_2FD, slopes_N2F, cluster=(1, 2), h=h_NF[None])
    return h_NF, slopes_N2F


def swiglu_gradient(dy_ND: Tensor, down_DF: Tensor, slopes_N2F: Tensor) -> Tensor:
    """The gradient (N, 2F) of gate and up in turn, of dh = dy W."""
    dgate_up_N2F = torch.empty_like(slopes_N2F)
    _run(_swiglu_gradient, dy_ND, down_DF.T, dgate_up_N2F, slopes_N2F, cluster=(1, 2))
    return dgate_up_N2F


def _run(
    kernel: Any,
    a: Tensor,
    b: Tensor,
    out: Tensor,
    c: Tensor | None = None,
    *,
    cluster: tuple[int, int],
    **more: Tensor,
) -> None:
    """Launch."""
    (m, n), (along_m, along_n) = TILE, cluster
    kernel.gemm(
        a[None], b[None], out[None], None if c is None else c[None], epi_args=more, pingpong=True,
        tile_M=m, tile_N=n, cluster_M=along_m, cluster_N=along_n,
    )  # fmt: skip
