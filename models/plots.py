"""The loss curve as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from models.checkpoint import write_whole


def plot_losses(
    losses: Sequence[tuple[int, float]], validations: Sequence[tuple[int, float]], path: Path, title: str = ""
) -> None:
    """The loss of every step and its running mean, and the validation losses as points, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - half a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps, values = zip(*losses, strict=True) if losses else ((), ())
    axes.plot(steps, values, linewidth=0.5, alpha=0.4, color="C0")
    around = [values[max(0, i - 10) : i + 11] for i in range(len(values))]
    smooth = [sum(near) / len(near) for near in around]
    axes.plot(steps, smooth, linewidth=1.5, color="C0", label="training (mean of 21 steps)")
    if validations:
        label = f"held out, last: {validations[-1][1]:.3f}"
        axes.plot(*zip(*validations, strict=True), "o--", color="C1", label=label)
    axes.set(xlabel="step", ylabel="loss (nats a token)", title=title)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    write_whole(path, image.getvalue())
