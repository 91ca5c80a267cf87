"""Muon (K. Jordan and others, 2024): momentum whose update is the nearest half-orthogonal matrix.

Five quintic Newton-Schulz steps X <- aX + (bA + cA²)X, A = XXᵀ, with (a, b, c) = (3.4445, -4.7750, 2.0315),
in bfloat16 on a GPU, of the Nesterov momentum scaled to unit Frobenius norm. The update is scaled by 0.2
sqrt(max(rows, columns)) (arXiv 2502.16982), to the size of AdamW's, so that both take one rate and one decay.
Fused matrices are taken apart first: queries, keys and values, gate and up each get a matrix of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.flat import FlatParameters
from models.ladder import Rung
from models.norm import norm

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonalize(x_RC: Tensor) -> Tensor:
    """A matrix with the singular vectors of `x_RC` and singular values near one (0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    y = x_RC.to(torch.bfloat16 if x_RC.is_cuda else x_RC.dtype)
    tall = y.shape[0] > y.shape[1]
    y = y.T if tall else y
    y = y / (norm(y) + 1e-7).to(y.dtype)
    for _ in range(STEPS):
        gram = y @ y.T
        y = a * y + (b * gram + c * gram @ gram) @ y
    result: Tensor = (y.T if tall else y).to(x_RC.dtype)
    return result


def parts(name: str, matrix: Tensor, rung: Rung) -> list[Tensor]:
    """The matrices that a parameter is made of, as views."""
    if name.endswith("attention.qkv.weight"):
        keys = rung.key_heads * rung.head_width
        return list(matrix.split((rung.width, keys, keys)))
    if name.endswith("hidden.gate_up.weight"):
        return [matrix[0::2], matrix[1::2]]
    return [matrix]


def muon_step(
    flat: FlatParameters,
    rung: Rung,
    momentum: Tensor,
    control: Tensor,
    rate: float,
    beta: float,
    decay: float,
) -> None:
    """One step in place on the blocks' matrices; `control` as for `kernels.adamw`. Their gradient is zeroed.

    momentum: float32, flat as `flat.master`.
    """
    factor, taken = control[0], control[1]
    for span in flat.spans:
        if span.begin >= flat.matrices:
            continue
        views = (flat.view(buffer, span) for buffer in (flat.master, flat.gradient, momentum))
        pieces = (parts(span.name, view, rung) for view in views)
        for weight, gradient, kept in zip(*pieces, strict=True):
            gradient.copy_(torch.where(taken > 0, gradient * factor, torch.zeros_like(gradient)))
            kept.copy_(torch.where(taken > 0, beta * kept + gradient, kept))
            update = orthogonalize(gradient + beta * kept) * (0.2 * max(gradient.shape) ** 0.5)
            weight.mul_(1 - rate * decay * taken).sub_(update * (rate * taken))
            gradient.zero_()
    if flat.copy is not None:
        flat.copy[: flat.matrices].copy_(flat.master[: flat.matrices])
