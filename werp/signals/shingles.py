"""Shingles and MinHash signatures of a batch of texts, natively: from the shared split, no token in Python.

Shingles
--------
1. The words of `words.v1` are folded character by character (`fold_table`); a word of which nothing is left
   is no word. `none` leaves them as they are. `lower` maps to lower case. `fineweb` does that, writes every
   decimal digit as 0, takes diacritics off and drops punctuation and symbols, as FineWeb simplifies texts.
2. The words are joined by single spaces. A shingle is n consecutive words, or n consecutive characters, of
   that. A text with fewer than n is one shingle, so that its copies are found; one of which the fold leaves
   nothing (marks, emoji) is taken unfolded. A text without a word has no shingle, no signature, no cluster.
3. Its hash is xxh3_64 of its UTF-8 bytes.

Unless the fold is `none`, a text that holds invisible characters, other forms of characters (width,
ligatures), or is not NFC is first made what it looks like (`werp.signals.looks.alike`), and split anew.
datatrove does not, and leaves out texts with fewer words than a shingle has.

Signatures
----------
datasketch 2.0's schemes: the hash (`affine32`: its low 32 bits) goes through the MurmurHash3 finaliser once,
then permutation k is a_k h + b_k modulo 2**32 or 2**64 with odd a_k; the signature is each one's minimum.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from werp.signals.looks import alike, differing
from werp.signals.split import Split
from werp.signals.words import native
from werp.signals.xxh3 import xxh3_64

if TYPE_CHECKING:
    from werp.signals.batch import TextBatch

Hashes = npt.NDArray[np.uint64]

_FOLDED = 0x20000  # code points that fold; the planes above are ideographs and unassigned
_DROPPED = np.uint32(0xFFFFFFFF)
_U = np.uint64


@functools.cache
def fold_table(kind: str) -> npt.NDArray[np.uint32]:
    """What each code point becomes, 0xFFFFFFFF for nothing; an empty table for `none`."""
    if kind == "none":
        return np.zeros(0, np.uint32)
    table = np.arange(_FOLDED, dtype=np.uint32)
    for code in range(_FOLDED):
        if 0xD800 <= code < 0xE000:
            continue
        lower = chr(code).lower()
        if kind == "lower":
            table[code] = ord(lower) if len(lower) == 1 else code
        else:
            table[code] = _simplified(lower, code)
    return table


def _simplified(lower: str, code: int) -> Any:
    """FineWeb's fold of one character, given its lower case."""
    parts = [c for c in unicodedata.normalize("NFD", lower) if unicodedata.category(c) != "Mn"]
    if not parts or unicodedata.category(parts[0])[0] in "PS":
        return _DROPPED
    if unicodedata.category(parts[0]) == "Nd":
        return ord("0")
    return ord(parts[0]) if len(parts) == 1 else code  # Hangul syllables stay whole


@native
def _encode(c: Any, out: Any, n: int) -> Any:
    """Write a code point as UTF-8 at n; returns where the next begins. A lone surrogate becomes `?`."""
    if c < 0x80:
        out[n] = c
        return n + 1
    if c < 0x800:
        out[n], out[n + 1] = 0xC0 | c >> 6, 0x80 | c & 0x3F
        return n + 2
    if 0xD800 <= c < 0xE000:
        out[n] = 0x3F
        return n + 1
    if c < 0x10000:
        out[n], out[n + 1], out[n + 2] = 0xE0 | c >> 12, 0x80 | c >> 6 & 0x3F, 0x80 | c & 0x3F
        return n + 3
    out[n], out[n + 1] = 0xF0 | c >> 18, 0x80 | c >> 12 & 0x3F
    out[n + 2], out[n + 3] = 0x80 | c >> 6 & 0x3F, 0x80 | c & 0x3F
    return n + 4


@native
def _folded_text(
    codes: Any, starts: Any, ends: Any, fold: Any, words: bool, out: Any, begin: Any, end: Any
) -> Any:
    """One text's words, folded and joined, as bytes in `out`; begins and ends of its units, and their number.

    Units are the words, or the characters with the spaces between words among them.
    """
    n, units = 0, 0
    for w in range(len(starts)):
        at, first = n, units
        if n > 0:
            out[n] = 32
            n += 1
            if not words:
                begin[units], end[units] = at, n
                units += 1
        word = n
        for i in range(starts[w], ends[w]):
            c = codes[i]
            if c < len(fold):
                c = fold[c]
            if c == _DROPPED:
                continue
            unit = n
            n = _encode(c, out, n)
            if not words:
                begin[units], end[units] = unit, n
                units += 1
        if n == word:
            n, units = at, first
        elif words:
            begin[units], end[units] = word, n
            units += 1
    return units


@native
def shingle_hashes(
    codes: Any, word_start: Any, word_end: Any, offsets: Any, fold: Any, size: int, words: bool
) -> Any:
    """Hashes of every text's shingles in order, repeats too: (hashes: uint64, first of each text: int64)."""
    texts, most_chars, most_words = len(offsets) - 1, 0, 0
    for t in range(texts):
        chars = 0
        for w in range(offsets[t], offsets[t + 1]):
            chars += word_end[w] - word_start[w]
        most_chars = max(most_chars, chars)
        most_words = max(most_words, offsets[t + 1] - offsets[t])
    out = np.empty(4 * most_chars + most_words + 1, np.uint8)
    most = most_words if words else most_chars + most_words
    begin, end = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    at = out.ctypes.data
    hashes = np.empty(1024, np.uint64)
    firsts = np.zeros(texts + 1, np.int64)
    n = 0
    for t in range(texts):
        a, b = offsets[t], offsets[t + 1]
        units = _folded_text(codes, word_start[a:b], word_end[a:b], fold, words, out, begin, end)
        if units == 0 and a < b:
            units = _folded_text(codes, word_start[a:b], word_end[a:b], fold[:0], words, out, begin, end)
        length = min(size, units)
        count = units - length + 1 if units else 0
        if n + count > len(hashes):
            larger = np.empty(2 * (n + count), np.uint64)
            larger[:n] = hashes[:n]
            hashes = larger
        for k in range(count):
            hashes[n + k] = xxh3_64(at + begin[k], end[k + length - 1] - begin[k])
        n += count
        firsts[t + 1] = n
    return hashes[:n].copy(), firsts


#: MurmurHash3's finaliser of each width: three shifts, and the two factors between them.
_FINALISERS = {
    np.uint32: ((16, 13, 16), (0x85EBCA6B, 0xC2B2AE35)),
    np.uint64: ((33, 33, 33), (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)),
}


@native
def _mixed(hash64: Any, kind: Any, shifts: Any, factors: Any) -> Any:
    h = kind(hash64)
    h = kind(kind(h ^ (h >> shifts[0])) * factors[0])
    h = kind(kind(h ^ (h >> shifts[1])) * factors[1])
    return kind(h ^ (h >> shifts[2]))


@native
def _signatures(hashes: Any, firsts: Any, a: Any, b: Any, kind: Any, shifts: Any, factors: Any) -> Any:
    """Each text's minima of its hashes, mixed and permuted modulo the width of `kind`, uint32 or uint64."""
    texts, size = len(firsts) - 1, len(a)
    out = np.empty((texts, size), a.dtype)
    out[:] = kind(-1)  # all ones
    for t in range(texts):
        low = out[t]
        k, last = firsts[t], firsts[t + 1]
        # Eight shingles a pass: the minima are read and written once for eight.
        while k + 8 <= last:
            h = _mixed(hashes[k], kind, shifts, factors), _mixed(hashes[k + 1], kind, shifts, factors)
            i = _mixed(hashes[k + 2], kind, shifts, factors), _mixed(hashes[k + 3], kind, shifts, factors)
            j = _mixed(hashes[k + 4], kind, shifts, factors), _mixed(hashes[k + 5], kind, shifts, factors)
            m = _mixed(hashes[k + 6], kind, shifts, factors), _mixed(hashes[k + 7], kind, shifts, factors)
            for p in range(size):
                one = min(kind(a[p] * h[0] + b[p]), kind(a[p] * h[1] + b[p]))
                two = min(kind(a[p] * i[0] + b[p]), kind(a[p] * i[1] + b[p]))
                three = min(kind(a[p] * j[0] + b[p]), kind(a[p] * j[1] + b[p]))
                four = min(kind(a[p] * m[0] + b[p]), kind(a[p] * m[1] + b[p]))
                low[p] = min(low[p], one, two, three, four)
            k += 8
        while k < last:
            rest = _mixed(hashes[k], kind, shifts, factors)
            for p in range(size):
                low[p] = min(low[p], kind(a[p] * rest + b[p]))
            k += 1
    return out


@functools.cache
def permutations(scheme: str, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(a, b) of datasketch 2.0's `affine32` or `affine64`: odd multipliers and addends, of that width."""
    generator = np.random.RandomState(seed)
    kind, width = (np.uint32, 32) if scheme == "affine32" else (np.uint64, 64)
    a = generator.randint(0, 1 << (width - 1), count, dtype=kind) * kind(2) + kind(1)
    return a, generator.randint(0, 1 << width, count, dtype=kind)


def shingles(batch: TextBatch, size: int, unit: str, fold: str) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of the shingles of every text of a batch, and where each text's begin (one more than texts).

    unit: `word` or `character`; fold: `none`, `lower` or `fineweb`.
    """
    split = batch.split
    hashes, firsts = _shingles(split, size, unit, fold)
    other = differing(split.codes, split.text_offsets, batch.texts) if fold != "none" else []
    if not other:
        return hashes, firsts
    texts = [alike(batch.texts[t]) for t in other]
    made, begins = _shingles(replace(batch, ids=texts, urls=texts, texts=texts).split, size, unit, fold)
    parts, last = [], 0
    for k, t in enumerate(other):
        parts += [hashes[firsts[last] : firsts[t]], made[begins[k] : begins[k + 1]]]
        last = t + 1
    counts = np.diff(firsts)
    counts[other] = np.diff(begins)
    return np.concatenate([*parts, hashes[firsts[last] :]]), np.concatenate(([0], np.cumsum(counts)))


def _shingles(split: Split, size: int, unit: str, fold: str) -> tuple[Hashes, npt.NDArray[np.int64]]:
    found: tuple[Hashes, npt.NDArray[np.int64]] = shingle_hashes(
        split.codes, split.word_start, split.word_end, split.word_offsets,
        fold_table(fold), size, unit == "word",
    )  # fmt: skip
    return found


def signatures(
    hashes: Hashes, firsts: npt.NDArray[np.int64], scheme: str, count: int, seed: int
) -> npt.NDArray[Any]:
    """Signatures of texts, one row each: uint32 or uint64 [texts, count]; of no shingles, all ones."""
    a, b = permutations(scheme, count, seed)
    kind: Any = a.dtype.type
    shifts, factors = (np.array(constants, kind) for constants in _FINALISERS[kind])
    made: npt.NDArray[Any] = _signatures(hashes, firsts, a, b, kind, shifts, factors)
    return made
