"""The loss curve, and the table of speeds, as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.checkpoint import write_whole


def plot_losses(
    losses: Sequence[tuple[int, float]], validations: Sequence[tuple[int, float]], path: Path, title: str = ""
) -> None:
    """The loss of every step and its running mean, and the validation losses as points, as a PNG."""
    figure, axes = _axes()
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
    _write(figure, path)


def plot_speeds(rows: Sequence[dict[str, Any]], path: Path, title: str = "") -> None:
    """MFU of each rung and way that `models.bench rungs` measured, with its tokens/s, as a PNG."""
    rungs, ways = (list(dict.fromkeys(row[key] for row in rows)) for key in ("rung", "way"))
    figure, axes = _axes()
    for i, way in enumerate(ways):
        found = {row["rung"]: row for row in rows if row["way"] == way}
        places = [x + (i - (len(ways) - 1) / 2) * 0.8 / len(ways) for x, r in enumerate(rungs) if r in found]
        shown = [found[rung] for rung in rungs if rung in found]
        bars = axes.bar(places, [100 * row["mfu"] for row in shown], 0.76 / len(ways), label=way)
        labels = [f"{row['tokens_per_second'] / 1000:.0f}k" for row in shown]
        axes.bar_label(bars, labels, padding=2, fontsize=8)
    axes.set_xticks(range(len(rungs)), rungs)
    axes.set(ylabel="MFU (%), tokens/s above", title=title)
    axes.margins(y=0.2)
    axes.legend(ncols=len(ways), loc="upper left")
    _write(figure, path)


def _axes() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - half a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _write(figure: Any, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    write_whole(path, image.getvalue())
