"""Rule `gopher_quality.v1`: Gopher's quality heuristics, in two named ways of counting.

Source of the rules: Rae et al. 2021 (arXiv 2112.11446), appendix A.1.1, which does not say what a word is; of
every threshold: the defaults of datatrove 0.10's `gopher_quality_filter.py` (FineWeb's) and DCLM's
`dclm_baseline_refinedweb.yaml` (361714bd), which are the same. They count differently:

=================== ====================================== ======================================
measure             `datatrove`                            `dclm`
=================== ====================================== ======================================
words               of spaCy, here `words.v1`: a mark is    between white space, marks and all
                    a word of its own
number of words     those that are not pure punctuation    tokens between ASCII white space that
                                                           begin with a letter or digit
mean word length    of the same words                      of all words
symbols per word    `#`, and `...` or `…`, each alone       `#`, `...`, `. . .` and `…` together
share with a letter of all words, marks too                of all words
lines               as `str.splitlines`, empty ones too    between `\\n`, blank ones left out
bullets             • -                                    ● • * -
line's ellipsis     ... …                                  ... . . . …
stop words          different ones, in exactly that case   every occurrence, in any case
=================== ====================================== ======================================

In a script without spaces `dclm` counts the words that the segmenter finds, pure punctuation left out.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from werp.signals.base import Check, LanguageTuned
from werp.signals.batch import TextBatch
from werp.signals.characters import character_table

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

#: Keys that one way of counting alone checks.
_OWN_KEYS = {"datatrove": ("max_hash_ratio", "max_ellipsis_ratio"), "dclm": ("max_symbol_ratio",)}


class GopherQuality(LanguageTuned):
    """A threshold of None is not checked. Signals, named `gopher_quality.<name>`, as `counting` counts:

    words (int64); mean_word_length (float64, code points).
    alpha_word_ratio (float64): words with a letter / words.
    hash_ratio, ellipsis_ratio (float64, `datatrove`), symbol_ratio (float64, `dclm`): symbols / words.
    bullet_line_ratio, ellipsis_line_ratio (float64): share of lines whose first mark is a bullet, and that
        end with an ellipsis.
    stop_words (int64): how many of `stop_words` occur.
    A ratio with nothing to divide by is null, and a null never drops.
    """

    untuned: ClassVar[frozenset[str]] = frozenset({"counting", "distinct_stop_words"})

    rule: Literal["gopher_quality.v1"] = "gopher_quality.v1"
    counting: Literal["datatrove", "dclm"] = Field("datatrove", description="whose way of counting")
    min_words: int | None = Field(50, ge=0, description="fewest words")
    max_words: int | None = Field(100_000, ge=0, description="most words")
    min_mean_word_length: float | None = Field(3, ge=0, description="smallest mean word length, characters")
    max_mean_word_length: float | None = Field(10, ge=0, description="largest mean word length, characters")
    max_hash_ratio: float | None = Field(0.1, ge=0, description="most `#` per word (counting: datatrove)")
    max_ellipsis_ratio: float | None = Field(
        0.1, ge=0, description="most ellipses per word (counting: datatrove)"
    )
    max_symbol_ratio: float | None = Field(
        0.1, ge=0, description="most `#` and ellipses per word (counting: dclm)"
    )
    max_bullet_line_ratio: float | None = Field(0.9, ge=0, description="largest share of bulleted lines")
    max_ellipsis_line_ratio: float | None = Field(0.3, ge=0, description="most lines ending in `…`, share")
    min_alpha_word_ratio: float | None = Field(0.8, ge=0, description="smallest share of words with a letter")
    min_stop_words: int | None = Field(2, ge=0, description="fewest stop words")
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="the stop words counted")
    distinct_stop_words: bool | None = Field(
        None,
        description="count how many of them occur; false counts every occurrence; null as `counting` has it",
    )

    @model_validator(mode="after")
    def _keys_are_of_the_counting(self) -> Self:
        other = next(name for name in _OWN_KEYS if name != self.counting)
        for key in _OWN_KEYS[other]:
            if getattr(self, key) != type(self).model_fields[key].default:
                own = ", ".join(_OWN_KEYS[self.counting])
                raise ValueError(f"{key} is of counting: {other}; counting: {self.counting} has {own}")
        return self

    @property
    def _once(self) -> bool:
        """Whether a stop word counts at its first occurrence alone."""
        if self.distinct_stop_words is None:
            return self.counting == "datatrove"
        return self.distinct_stop_words

    def measure_parameters(self) -> dict[str, Any]:
        """The way of counting, and the stop words, those of languages too; their order means nothing."""
        own = {
            label: sorted(set(fields["stop_words"]))
            for label, fields in self.per_language.items()
            if "stop_words" in fields
        }
        counted = {"counting": self.counting, "stop_words": sorted(set(self.stop_words))}
        return counted | {"count_distinct": self._once} | ({"per_language": own} if own else {})

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Count words, marks and lines of each text."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.quality_counts import count_marks  # noqa: PLC0415

        split, dclm = batch.split, self.counting == "dclm"
        words, every, length, alpha, stop = self._words(batch)
        labels = [label for label, _ in batch.languages()] if self.per_language else []
        for label in sorted({label for label in labels if label in self.per_language}):
            at = np.array([own == label for own in labels])
            stop[at] = self.for_language(label)._words(batch)[4][at]
        hashes, dots, lines, bullets, trailing = count_marks(
            split.codes, split.text_offsets, character_table(), dclm
        )
        symbols = (
            {"symbol_ratio": ratio(hashes + dots, every)}
            if dclm
            else {"hash_ratio": ratio(hashes, every), "ellipsis_ratio": ratio(dots, every)}
        )
        columns = {
            "words": pa.array(words),
            "mean_word_length": ratio(length, every if dclm else words),
            **symbols,
            "bullet_line_ratio": ratio(bullets, lines),
            "ellipsis_line_ratio": ratio(trailing, lines),
            "alpha_word_ratio": ratio(alpha, every),
            "stop_words": pa.array(stop),
        }
        return {f"gopher_quality.{name}": column for name, column in columns.items()}

    def _words(self, batch: TextBatch) -> tuple[npt.NDArray[np.int64], ...]:
        """Per text: `words`, words that ratios divide by, characters, words with a letter, stop words."""
        from werp.signals.quality_counts import count_words  # noqa: PLC0415
        from werp.signals.words import hash_words  # noqa: PLC0415

        split = batch.split
        if self.counting == "datatrove":
            stops = np.sort(hash_words(sorted(set(self.stop_words))))
            spans = (split.word_start, split.word_end, split.word_hash, split.word_bits, split.word_offsets)
            words, length, alpha, stop = count_words(*spans, stops, self._once)
            return words, np.diff(split.word_offsets), length, alpha, stop
        from werp.signals.spaced import spaced_counts, tokens  # noqa: PLC0415

        every, length, alpha, stop = spaced_counts(split, self.stop_words, self._once)
        return tokens(split), every, length, alpha, stop

    def checks(self) -> list[Check]:
        """In the order of datatrove, which is DCLM's, so that the first reason is the same."""
        every: tuple[tuple[str, str, Literal["<", ">"]], ...] = (
            ("min_words", "words", "<"),
            ("max_words", "words", ">"),
            ("min_mean_word_length", "mean_word_length", "<"),
            ("max_mean_word_length", "mean_word_length", ">"),
            ("max_hash_ratio", "hash_ratio", ">"),
            ("max_ellipsis_ratio", "ellipsis_ratio", ">"),
            ("max_symbol_ratio", "symbol_ratio", ">"),
            ("max_bullet_line_ratio", "bullet_line_ratio", ">"),
            ("max_ellipsis_line_ratio", "ellipsis_line_ratio", ">"),
            ("min_alpha_word_ratio", "alpha_word_ratio", "<"),
            ("min_stop_words", "stop_words", "<"),
        )
        others = next(keys for counting, keys in _OWN_KEYS.items() if counting != self.counting)
        checks = (Check(key, f"gopher_quality.{name}", sign, getattr(self, key)) for key, name, sign in every)
        return [check for check in checks if check.threshold is not None and check.key not in others]


def ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> pa.Array:
    """part / whole as float64, null where whole is 0."""
    nothing = whole == 0
    return pa.array(part / np.where(nothing, 1, whole), pa.float64(), mask=nothing)
