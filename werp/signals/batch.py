"""A batch of documents; what every rule shares of it, its split into words and lines, is made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werp.signals.split import Split


@dataclass(frozen=True)
class TextBatch:
    """Documents as three lists of one length; `split` is made at its first use and shared by the rules.

    A batch holds at most 2**31 - 1 characters; its split takes about 9 bytes a character of English.
    """

    ids: list[str]
    urls: list[str]
    texts: list[str]

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

        return split_texts(self.texts)

    def words(self, index: int) -> list[str]:
        """The words of one text as strings; for reading and tests, not for measuring."""
        split = self.split
        first, last = split.word_offsets[index], split.word_offsets[index + 1]
        begin = split.text_offsets[index]
        text = self.texts[index]
        spans = zip(split.word_start[first:last] - begin, split.word_end[first:last] - begin, strict=True)
        return [text[a:b] for a, b in spans]
