"""In-context linear regression for any model that scores text.

A prompt is examples one a line, "x: 0.3 -1.2 y: 0.5", and a last line up to "y:". The model scores every
number of a grid as its continuation; its prediction is their mean by probability, the best guess for a
squared error. Beside it stand what the examples allow, ridge regression on the same rounded numbers, and
what needs no x at all, the mean of the labels seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval_harness.model import Model, TokenModel
from eval_harness.scorer import Ask, Scorer

Vector = NDArray[np.float64]
#: Numbers have one decimal; problems with a label off the grid are drawn anew.
GRID = np.round(np.arange(-30, 31) / 10, 1)
#: Variance of what rounding to a tenth adds to a label: its own, and that of x through a w of length 1.
ROUNDING = 2 * 0.1**2 / 12


@dataclass(frozen=True)
class Problem:
    """Examples x (N, D), y (N,), and a query with its label, all rounded."""

    x: Vector
    y: Vector
    query: Vector
    label: float

    @property
    def text(self) -> str:
        """The prompt, up to the label that is wanted."""
        lines = [f"x: {numbers(x)} y: {y:.1f}\n" for x, y in zip(self.x, self.y, strict=True)]
        return "".join(lines) + f"x: {numbers(self.query)} y:"


class Point(BaseModel):
    """Mean squared errors over the labels' variance, and the standard error of the model's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimensions: int
    examples: int
    prompts: int
    model: float
    model_error: float
    ridge: float
    mean: float


def numbers(x: Sequence[float] | Vector) -> str:
    """Numbers with one decimal, a blank between; no negative zero."""
    return " ".join(f"{value + 0.0:.1f}" for value in x)


def problem(dimensions: int, examples: int, rng: np.random.Generator) -> Problem:
    """x from N(0, I), w from N(0, I / D), y = <w, x>, all rounded to a tenth and every y on the grid."""
    while True:
        w = rng.normal(size=dimensions) / np.sqrt(dimensions)
        x = np.round(rng.normal(size=(examples + 1, dimensions)), 1) + 0.0
        y = np.round(x @ w, 1) + 0.0
        if np.abs(y).max() <= GRID[-1]:
            return Problem(x[:-1], y[:-1], x[-1], float(y[-1]))


def ridge(problem: Problem) -> float:
    """The posterior mean for the prior that drew w and the noise of rounding."""
    D = problem.x.shape[1]
    gram = problem.x.T @ problem.x + ROUNDING * D * np.eye(D)
    return float(problem.query @ np.linalg.solve(gram, problem.x.T @ problem.y))


def predictions(
    model: Model | TokenModel, problems: Sequence[Problem], advance: Callable[[int], None] | None = None
) -> Vector:
    """The model's mean label for each problem."""
    continuations = tuple(f" {value + 0.0:.1f}" for value in GRID)
    if isinstance(model, TokenModel):
        asks = [Ask((one.text,) * len(GRID), continuations) for one in problems]
        log_p = np.array([answer.log_p for answer in Scorer(model).score(asks, advance)])
    else:
        values = []
        for one in problems:
            values.append(model.score(one.text, continuations))
            if advance:
                advance(1)
        log_p = np.array(values)
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    found: Vector = (p * GRID).sum(axis=1) / p.sum(axis=1)
    return found


def probe(
    model: Model | TokenModel,
    dimensions: Sequence[int] = (1, 2, 3, 4),
    examples: Sequence[int] = (2, 4, 8, 16, 32),
    prompts: int = 64,
    seed: int = 0,
    progress: Callable[[Point], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Point]:
    """Error by dimensions and example count; every model is asked the same problems.

    progress: is given each point; advance: how many more prompts are done.
    """
    points = []
    for D in dimensions:
        for N in examples:
            rng = np.random.default_rng([seed, D, N])
            problems = [problem(D, N, rng) for _ in range(prompts)]
            labels = np.array([one.label for one in problems])
            scale = float((labels**2).mean())
            squared = (predictions(model, problems, advance) - labels) ** 2 / scale
            by_ridge = np.array([ridge(one) for one in problems])
            by_mean = np.array([one.y.mean() for one in problems])
            points.append(
                Point(
                    dimensions=D,
                    examples=N,
                    prompts=prompts,
                    model=float(squared.mean()),
                    model_error=float(squared.std(ddof=1) / np.sqrt(prompts)),
                    ridge=float(((by_ridge - labels) ** 2).mean() / scale),
                    mean=float(((by_mean - labels) ** 2).mean() / scale),
                )
            )
            if progress:
                progress(points[-1])
    return points
