"""Scripts that put no space between words, and the words of a line that may be written in one.

No numba here: rules that look at lines are read where nothing is measured.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import numpy as np

from werp.signals.characters import UNSPACED, character_table

_LOCALE = "en"  # ICU's word rules differ by locale in the colons of Finnish and Swedish alone
_SURROGATES = re.compile("[\ud800-\udfff]")


@functools.cache
def unspaced_class() -> str:
    """The letters of scripts without spaces, as they stand inside a character class of `re`."""
    flags = np.concatenate(([0], (character_table() & UNSPACED != 0).astype(np.int8), [0]))
    steps = np.flatnonzero(np.diff(flags)).reshape(-1, 2).tolist()
    return "".join(f"{chr(first)}-{chr(after - 1)}" for first, after in steps)


@functools.cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{unspaced_class()}]")


def is_unspaced(text: str) -> bool:
    """Whether a text holds a letter of a script without spaces."""
    return not text.isascii() and _unspaced().search(text) is not None


def words_of_line(line: str) -> list[str]:
    """The words of a line as C4 and RefinedWeb have them: what stands between white space, marks and all.

    A chunk of a script without spaces is the words that ICU finds in it, without punctuation.
    """
    words = []
    for chunk in line.split():
        if not is_unspaced(chunk):
            words.append(chunk)
            continue
        found = (chunk[a:b] for a, b in icu_words(chunk))
        words += [word for word in found if any(map(str.isalnum, word))]
    return words


def icu_words(text: str) -> Iterator[tuple[int, int]]:
    """Places of ICU's words in a text, in characters, white space among them."""
    # Imported at need: most text has no such script.
    from icu4py.breakers import WordBreaker  # noqa: PLC0415

    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    found: Iterator[tuple[int, int]] = WordBreaker(text, _LOCALE).segments()
    return found
