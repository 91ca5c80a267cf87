"""Words as most sources but spaCy's have them: what stands between white space, marks and all.

A chunk of a script without spaces is no word there: it counts as the words that the batch's split has in it,
pure punctuation left out (`werp.signals.segment`; without a segmenter the chunk stays one word).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.signals.characters import ALNUM, ALPHA, SPACE, TABLE_SIZE, UNSPACED, character_table
from werp.signals.shingles import fold_table
from werp.signals.split import Split
from werp.signals.words import _HIGH, _PRIME, _SEED, HAS_ALPHA, HAS_TEXT, STARTS_ALNUM, hash_words, native


def spaced_counts(
    split: Split, stop_words: Collection[str], once: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per text: words between white space (as `str.split`), their characters, those with a letter, stop
    words.

    Stop words count in any case; once: each at its first occurrence alone.
    """
    listed = sorted({word.lower() for word in stop_words})
    stops, longest = np.sort(hash_words(listed)), max(map(len, listed), default=0)
    words = (split.word_start, split.word_end, split.word_bits, split.word_offsets)
    every, length, alpha, stop = _counts(
        split.codes, split.text_offsets, character_table(), words, stops, fold_table("lower"), longest, once
    )
    return every, length, alpha, stop


@native
def _counts(
    codes: Any, texts: Any, table: Any, words: Any, stops: Any, lower: Any, longest: int, once: bool
) -> Any:
    count = len(texts) - 1
    out = np.zeros((4, count), np.int64)
    for t in range(count):
        met = np.zeros(len(stops), np.bool_)
        w, i, end = words[3][t], texts[t], texts[t + 1]
        while i < end:
            own = table[codes[i]] if codes[i] < TABLE_SIZE else 0
            if own & SPACE:
                i += 1
                continue
            first, some, h = i, 0, _SEED
            while not own & SPACE:
                some |= own
                if i - first < longest:
                    c = codes[i]
                    h = (h ^ np.uint64(lower[c] if c < len(lower) else c)) * _PRIME
                i += 1
                if i == end:
                    break
                own = table[codes[i]] if codes[i] < TABLE_SIZE else 0
            if some & UNSPACED:
                w = _words_inside(words, w, words[3][t + 1], first, i, out, t, codes, stops, lower, met, once)
                continue
            out[0, t] += 1
            out[1, t] += i - first
            out[2, t] += some & ALPHA != 0
            if i - first <= longest:
                out[3, t] += _is_stop(h ^ (h >> _HIGH), stops, met, once)
    return out


@native
def _is_stop(h: Any, stops: Any, met: Any, once: bool) -> Any:
    k = np.searchsorted(stops, h)
    if k == len(stops) or stops[k] != h or (once and met[k]):
        return 0
    met[k] = True
    return 1


@native
def _words_inside(
    words: Any,
    w: Any,
    last: Any,
    a: Any,
    b: Any,
    out: Any,
    t: Any,
    codes: Any,
    stops: Any,
    lower: Any,
    met: Any,
    once: bool,
) -> Any:
    """Count the words of the split in [a, b), from word w on; returns the first word after them."""
    while w < last and words[0][w] < a:
        w += 1
    while w < last and words[0][w] < b:
        if words[2][w] & HAS_TEXT:
            out[0, t] += 1
            out[1, t] += words[1][w] - words[0][w]
            out[2, t] += words[2][w] & HAS_ALPHA != 0
            h = _SEED
            for i in range(words[0][w], words[1][w]):
                c = codes[i]
                h = (h ^ np.uint64(lower[c] if c < len(lower) else c)) * _PRIME
            out[3, t] += _is_stop(h ^ (h >> _HIGH), stops, met, once)
        w += 1
    return w


def tokens(split: Split) -> npt.NDArray[np.int64]:
    """Per text: fastText's tokens, between spaces and controls of ASCII, that begin with a letter or digit.

    DCLM counts its words so (`split_words` with `ignore_punctuation`).
    """
    words = (split.word_start, split.word_end, split.word_bits, split.word_offsets)
    counts: npt.NDArray[np.int64] = _tokens(split.codes, split.text_offsets, character_table(), words)
    return counts


@native
def _tokens(codes: Any, texts: Any, table: Any, words: Any) -> Any:
    count = len(texts) - 1
    out = np.zeros(count, np.int64)
    for t in range(count):
        w, last = words[3][t], words[3][t + 1]
        i, end = texts[t], texts[t + 1]
        while i < end:
            if _parts_token(codes[i]):
                i += 1
                continue
            first, some = i, 0
            while i < end and not _parts_token(codes[i]):
                some |= table[codes[i]] if codes[i] < TABLE_SIZE else 0
                i += 1
            if not some & UNSPACED:
                out[t] += codes[first] < TABLE_SIZE and table[codes[first]] & ALNUM != 0
                continue
            while w < last and words[0][w] < first:
                w += 1
            while w < last and words[0][w] < i:
                out[t] += words[2][w] & STARTS_ALNUM != 0
                w += 1
    return out


@native
def _parts_token(c: Any) -> Any:
    return c == 32 or 9 <= c <= 13 or c == 0
