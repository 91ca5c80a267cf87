"""Lines of a text with their places, for the rules that take lines out."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from werp.edits import Span, apply_edits, rebase
from werp.signals.characters import FIRST_TAG, INVISIBLE, LAST_TAG, SPACE, character_table


class Line(NamedTuple):
    """A line without its separator: the text [start, end); the separator is [end, after)."""

    text: str
    start: int
    end: int
    after: int


@functools.cache
def _blank() -> re.Pattern[str]:
    """White space, and what shows nothing: Unicode's Default_Ignorable_Code_Point."""
    nothing = "".join(map(chr, np.flatnonzero(character_table() & (SPACE | INVISIBLE))))
    return re.compile(f"[{nothing}{chr(FIRST_TAG)}-{chr(LAST_TAG)}]*")


def is_blank_line(line: str) -> bool:
    """Whether a line shows nothing: white space and invisible characters alone (`werp.signals.words`).

    >>> is_blank_line(" \\u200b\\u00a0"), is_blank_line(" . ")
    (True, False)
    """
    # Nine lines of ten begin with a letter or mark of ASCII.
    return not "!" <= line[:1] <= "~" and _blank().fullmatch(line) is not None


def lines_of(text: str, *, newline_only: bool) -> list[Line]:
    """The lines of a text, as `str.split("\\\\n")` (newline_only) or as `str.splitlines` gives them.

    >>> [(line.text, line.start, line.after) for line in lines_of("a\\\\r\\\\nbc", newline_only=False)]
    [('a', 0, 3), ('bc', 3, 5)]
    """
    out: list[Line] = []
    at = 0
    if newline_only:
        for piece in text.split("\n"):
            end = at + len(piece)
            out.append(Line(piece, at, end, min(end + 1, len(text))))
            at = end + 1
        return out
    for piece, whole in zip(text.splitlines(), text.splitlines(keepends=True), strict=True):
        out.append(Line(piece, at, at + len(piece), at + len(whole)))
        at += len(whole)
    return out


def stripped(text: str, spans: Sequence[Span], rule: str) -> list[Span]:
    """The spans, and further ones that take white space off both ends of the edited text."""
    edited = apply_edits(text, spans)
    head, tail = len(edited) - len(edited.lstrip()), len(edited.rstrip())
    ends = [Span(0, head, rule)] if head else []
    if head < tail < len(edited):
        ends.append(Span(tail, len(edited), rule))
    return disjoint([*spans, *rebase(ends, spans, len(text))]) if ends else list(spans)


def disjoint(spans: Sequence[Span]) -> list[Span]:
    """The same characters taken out by disjoint spans: a later span keeps only what earlier ones left of it.

    Where a later span encloses a replacement, the replacement goes with it.
    """
    out: list[Span] = []  # in order of places, disjoint
    for span in spans:
        first = last = bisect_left(out, span.start, key=lambda s: s.start)
        pieces, at = [], span.start
        while last < len(out) and out[last].end <= span.end:
            inside = out[last]
            if at < inside.start:
                pieces.append(Span(at, inside.start, span.rule))
            pieces.append(inside._replace(replacement=None))
            at = inside.end
            last += 1
        if at < span.end:
            pieces.append(Span(at, span.end, span.rule))
        out[first:last] = pieces
    return out
