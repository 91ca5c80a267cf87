"""The split of a batch: where words, lines and paragraphs of its texts stand, found once for all rules."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.signals.characters import character_table
from werp.signals.word_lists import word_lists
from werp.signals.words import code_points, is_blank, native, split_words

Ints = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_MOST_CHARACTERS = 2**31 - 1


@dataclass(frozen=True)
class Split:
    """The texts of a batch end to end, and where their words, lines and paragraphs stand.

    codes: uint32 code points of all texts. Every start and end (int32, half open) is an index into it.
    text_offsets, word_offsets, line_offsets, paragraph_offsets: int64, one more than texts; those of text t
        are [offsets[t], offsets[t + 1]).
    word_hash: uint64, equal for equal words (see `werp.signals.words.hash_words`).
    word_bits: uint8, HAS_ALPHA | HAS_TEXT | STARTS_ALNUM of `werp.signals.words`.
    Words, lines and paragraphs are defined in `werp.signals.words`.
    """

    codes: npt.NDArray[np.uint32]
    text_offsets: Offsets
    word_start: Ints
    word_end: Ints
    word_hash: npt.NDArray[np.uint64]
    word_bits: npt.NDArray[np.uint8]
    word_offsets: Offsets
    line_start: Ints
    line_end: Ints
    line_offsets: Offsets
    paragraph_start: Ints
    paragraph_end: Ints
    paragraph_offsets: Offsets


def split_texts(texts: list[str]) -> Split:
    """Split texts into words, lines and paragraphs, as `werp.signals.words` defines them.

    Raises ValueError when they have 2**31 characters or more in all.
    """
    offsets = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
    if offsets[-1] > _MOST_CHARACTERS:
        raise ValueError(
            f"batch of {offsets[-1]} characters, at most {_MOST_CHARACTERS}: use smaller batches"
        )
    codes, table = code_points("".join(texts)), character_table()
    words = split_words(codes, offsets, table, word_lists())
    lines = split_lines(codes, offsets)
    return Split(codes, offsets, *words, *lines, *split_paragraphs(codes, *lines, table))


def full_lines(split: Split) -> npt.NDArray[np.bool_]:
    """Which lines are not blank, one flag each."""
    full: npt.NDArray[np.bool_] = _full(split.codes, split.line_start, split.line_end, character_table())
    return full


@native
def _full(codes: Any, starts: Any, ends: Any, table: Any) -> Any:
    full = np.empty(len(starts), np.bool_)
    for k in range(len(starts)):
        full[k] = not is_blank(codes, starts[k], ends[k], table)
    return full


@native
def split_lines(codes: Any, text_offsets: Any) -> Any:
    """Lines of every text: (starts, ends: int32, first line of each text: int64); no line holds its `\\n`."""
    texts = len(text_offsets) - 1
    count = texts
    for c in codes:
        count += c == 10
    starts, ends = np.empty(count, np.int32), np.empty(count, np.int32)
    line_offsets = np.zeros(texts + 1, np.int64)
    n = 0
    for t in range(texts):
        first = text_offsets[t]
        for i in range(text_offsets[t], text_offsets[t + 1]):
            if codes[i] == 10:
                starts[n], ends[n] = first, i
                first = i + 1
                n += 1
        starts[n], ends[n] = first, text_offsets[t + 1]
        n += 1
        line_offsets[t + 1] = n
    return starts, ends, line_offsets


@native
def split_paragraphs(codes: Any, line_starts: Any, line_ends: Any, line_offsets: Any, table: Any) -> Any:
    """Paragraphs of every text, runs of lines that are not blank: (starts, ends: int32, offsets: int64)."""
    starts, ends = np.empty(len(line_starts), np.int32), np.empty(len(line_starts), np.int32)
    offsets = np.zeros(len(line_offsets), np.int64)
    n = 0
    for t in range(len(line_offsets) - 1):
        inside = False
        for k in range(line_offsets[t], line_offsets[t + 1]):
            if is_blank(codes, line_starts[k], line_ends[k], table):
                inside = False
                continue
            if not inside:
                starts[n] = line_starts[k]
                n += 1
                inside = True
            ends[n - 1] = line_ends[k]
        offsets[t + 1] = n
    return starts[:n].copy(), ends[:n].copy(), offsets
