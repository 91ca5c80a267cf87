"""The probe without a model: the trained layer, its closed-form limit, and the shift it does not survive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval_harness.adapters import linear_regression
from eval_harness.probe.closed_form import Limit


class Theory(BaseModel):
    """Risks by test length and by the scale of a covariate shift: closed form and trained layer, over
    tr(Lambda).

    distance: Frobenius norm between w22 W_KQ of the trained layer and Gamma^-1, over that of Gamma^-1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["eval_harness.theory.v1"] = Field("eval_harness.theory.v1", alias="schema")
    dimensions: int
    train_examples: int
    distance: float
    lengths: list[int]
    limit: list[float]
    trained: list[float]
    shifts: list[float]
    shifted_limit: list[float]
    shifted_trained: list[float]


def theory(
    dimensions: int = 5,
    examples: int = 20,
    lengths: Sequence[int] = (5, 10, 20, 40, 80),
    shifts: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 3.0),
    long: int = 2000,
    steps: int = 1500,
) -> Theory:
    """Train the layer on isotropic prompts and hold it against its limit.

    long: examples of a prompt that stands for infinitely many in the shifts.
    """
    lambdas = np.ones(dimensions)
    limit = Limit(lambdas, examples)
    layer = linear_regression.train(limit, steps=steps)
    aim = np.diag(1 / limit.gammas)
    distance = np.linalg.norm(linear_regression.preconditioner(layer) - aim) / np.linalg.norm(aim)
    trace = float(lambdas.sum())
    return Theory(
        dimensions=dimensions,
        train_examples=examples,
        distance=float(distance),
        lengths=list(lengths),
        limit=[limit.risk(m) / trace for m in lengths],
        trained=[linear_regression.risk(layer, lambdas, m, 40_000) / trace for m in lengths],
        shifts=list(shifts),
        shifted_limit=[limit.shifted_ratio(c) for c in shifts],
        shifted_trained=[
            linear_regression.risk(layer, lambdas, long, 10_000, scale=c) / (trace * c**2) for c in shifts
        ],
    )
