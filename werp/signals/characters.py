"""What each code point is, as bits in one table: the only place where the splitter asks Unicode.

The table ends where the last letters of Unicode 15 end; beyond it lie only variation selectors, tags and
private use, none of which is a space, a letter or a mark that splits. Building it takes about 50 ms.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE = 1  # str.isspace
ALPHA = 2  # str.isalpha
LOWER = 4  # a lower-case letter, or a letter of a script without case
UPPER = 8  # an upper-case letter, or a letter of a script without case
DIGIT = 16  # 0-9
EDGE = 32  # stands alone at either end of a chunk
FRONT = 64  # stands alone at the front of a chunk only
CURRENCY = 128  # stands alone at the front, and at the end after a digit
ICON = 256  # stands alone anywhere
SYMBOL = 512  # a word of nothing but these is pure punctuation
ALNUM = 1024  # str.isalnum
MARK = 2048  # combining mark: part of the letter before it
QUOTE = 4096  # a quotation mark or East Asian bracket
INVISIBLE = 8192  # shows nothing: Unicode's Default_Ignorable_Code_Point
UNSPACED = 16384  # a letter or mark of a script that puts no space between words, for which ICU finds them

TABLE_SIZE = 0x33480

_EDGE = (
    "!\"#&'()*,:;<>?[]_`{}"
    "¡«´·»¿–—‘’‚“”„…"
    "،؛؟٪۔।⟦⟧"
    "、。〈〉《》「」『』【】〔〕！（），：；？～"
)  # fmt: skip
_FRONT = "%+=§"
_QUOTE = "'\",`´«»‘’‚“”„《》「」『』【】〔〕（）〈〉⟦⟧"
# Punctuation of the web beyond ASCII. Bullets, ornaments and `‘` are left out on purpose: datatrove's list,
# which gives FineWeb's word counts, leaves them out too, and a list page has thousands of bullets.
_SYMBOL = "«´»–—’“„”…∶━►、。〈〉《》「」【】！％（），．：；？～"

#: Default_Ignorable_Code_Point of Unicode 15 (DerivedCoreProperties.txt), below TABLE_SIZE.
_INVISIBLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
)  # fmt: skip
FIRST_TAG, LAST_TAG = 0xE0000, 0xE0FFF  # beyond the table, and invisible as well
#: Blocks of Thai, Lao, Tibetan, Burmese, Khmer, Han, kana, Bopomofo; their letters and marks count.
_UNSPACED = (
    (0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x19E0, 0x19FF), (0x2E80, 0x2FDF),
    (0x3005, 0x3007), (0x3021, 0x303C), (0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip

_ETHIOPIC_SPACE = 0x1361  # stands between words in place of white space


@cache
def character_table() -> npt.NDArray[np.uint16]:
    """Bits of every code point below TABLE_SIZE; index it with the code point."""
    characters = "".join(map(chr, range(TABLE_SIZE)))
    table = np.zeros(TABLE_SIZE, np.uint16)

    def holds(test: object) -> npt.NDArray[np.bool_]:
        return np.fromiter(map(test, characters), np.bool_, TABLE_SIZE)  # type: ignore[call-overload]

    alpha, lower, upper = holds(str.isalpha), holds(str.islower), holds(str.isupper)
    table[holds(str.isspace)] |= SPACE
    table[holds(str.isalnum)] |= ALNUM
    table[alpha] |= ALPHA
    table[alpha & ~upper] |= LOWER
    table[alpha & ~lower] |= UPPER
    table[ord("0") : ord("9") + 1] |= DIGIT
    categories = np.array(list(map(unicodedata.category, characters)))
    table[categories == "Sc"] |= CURRENCY
    table[categories == "So"] |= ICON
    table[np.char.startswith(categories, "M")] |= MARK
    table[categories == "Cc"] |= SYMBOL
    for bit, marks in ((EDGE, _EDGE), (FRONT, _FRONT), (QUOTE, _QUOTE), (SYMBOL, _SYMBOL)):
        table[[ord(c) for c in marks]] |= bit
    for first, last in _INVISIBLE:
        table[first : last + 1] |= INVISIBLE
    for first, last in _UNSPACED:
        table[first : last + 1] |= np.where(table[first : last + 1] & (ALPHA | MARK), np.uint16(UNSPACED), 0)
    table[_ETHIOPIC_SPACE] |= UNSPACED
    ascii_marks = [c for c in range(0x21, 0x7F) if not chr(c).isalnum()]
    table[ascii_marks] |= SYMBOL
    table.setflags(write=False)
    return table
