"""A batch of documents; what every rule shares of it, its split into words and lines, is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from werp.edits import Span, apply_edits

if TYPE_CHECKING:
    from werp.signals.split import Split

Language = tuple[str | None, float | None]


@dataclass(frozen=True)
class TextBatch:
    """Documents as three lists of one length; `split` is made at its first use and shared by the rules.

    segmenter: what finds the words of scripts without spaces: `icu` by dictionary (`werp.signals.segment`),
        None takes what stands between white space for a word.
    truncated: why each page's crawler cut it short (`WARC-Truncated`); None for texts of no archive.

    A batch holds at most 2**31 - 1 characters; its split takes about 9 bytes a character of English.
    """

    ids: list[str]
    urls: list[str]
    texts: list[str]
    segmenter: str | None = "icu"
    truncated: list[str | None] | None = None
    _languages: dict[str | None, list[Language]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        lengths = (len(self.ids), len(self.urls), len(self.texts))
        if len(set(lengths)) != 1:
            raise ValueError(f"TextBatch: ids, urls and texts must have one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def split(self) -> Split:
        """Words, lines and paragraphs of all texts; ValueError when the batch is too large."""
        # Imported at need: numba alone takes 0.6 s, and a worker that reads or writes never splits.
        from werp.signals.split import split_texts  # noqa: PLC0415

        if self.segmenter is None:
            return split_texts(self.texts)
        from werp.signals.segment import segmented  # noqa: PLC0415

        return segmented(split_texts(self.texts), self.texts)

    @cached_property
    def line_segmenters(self) -> list[str | None]:
        """For each text the segmenter that its lines need: None where there is no script without spaces."""
        if self.segmenter is None:
            return [None] * len(self.texts)
        from werp.signals.segment import unspaced_texts  # noqa: PLC0415

        return [self.segmenter if found else None for found in unspaced_texts(self.texts)]

    def languages(self, model: str | None = None) -> list[Language]:
        """(label, probability) of each text as it was extracted; an edited batch has those of its source."""
        if model not in self._languages:
            from werp.language import identify  # noqa: PLC0415

            self._languages[model] = [identify(text, model) for text in self.texts]
        return self._languages[model]

    def edited(self, spans: Sequence[Sequence[Span]]) -> TextBatch:
        """The batch after these edits; itself where there are none."""
        if not any(spans):
            return self
        texts = [apply_edits(text, own) for text, own in zip(self.texts, spans, strict=True)]
        return replace(self, texts=texts)

    def words(self, index: int) -> list[str]:
        """The words of one text as strings; for reading and tests, not for measuring."""
        split = self.split
        first, last = split.word_offsets[index], split.word_offsets[index + 1]
        begin = split.text_offsets[index]
        text = self.texts[index]
        spans = zip(split.word_start[first:last] - begin, split.word_end[first:last] - begin, strict=True)
        return [text[a:b] for a, b in spans]
