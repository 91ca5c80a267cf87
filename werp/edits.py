"""Edits of a document's text as spans: the stored text never changes, and every state of it can be had again.

A span says which characters of the stored text a rule took out, and what stands there instead. Spans are
listed in the order in which the rules made them. Two spans are disjoint, or the later one encloses the
earlier; the enclosing one decides. So the text after the first k rules is the stored text under those
rules' spans alone, whatever later rules did.

    text     "Share this!\\nWrite to ann@corp.com.\\n"
    spans    (0, 12, "c4.v1.min_words_per_line", None), (21, 33, "pii.v1.email", "email@example.com")
    edited   "Write to email@example.com.\\n"
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Span(NamedTuple):
    """Characters [start, end) of a text, taken out by a rule; `replacement` stands there instead, if given.

    rule: `<family>.<version>.<key>`, as the ledger names rules.
    """

    start: int
    end: int
    rule: str
    replacement: str | None = None

    @property
    def family(self) -> str:
        """The rule without its key, e.g. `c4.v1`."""
        return ".".join(self.rule.split(".")[:2])


class Piece(NamedTuple):
    """A stretch of the stored text: kept (`rule` None), or taken out by a rule and maybe replaced."""

    text: str
    rule: str | None = None
    replacement: str | None = None


def spans_of(rows: Iterable[Mapping[str, Any]] | None) -> list[Span]:
    """Spans from the rows of `documents.removed`."""
    return [Span(row["start"], row["end"], row["rule"], row["replacement"]) for row in rows or ()]


def apply_edits(text: str, spans: Sequence[Span]) -> str:
    """The text with every span taken out or replaced.

    Raises `ValueError` for a span outside the text or two spans that cross.

    >>> apply_edits("a b c", [Span(0, 2, "x.v1.k"), Span(4, 5, "y.v1.k", "C")])
    'b C'
    """
    if not spans:
        return text
    return "".join(
        piece.text if piece.rule is None else piece.replacement or "" for piece in pieces(text, spans)
    )


def pieces(text: str, spans: Sequence[Span]) -> Iterator[Piece]:
    """The stored text cut where the deciding spans begin and end; empty pieces are left out.

    For showing what was removed, and by which rule. Raises as `apply_edits`.
    """
    at = 0
    for span in _deciding(spans, len(text)):
        if span.start > at:
            yield Piece(text[at : span.start])
        yield Piece(text[span.start : span.end], span.rule, span.replacement)
        at = span.end
    if at < len(text):
        yield Piece(text[at:])


def rebase(spans: Sequence[Span], earlier: Sequence[Span], length: int) -> list[Span]:
    """Spans made on an edited text, as spans of the stored text; list them after the earlier ones.

    spans: in characters of the edited text, disjoint.
    earlier: the spans, in characters of the stored text, that made the edited text of it.
    length: characters of the stored text.

    A span that ends inside an earlier replacement encloses all of it and gives back the part it spares.

    >>> rebase([Span(1, 3, "y.v1.k")], [Span(1, 4, "x.v1.k")], 8)
    [Span(start=4, end=6, rule='y.v1.k', replacement=None)]
    """
    if not earlier:
        return list(spans)
    # Stretches of the edited text: where each begins there, where in the stored text, and what it replaces.
    begins, stored, replaced = [0], [0], [""]
    for span in _deciding(earlier, length):
        at = begins[-1] + (len(replaced[-1]) if replaced[-1] else span.start - stored[-1])
        if span.replacement:
            begins += [at, at + len(span.replacement)]
            stored += [span.start, span.end]
            replaced += [span.replacement, ""]
        else:
            begins.append(at)
            stored.append(span.end)
            replaced.append("")
    return [_rebased(span, begins, stored, replaced) for span in _joined(spans, begins, replaced)]


def _joined(spans: Sequence[Span], begins: list[int], replaced: list[str]) -> list[Span]:
    """The spans from left to right; those that cut one replacement are one: each would enclose it whole."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = joined[-1] if joined else None
        stretch = bisect_right(begins, span.start) - 1
        if last and replaced[stretch] and bisect_right(begins, last.end - 1) - 1 == stretch:
            between = replaced[stretch][last.end - begins[stretch] : span.start - begins[stretch]]
            stays = (last.replacement or "") + between + (span.replacement or "")
            joined[-1] = Span(last.start, span.end, last.rule, stays or None)
        else:
            joined.append(span)
    return joined


def _rebased(span: Span, begins: list[int], stored: list[int], replaced: list[str]) -> Span:
    first = bisect_right(begins, span.start) - 1  # of stretches that begin at one place, the last has length
    last = bisect_right(begins, span.end - 1) - 1
    head, tail = replaced[first], replaced[last]
    start = stored[first] if head else stored[first] + span.start - begins[first]
    end = stored[last + 1] if tail else stored[last] + span.end - begins[last]
    spared = head[: span.start - begins[first]] if head else ""
    rest = tail[span.end - begins[last] :] if tail else ""
    return Span(start, end, span.rule, (spared + (span.replacement or "") + rest) or None)


def _deciding(spans: Sequence[Span], length: int) -> list[Span]:
    """The spans that no later one encloses, from left to right."""
    order = sorted(range(len(spans)), key=lambda i: (spans[i].start, -spans[i].end, -i))
    out: list[Span] = []
    for span in (spans[i] for i in order):
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"edit {span}: not inside a text of {length} characters")
        if out and span.start < out[-1].end:
            if span.end > out[-1].end:
                raise ValueError(f"edits {out[-1]} and {span} cross")
            continue
        out.append(span)
    return out
