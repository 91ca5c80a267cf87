"""What `gopher_repetition.v1` counts, natively, over the split of a batch.

`dclm` chooses between the two ways of counting that `gopher_repetition.py` sets side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from werp.signals.characters import SPACE, TABLE_SIZE
from werp.signals.words import STARTS_ALNUM, is_blank, native

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_ONE = np.uint64(1)


@native
def _stripped(codes: Any, a: int, b: int, table: Any) -> Any:
    """[a, b) without spaces at its ends."""
    while a < b and codes[a] < TABLE_SIZE and table[codes[a]] & SPACE:
        a += 1
    while a < b and codes[b - 1] < TABLE_SIZE and table[codes[b - 1]] & SPACE:
        b -= 1
    return a, b


@native
def counted_pieces(
    codes: Any, texts: Any, start: Any, end: Any, offsets: Any, table: Any, dclm: bool, lines: bool
) -> Any:
    """The lines or paragraphs that the variant counts, no blank ones: starts, ends, first of each text."""
    starts, ends = np.empty(len(start), np.int32), np.empty(len(start), np.int32)
    firsts = np.zeros(len(offsets), np.int64)
    n = 0
    for t in range(len(offsets) - 1):
        left, right = texts[t], texts[t + 1]
        if not dclm and not lines:
            left, right = _stripped(codes, left, right, table)
        for k in range(offsets[t], offsets[t + 1]):
            a, b = max(np.int64(start[k]), left), min(np.int64(end[k]), right)
            if dclm:
                a, b = _stripped(codes, a, b, table)
            if not is_blank(codes, a, b, table):
                starts[n], ends[n] = a, b
                n += 1
        firsts[t + 1] = n
    return starts[:n].copy(), ends[:n].copy(), firsts


@native
def _slot(table: Any, mask: Any, key: Any) -> Any:
    """Where `key` stands, or the free place for it, in an open table in which 0 is free."""
    k = (key ^ (key >> _SHIFT)) & mask
    while table[k] != 0 and table[k] != key:
        k = (k + _ONE) & mask
    return k


@native
def _table_size(count: int) -> Any:
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@native
def duplicate_pieces(texts: Any, start: Any, end: Any, offsets: Any, hashes: Any, dclm: bool) -> Any:
    """Share of duplicate pieces and of their characters, NaN where there is nothing to divide by."""
    count = len(offsets) - 1
    share, char_share = np.full(count, np.nan), np.full(count, np.nan)
    longest = 0
    for t in range(count):
        longest = max(longest, offsets[t + 1] - offsets[t])
    table, seen = np.zeros(_table_size(longest), np.uint64), np.zeros(_table_size(longest), np.int64)
    for t in range(count):
        pieces = offsets[t + 1] - offsets[t]
        if texts[t] == texts[t + 1]:
            continue
        size = _table_size(pieces)
        table[:size] = 0
        mask = np.uint64(size - 1)
        twice, twice_chars, chars = 0, 0, 0
        for k in range(offsets[t], offsets[t + 1]):
            key, length = hashes[k] | _ONE, np.int64(end[k]) - start[k]
            slot = _slot(table, mask, key)
            chars += length
            if table[slot] == 0:
                table[slot], seen[slot] = key, 1
                continue
            seen[slot] += 1
            again = 2 if dclm and seen[slot] == 2 else 1  # the first occurrence counts as well, once
            twice += again
            twice_chars += again * length
        whole = chars if dclm else texts[t + 1] - texts[t]
        if pieces or not dclm:
            share[t] = twice / max(pieces, 1)
            char_share[t] = twice_chars / whole
    return share, char_share


@native
def _repeated(grams: Any, positions: Any, table: Any, slots: Any, seen: Any) -> Any:
    """Count the n-grams at `positions`; slots[p] and seen[slot] tell how often that at p occurs.

    Returns the largest count and those positions whose n-gram occurs twice or more, in order.
    """
    size = _table_size(len(positions))
    table[:size] = 0
    mask = np.uint64(size - 1)
    most = 0
    for p in positions:
        key = grams[p] | _ONE
        slot = _slot(table, mask, key)
        if table[slot] == 0:
            table[slot], seen[slot] = key, 0
        seen[slot] += 1
        slots[p] = slot
        most = max(most, seen[slot])
    kept = np.empty(len(positions), np.int64)
    n = 0
    for p in positions:
        if seen[slots[p]] > 1:
            kept[n] = p
            n += 1
    return most, kept[:n]


@native
def _top(most: int, repeated: Any, slots: Any, seen: Any, chars: Any, n: int, dclm: bool) -> Any:
    """Characters of the most frequent n-gram, over all its occurrences."""
    if most < 2:
        return 0 if dclm or len(chars) <= n else chars[n] + n - 1
    best = 0
    for p in repeated:
        if seen[slots[p]] == most:
            length = chars[p + n] - chars[p]
            if not dclm:
                return (length + n - 1) * most
            best = max(best, length)
    return best * most


@native
def _duplicates(repeated: Any, slots: Any, seen: Any, chars: Any, n: int, dclm: bool) -> Any:
    """Characters in duplicate n-grams. `seen` is spent: datatrove's scan marks in it what it has passed."""
    total, free = 0, 0
    for p in repeated:
        if dclm:
            total += chars[p + n] - chars[max(p, free)]
            free = p + n
        elif p >= free:
            if seen[slots[p]] == -1:
                total += chars[p + n] - chars[p]
                free = p + n
            seen[slots[p]] = -1
    return total


@native
def n_gram_shares(texts: Any, start: Any, end: Any, hashes: Any, bits: Any, offsets: Any, dclm: bool) -> Any:
    """Nine rows of shares: top 2-, 3-, 4-grams, duplicate 5- to 10-grams.

    An n-gram occurs twice only where both its (n-1)-grams do, so each n looks at what n-1 left: exact, and
    after n = 2 little is left of ordinary text.
    """
    count = len(offsets) - 1
    longest = 1
    for t in range(count):
        longest = max(longest, offsets[t + 1] - offsets[t])
    size = _table_size(longest)
    table, seen, slots = np.zeros(size, np.uint64), np.zeros(size, np.int64), np.zeros(longest, np.int64)
    grams, chars = np.zeros(longest, np.uint64), np.zeros(longest + 1, np.int64)
    word = np.zeros(longest, np.uint64)
    shares = np.full((9, count), np.nan)
    for t in range(count):
        words = 0
        for w in range(offsets[t], offsets[t + 1]):
            if not dclm or bits[w] & STARTS_ALNUM:
                word[words], grams[words] = hashes[w], hashes[w]
                chars[words + 1] = chars[words] + (end[w] - start[w])
                words += 1
        whole = chars[words] if dclm else texts[t + 1] - texts[t]
        if whole == 0:
            continue
        repeated = np.arange(words)
        for n in range(2, 11):
            fresh = np.empty(len(repeated), np.int64)
            kept = 0
            for k in range(len(repeated) - 1):
                p = repeated[k]
                if repeated[k + 1] == p + 1:
                    grams[p] = (grams[p] ^ (grams[p] >> _SHIFT)) * _MIX + word[p + n - 1]
                    fresh[kept] = p
                    kept += 1
            most, repeated = _repeated(grams, fresh[:kept], table, slots, seen)
            if n < 5:
                characters = _top(most, repeated, slots, seen, chars[: words + 1], n, dclm)
            else:
                characters = _duplicates(repeated, slots, seen, chars, n, dclm)
            shares[n - 2, t] = characters / whole
    return shares
