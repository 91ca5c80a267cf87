"""Texts that a reader cannot tell apart, made one: for `exact.v1`, and for `minhash.v1` where one needs it.

1. What shows nothing goes: Unicode's Default_Ignorable_Code_Point (soft hyphens, zero-width characters, marks
   of direction, byte-order marks, variation selectors).
2. Forms of a character by width, ligature or position become the character, as NFKC has it. Superscripts,
   fractions, circled and mathematical letters stay: a reader sees them.
3. Quotation marks become `"` and `'`, hyphens and dashes `-`, the wave dash `~`.
4. NFC.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.signals.characters import (
    ALNUM,
    FIRST_TAG,
    INVISIBLE,
    LAST_TAG,
    SPACE,
    TABLE_SIZE,
    UNSPACED,
    character_table,
)
from werp.signals.words import code_points, native

_SAME_LOOKS = (
    "<wide>", "<narrow>", "<noBreak>", "<compat>", "<initial>", "<medial>", "<final>", "<isolated>",
    "<vertical>", "<small>",
)  # fmt: skip
_MARKS = {"'": "‘’‚‛′´", '"': "“”„‟″〝〞", "-": "‐‑‒–—―−", "~": "〜"}
_END = 0x2FA20  # behind the last character that has another form
_FORMS, _COMPOSES, _JOINS = 1, 2, 4  # bits of `_signs`
_DROPPED, _SEVERAL = np.uint32(0xFFFFFFFF), np.uint32(0x80000000)


@functools.cache
def _forms() -> dict[str, str]:
    """Character: what stands for it by rules 1 to 3."""
    forms = {}
    for code in range(0x80, _END):
        own = chr(code)
        if unicodedata.decomposition(own).startswith(_SAME_LOOKS):
            made = unicodedata.normalize("NFKC", own)
            if made[0] != " " or own.isspace():  # an accent that stands alone is no space with a mark
                forms[own] = made
    forms |= dict.fromkeys(map(chr, np.flatnonzero(character_table() & INVISIBLE)), "")
    return forms | {other: mark for mark, others in _MARKS.items() for other in others}


@functools.cache
def _pattern() -> re.Pattern[str]:
    others = "".join(map(re.escape, sorted(_forms())))
    return re.compile(f"[{others}{chr(FIRST_TAG)}-{chr(LAST_TAG)}]")


def alike(text: str) -> str:
    """The text by the four rules above.

    >>> alike("ﬁve ｋｍ\\u00ad of “cafe\\u0301”")
    'five km of "café"'
    """
    if text.isascii():
        return text
    forms = _forms()
    return unicodedata.normalize("NFC", _pattern().sub(lambda found: forms.get(found[0], ""), text))


@functools.cache
def _signs() -> npt.NDArray[np.uint8]:
    """Of each code point: whether rules 1 or 2 change it, whether NFC may, whether it may after those rules.

    The last are half-width voice marks and Hangul letters.
    """
    signs = np.zeros(_END, np.uint8)
    marks = set("".join(_MARKS.values())) | {"…"}
    for character, form in _forms().items():
        if character not in marks and not character.isspace():
            signs[ord(character)] |= _FORMS
        if form and (unicodedata.combining(form[0]) or 0x1100 <= ord(form[0]) < 0x1200):
            signs[ord(character)] |= _JOINS
    for code in range(0x300, _END):
        if unicodedata.category(chr(code))[0] == "M" or 0x1100 <= code < 0x1200:
            signs[code] |= _COMPOSES
    return signs


def differing(codes: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], texts: list[str]) -> list[int]:
    """Numbers of the texts that `alike` changes in more than marks of punctuation and white space."""
    found: npt.NDArray[np.uint8] = _some_signs(codes, offsets, _signs())
    return [
        t
        for t in np.flatnonzero(found).tolist()
        if found[t] & _FORMS or not unicodedata.is_normalized("NFC", texts[t])
    ]


@native
def _some_signs(codes: Any, offsets: Any, signs: Any) -> Any:
    out = np.zeros(len(offsets) - 1, np.uint8)
    for t in range(len(out)):
        some = np.uint8(0)
        for i in range(offsets[t], offsets[t + 1]):
            c = codes[i]
            if c >= 0x80:
                some |= signs[c] if c < len(signs) else np.uint8(FIRST_TAG <= c <= LAST_TAG)
        out[t] = some
    return out


@functools.cache
def _folds() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Rules 1 to 3 and lower case, code point by code point: (fold, expansions, where each begins)."""
    fold = np.arange(_END, dtype=np.uint32)
    several: list[str] = []
    forms = _forms()
    for code in range(_END):
        if 0xD800 <= code < 0xE000:
            continue
        own = chr(code)
        made = unicodedata.normalize("NFC", forms.get(own, own).lower()).replace("ς", "σ")
        if made == own:
            continue
        if len(made) == 1:
            fold[code] = ord(made)
        elif made:
            fold[code] = _SEVERAL | np.uint32(len(several))
            several.append(made)
        else:
            fold[code] = _DROPPED
    begins = np.concatenate(([0], np.cumsum([len(made) for made in several])))
    return fold, code_points("".join(several)), begins


def looks(texts: list[str]) -> list[bytes]:
    """A key of each text, equal for those that look alike: the rules above, lower case, single spaces.

    Beside a letter of a script without spaces, and between two marks of East Asian width, white space is
    layout and goes. Empty for a text that shows nothing.
    """
    codes, offsets = _joined(texts)
    found = _some_signs(codes, offsets, _signs())
    if (found & (_COMPOSES | _JOINS)).any():
        composed = zip(texts, (found & (_COMPOSES | _JOINS)).tolist(), strict=True)
        codes, offsets = _joined([alike(text) if sign else text for text, sign in composed])
    out, ends = _looks(codes, offsets, character_table(), *_folds())
    little = out.astype("<u4", copy=False)
    return [little[a:b].tobytes() for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def _joined(texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Code points of the texts end to end, and where each begins."""
    return code_points("".join(texts)), np.concatenate(
        ([0], np.cumsum([len(t) for t in texts], dtype=np.int64))
    )


@native
def _looks(codes: Any, offsets: Any, table: Any, fold: Any, several: Any, begins: Any) -> Any:
    out = np.empty(len(codes) + 64, np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    n = 0
    for t in range(len(offsets) - 1):
        first, before, space = n, np.uint32(0), False
        for i in range(offsets[t], offsets[t + 1]):
            c = codes[i]
            if c < TABLE_SIZE and table[c] & SPACE:
                space = True
                continue
            to = fold[c] if c < len(fold) else (_DROPPED if FIRST_TAG <= c <= LAST_TAG else c)
            if to == _DROPPED:
                continue
            if n + 32 > len(out):
                larger = np.empty(2 * len(out), np.uint32)
                larger[:n] = out[:n]
                out = larger
            if space and n > first and _spaces(before, c, table):
                out[n] = 32
                n += 1
            before, space = c, False
            if to < _SEVERAL:
                out[n] = to
                n += 1
                continue
            k = np.int64(to & ~_SEVERAL)
            for j in range(begins[k], begins[k + 1]):
                out[n] = several[j]
                n += 1
        ends[t + 1] = n
    return out[:n], ends


@native
def _spaces(a: Any, b: Any, table: Any) -> Any:
    """Whether white space between these characters is seen."""
    if (a < TABLE_SIZE and table[a] & UNSPACED) or (b < TABLE_SIZE and table[b] & UNSPACED):
        return False
    return not (_is_wide_mark(a, table) and _is_wide_mark(b, table))


@native
def _is_wide_mark(c: Any, table: Any) -> Any:
    return (0x3001 <= c <= 0x303F or 0xFF01 <= c <= 0xFF65) and not table[c] & ALNUM
