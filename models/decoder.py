"""The decoder in plain PyTorch: RMSNorm, RoPE, SwiGLU, no biases, untied head; grouped queries and QK-norm by
choice.

This is the definition. `models.fused` runs the same parameters through the operators of `kernels/`.
Shape suffixes: B sequences, T positions, D width, H heads, K head width, F hidden width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.ladder import Rung

ROPE_BASE = 10_000.0
NORM_EPS = 1e-6
INIT_SD = 0.02


class Attention(nn.Module):
    """Causal self-attention that stays inside each document; queries, keys and values are one matrix."""

    def __init__(self, rung: Rung) -> None:
        super().__init__()
        self.heads, self.key_heads, self.head_width = rung.heads, rung.key_heads, rung.head_width
        rows = (rung.heads + 2 * rung.key_heads) * rung.head_width
        self.qkv = nn.Linear(rung.width, rows, bias=False)
        self.out = nn.Linear(rung.width, rung.width, bias=False)
        self.query_norm = nn.RMSNorm(rung.head_width, eps=NORM_EPS) if rung.qk_norm else None
        self.key_norm = nn.RMSNorm(rung.head_width, eps=NORM_EPS) if rung.qk_norm else None

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask_B1TT: Tensor | None) -> Tensor:
        """Mix positions; `mask_B1TT` is true where a row may look, None means causal over the whole row."""
        B, T, D = x_BTD.shape
        parts = self.qkv(x_BTD).view(B, T, -1, self.head_width)
        q_BTHK, k_BTHK, v_BTHK = parts.split((self.heads, self.key_heads, self.key_heads), dim=2)
        if self.query_norm is not None and self.key_norm is not None:
            q_BTHK, k_BTHK = self.query_norm(q_BTHK), self.key_norm(k_BTHK)
        q_BHTK, k_BHTK, v_BHTK = (x.transpose(1, 2) for x in (q_BTHK, k_BTHK, v_BTHK))
        q_BHTK, k_BHTK = rotate(q_BHTK, cos_TK, sin_TK), rotate(k_BHTK, cos_TK, sin_TK)
        y_BHTK = functional.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask_B1TT,
            is_causal=mask_B1TT is None,
            enable_gqa=self.heads != self.key_heads,
        )
        y_BTD: Tensor = self.out(y_BHTK.transpose(1, 2).reshape(B, T, D))
        return y_BTD


class SwiGLU(nn.Module):
    """The gated hidden layer; gate and up projection are one matrix, whose rows are theirs in turn."""

    def __init__(self, rung: Rung) -> None:
        super().__init__()
        self.gate_up = nn.Linear(rung.width, 2 * rung.hidden_width, bias=False)
        self.down = nn.Linear(rung.hidden_width, rung.width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """down(silu(gate) * up)."""
        gate_BTF, up_BTF = self.gate_up(x_BTD).unflatten(-1, (-1, 2)).unbind(-1)
        y_BTD: Tensor = self.down(functional.silu(gate_BTF) * up_BTF)
        return y_BTD


class Block(nn.Module):
    """Attention, then the hidden layer, each on the normed stream and added to it."""

    def __init__(self, rung: Rung) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.RMSNorm(rung.width, eps=NORM_EPS), Attention(rung)
        self.hidden_norm, self.hidden = nn.RMSNorm(rung.width, eps=NORM_EPS), SwiGLU(rung)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask_B1TT: Tensor | None) -> Tensor:
        """One layer of the stream."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos_TK, sin_TK, mask_B1TT)
        y_BTD: Tensor = x_BTD + self.hidden(self.hidden_norm(x_BTD))
        return y_BTD


class Decoder(nn.Module):
    """Token ids to next-token logits.

    Raises ValueError for a width that the heads do not divide into even parts, or key heads that do not
    divide the heads.
    """

    def __init__(self, rung: Rung, vocabulary: int) -> None:
        super().__init__()
        if rung.width % rung.heads or rung.head_width % 2:
            raise ValueError(
                f"rung {rung.name}: width {rung.width} / {rung.heads} heads is not an even number"
            )
        if rung.heads % rung.key_heads:
            raise ValueError(f"rung {rung.name}: {rung.key_heads} key heads do not divide {rung.heads} heads")
        self.rung, self.vocabulary = rung, vocabulary
        self.embedding = nn.Embedding(vocabulary, rung.width)
        self.blocks = nn.ModuleList(Block(rung) for _ in range(rung.layers))
        self.norm = nn.RMSNorm(rung.width, eps=NORM_EPS)
        self.head = nn.Linear(rung.width, vocabulary, bias=False)
        self.initialize()

    def initialize(self) -> None:
        """Draw the weights anew from torch's generator: normal of sd 0.02 cut at 3 sd, norms at one."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=INIT_SD, a=-3 * INIT_SD, b=3 * INIT_SD)
            elif isinstance(module, nn.RMSNorm):
                nn.init.ones_(module.weight)

    def forward(self, tokens_BT: Tensor, documents_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V), in the weights' dtype, from int64 ids.

        documents_BT: the document each position belongs to; attention never crosses from one to
            another. None: each row is one document.
        """
        T = tokens_BT.shape[1]
        cos_TK, sin_TK = rotations(T, self.rung.head_width, tokens_BT.device)
        mask_B1TT = None
        if documents_BT is not None:
            causal_TT = torch.ones(T, T, dtype=torch.bool, device=tokens_BT.device).tril()
            mask_B1TT = (causal_TT & (documents_BT[:, :, None] == documents_BT[:, None, :]))[:, None]
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            x_BTD = block(x_BTD, cos_TK, sin_TK, mask_B1TT)
        logits_BTV: Tensor = self.head(self.norm(x_BTD))
        return logits_BTV


def rotations(T: int, K: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, K) of RoPE's angles; the two halves of a head turn together."""
    rates = ROPE_BASE ** (-torch.arange(0, K, 2, device=device, dtype=torch.float32) / K)
    angles_TK = torch.outer(torch.arange(T, device=device, dtype=torch.float32), rates).repeat(1, 2)
    return angles_TK.cos(), angles_TK.sin()


def rotate(x_BHTK: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (k, k + K/2) by its position's angle; in float32, back in the dtype that came."""
    first, second = x_BHTK.chunk(2, dim=-1)
    return (x_BHTK * cos_TK + torch.cat((-second, first), dim=-1) * sin_TK).to(x_BHTK.dtype)
