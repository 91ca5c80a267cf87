"""RoPE (arXiv 2104.09864) on the queries and keys of a fused projection, with an optional QK-norm before it.

Without QK-norm the forward pass turns queries and keys in place, inside the projection's output: nothing else
keeps that tensor, so no copy of q, k and v is made. The backward pass turns dq and dk back and writes them
and dv side by side, as the projection's matrix products want them; autograd's own way is a concatenation and
a pass of its own. Gradients that come side by side already, as parts of one tensor, are turned where they
lie.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from kernels.launch import programs

QK_NORM_EPS = 1e-6


def rotations(T: int, K: int, base: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, K/2), float32, of position x base^(-2k/K)."""
    rates = base ** (-torch.arange(0, K, 2, device=device, dtype=torch.float32) / K)
    angles_TK = torch.outer(torch.arange(T, device=device, dtype=torch.float32), rates)
    return angles_TK.cos(), angles_TK.sin()


def rotate_reference(x_BTHK: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (k, k + K/2) of a head by its position's angle, in float32, rounded at the end."""
    first, second = x_BTHK.float().chunk(2, dim=-1)
    cos, sin = cos_TK[:, None], sin_TK[:, None]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x_BTHK.dtype)


def split_rotate_reference(
    qkv_NG: Tensor,
    cos_TK: Tensor,
    sin_TK: Tensor,
    heads: int,
    key_heads: int,
    norms: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """q (B, T, heads, W), k and v (B, T, key_heads, W) of a projection (N, (heads + 2 key_heads) W), q and k
    turned.

    W is K, the angles' width, or more: what lies beyond K in each head must be zero, as must its gradient,
    and stays so (an attention kernel may want a multiple of 8). norms: weights (K) of an RMSNorm over each
    query and key head, applied before the rotation.
    """
    T, K = cos_TK.shape[0], 2 * cos_TK.shape[1]
    heads_BTGW = qkv_NG.view(-1, T, heads + 2 * key_heads, qkv_NG.shape[1] // (heads + 2 * key_heads))
    beyond = heads_BTGW.shape[-1] - K
    q, k, v = heads_BTGW[..., :K].split((heads, key_heads, key_heads), dim=2)
    if norms is not None:
        q, k = (
            functional.rms_norm(x.float(), (K,), weight.float(), QK_NORM_EPS).to(x.dtype)
            for x, weight in zip((q, k), norms, strict=True)
        )  # fmt: skip
    q, k = rotate_reference(q, cos_TK, sin_TK), rotate_reference(k, cos_TK, sin_TK)
    q, k, v = (functional.pad(x, (0, beyond)) for x in (q, k, v))
    return q, k, v


@triton.jit
def rope_fwd_kernel(
    qkv_ptr, out_ptr, cos_ptr, sin_ptr, q_weight_ptr, k_weight_ptr, T, eps,
    H: tl.constexpr, G: tl.constexpr, R: tl.constexpr, HALF: tl.constexpr, WIDE: tl.constexpr,
    QK_NORM: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """One token a program. G heads in a row, WIDE apart, of which the first R (H queries, then keys) are
    turned.
    """
    row = tl.program_id(0).to(tl.int64)
    heads = tl.arange(0, BLOCK_R)[:, None]
    cols = tl.arange(0, BLOCK_K)[None, :]
    inside = (heads < R) & (cols < HALF)
    where = row * G * WIDE + heads * WIDE + cols
    first = tl.load(qkv_ptr + where, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(qkv_ptr + where + HALF, mask=inside, other=0.0).to(tl.float32)
    kind = out_ptr.dtype.element_ty
    if QK_NORM:
        square = tl.sum(first * first + second * second, 1) / (2 * HALF)
        rstd = (1.0 / tl.sqrt(square + eps))[:, None]
        is_query = heads < H
        q1 = tl.load(q_weight_ptr + cols, mask=cols < HALF, other=0.0).to(tl.float32)
        q2 = tl.load(q_weight_ptr + HALF + cols, mask=cols < HALF, other=0.0).to(tl.float32)
        k1 = tl.load(k_weight_ptr + cols, mask=cols < HALF, other=0.0).to(tl.float32)
        k2 = tl.load(k_weight_ptr + HALF + cols, mask=cols < HALF, other=0.0).to(tl.float32)
        first = (first * rstd * tl.where(is_query, q1, k1)).to(kind).to(tl.float32)
        second = (second * rstd * tl.where(is_query, q2, k2)).to(kind).to(tl.float32)
    angle = (row % T) * HALF + cols
    cos = tl.load(cos_ptr + angle, mask=cols < HALF, other=0.0)
    sin = tl.load(sin_ptr + angle, mask=cols < HALF, other=0.0)
    tl.store(out_ptr + where, (first * cos - second * sin).to(kind), mask=inside)
    tl.store(out_ptr + where + HALF, (second * cos + first * sin).to(kind), mask=inside)


@triton.jit
def rope_bwd_kernel(  # noqa: PLR0915 - one pass over a token
    dq_ptr, dk_ptr, dv_ptr, qkv_ptr, dqkv_ptr, cos_ptr, sin_ptr, q_weight_ptr, k_weight_ptr, dweight_ptr,
    N, T, eps,
    q_b, q_t, q_h, k_b, k_t, k_h, v_b, v_t, v_h,
    H: tl.constexpr, KV: tl.constexpr, HALF: tl.constexpr, WIDE: tl.constexpr, QK_NORM: tl.constexpr,
    BLOCK_G: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Each program walks tokens a grid apart, all heads of a token at once; gradients come with strides."""
    program = tl.program_id(0)
    heads = tl.arange(0, BLOCK_G)[:, None]
    cols = tl.arange(0, BLOCK_K)[None, :]
    narrow = cols < HALF
    is_q = heads < H
    is_k = (heads >= H) & (heads < H + KV)
    is_v = (heads >= H + KV) & (heads < H + 2 * KV)
    turned = heads < H + KV
    dq_w1 = tl.zeros([BLOCK_K], tl.float32)
    dq_w2 = tl.zeros([BLOCK_K], tl.float32)
    dk_w1 = tl.zeros([BLOCK_K], tl.float32)
    dk_w2 = tl.zeros([BLOCK_K], tl.float32)
    for index in range(program, N, tl.num_programs(0)):
        row = tl.cast(index, tl.int64)
        b = row // T
        t = row % T
        at_q = dq_ptr + b * q_b + t * q_t + heads * q_h + cols
        at_k = dk_ptr + b * k_b + t * k_t + (heads - H) * k_h + cols
        at_v = dv_ptr + b * v_b + t * v_t + (heads - H - KV) * v_h + cols
        first = tl.load(at_q, mask=is_q & narrow, other=0.0).to(tl.float32)
        second = tl.load(at_q + HALF, mask=is_q & narrow, other=0.0).to(tl.float32)
        first += tl.load(at_k, mask=is_k & narrow, other=0.0).to(tl.float32)
        second += tl.load(at_k + HALF, mask=is_k & narrow, other=0.0).to(tl.float32)
        first += tl.load(at_v, mask=is_v & narrow, other=0.0).to(tl.float32)
        second += tl.load(at_v + HALF, mask=is_v & narrow, other=0.0).to(tl.float32)
        cos = tl.load(cos_ptr + t * HALF + cols, mask=narrow, other=0.0)
        sin = tl.load(sin_ptr + t * HALF + cols, mask=narrow, other=0.0)
        d1 = tl.where(turned, first * cos + second * sin, first)
        d2 = tl.where(turned, second * cos - first * sin, second)
        where = row * (H + 2 * KV) * WIDE + heads * WIDE + cols
        inside = (heads < H + 2 * KV) & narrow
        if QK_NORM:
            x1 = tl.load(qkv_ptr + where, mask=inside, other=0.0).to(tl.float32)
            x2 = tl.load(qkv_ptr + where + HALF, mask=inside, other=0.0).to(tl.float32)
            rstd = (1.0 / tl.sqrt(tl.sum(x1 * x1 + x2 * x2, 1) / (2 * HALF) + eps))[:, None]
            x1 = x1 * rstd
            x2 = x2 * rstd
            q1 = tl.load(q_weight_ptr + cols, mask=narrow, other=0.0).to(tl.float32)
            q2 = tl.load(q_weight_ptr + HALF + cols, mask=narrow, other=0.0).to(tl.float32)
            k1 = tl.load(k_weight_ptr + cols, mask=narrow, other=0.0).to(tl.float32)
            k2 = tl.load(k_weight_ptr + HALF + cols, mask=narrow, other=0.0).to(tl.float32)
            w1 = tl.where(is_q, q1, k1)
            w2 = tl.where(is_q, q2, k2)
            dq_w1 += tl.sum(tl.where(is_q, d1 * x1, 0.0), 0)
            dq_w2 += tl.sum(tl.where(is_q, d2 * x2, 0.0), 0)
            dk_w1 += tl.sum(tl.where(is_k, d1 * x1, 0.0), 0)
            dk_w2 += tl.sum(tl.where(is_k, d2 * x2, 0.0), 0)
            s1 = d1 * w1
            s2 = d2 * w2
            mean = (tl.sum(s1 * x1 + s2 * x2, 1) / (2 * HALF))[:, None]
            d1 = tl.where(turned, rstd * (s1 - x1 * mean), d1)
            d2 = tl.where(turned, rstd * (s2 - x2 * mean), d2)
        kind = dqkv_ptr.dtype.element_ty
        tl.store(dqkv_ptr + where, d1.to(kind), mask=inside)
        tl.store(dqkv_ptr + where + HALF, d2.to(kind), mask=inside)
        if WIDE > 2 * HALF:
            padded = (heads < H + 2 * KV) & (cols < WIDE - 2 * HALF)
            tl.store(dqkv_ptr + where + 2 * HALF, tl.zeros([BLOCK_G, BLOCK_K], kind), mask=padded)
    if QK_NORM:
        flat = tl.arange(0, BLOCK_K)
        out = dweight_ptr + program * 4 * HALF + flat
        tl.store(out, dq_w1, mask=flat < HALF)
        tl.store(out + HALF, dq_w2, mask=flat < HALF)
        tl.store(out + 2 * HALF, dk_w1, mask=flat < HALF)
        tl.store(out + 3 * HALF, dk_w2, mask=flat < HALF)


class _SplitRotate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv_NG: Tensor, cos_TK: Tensor, sin_TK: Tensor, heads: int, key_heads: int,
        q_weight_K: Tensor | None, k_weight_K: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        N, T = qkv_NG.shape[0], cos_TK.shape[0]
        G, normed = heads + 2 * key_heads, q_weight_K is not None
        out_NG = qkv_NG.clone() if normed else qkv_NG
        _turn(qkv_NG, out_NG, cos_TK, sin_TK, heads, key_heads, q_weight_K, k_weight_K)
        ctx.save_for_backward(qkv_NG if normed else None, cos_TK, sin_TK, q_weight_K, k_weight_K)
        ctx.heads, ctx.key_heads = heads, key_heads
        q, k, v = out_NG.view(N // T, T, G, -1).split((heads, key_heads, key_heads), dim=2)
        return q, k, v

    @staticmethod
    def backward(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor) -> tuple[Tensor | None, ...]:
        qkv_NG, cos_TK, sin_TK, q_weight_K, k_weight_K = ctx.saved_tensors
        B, T, H, wide = dq.shape
        K = 2 * cos_TK.shape[1]
        KV, N, normed = ctx.key_heads, B * T, qkv_NG is not None
        together_NG = None if normed else _together(dq, dk, dv)
        if together_NG is not None:
            _turn(together_NG, together_NG, cos_TK, -sin_TK, H, KV, None, None)  # back by the same angle
            return together_NG, None, None, None, None, None, None
        dq, dk, dv = (x if x.stride(3) == 1 else x.contiguous() for x in (dq, dk, dv))
        dqkv_NG = torch.empty(N, (H + 2 * KV) * wide, dtype=dq.dtype, device=dq.device)
        grid = programs(dq.device, N, 64)  # 2.8 TB/s on an H100; 16 a multiprocessor were 6 % slower
        dweight_P = torch.empty(grid, 2, K, dtype=torch.float32, device=dq.device)
        block_g = triton.next_power_of_2(H + 2 * KV)
        rope_bwd_kernel[(grid,)](
            dq, dk, dv, qkv_NG if normed else dq, dqkv_NG, cos_TK, sin_TK, q_weight_K if normed else cos_TK,
            k_weight_K if normed else cos_TK, dweight_P, N, T, QK_NORM_EPS,
            *dq.stride()[:3], *dk.stride()[:3], *dv.stride()[:3],
            H=H, KV=KV, HALF=K // 2, WIDE=wide, QK_NORM=normed, BLOCK_G=block_g,
            BLOCK_K=triton.next_power_of_2(K // 2), num_warps=4,
        )  # fmt: skip
        dq_weight, dk_weight = dweight_P.sum(0).to(q_weight_K.dtype) if normed else (None, None)
        return dqkv_NG, None, None, None, None, dq_weight, dk_weight


def _turn(
    x_NG: Tensor, out_NG: Tensor, cos_TK: Tensor, sin_TK: Tensor, heads: int, key_heads: int,
    q_weight_K: Tensor | None, k_weight_K: Tensor | None,
) -> None:  # fmt: skip
    """Turn queries and keys of `x_NG`, normed where there are weights, into `out_NG`, which may be itself."""
    (T, half), G, turned = cos_TK.shape, heads + 2 * key_heads, heads + key_heads
    normed = q_weight_K is not None
    rope_fwd_kernel[(x_NG.shape[0],)](
        x_NG, out_NG, cos_TK, sin_TK, q_weight_K if normed else cos_TK, k_weight_K if normed else cos_TK,
        T, QK_NORM_EPS, H=heads, G=G, R=turned, HALF=half, WIDE=x_NG.shape[1] // G, QK_NORM=normed,
        BLOCK_R=triton.next_power_of_2(turned), BLOCK_K=triton.next_power_of_2(half),
    )  # fmt: skip


def _together(*parts_BTHW: Tensor) -> Tensor | None:
    """The tensor (N, all heads x W) whose heads these are, where they lie side by side in one."""
    B, T, _, W = parts_BTHW[0].shape
    heads = sum(x.shape[2] for x in parts_BTHW)
    first, at = parts_BTHW[0], parts_BTHW[0].storage_offset()
    for x in parts_BTHW:
        same = x.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or x.storage_offset() != at or x.stride() != (T * heads * W, heads * W, W, 1):
            return None
        at += x.shape[2] * W
    return first.as_strided((B * T, heads * W), (heads * W, 1))


def split_rotate(
    qkv_NG: Tensor,
    cos_TK: Tensor,
    sin_TK: Tensor,
    heads: int,
    key_heads: int,
    norms: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The fused operator; see `split_rotate_reference`.

    Without `norms` it turns queries and keys inside `qkv_NG`, whose old content is lost: hand it a tensor
    that nothing else needs.
    """
    q_weight, k_weight = norms if norms is not None else (None, None)
    parts: tuple[Tensor, Tensor, Tensor] = _SplitRotate.apply(
        qkv_NG, cos_TK, sin_TK, heads, key_heads, q_weight, k_weight
    )
    return parts
