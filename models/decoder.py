"""The decoder in plain PyTorch: RMSNorm, RoPE, SwiGLU, no biases, untied head.

Shape suffixes: B sequences, T positions, D width, H heads, K head width, F hidden width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.ladder import Rung

ROPE_BASE = 10_000.0
INIT_SD = 0.02


class Attention(nn.Module):
    """Causal self-attention that stays inside each document."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask_B1TT: Tensor | None) -> Tensor:
        """Mix positions; `mask_B1TT` is true where a row may look, None means causal over the whole row."""
        B, T, D = x_BTD.shape
        qkv_3BHTK = self.qkv(x_BTD).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        q_BHTK, k_BHTK, v_BHTK = qkv_3BHTK.unbind(0)
        q_BHTK, k_BHTK = rotate(q_BHTK, cos_TK, sin_TK), rotate(k_BHTK, cos_TK, sin_TK)
        y_BHTK = functional.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, attn_mask=mask_B1TT, is_causal=mask_B1TT is None
        )
        y_BTD: Tensor = self.out(y_BHTK.transpose(1, 2).reshape(B, T, D))
        return y_BTD


class SwiGLU(nn.Module):
    """The gated hidden layer, 4 x as wide as the model; gate and up projection are one matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 8 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """down(silu(gate) * up)."""
        gate_BTF, up_BTF = self.gate_up(x_BTD).chunk(2, dim=-1)
        y_BTD: Tensor = self.down(functional.silu(gate_BTF) * up_BTF)
        return y_BTD


class Block(nn.Module):
    """Attention, then the hidden layer, each on the normed stream and added to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.RMSNorm(width, eps=1e-6), Attention(width, heads)
        self.hidden_norm, self.hidden = nn.RMSNorm(width, eps=1e-6), SwiGLU(width)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask_B1TT: Tensor | None) -> Tensor:
        """One layer of the stream."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos_TK, sin_TK, mask_B1TT)
        y_BTD: Tensor = x_BTD + self.hidden(self.hidden_norm(x_BTD))
        return y_BTD


class Decoder(nn.Module):
    """Token ids to next-token logits.

    Raises ValueError for a width that the heads do not divide into even parts.
    """

    def __init__(self, rung: Rung, vocabulary: int) -> None:
        super().__init__()
        if rung.width % rung.heads or rung.width // rung.heads % 2:
            raise ValueError(
                f"rung {rung.name}: width {rung.width} / {rung.heads} heads is not an even number"
            )
        self.rung, self.vocabulary = rung, vocabulary
        self.embedding = nn.Embedding(vocabulary, rung.width)
        self.blocks = nn.ModuleList(Block(rung.width, rung.heads) for _ in range(rung.layers))
        self.norm = nn.RMSNorm(rung.width, eps=1e-6)
        self.head = nn.Linear(rung.width, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=INIT_SD, a=-3 * INIT_SD, b=3 * INIT_SD)

    def forward(self, tokens_BT: Tensor, documents_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V), float32, from int64 ids.

        documents_BT: the document each position belongs to; attention never crosses from one to
            another. None: each row is one document.
        """
        T = tokens_BT.shape[1]
        cos_TK, sin_TK = rotations(T, self.rung.width // self.rung.heads, tokens_BT.device)
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
    """Turn each pair (k, k + K/2) by its position's angle."""
    first, second = x_BHTK.chunk(2, dim=-1)
    return x_BHTK * cos_TK + torch.cat((-second, first), dim=-1) * sin_TK
