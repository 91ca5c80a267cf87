"""Causal attention on a GPU, with or without documents packed into a window; which library runs it is a
choice.

| backend | causal over the window | inside each document |
|---|---|---|
| `flash4` | FlashAttention-4, where installed | FlashAttention-4, documents by their boundaries |
| `cudnn` | `scaled_dot_product_attention`, cuDNN's kernels | - |
| `flash` | the same, FlashAttention-2 | FlashAttention-2, documents by their boundaries |
| `flex`  | - | FlexAttention, compiled, block mask |
| `math`  | plain PyTorch, the whole T x T | the same with a mask |

Shape suffixes: B sequences, T positions, H heads, K head width, S documents of the batch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from models import flash_attention_4
from models.errors import ModelError

SDPA = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION, "math": SDPBackend.MATH}


@dataclass(frozen=True)
class Packing:
    """Where documents begin in a batch whose rows stand one after the other.

    boundaries_S1: int32, S + 1 of them, the first 0, the last B x T; a row's begin is always one.
    documents_BT: int64, the document of each position. longest: positions of the longest document.
    """

    boundaries_S1: Tensor
    documents_BT: Tensor
    longest: int


def packing(documents_BT: Tensor) -> Packing:
    """The packing of a batch, from the document of each position (on any device; waits for a GPU)."""
    B, T = documents_BT.shape
    begins_BT = torch.ones(B, T, dtype=torch.bool, device=documents_BT.device)
    begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    starts_S = begins_BT.flatten().nonzero().flatten()
    boundaries_S1 = torch.cat((starts_S, starts_S.new_tensor([B * T]))).to(torch.int32)
    return Packing(boundaries_S1, documents_BT, int(boundaries_S1.diff().max()))


def choose_backend(name: str, device: torch.device, masked: bool, width: int) -> str:
    """`auto` resolved for a device and a head width; ModelError for a choice that can't run.

    On Hopper GPUs FlashAttention-4 was the fastest, then cuDNN's kernels (see docs/training.md), which have
    no deterministic backward pass and don't keep documents apart.
    """
    if name == "auto":
        if device.type != "cuda":
            return "math"
        hopper = torch.cuda.get_device_capability(device) >= (9, 0)
        if hopper and flash_attention_4.fits(width) and flash_attention_4.installed():
            return "flash4"
        exact = torch.are_deterministic_algorithms_enabled()
        return "cudnn" if hopper and not exact and not masked else "flash"
    if masked and name == "cudnn":
        raise ModelError(
            "attention: cudnn can't keep documents apart here; choose auto, flash4, flash, flex or math"
        )
    if not masked and name == "flex":
        raise ModelError(
            "attention: flex is for document masks; without them choose auto, flash4, cudnn, flash or math"
        )
    if name == "flash4" and not flash_attention_4.fits(width):
        raise ModelError(
            f"attention: flash4 gives wrong gradients for heads of {width}; choose auto, cudnn, flash or math"
        )
    if device.type != "cuda" and name != "math":
        raise ModelError(f"attention: {name} needs a GPU; choose auto or math")
    return name


def padded_width(K: int, backend: str) -> int:
    """The head width that a backend computes with: a multiple of 8 on a GPU, for the 530M rung 88 instead of
    84.
    """
    return K if backend == "math" else -(-K // 8) * 8


def attend(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pack: Packing | None, backend: str, scale: float
) -> Tensor:
    """Attention (B, T, H, K) of queries over keys and values of G heads; `scale` multiplies the products.

    On a GPU K must be a multiple of 8 (see `padded_width`).
    """
    if backend == "flash4":
        where, longest = (None, None) if pack is None else (pack.boundaries_S1, pack.longest)
        y = flash_attention_4.flash_attention_4(q_BTHK, k_BTGK, v_BTGK, where, longest, scale)
    elif pack is not None and backend == "flash":
        y = _documents_by_boundaries(q_BTHK, k_BTGK, v_BTGK, pack, scale)
    elif pack is not None and backend == "flex":
        mask = _block_mask(pack.documents_BT)
        grouped = q_BTHK.shape[2] != k_BTGK.shape[2]
        heads_first = [x.transpose(1, 2) for x in (q_BTHK, k_BTGK, v_BTGK)]
        y = _flex()(*heads_first, block_mask=mask, scale=scale, enable_gqa=grouped).transpose(1, 2)
    else:
        y = _scaled_dot_product(q_BTHK, k_BTGK, v_BTGK, pack, scale, backend)
    return y


def _scaled_dot_product(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pack: Packing | None, scale: float, backend: str
) -> Tensor:
    T, mask = q_BTHK.shape[1], None
    if pack is not None:
        same = pack.documents_BT[:, None, :, None] == pack.documents_BT[:, None, None, :]
        mask = same & torch.ones(T, T, dtype=torch.bool, device=same.device).tril()
    with sdpa_kernel(SDPA[backend]):
        y_BHTK = functional.scaled_dot_product_attention(
            q_BTHK.transpose(1, 2), k_BTGK.transpose(1, 2), v_BTGK.transpose(1, 2), attn_mask=mask,
            is_causal=mask is None, scale=scale, enable_gqa=q_BTHK.shape[2] != k_BTGK.shape[2],
        )  # fmt: skip
    return y_BHTK.transpose(1, 2)


def _documents_by_boundaries(q: Tensor, k: Tensor, v: Tensor, pack: Packing, scale: float) -> Tensor:
    """FlashAttention over documents of unequal length; the work is the documents' own, not the window's."""
    flat = [x.flatten(0, 1) for x in (q, k, v)]
    where = pack.boundaries_S1
    y = torch.ops.aten._flash_attention_forward(
        *flat, where, where, pack.longest, pack.longest, 0.0, True, False, scale=scale
    )[0]
    documents: Tensor = y.view_as(q)
    return documents


@functools.cache
def _flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention  # noqa: PLC0415

    return torch.compile(flex_attention, dynamic=False)


_last_mask: tuple[Tensor | None, Any] = (None, None)


def _block_mask(documents_BT: Tensor) -> Any:
    """The block mask of a batch; kept until another batch comes, since every layer asks for it."""
    global _last_mask  # noqa: PLW0603
    if _last_mask[0] is not documents_BT:
        from torch.nn.attention.flex_attention import create_block_mask  # noqa: PLC0415

        def inside(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
            return (q >= kv) & (documents_BT[b, q] == documents_BT[b, kv])

        B, T = documents_BT.shape
        _last_mask = (documents_BT, create_block_mask(inside, B, None, T, T, device=str(documents_BT.device)))
    return _last_mask[1]
