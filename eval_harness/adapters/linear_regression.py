"""Trains the layer of `models.layers.linear_self_attention` on in-context regression, to see its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eval_harness.probe.closed_form import Limit

if TYPE_CHECKING:
    from models.layers.linear_self_attention import LinearSelfAttention


@dataclass(frozen=True)
class Prompts:
    """x (B, N, D), y (B, N), query (B, D) and its label (B,)."""

    x: Tensor
    y: Tensor
    query: Tensor
    label: Tensor


def draw(
    lambdas: NDArray[np.float64], n: int, prompts: int, generator: torch.Generator, scale: float = 1.0
) -> Prompts:
    """Noiseless linear prompts, x of covariance scale^2 Lambda."""
    root_D = scale * torch.from_numpy(np.sqrt(lambdas)).float()
    D = len(lambdas)
    w_BD = torch.randn(prompts, D, generator=generator)
    x_BND = torch.randn(prompts, n + 1, D, generator=generator) * root_D
    y_BN = (x_BND @ w_BD[..., None])[..., 0]
    return Prompts(x_BND[:, :-1], y_BN[:, :-1], x_BND[:, -1], y_BN[:, -1])


def train(
    limit: Limit, steps: int = 1500, batch: int = 2048, rate: float = 0.02, seed: int = 0
) -> LinearSelfAttention:
    """Adam on fresh prompts, its rate falling to zero; starts from half the largest sigma."""
    from models.layers.linear_self_attention import LinearSelfAttention  # noqa: PLC0415

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layer = LinearSelfAttention(len(limit.lambdas), limit.largest_sigma / 2)
    optimiser = torch.optim.Adam(layer.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        prompts = draw(limit.lambdas, limit.n, batch, generator)
        loss = 0.5 * ((layer.predict(prompts.x, prompts.y, prompts.query) - prompts.label) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return layer


def preconditioner(layer: LinearSelfAttention) -> NDArray[np.float64]:
    """What stands for Gamma^-1 in a layer's prediction: w22 times the x block of W_KQ.

    Stochastic training does not keep the two apart as the flow does; their product is what predicts.
    """
    D = layer.value.shape[0] - 1
    with torch.no_grad():
        product: NDArray[np.float64] = (layer.value[D, D] * layer.key_query[:D, :D]).double().numpy()
    return product


def risk(
    layer: LinearSelfAttention,
    lambdas: NDArray[np.float64],
    m: int,
    prompts: int = 100_000,
    seed: int = 1,
    scale: float = 1.0,
) -> float:
    """Mean squared error on fresh prompts of M examples."""
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(max(1, prompts // 10_000)):
        drawn = draw(lambdas, m, 10_000, generator, scale)
        with torch.no_grad():
            errors.append(((layer.predict(drawn.x, drawn.y, drawn.query) - drawn.label) ** 2).mean().item())
    return float(np.mean(errors))
