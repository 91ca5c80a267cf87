"""FlashAttention-4's kernels (package flash-attn-4) for NVIDIA's Hopper and later GPUs.

The package's autograd function gives three gradients of their own. Here they are parts of one tensor, side by
side as q, k and v are in the projection's output, so that nothing has to bring them together afterwards
(`kernels.rope` turns dq and dk where they lie). That needs the package's two functions below its public ones,
hence its exact version in pyproject.toml.

Shape suffixes: B sequences, T positions, H heads, G heads of keys (and of values), K head width.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from typing import Any

import torch
from torch import Tensor

from models.errors import ModelError

REMEDY = "pip install '.[hopper]'"


def fits(width: int) -> bool:
    """Whether heads of this width (a multiple of 8) come out right.

    Of version 4.0.0b36's backward pass on an H100, at 8, 16 and 48, dq was wrong; 24, 32, 64, 88, 96 and 128
    were right: what is wrong is a width that, brought up to a multiple of 16, is none of 32.
    """
    return -(-width // 16) % 2 == 0


def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("flash_attn") is not None and (
        importlib.util.find_spec("flash_attn.cute") is not None
    )


@functools.cache
def _interface() -> Any:
    try:
        from flash_attn.cute import interface  # noqa: PLC0415 - a package for GPUs; its import takes seconds
    except ImportError as error:
        raise ModelError(f"attention: flash4 needs the package flash-attn-4 ({error}); {REMEDY}") from error
    # Said once a compiled kernel, of an argument that only masks of one's own use.
    warnings.filterwarnings("ignore", message="Argument aux_data", category=UserWarning)
    return interface


class _FlashAttention4(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor,
        boundaries: Tensor | None, longest: int | None, scale: float,
    ) -> Tensor:  # fmt: skip
        q, k, v = (_rows(x, boundaries) for x in (q_BTHK, k_BTGK, v_BTGK))
        y, log_z, *_ = _interface()._flash_attn_fwd(
            q, k, v, softmax_scale=scale, causal=True, return_lse=True, cu_seqlens_q=boundaries,
            cu_seqlens_k=boundaries, max_seqlen_q=longest, max_seqlen_k=longest,
        )  # fmt: skip
        ctx.save_for_backward(q, k, v, y, log_z, boundaries)
        ctx.longest, ctx.scale = longest, scale
        out: Tensor = y.view(q_BTHK.shape)
        return out

    @staticmethod
    def backward(ctx: Any, dy_BTHK: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y, log_z, boundaries = ctx.saved_tensors
        B, T, H, K = dy_BTHK.shape
        G = k.shape[-2]
        together = torch.empty(B, T, H + 2 * G, K, dtype=q.dtype, device=q.device)
        dq, dk, dv = together.split((H, G, G), dim=2)
        _interface()._flash_attn_bwd(
            q, k, v, y, _rows(dy_BTHK.contiguous(), boundaries), log_z, ctx.scale, True,
            cu_seqlens_q=boundaries, cu_seqlens_k=boundaries, max_seqlen_q=ctx.longest,
            max_seqlen_k=ctx.longest, dq=_rows(dq, boundaries), dk=_rows(dk, boundaries),
            dv=_rows(dv, boundaries), deterministic=torch.are_deterministic_algorithms_enabled(),
        )  # fmt: skip
        return dq, dk, dv, None, None, None


def _rows(x_BTHK: Tensor, boundaries: Tensor | None) -> Tensor:
    """Documents of unequal length stand one after the other, without a dimension of sequences."""
    return x_BTHK if boundaries is None else x_BTHK.flatten(0, 1)


def flash_attention_4(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, boundaries: Tensor | None, longest: int | None,
    scale: float,
) -> Tensor:  # fmt: skip
    """Causal attention (B, T, H, K), over windows, or inside the documents that `boundaries` (int32) part.

    16-bit numbers, K a multiple of 8. Deterministic where torch is told to be. Raises ModelError where the
    package is missing.
    """
    y_BTHK: Tensor = _FlashAttention4.apply(q_BTHK, k_BTGK, v_BTGK, boundaries, longest, scale)
    return y_BTHK
