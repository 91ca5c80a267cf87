"""What `gopher_quality.v1` counts, natively, over the split of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from werp.signals.characters import SPACE, TABLE_SIZE
from werp.signals.words import HAS_ALPHA, HAS_TEXT, native


@native
def count_words(start: Any, end: Any, hashes: Any, bits: Any, offsets: Any, stops: Any, once: bool) -> Any:
    """Per text: words beside pure punctuation, their characters, words with a letter, stop words met.

    once: count each stop word at its first occurrence alone.
    """
    texts = len(offsets) - 1
    words, length, alpha, stop = (
        np.zeros(texts, np.int64),
        np.zeros(texts, np.int64),
        np.zeros(texts, np.int64),
        np.zeros(texts, np.int64),
    )
    for t in range(texts):
        met = np.zeros(len(stops), np.bool_)
        for w in range(offsets[t], offsets[t + 1]):
            if bits[w] & HAS_ALPHA:
                alpha[t] += 1
            if bits[w] & HAS_TEXT:
                words[t] += 1
                length[t] += end[w] - start[w]
            k = np.searchsorted(stops, hashes[w])
            if k < len(stops) and stops[k] == hashes[w] and not (once and met[k]):
                met[k] = True
                stop[t] += 1
    return words, length, alpha, stop


@native
def _breaks_line(c: int) -> Any:
    """The line ends of `str.splitlines`."""
    return 10 <= c <= 13 or 0x1C <= c <= 0x1E or c in (0x85, 0x2028, 0x2029)


@native
def count_marks(codes: Any, offsets: Any, table: Any) -> Any:
    """Per text: `#`, ellipses, lines, lines that start with a bullet, lines that end with an ellipsis."""
    texts = len(offsets) - 1
    out = np.zeros((5, texts), np.int64)
    for t in range(texts):
        dots, first, last, open_line = 0, -1, -1, False
        for i in range(offsets[t], offsets[t + 1]):
            c = codes[i]
            dots = dots + 1 if c == 46 else 0
            if c == 35:
                out[0, t] += 1
            elif c == 0x2026 or (dots > 0 and dots % 3 == 0):
                out[1, t] += 1
            if _breaks_line(c):
                if c == 10 and i > offsets[t] and codes[i - 1] == 13:  # \\r\\n ends one line
                    continue
                _count_line(codes, first, last, out, t)
                first, last, open_line = -1, -1, False
                continue
            open_line = True
            if c >= TABLE_SIZE or not table[c] & SPACE:
                first = i if first < 0 else first
                last = i
        if open_line:
            _count_line(codes, first, last, out, t)
    return out[0], out[1], out[2], out[3], out[4]


@native
def _count_line(codes: Any, first: int, last: int, out: Any, t: int) -> None:
    """Count the line whose first and last character beside spaces are at `first` and `last` (-1: none)."""
    out[2, t] += 1
    if first < 0:
        return
    if codes[first] == 0x2022 or codes[first] == 45:
        out[3, t] += 1
    full_stops = last - first >= 2 and codes[last] == 46 and codes[last - 1] == 46 and codes[last - 2] == 46
    if full_stops or codes[last] == 0x2026:
        out[4, t] += 1
