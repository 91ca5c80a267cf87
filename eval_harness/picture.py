"""Pictures of scores, comparisons and probes; matplotlib is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval_harness.results import CATEGORIES, Scores

if TYPE_CHECKING:
    from eval_harness.compare import Comparison

COLOURS = {
    "world_knowledge": "#3b6ea8",
    "language_understanding": "#b0552f",
    "commonsense_reasoning": "#4b8f5a",
    "others": "#666666",
}
Z95 = 1.959964


def figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes without a display, with light grid lines."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    made, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return made, axes


def save(made: Any, path: Path) -> None:
    """Write a PNG and forget the figure."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=150)
    plt.close(made)


def draw_scores(scores: Scores, path: Path) -> None:
    """Each task's accuracy with its 95 % interval; a grey tick is guessing."""
    known = {name for names in CATEGORIES.values() for name in names}
    groups: Mapping[str, tuple[str, ...]] = {
        **CATEGORIES,
        "others": tuple(name for name in scores.tasks if name not in known),
    }
    lines = [(group, name) for group, names in groups.items() for name in names if name in scores.tasks]
    made, axes = figure(7.5, 1.0 + 0.38 * max(3, len(lines)))
    for y, (group, name) in enumerate(reversed(lines)):
        result = scores.tasks[name]
        headline = result.accuracy
        axes.errorbar(
            100 * headline.accuracy,
            y,
            xerr=100 * Z95 * (headline.standard_error or 0.0),
            fmt="o",
            color=COLOURS[group],
            capsize=3,
        )
        axes.plot([100 * result.chance] * 2, [y - 0.3, y + 0.3], color="#999999", linewidth=2)
    axes.set_yticks(range(len(lines)), [name for _, name in reversed(lines)])
    axes.set_xlabel("accuracy, points, with 95 % interval over items; grey: guessing")
    macro = scores.averages.get("macro")
    mean = f", mean of nine {100 * macro.value:.1f}" if macro else ""
    axes.set_title(f"{scores.model['name']}{mean}", loc="left", fontsize=10)
    save(made, path)


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Each task's difference with both intervals, the mean below; a band shows the noise floor."""
    size = comparison.sizes[-1]
    lines = [*size.tasks.items(), ("mean", size.macro)]
    scale = 100.0 if comparison.metric != "bits_per_byte" else 1.0
    made, axes = figure(7.5, 1.2 + 0.4 * max(3, len(lines)))
    axes.axvline(0, color="#444444", linewidth=1)
    if size.noise_floor is not None:
        axes.axvspan(
            -scale * size.noise_floor, scale * size.noise_floor, color="#eeeeee", label="noise floor"
        )
    for y, (name, row) in enumerate(reversed(lines)):
        label = name == "mean"
        axes.plot(
            [scale * row.low, scale * row.high],
            [y, y],
            color="#3b6ea8",
            linewidth=3,
            label="crossed t interval, 95 %" if label else None,
        )
        axes.plot(
            [scale * row.bootstrap_low, scale * row.bootstrap_high],
            [y - 0.22, y - 0.22],
            color="#b0b0b0",
            linewidth=2,
            label="bootstrap, 95 %" if label else None,
        )
        axes.plot(scale * row.difference, y, "o", color="#1d3b5e")
    axes.set_yticks(range(len(lines)), [name for name, _ in reversed(lines)])
    unit = "bits per byte of the gold, sign turned" if scale == 1.0 else "points"
    axes.set_xlabel(f"A - B, {unit}")
    axes.legend(loc="best", fontsize=8, frameon=False)
    said = (
        comparison.verdict
        if comparison.verdict == "undecided"
        else f"A is {comparison.verdict}, {comparison.scope}"
    )
    axes.set_title(f"{size.seeds} seeds: {said}", loc="left", fontsize=10)
    save(made, path)
