"""Tokens of contamination matching: runs of letters and digits in lower case, whatever stands between them.

Punctuation, case, width, accents, line ends, apostrophes (`don't` is `dont`), what shows nothing and the form
of normalisation never hide a copy. Scripts that are written without spaces (Han, kana, Thai, Lao, Khmer,
Burmese and their relatives) have a token a character: a run would be a sentence, and no two of them equal.
Native, over code points end to end, as `werp.signals.words` splits them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.signals import characters as ch
from werp.signals.words import code_points, native

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_HIGH = np.uint64(32)
_SKIPPED = 1  # a character that neither ends a token nor is part of it
#: Apostrophes and half-width voice marks; the half-width forms are letters to Unicode.
_PASSED_OVER = "'’＇ﾞﾟ"
#: Hangul syllables are hashed as their letters, which decomposed text has (Unicode, section 3.12).
_SYLLABLES, _VOWELS, _FINALS = 0xAC00, 21 * 28, 28
_ALONE = np.uint32(1 << 31)  # set where a character is a token
#: Blocks of Unicode whose scripts have no spaces between words: first and last code point.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
    (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, ch.TABLE_SIZE - 1),
)  # fmt: skip


@cache
def fold_table() -> npt.NDArray[np.uint32]:
    """Of every code point its plain lower-case form, with a bit where it is a token of its own.

    0 ends a token, 1 is passed over (apostrophes, marks).
    """
    bits = ch.character_table()
    table = np.zeros(ch.TABLE_SIZE, np.uint32)
    for code in np.flatnonzero(bits & ch.ALNUM).tolist():
        parts = unicodedata.normalize("NFKD", chr(code).lower())
        plain = [part for part in parts if not unicodedata.category(part).startswith("M")]
        table[code] = ord(plain[0].lower() if len(plain) == 1 else chr(code).lower()[0])
    for first, last in _UNSPACED:
        letters = first + np.flatnonzero(table[first : last + 1])
        table[letters] |= _ALONE
    table[np.flatnonzero(bits & (ch.MARK | ch.INVISIBLE))] = _SKIPPED
    table[[ord(c) for c in _PASSED_OVER]] = _SKIPPED
    table.setflags(write=False)
    return table


@native
def _added(h: Any, letter: Any) -> Any:
    """The hash with one more letter."""
    if not _SYLLABLES <= letter <= 0xD7A3:
        return (h ^ np.uint64(letter)) * _PRIME
    syllable = np.int64(letter) - _SYLLABLES
    h = (h ^ np.uint64(0x1100 + syllable // _VOWELS)) * _PRIME
    h = (h ^ np.uint64(0x1161 + syllable % _VOWELS // _FINALS)) * _PRIME
    final = syllable % _FINALS
    return (h ^ np.uint64(0x11A7 + final)) * _PRIME if final else h


@native
def _tokens(codes: Any, text_offsets: Any, table: Any) -> Any:
    size = len(codes) // 2 + 1 + len(text_offsets)
    for c in codes:
        size += c < len(table) and table[c] >= _ALONE
    hashes, starts, ends = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.int32)
    offsets = np.zeros(len(text_offsets), np.int64)
    n = 0
    for t in range(len(text_offsets) - 1):
        inside, h = False, _SEED
        for i in range(text_offsets[t], text_offsets[t + 1]):
            c = codes[i]
            folded = table[c] if c < len(table) else np.uint32(0)
            if folded >= _ALONE:
                if inside:
                    hashes[n] = h ^ (h >> _HIGH)
                    n += 1
                    inside = False
                h, starts[n], ends[n] = (_SEED ^ np.uint64(folded)) * _PRIME, i, i + 1
                hashes[n] = h ^ (h >> _HIGH)
                n += 1
            elif folded > _SKIPPED:
                if not inside:
                    inside, h, starts[n] = True, _SEED, i
                h = _added(h, folded)
                ends[n] = i + 1
            elif inside and folded == 0:
                hashes[n] = h ^ (h >> _HIGH)
                n += 1
                inside = False
        if inside:
            hashes[n] = h ^ (h >> _HIGH)
            n += 1
        offsets[t + 1] = n
    return hashes[:n].copy(), starts[:n].copy(), ends[:n].copy(), offsets


def tokenise(texts: Sequence[str]) -> tuple[Any, Any, Any, Any]:
    """(hashes uint64, starts, ends int32, offsets int64): tokens of all texts end to end.

    Starts and ends are characters of the texts joined; those of text t are [offsets[t], offsets[t + 1]).
    """
    text_offsets = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
    return _tokens(code_points("".join(texts)), text_offsets, fold_table())  # type: ignore[no-any-return]


def share_alone(text: str) -> float:
    """The share of a text's letters and digits that are tokens of their own, 0-1."""
    codes = code_points(text)
    folded = fold_table()[codes[codes < ch.TABLE_SIZE]]
    letters = folded > _SKIPPED
    return float((folded[letters] >= _ALONE).mean()) if letters.any() else 0.0
