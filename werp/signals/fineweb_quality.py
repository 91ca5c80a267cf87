"""Rule `fineweb_quality.v1`: FineWeb's own rules, found by comparing histograms of good and bad crawls.

Source: Penedo et al. 2024 (arXiv 2406.17557), section 3.6; the thresholds are the defaults of datatrove
0.10's `fineweb_quality_filter.py`. The paper gives 0.1 for duplicate characters where the code has 0.01;
FineWeb2's configuration has 0.1. `max_newline_ratio` is in the code alone.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, LanguageTuned
from werp.signals.batch import TextBatch
from werp.signals.gopher_quality import ratio
from werp.signals.lines import is_blank_line
from werp.signals.terminal import TERMINAL


class FineWebQuality(LanguageTuned):
    """Lines are what stands between two newlines and is not blank. Signals, `fineweb_quality.<name>`:

    lines (int64): how many there are.
    line_punct_ratio (float64): share of lines that end with terminal punctuation of any script.
    short_line_ratio (float64): share of lines of at most `short_line_length` characters.
    char_dup_ratio (float64): characters of lines that stood before / characters without newlines.
    newline_ratio (float64): newlines / words.
    A ratio with nothing to divide by is null, and a null never drops.
    """

    untuned: ClassVar[frozenset[str]] = frozenset({"short_line_length"})

    rule: Literal["fineweb_quality.v1"] = "fineweb_quality.v1"
    min_line_punct_ratio: float | None = Field(0.12, ge=0, description="fewest lines ending in punctuation")
    max_short_line_ratio: float | None = Field(0.67, ge=0, description="most short lines, share")
    max_char_dup_ratio: float | None = Field(
        0.01, ge=0, description="most characters in repeated lines, share"
    )
    max_newline_ratio: float | None = Field(0.3, ge=0, description="most newlines per word")
    short_line_length: int = Field(30, ge=0, description="characters up to which a line is short")

    def measure_parameters(self) -> dict[str, Any]:
        """What is a short line."""
        return {"short_line_length": self.short_line_length}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Count lines of each text."""
        counts = np.array([self._count(text) for text in batch.texts], np.int64).reshape(-1, 6)
        lines, ending, short, repeated, characters, newlines = counts.T
        words = np.diff(batch.split.word_offsets)
        columns = {
            "lines": pa.array(lines),
            "line_punct_ratio": ratio(ending, lines),
            "short_line_ratio": ratio(short, lines),
            "char_dup_ratio": ratio(repeated, characters),
            "newline_ratio": ratio(newlines, words),
        }
        return {f"fineweb_quality.{name}": column for name, column in columns.items()}

    def _count(self, text: str) -> tuple[int, int, int, int, int, int]:
        lines = [line for line in text.split("\n") if not is_blank_line(line)]
        newlines = text.count("\n")
        seen: set[str] = set()
        repeated = 0
        for line in lines:
            if line in seen:
                repeated += len(line)
            seen.add(line)
        return (
            len(lines),
            sum(line[-1] in TERMINAL for line in lines),
            sum(len(line) <= self.short_line_length for line in lines),
            repeated,
            len(text) - newlines,
            newlines,
        )

    def checks(self) -> list[Check]:
        """In datatrove's order, a text without a line first."""
        every = (
            Check("empty", "fineweb_quality.lines", "<", 1),
            Check("min_line_punct_ratio", "fineweb_quality.line_punct_ratio", "<", self.min_line_punct_ratio),
            Check("max_short_line_ratio", "fineweb_quality.short_line_ratio", ">", self.max_short_line_ratio),
            Check("max_char_dup_ratio", "fineweb_quality.char_dup_ratio", ">", self.max_char_dup_ratio),
            Check("max_newline_ratio", "fineweb_quality.newline_ratio", ">", self.max_newline_ratio),
        )
        return [check for check in every if check.threshold is not None]
