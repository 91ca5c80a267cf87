"""Words of scripts without spaces, by ICU's dictionaries (Unicode TR29 with the CLDR word lists).

A chunk (what stands between white space) that holds a letter of Chinese, Japanese, Thai, Lao, Khmer, Burmese
or Tibetan is cut by ICU, whatever the language of the text around it; every other chunk keeps the words of
`words.v1`. ICU takes its dictionary by script, so that no language label is asked. For these languages
FineWeb2 loads a segmenter each (jieba, SudachiPy, PyThaiNLP ...); the choice of one maintained library for
all is ours. What shows nothing, such as the zero-width space between Khmer words, is no word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from werp.signals.characters import SPACE, TABLE_SIZE, UNSPACED, character_table
from werp.signals.scripts import icu_words
from werp.signals.split import Split
from werp.signals.words import _columns, _emit, code_points, is_blank, native


def segmented(split: Split, texts: Sequence[str]) -> Split:
    """The split with the words of scripts without spaces found by ICU; all others stay as they are."""
    table = character_table()
    of_text, starts, ends = stretches(split.codes, split.text_offsets, table)
    if not len(starts):
        return split
    edges: list[tuple[int, int]] = []
    for t, a, b in zip(of_text.tolist(), starts.tolist(), ends.tolist(), strict=True):
        begin = int(split.text_offsets[t])
        edges += [(a + left, a + right) for left, right in icu_words(texts[t][a - begin : b - begin])]
    columns, offsets = _merge(
        split.codes, split.text_offsets, split.word_offsets,
        (split.word_start, split.word_end, split.word_hash, split.word_bits),
        starts, ends, np.array(edges, np.int64).reshape(-1, 2), table,
    )  # fmt: skip
    return replace(
        split, word_start=columns[0], word_end=columns[1], word_hash=columns[2], word_bits=columns[3],
        word_offsets=offsets,
    )  # fmt: skip


def unspaced_texts(texts: Sequence[str]) -> list[bool]:
    """Whether each text holds a letter of a script without spaces."""
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in texts], dtype=np.int64)))
    flags: list[bool] = _unspaced(code_points("".join(texts)), offsets, character_table()).tolist()
    return flags


@native
def _unspaced(codes: Any, offsets: Any, table: Any) -> Any:
    out = np.zeros(len(offsets) - 1, np.bool_)
    for t in range(len(out)):
        for i in range(offsets[t], offsets[t + 1]):
            if codes[i] < TABLE_SIZE and table[codes[i]] & UNSPACED:
                out[t] = True
                break
    return out


@native
def stretches(codes: Any, text_offsets: Any, table: Any) -> Any:
    """Runs of chunks that hold a letter of a script without spaces: (text: int64, start, end: int64) each."""
    # Ordinary text has none: one look at each code point says so.
    found = False
    for c in codes:
        if c < TABLE_SIZE and table[c] & UNSPACED:
            found = True
            break
    size = len(codes) // 2 + 1 if found else 0
    of_text, starts, ends = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    n = 0
    for t in range(len(text_offsets) - 1 if found else 0):
        i, b, follows = text_offsets[t], text_offsets[t + 1], False
        while i < b:
            if codes[i] < TABLE_SIZE and table[codes[i]] & SPACE:
                i += 1
                continue
            first, some = i, 0
            while i < b and not (codes[i] < TABLE_SIZE and table[codes[i]] & SPACE):
                some |= table[codes[i]] if codes[i] < TABLE_SIZE else 0
                i += 1
            if some & UNSPACED:
                if not follows:
                    of_text[n], starts[n] = t, first
                    n += 1
                ends[n - 1] = i
            follows = some & UNSPACED != 0
    return of_text[:n].copy(), starts[:n].copy(), ends[:n].copy()


@native
def _merge(
    codes: Any,
    text_offsets: Any,
    word_offsets: Any,
    columns: Any,
    starts: Any,
    ends: Any,
    edges: Any,
    table: Any,
) -> Any:
    """Columns of words, those inside [starts, ends) replaced by `edges`; their offsets by text."""
    out = _columns(len(columns[0]) + len(edges))
    offsets = np.zeros(len(word_offsets), np.int64)
    n, e, s = 0, 0, 0
    for t in range(len(word_offsets) - 1):
        w, last = word_offsets[t], word_offsets[t + 1]
        while w < last or (e < len(edges) and edges[e, 0] < text_offsets[t + 1]):
            while s < len(starts) and w < last and ends[s] <= columns[0][w]:
                s += 1
            if w < last and s < len(starts) and starts[s] <= columns[0][w]:
                w += 1  # ICU's words stand in its place
            elif w == last or (e < len(edges) and edges[e, 0] < columns[0][w]):
                if not is_blank(codes, edges[e, 0], edges[e, 1], table):
                    n = _emit(codes, edges[e, 0], edges[e, 1], table, out, n)
                e += 1
            else:
                out[0][n], out[1][n], out[2][n], out[3][n] = (
                    columns[0][w], columns[1][w], columns[2][w], columns[3][w],
                )  # fmt: skip
                n += 1
                w += 1
        offsets[t + 1] = n
    return (out[0][:n].copy(), out[1][:n].copy(), out[2][:n].copy(), out[3][:n].copy()), offsets
