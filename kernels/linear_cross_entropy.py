"""Output projection and cross-entropy without the whole logits.

65,536 tokens over 50,304 entries make 6.6 GB of bfloat16 logits, twice that as float32. Here a chunk of
tokens is projected, its loss taken and its logits overwritten by their gradient, from which the chunk's share
of both gradients follows at once; the weight's is summed in float32. The row kernel reads a row from memory
once: its second pass finds it in the L2 cache. Where the product leaves log Z's parts (`kernels.hopper`),
there is one pass.

z-loss (PaLM, arXiv 2204.02311): z x log(Z)², which keeps the logits' scale from drifting.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from kernels.launch import available
from kernels.linear import accumulate

IGNORED = -100  # target of a position that costs nothing
CHUNK = 16384  # tokens projected at once: 1.6 GB of logits over 50,304 entries


def linear_cross_entropy_reference(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, scale: Tensor, z: float = 0.0
) -> tuple[Tensor, Tensor]:
    """(scale x sum of (loss + z log(Z)²), scale x sum of loss) over positions with a target; the second is
    detached.
    """
    logits_NV = (h_ND @ weight_VD.T).float()
    losses_N = functional.cross_entropy(logits_NV, targets_N, ignore_index=IGNORED, reduction="none")
    log_z_N = logits_NV.logsumexp(-1) * (targets_N != IGNORED)
    loss = losses_N.sum() * scale
    return loss + z * log_z_N.square().sum() * scale, loss.detach()


@triton.jit
def cross_entropy_kernel(
    logits_ptr, targets_ptr, scale_ptr, parts_ptr, losses_ptr, log_z_ptr, V, P, z,
    IGNORED: tl.constexpr, WITH_GRADIENT: tl.constexpr, WITH_PARTS: tl.constexpr, BLOCK_V: tl.constexpr,
    BLOCK_P: tl.constexpr,
):  # fmt: skip
    """One row a program: loss and log Z; with the gradient, the row's logits are overwritten by it. Log Z is
    made of the logits, or of parts: logarithms of the sums of some of the row's exponentials each.
    """
    row = tl.program_id(0).to(tl.int64)
    logits_ptr += row * V
    target = tl.load(targets_ptr + row)
    cols = tl.arange(0, BLOCK_V)
    if target == IGNORED:
        tl.store(losses_ptr + row, 0.0)
        tl.store(log_z_ptr + row, 0.0)
        if WITH_GRADIENT:
            for start in range(0, V, BLOCK_V):
                zeros = tl.zeros([BLOCK_V], logits_ptr.dtype.element_ty)
                tl.store(logits_ptr + start + cols, zeros, mask=start + cols < V)
        return
    # exp2 of what is scaled by log2(e): one instruction where exp is five.
    log2_e: tl.constexpr = 1.4426950408889634
    if WITH_PARTS:
        part = tl.arange(0, BLOCK_P)
        high = tl.load(parts_ptr + row * P + part, mask=part < P, other=float("-inf"))
        total = tl.full([BLOCK_P], 1.0, tl.float32)
    else:
        high = tl.full([BLOCK_V], -1.0e38, tl.float32)  # finite: -inf - -inf would be nan in lanes beyond V
        total = tl.zeros([BLOCK_V], tl.float32)
        for start in range(0, V, BLOCK_V):
            x = tl.load(logits_ptr + start + cols, mask=start + cols < V, other=float("-inf")).to(tl.float32)
            higher = tl.maximum(high, x)
            total = total * tl.exp2((high - higher) * log2_e) + tl.exp2((x - higher) * log2_e)
            high = higher
    top = tl.max(high, 0)
    log_z = top + tl.log(tl.sum(total * tl.exp2((high - top) * log2_e), 0))
    at_target = tl.load(logits_ptr + target).to(tl.float32)
    tl.store(losses_ptr + row, log_z - at_target)
    tl.store(log_z_ptr + row, log_z)
    if WITH_GRADIENT:
        scale = tl.load(scale_ptr)
        slope = scale * (1.0 + 2.0 * z * log_z)
        for start in range(0, V, BLOCK_V):
            inside = start + cols < V
            x = tl.load(logits_ptr + start + cols, mask=inside, other=float("-inf")).to(tl.float32)
            gradient = tl.exp2((x - log_z) * log2_e) * slope - tl.where(start + cols == target, scale, 0.0)
            tl.store(logits_ptr + start + cols, gradient.to(logits_ptr.dtype.element_ty), mask=inside)


def cross_entropy_(
    logits_CV: Tensor, targets_C: Tensor, scale: Tensor, z: float, with_gradient: bool,
    parts_CP: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Losses and log Z (C), float32; with the gradient, `logits_CV` holds scale x d(loss + z log(Z)²)
    afterwards. With `parts_CP` log Z is the logarithm of the sum of their exponentials.
    """
    C, V = logits_CV.shape
    P = 1 if parts_CP is None else parts_CP.shape[1]
    losses_C = torch.empty(C, dtype=torch.float32, device=logits_CV.device)
    log_z_C = torch.empty_like(losses_C)
    cross_entropy_kernel[(C,)](
        logits_CV, targets_C, scale, losses_C if parts_CP is None else parts_CP, losses_C, log_z_C, V, P, z,
        IGNORED=IGNORED, WITH_GRADIENT=with_gradient, WITH_PARTS=parts_CP is not None,
        # 16 warps a row: few enough rows are in flight that a second pass finds them in the L2 cache (0.68 ms
        # for 8,192 rows on an H100, 0.83 in blocks of 4,096; one pass, from parts: 0.58).
        BLOCK_V=min(8192, triton.next_power_of_2(V)), BLOCK_P=triton.next_power_of_2(P), num_warps=16,
    )  # fmt: skip
    return losses_C, log_z_C


def _logits(h_CD: Tensor, weight_VD: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits (C, V), and parts of log Z where the product leaves them."""
    if available(h_CD, weight_VD.shape[0]):
        from kernels import hopper  # noqa: PLC0415

        return hopper.logits(h_CD, weight_VD)
    return h_CD @ weight_VD.T, None


@torch.no_grad()
def linear_cross_entropy(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, scale: Tensor, z: float, sink_VD: Tensor
) -> tuple[Tensor, Tensor]:
    """(scale x sum of loss, gradient by `h_ND`) of scale x sum of (loss + z log(Z)²); the weight's gradient
    is added to `sink_VD` (float32).

    Not an operator of autograd's: gradients come with the loss here, and its factor, known only in a backward
    pass, would cost both another pass over memory. `scale` (float32 scalar tensor) is the place for a factor.
    """
    dh_ND = torch.empty_like(h_ND)
    loss = torch.zeros((), dtype=torch.float32, device=h_ND.device)
    for start in range(0, h_ND.shape[0], CHUNK):
        h_CD = h_ND[start : start + CHUNK]
        logits_CV, parts_CP = _logits(h_CD, weight_VD)
        losses_C, _ = cross_entropy_(logits_CV, targets_N[start : start + CHUNK], scale, z, True, parts_CP)
        loss += losses_C.sum()
        torch.mm(logits_CV, weight_VD, out=dh_ND[start : start + CHUNK])
        accumulate(sink_VD, logits_CV, h_CD)
        del logits_CV
    return loss * scale, dh_ND


def token_losses(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Loss (N), float32, of each position; 0 where there is no target. No gradient."""
    one, chunks = torch.ones((), device=h_ND.device), []
    for start in range(0, h_ND.shape[0], CHUNK):
        logits_CV, parts_CP = _logits(h_ND[start : start + CHUNK], weight_VD)
        targets_C = targets_N[start : start + CHUNK]
        chunks.append(cross_entropy_(logits_CV, targets_C, one, 0.0, False, parts_CP)[0])
    return torch.cat(chunks)
