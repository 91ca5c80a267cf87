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
    ascii_marks = [c for c in range(0x21, 0x7F) if not chr(c).isalnum()]
    table[ascii_marks] |= SYMBOL
    table.setflags(write=False)
    return table
