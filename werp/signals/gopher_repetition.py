"""Rule `gopher_repetition.v1`: Gopher's repetition measures, in two named ways of counting.

Source of the thresholds: Rae et al. 2021 (arXiv 2112.11446), table A1; datatrove and DCLM use the same.
They count differently, and so do the two variants (T: the text with its spaces, in code points):

==================== ===================================== ==================================
measure              `datatrove` (0.10)                    `dclm` (361714bd)
==================== ===================================== ==================================
lines                between runs of `\\n`                 stripped
paragraphs           of the stripped text, between runs    the same, each stripped
                     of two or more `\\n`
duplicate share      occurrences but the first / all       occurrences of what occurs twice,
                                                           the first too / all
duplicate characters theirs / T                            theirs / those of all pieces (W for
                                                           n-grams: those of all words)
words                all                                   that begin with a letter or digit
top n-gram           first of the most frequent, joined    longest of the most frequent, its
                     by spaces: length x count / T, even   letters x count / W; 0 if none
                     if it occurs once                     occurs twice
duplicate n-grams    from the left; one seen before        words inside any n-gram that
                     counts, and its n words are skipped;  occurs twice, each once; their
                     their characters / T                  characters / W
==================== ===================================== ==================================

Blank lines (`werp.signals.words`) are no lines and part paragraphs. In datatrove an empty line at an end of
the text is one, and so is a line of white space alone, in DCLM within a paragraph too: copies of nothing, for
which a good article was dropped. Text as extractors give it has neither.

`datatrove` counts words as spaCy splits them and `dclm` as Unicode word boundaries (UAX 29); here both take
`words.v1`. datatrove compares duplicate n-grams as words run together, here as lists of words.

N-grams, lines and paragraphs are compared by 64-bit hashes. A collision would count two different ones as a
repetition, which can only raise a share; among a million in one text its chance is 5e-8.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, LanguageTuned
from werp.signals.batch import TextBatch
from werp.signals.characters import character_table

_PIECES = ("dup_line_ratio", "dup_line_char_ratio", "dup_paragraph_ratio", "dup_paragraph_char_ratio")
_GRAMS = (
    *(f"top_{n}_gram_char_ratio" for n in (2, 3, 4)),
    *(f"dup_{n}_gram_char_ratio" for n in range(5, 11)),
)
_ORDER = {
    "datatrove": (*_PIECES[2:], *_PIECES[:2], *_GRAMS),
    "dclm": (_PIECES[0], _PIECES[2], _PIECES[1], _PIECES[3], *_GRAMS),
}


class GopherRepetition(LanguageTuned):
    """Signals (float64) `gopher_repetition.<counting>.<name>`; `max_<name>` is the limit, None unchecked.

    A share with nothing to divide by (an empty text; for `dclm` no line or no word) is null and never drops.
    """

    untuned: ClassVar[frozenset[str]] = frozenset({"counting"})

    rule: Literal["gopher_repetition.v1"] = "gopher_repetition.v1"
    counting: Literal["datatrove", "dclm"] = Field("datatrove", description="whose way of counting")
    max_dup_line_ratio: float | None = Field(0.30, ge=0, description="duplicate lines / lines")
    max_dup_paragraph_ratio: float | None = Field(0.30, ge=0, description="duplicate paragraphs / all")
    max_dup_line_char_ratio: float | None = Field(0.20, ge=0, description="characters in duplicate lines")
    max_dup_paragraph_char_ratio: float | None = Field(0.20, ge=0, description="same, paragraphs")
    max_top_2_gram_char_ratio: float | None = Field(0.20, ge=0, description="characters in the top 2-gram")
    max_top_3_gram_char_ratio: float | None = Field(0.18, ge=0, description="characters in the top 3-gram")
    max_top_4_gram_char_ratio: float | None = Field(0.16, ge=0, description="characters in the top 4-gram")
    max_dup_5_gram_char_ratio: float | None = Field(0.15, ge=0, description="characters in duplicate 5-grams")
    max_dup_6_gram_char_ratio: float | None = Field(0.14, ge=0, description="characters in duplicate 6-grams")
    max_dup_7_gram_char_ratio: float | None = Field(0.13, ge=0, description="characters in duplicate 7-grams")
    max_dup_8_gram_char_ratio: float | None = Field(0.12, ge=0, description="characters in duplicate 8-grams")
    max_dup_9_gram_char_ratio: float | None = Field(0.11, ge=0, description="characters in duplicate 9-grams")
    max_dup_10_gram_char_ratio: float | None = Field(
        0.10, ge=0, description="characters in duplicate 10-grams"
    )

    def measure_parameters(self) -> dict[str, Any]:
        """The way of counting."""
        return {"counting": self.counting}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Count repetition in each text."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals import repetition_counts as count  # noqa: PLC0415
        from werp.signals.words import hash_spans  # noqa: PLC0415

        split = batch.split
        dclm = self.counting == "dclm"
        table = character_table()
        shares: list[npt.NDArray[np.float64]] = []
        for lines, start, end, offsets in (
            (True, split.line_start, split.line_end, split.line_offsets),
            (False, split.paragraph_start, split.paragraph_end, split.paragraph_offsets),
        ):
            pieces = count.counted_pieces(
                split.codes, split.text_offsets, start, end, offsets, table, dclm, lines
            )
            hashes = hash_spans(split.codes, *pieces[:2])
            shares += count.duplicate_pieces(split.text_offsets, *pieces, hashes, dclm)
        words = (split.word_start, split.word_end, split.word_hash, split.word_bits, split.word_offsets)
        shares += list(count.n_gram_shares(split.text_offsets, *words, dclm))
        names = (*_PIECES, *_GRAMS)
        return {
            f"gopher_repetition.{self.counting}.{name}": pa.array(share, pa.float64(), mask=np.isnan(share))
            for name, share in zip(names, shares, strict=True)
        }

    def checks(self) -> list[Check]:
        """In the order of the peer whose counting it is, so that the first reason is the same."""
        every = (
            Check(
                f"max_{name}", f"gopher_repetition.{self.counting}.{name}", ">", getattr(self, f"max_{name}")
            )
            for name in _ORDER[self.counting]
        )
        return [check for check in every if check.threshold is not None]
