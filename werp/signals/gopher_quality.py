"""Rule `gopher_quality.v1`: Gopher's quality heuristics, counted as datatrove 0.10 counts them.

Source of the rules: Rae et al. 2021 (arXiv 2112.11446), appendix A.1.1; of every threshold: the defaults of
datatrove's `gopher_quality_filter.py` (FineWeb's). Words are `words.v1`, which stands in for spaCy's.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, LanguageTuned
from werp.signals.batch import TextBatch
from werp.signals.characters import character_table

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherQuality(LanguageTuned):
    """A threshold of None is not checked. Signals, each named `gopher_quality.<name>`:

    words (int64): words that are not pure punctuation.
    mean_word_length (float64): their mean length in code points.
    hash_ratio, ellipsis_ratio (float64): `#`, and `...` or `…`, per word, punctuation words counted too.
    bullet_line_ratio, ellipsis_line_ratio (float64): share of lines (as `str.splitlines`) whose first mark is
        `•` or `-`, and that end with an ellipsis.
    alpha_word_ratio (float64): share of all words with at least one letter.
    stop_words (int64): how many distinct ones of `stop_words` occur, in exactly that case.
    A ratio with nothing to divide by is null, and a null never drops.
    """  # fmt: skip

    rule: Literal["gopher_quality.v1"] = "gopher_quality.v1"
    min_words: int | None = Field(50, ge=0, description="fewest words that are not pure punctuation")
    max_words: int | None = Field(100_000, ge=0, description="most words that are not pure punctuation")
    min_mean_word_length: float | None = Field(3, ge=0, description="smallest mean word length, characters")
    max_mean_word_length: float | None = Field(10, ge=0, description="largest mean word length, characters")
    max_hash_ratio: float | None = Field(0.1, ge=0, description="most `#` per word")
    max_ellipsis_ratio: float | None = Field(0.1, ge=0, description="most ellipses per word")
    max_bullet_line_ratio: float | None = Field(0.9, ge=0, description="largest share of bulleted lines")
    max_ellipsis_line_ratio: float | None = Field(0.3, ge=0, description="most lines ending in `…`, share")
    min_alpha_word_ratio: float | None = Field(0.8, ge=0, description="smallest share of words with a letter")
    min_stop_words: int | None = Field(2, ge=0, description="fewest distinct stop words")
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="the stop words counted (case-sensitive)")
    distinct_stop_words: bool = Field(
        True, description="count how many of them occur (datatrove); false counts every occurrence (DCLM)"
    )

    def measure_parameters(self) -> dict[str, Any]:
        """The stop words, those of languages with their own too; their order means nothing."""
        own = {
            label: sorted(set(fields["stop_words"]))
            for label, fields in self.per_language.items()
            if "stop_words" in fields
        }
        counted = {"stop_words": sorted(set(self.stop_words)), "count_distinct": self.distinct_stop_words}
        return counted | ({"per_language": own} if own else {})

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Count words, marks and lines of each text."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.quality_counts import count_marks, count_words  # noqa: PLC0415
        from werp.signals.words import hash_words  # noqa: PLC0415

        split = batch.split
        spans = (split.word_start, split.word_end, split.word_hash, split.word_bits, split.word_offsets)

        def count(own: GopherQuality) -> Any:
            stops = np.sort(hash_words(sorted(set(own.stop_words))))
            return count_words(*spans, stops, own.distinct_stop_words)

        words, length, alpha, stop = count(self)
        labels = [label for label, _ in batch.languages()] if self.per_language else []
        for label in sorted({label for label in labels if label in self.per_language}):
            at = np.array([own == label for own in labels])
            stop[at] = count(self.for_language(label))[3][at]
        hashes, dots, lines, bullets, trailing = count_marks(
            split.codes, split.text_offsets, character_table()
        )
        every = np.diff(split.word_offsets)
        columns = {
            "words": pa.array(words),
            "mean_word_length": ratio(length, words),
            "hash_ratio": ratio(hashes, every),
            "ellipsis_ratio": ratio(dots, every),
            "bullet_line_ratio": ratio(bullets, lines),
            "ellipsis_line_ratio": ratio(trailing, lines),
            "alpha_word_ratio": ratio(alpha, every),
            "stop_words": pa.array(stop),
        }
        return {f"gopher_quality.{name}": column for name, column in columns.items()}

    def checks(self) -> list[Check]:
        """In datatrove's order, so that the first reason is the same."""
        every: tuple[tuple[str, str, Literal["<", ">"]], ...] = (
            ("min_words", "words", "<"),
            ("max_words", "words", ">"),
            ("min_mean_word_length", "mean_word_length", "<"),
            ("max_mean_word_length", "mean_word_length", ">"),
            ("max_hash_ratio", "hash_ratio", ">"),
            ("max_ellipsis_ratio", "ellipsis_ratio", ">"),
            ("max_bullet_line_ratio", "bullet_line_ratio", ">"),
            ("max_ellipsis_line_ratio", "ellipsis_line_ratio", ">"),
            ("min_alpha_word_ratio", "alpha_word_ratio", "<"),
            ("min_stop_words", "stop_words", "<"),
        )
        checks = (Check(key, f"gopher_quality.{name}", sign, getattr(self, key)) for key, name, sign in every)
        return [check for check in checks if check.threshold is not None]


def ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> pa.Array:
    """part / whole as float64, null where whole is 0."""
    nothing = whole == 0
    return pa.array(part / np.where(nothing, 1, whole), pa.float64(), mask=nothing)
