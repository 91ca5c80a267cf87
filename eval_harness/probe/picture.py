"""Pictures of the probe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval_harness.picture import save
from eval_harness.probe.language import Point
from eval_harness.probe.theory import Theory


def panels(count: int) -> tuple[Any, Any]:
    """Panels in a row, without a display."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    made, axes = plt.subplots(1, count, figsize=(1.2 + 3.1 * count, 3.2), layout="constrained", squeeze=False)
    for one in axes[0]:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(color="#e5e5e5", linewidth=0.6)
    return made, axes[0]


def draw_probe(points: Sequence[Point], name: str, path: Path) -> None:
    """A panel a dimension: error against the number of examples."""
    dimensions = sorted({point.dimensions for point in points})
    made, axes = panels(len(dimensions))
    for one, D in zip(axes, dimensions, strict=True):
        own = [point for point in points if point.dimensions == D]
        x = [point.examples for point in own]
        error = [1.96 * point.model_error for point in own]
        one.errorbar(x, [p.model for p in own], yerr=error, marker="o", color="#3b6ea8", label="model")
        one.plot(x, [p.ridge for p in own], marker=".", color="#4b8f5a", label="ridge regression")
        one.plot(x, [p.mean for p in own], marker=".", color="#999999", label="mean of the labels")
        one.set_xscale("log", base=2)
        one.set_xticks(x, [str(value) for value in x])
        one.set_title(f"{D} dimension{'s' * (D > 1)}", loc="left", fontsize=10)
        one.set_xlabel("examples in the prompt")
        one.set_ylim(bottom=0)
    axes[0].set_ylabel("squared error / variance of y")
    axes[0].legend(frameon=False, fontsize=8)
    made.suptitle(name, x=0.01, ha="left", fontsize=10)
    save(made, path)


def draw_theory(found: Theory, path: Path) -> None:
    """Risk by test length, and under covariate shift: closed form and trained layer."""
    made, (left, right) = panels(2)
    left.plot(found.lengths, found.limit, color="#b0552f", label="closed form")
    left.plot(found.lengths, found.trained, "o", color="#3b6ea8", label="trained layer")
    left.axvline(found.train_examples, color="#999999", linestyle=":", label="examples in training")
    left.set_xscale("log", base=2)
    left.set_xticks(found.lengths, [str(value) for value in found.lengths])
    left.set_xlabel("examples in the test prompt")
    left.set_ylabel("squared error / variance of y")
    left.legend(frameon=False, fontsize=8)
    left.set_title(f"{found.dimensions} dimensions", loc="left", fontsize=10)
    right.plot(found.shifts, found.shifted_limit, color="#b0552f", label="closed form")
    right.plot(found.shifts, found.shifted_trained, "o", color="#3b6ea8", label="trained layer")
    right.axhline(1.0, color="#999999", linestyle=":", label="predicting zero")
    right.set_xlabel("x larger than in training by")
    right.set_title("covariate shift", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    save(made, path)
