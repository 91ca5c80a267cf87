"""Words of scripts without spaces, by ICU's dictionaries (Unicode TR29 with the CLDR word lists).

ICU serves Chinese, Japanese, Thai, Lao, Khmer and Burmese, the languages for which FineWeb2 loads a
segmenter each (jieba, SudachiPy, PyThaiNLP ...); the choice of one maintained library for all is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from icu4py.breakers import WordBreaker

from werp.signals.characters import character_table
from werp.signals.split import Split
from werp.signals.words import _columns, _emit, native

#: Labels of lid.176 whose text is segmented.
SEGMENTED = frozenset({"zh", "wuu", "yue", "ja", "th", "lo", "km", "my"})


def segmented(split: Split, texts: Sequence[str], labels: Sequence[str | None]) -> Split:
    """The split with the words of texts in these languages found by ICU; the others' stay as they are."""
    chosen = [label in SEGMENTED for label in labels]
    if not any(chosen):
        return split
    spans: list[tuple[int, int]] = []
    counts = np.diff(split.word_offsets)
    for t, text in enumerate(texts):
        if chosen[t]:
            own = [(a, b) for a, b in _words(text, labels[t] or "")]
            counts[t] = len(own)
            begin = int(split.text_offsets[t])
            spans += [(begin + a, begin + b) for a, b in own]
    flags = np.array(chosen)
    edges = np.array(spans, np.int64).reshape(-1, 2)
    columns = _merge(
        split.codes, split.word_offsets,
        (split.word_start, split.word_end, split.word_hash, split.word_bits),
        flags, counts, edges, character_table(),
    )  # fmt: skip
    offsets = np.concatenate(([0], np.cumsum(counts)))
    return replace(
        split, word_start=columns[0], word_end=columns[1], word_hash=columns[2], word_bits=columns[3],
        word_offsets=offsets,
    )  # fmt: skip


def _words(text: str, label: str) -> list[tuple[int, int]]:
    """Places of the words of one text, in characters; white space is no word."""
    out: list[tuple[int, int]] = []
    at = 0
    for word in WordBreaker(text, {"wuu": "zh", "yue": "zh"}.get(label, label)):
        end = at + len(word)
        if not word.isspace():
            out.append((at, end))
        at = end
    return out


@native
def _merge(codes: Any, offsets: Any, columns: Any, flags: Any, counts: Any, edges: Any, table: Any) -> Any:
    out = _columns(counts.sum())
    n, e = 0, 0
    for t in range(len(flags)):
        if flags[t]:
            for _ in range(counts[t]):
                n = _emit(codes, edges[e, 0], edges[e, 1], table, out, n)
                e += 1
        else:
            for w in range(offsets[t], offsets[t + 1]):
                out[0][n], out[1][n], out[2][n], out[3][n] = (
                    columns[0][w], columns[1][w], columns[2][w], columns[3][w],
                )  # fmt: skip
                n += 1
    return out
