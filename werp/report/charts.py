"""The report's pictures: static SVG by matplotlib, readable on a phone, with no text of a page in them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator, NullFormatter, NullLocator

from werp.report.histogram import Histogram

#: Inches left free for the ticks of the axes, and for the half of the last one that lies beyond.
_LEFT, _BELOW, _RIGHT = 0.38, 0.24, 0.2
KEPT_COLOUR, DROPPED_COLOUR, OTHER_COLOUR, INK = "#2a7f62", "#c8553d", "#c9ccd3", "#333842"
_STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": "#9aa0aa", "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "path.simplify": True,
}  # fmt: skip


def style() -> AbstractContextManager[None]:
    """The look of all charts; they are drawn inside of it."""
    return rc_context({**_STYLE, "svg.hashsalt": ""})


def _svg(
    draw: Callable[[Axes], None], width: float, height: float, name: str, says: str, ticks: bool = False
) -> Markup:
    """Draw into a figure of inches and give its SVG element; `name` keeps the ids of two pictures apart."""
    rcParams["svg.hashsalt"] = name
    figure = Figure(figsize=(width, height))
    figure.patch.set_alpha(0)
    # Fixed margins: matplotlib's own layouts draw everything twice, which was half of a small run's report.
    across, up, right = (_LEFT, _BELOW, _RIGHT) if ticks else (0.0, 0.0, 0.06)
    draw(
        figure.add_axes((across / width, up / height, 1 - (across + right) / width, 1 - (up + 0.05) / height))
    )
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<title>.*?</title>", "", text, flags=re.DOTALL)
    # Places in a drawing need no more than two decimals. What stands between the tags is for the reader.
    text = re.sub(r"<[^>]*+>", lambda tag: re.sub(r"((?<!\d)\d++\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r">\s+<", "><", text)
    # The size comes from the page: the picture grows and shrinks with its column.
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    label = Markup.escape(says)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def funnel(steps: Sequence[tuple[str, int, int | None]]) -> Markup:
    """What is left after each step: (label, pages, tokens or None where there is no text yet)."""

    def draw(axes: Axes) -> None:
        widest = max((pages for _, pages, _ in steps), default=1) or 1
        for index, (label, pages, tokens) in enumerate(steps):
            last = index == len(steps) - 1
            axes.barh(index, pages / widest, color=KEPT_COLOUR if last else "#8fb8a9", height=0.34)
            share = f"{pages:,}" + (f"  ≈ {short(tokens)} tokens" if tokens is not None else "")
            axes.text(0, index - 0.22, label, va="bottom", ha="left", parse_math=False)
            axes.text(
                1, index - 0.22, share, va="bottom", ha="right", fontweight="bold" if last else "normal"
            )
        axes.set(xlim=(0, 1), ylim=(len(steps) - 0.7, -0.75))
        axes.set_axis_off()

    says = "; ".join(f"{label} {pages}" for label, pages, _ in steps)
    return _svg(draw, 4.6, 0.5 * len(steps) + 0.2, "funnel", says)


def histogram(data: Histogram) -> Markup:
    """One signal's values, stacked by what became of the pages, with the threshold and its dropping side."""

    def draw(axes: Axes) -> None:
        base = np.zeros(data.counts.shape[1])
        for counts, colour in zip(data.counts, (KEPT_COLOUR, DROPPED_COLOUR, OTHER_COLOUR), strict=True):
            axes.stairs(base + counts, data.edges, baseline=base, fill=True, color=colour, linewidth=0)
            base = base + counts
        at = _line(data)
        axes.axvline(at, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        left = data.check.drop_if in ("<", "<=")
        edge = data.edges[0] if left else data.edges[-1]
        axes.axvspan(min(at, edge), max(at, edge), color=DROPPED_COLOUR, alpha=0.10, linewidth=0)
        if data.log:
            axes.set_xscale("log")
        _plain_axes(axes, data)

    dropped = int(data.counts[1].sum())
    says = f"{data.check.signal}, threshold {plain(data.threshold)}: {dropped} documents dropped by it"
    return _svg(draw, 3.3, 1.55, data.rule, says, ticks=True)


def _line(data: Histogram) -> float:
    """Where the threshold is drawn: between the bins of two whole numbers, else at its place."""
    whole = not data.log and bool(np.all(np.diff(data.edges) == 1))
    if whole:
        return data.threshold + (-0.5 if data.check.drop_if in ("<", ">=") else 0.5)
    return data.threshold


def _plain_axes(axes: Axes, data: Histogram) -> None:
    axes.set_xlim(data.edges[0], data.edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(_Ticks())
    if data.log:
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(data.edges[0], data.edges[-1])))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=data.is_count))
    axes.xaxis.set_major_formatter(_Ticks())
    axes.tick_params(labelsize=8, length=2)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, six at most: powers of ten, or steps of 1, 2, 5 between them.

    >>> [int(tick) for tick in _log_ticks(8, 120_000)], [int(tick) for tick in _log_ticks(45, 130)]
    ([10, 100, 1000, 10000, 100000], [50, 60, 70, 80, 90, 100])
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 2, 5), tuple(range(1, 10)), tuple(k / 10 for k in range(10, 100))):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    return inside[:: -(-len(inside) // 6)]


class _Ticks(Formatter):  # type: ignore[misc]
    """Short numbers, with so many digits that no two ticks look alike."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        return short(value)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return tick_texts(values)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Texts of an axis' ticks.

    >>> tick_texts([0, 0.004, 0.008, 0.012]), tick_texts([99_000, 100_000, 100_500])
    (['0', '0.004', '0.008', '0.012'], ['99k', '100k', '100.5k'])
    """
    texts: list[str] = []
    for digits in range(3, 16):
        texts = [short(0.0 if abs(value) < 1e-12 else value, digits) for value in values]
        if len(set(texts)) == len(values):
            break
    return texts


def bars(rows: Sequence[tuple[str, float]], name: str) -> Markup:
    """Horizontal bars of seconds, the largest at full width."""

    def draw(axes: Axes) -> None:
        widest = max((value for _, value in rows), default=1) or 1
        for index, (label, value) in enumerate(rows):
            axes.barh(index, value / widest, color="#6a8caf", height=0.34)
            axes.text(0, index - 0.22, label, va="bottom", ha="left", parse_math=False)
            axes.text(1, index - 0.22, duration(value), va="bottom", ha="right")
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.7, -0.75))
        axes.set_axis_off()

    says = "; ".join(f"{label} {duration(value)}" for label, value in rows)
    return _svg(draw, 4.2, 0.42 * len(rows) + 0.2, name, says)


def short(value: Any, digits: int = 3) -> str:
    """A number in so many digits or so: 1.23k, 45.6M; what rounds up to a thousand takes the next letter.

    >>> short(999), short(1234), short(45_600_000), short(0.25), short(999_950), short(0.0000123)
    ('999', '1.23k', '45.6M', '0.25', '1M', '0.0000123')
    """
    number = float(f"{float(value):.{digits}g}")
    for limit, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.{digits}g}{letter}"
    return plain(number)


def plain(value: float) -> str:
    """A number as a person writes it, without an exponent.

    >>> plain(100_000), plain(0.1 + 0.2), plain(1e-05), plain(0.85), plain(-2.0)
    ('100,000', '0.3', '0.00001', '0.85', '-2')
    """
    if not np.isfinite(value):
        return str(value)
    text = format(Decimal(f"{value:.12g}"), ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would take.

    >>> duration(0.0123), duration(75.04), duration(754), duration(90_000)
    ('0.012 s', '75 s', '12.6 min', '25 h')
    """
    if seconds < 120:
        return f"{short(seconds, 2)} s"
    return f"{short(seconds / 60)} min" if seconds < 7200 else f"{short(seconds / 3600)} h"
