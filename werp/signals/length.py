"""Rule `length.v1`: how long a document is. No threshold has a default: the recipe names what it wants."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch


class Length(Rule):
    """Signals `length.chars` (code points), `length.words` (of `words.v1`, punctuation marks count),
    `length.lines` (lines that are not blank); all int64.

    The thresholds are this project's own convenience; no published recipe is meant.
    """  # fmt: skip

    rule: Literal["length.v1"] = "length.v1"
    min_chars: int | None = Field(None, ge=0, description="fewest characters kept")
    max_chars: int | None = Field(None, ge=0, description="most characters kept")
    min_words: int | None = Field(None, ge=0, description="fewest words kept")
    max_words: int | None = Field(None, ge=0, description="most words kept")

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Count; an empty text has zero of each."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.split import full_lines  # noqa: PLC0415

        split = batch.split
        full = np.concatenate(([0], np.cumsum(full_lines(split))))
        return {
            "length.chars": pa.array(np.diff(split.text_offsets)),
            "length.words": pa.array(np.diff(split.word_offsets)),
            "length.lines": pa.array(np.diff(full[split.line_offsets]).astype(np.int64)),
        }

    def checks(self) -> list[Check]:
        """The thresholds that are set."""
        every = (
            Check("min_chars", "length.chars", "<", self.min_chars),
            Check("max_chars", "length.chars", ">", self.max_chars),
            Check("min_words", "length.words", "<", self.min_words),
            Check("max_words", "length.words", ">", self.max_words),
        )
        return [check for check in every if check.threshold is not None]
