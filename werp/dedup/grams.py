"""n-grams of paragraphs and what was seen of them before, natively."""

from __future__ import annotations

from typing import Any

import numpy as np

from werp.signals.words import native

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_STEP = np.uint64(33)
PROBES = 7  # bits a Bloom filter sets for one n-gram; DCLM's at an error of 1 %


@native
def _finished(h: Any) -> Any:
    h = (h ^ (h >> _HALF)) * _MIX
    h = (h ^ (h >> _HALF)) * _MIX
    return (h ^ (h >> _HALF)) | _ONE  # 0 marks a free place


@native
def window_hashes(words: Any, begins: Any, ends: Any, n: int) -> Any:
    """Hashes of the n-word windows of pieces: (hashes: uint64, first of each piece: int64, and their end).

    words: hashes of words; piece k is words [begins[k], ends[k]). A window's hash is the polynomial of its
    words in one odd base modulo 2**64, kept up from window to window, then mixed.
    """
    firsts = np.zeros(len(begins) + 1, np.int64)
    for k in range(len(begins)):
        firsts[k + 1] = firsts[k] + max(ends[k] - begins[k] - n + 1, 0)
    out = np.empty(firsts[-1], np.uint64)
    power = _ONE
    for _ in range(n):
        power *= _BASE
    for k in range(len(begins)):
        h, at = np.uint64(0), firsts[k]
        for w in range(begins[k], ends[k]):
            h = h * _BASE + words[w]
            if w - begins[k] >= n:
                h -= power * words[w - n]
            if w - begins[k] >= n - 1:
                out[at] = _finished(h)
                at += 1
    return out, firsts


@native
def _place(table: Any, mask: Any, key: Any) -> Any:
    k = (key >> _HALF) & mask
    while table[k] != 0 and table[k] != key:
        k = (k + _ONE) & mask
    return k


@native
def judge(grams: Any, firsts: Any, seen: Any, threshold: float) -> Any:
    """Go through paragraphs in order: (contained n-grams of each, whether it stays).

    grams, firsts: n-grams of each paragraph; seen: those that count as seen before the first. A paragraph
    stays, and its n-grams are seen from then on, unless contained / all > threshold.
    """
    size = 16
    while size < 2 * (len(grams) + len(seen)):
        size *= 2
    table, mask = np.zeros(size, np.uint64), np.uint64(size - 1)
    for key in seen:
        table[_place(table, mask, key)] = key
    paragraphs = len(firsts) - 1
    contained, stays = np.zeros(paragraphs, np.int64), np.ones(paragraphs, np.bool_)
    for p in range(paragraphs):
        a, b = firsts[p], firsts[p + 1]
        for k in range(a, b):
            contained[p] += table[_place(table, mask, grams[k])] != 0
        if b > a and contained[p] / (b - a) > threshold:
            stays[p] = False
            continue
        for k in range(a, b):
            table[_place(table, mask, grams[k])] = grams[k]
    return contained, stays


@native
def judge_with_filter(grams: Any, firsts: Any, bits: Any, threshold: float) -> Any:
    """As `judge`, with a Bloom filter (uint64 words, a power of two of them) in place of what was seen.

    `bits` is changed. The k-th bit of an n-gram is h1 + k h2 (Kirsch and Mitzenmacher 2006): h1 the hash
    without its lowest bit, which is always set, h2 its upper half. A multiple of the hash would not do for
    h2: a product's low bits follow from low bits alone, so seven bits would say what one says.
    """
    mask = np.uint64(len(bits) * 64 - 1)
    paragraphs = len(firsts) - 1
    contained, stays = np.zeros(paragraphs, np.int64), np.ones(paragraphs, np.bool_)
    for p in range(paragraphs):
        a, b = firsts[p], firsts[p + 1]
        for k in range(a, b):
            h, step, held = grams[k] >> _ONE, (grams[k] >> _STEP) | _ONE, True
            for _ in range(PROBES):
                bit = h & mask
                held = held and (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & _ONE != 0
                h += step
            contained[p] += held
        if b > a and contained[p] / (b - a) > threshold:
            stays[p] = False
            continue
        for k in range(a, b):
            h, step = grams[k] >> _ONE, (grams[k] >> _STEP) | _ONE
            for _ in range(PROBES):
                bit = h & mask
                bits[bit >> np.uint64(6)] |= _ONE << (bit & np.uint64(63))
                h += step
    return contained, stays


@native
def set_bits(bits: Any) -> int:
    """How many bits of the filter are set."""
    count = 0
    for word in bits:
        w = word
        while w != 0:
            w &= w - _ONE
            count += 1
    return count
