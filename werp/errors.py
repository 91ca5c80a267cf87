"""Errors meant for the person at the terminal: what is wrong, where, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class WerpError(Exception):
    """A mistake in what the user gave or a state the run can't go on from; its text is the whole message."""

    status: ClassVar[int] = 2  # of the command that ends with it


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint ` (did you mean ...?)` naming the closest known key, or the list of them.

    >>> nearest("min_word", ["min_words", "max_words"])
    ' (did you mean min_words?)'
    """
    options = sorted(known)
    close = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(options)})" if options else ""
