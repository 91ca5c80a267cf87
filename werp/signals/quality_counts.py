"""What `gopher_quality.v1` counts, natively, over the split of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from werp.signals.characters import INVISIBLE, SPACE, TABLE_SIZE
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
def count_marks(codes: Any, offsets: Any, table: Any, dclm: bool) -> Any:
    """Per text: `#`, ellipses, lines, lines that start with a bullet, lines that end with an ellipsis.

    dclm: `. . .` is an ellipsis, too, `*` and `●` are bullets, lines end in `\\n` alone, no blank ones count.
    """
    texts = len(offsets) - 1
    out = np.zeros((5, texts), np.int64)
    for t in range(texts):
        begin, dots, spaced, first, last, open_line = offsets[t], 0, 0, -1, -1, False
        for i in range(begin, offsets[t + 1]):
            c = codes[i]
            if c == 46:
                follows = i >= begin + 2 and codes[i - 1] == 32 and codes[i - 2] == 46
                dots, spaced = dots + 1, (spaced + 1 if follows else 1)
                if dots % 3 == 0:
                    out[1, t] += 1
                if spaced == 3:
                    out[1, t] += dclm
                    spaced = 0
            else:
                dots = 0
                out[0, t] += c == 35
                out[1, t] += c == 0x2026
            if c == 10 if dclm else _breaks_line(c):
                if c == 10 and not dclm and i > begin and codes[i - 1] == 13:  # \\r\\n ends one line
                    continue
                _count_line(codes, first, last, out, t, dclm)
                first, last, open_line = -1, -1, False
                continue
            open_line = True
            if c >= TABLE_SIZE or not table[c] & (SPACE | INVISIBLE if dclm else SPACE):
                first = i if first < 0 else first
                last = i
        if open_line:
            _count_line(codes, first, last, out, t, dclm)
    return out[0], out[1], out[2], out[3], out[4]


@native
def _count_line(codes: Any, first: int, last: int, out: Any, t: int, dclm: bool) -> None:
    """Count the line whose first and last character beside spaces are at `first` and `last` (-1: none)."""
    if first < 0:
        out[2, t] += not dclm
        return
    out[2, t] += 1
    c = codes[first]
    out[3, t] += c in (0x2022, 45) or (dclm and c in (42, 0x25CF))
    gap = 0
    if dclm and last - first >= 4 and codes[last - 1] == 32 and codes[last - 3] == 32:
        gap = 1  # `. . .`
    step = 1 + gap
    stops = last - first >= 2 * step and codes[last] == 46
    stops = stops and codes[last - step] == 46 and codes[last - 2 * step] == 46
    out[4, t] += stops or codes[last] == 0x2026
