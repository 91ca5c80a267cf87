"""Edits as spans: any state of a text can be had again, whatever later rules did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from werp.edits import Span, apply_edits, pieces, rebase, spans_of

TEXT = "Share this!\nWrite to ann@corp.com.\n"
SPANS = [Span(0, 12, "c4.v1.min_words_per_line"), Span(21, 33, "pii.v1.email", "email@example.com")]


def test_text_before_and_after_is_there() -> None:
    assert apply_edits(TEXT, SPANS) == "Write to email@example.com.\n"
    assert apply_edits(TEXT, SPANS[:1]) == "Write to ann@corp.com.\n"
    cut = list(pieces(TEXT, SPANS))
    assert "".join(piece.text for piece in cut) == TEXT
    assert [piece.rule for piece in cut] == [SPANS[0].rule, None, SPANS[1].rule, None]
    assert SPANS[0].family == "c4.v1"


def test_rows_of_the_table_are_spans() -> None:
    assert spans_of([span._asdict() for span in SPANS]) == SPANS
    assert spans_of(None) == []


@pytest.mark.parametrize(
    ("spans", "words"),
    [([Span(3, 36, "a")], "not inside"), ([Span(2, 2, "a")], "not inside"),
     ([Span(0, 3, "a"), Span(2, 5, "b")], "cross")],
)  # fmt: skip
def test_spans_that_can_not_be_are_refused(spans: list[Span], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply_edits(TEXT, spans)


@given(st.data())
def test_rules_one_after_another_equal_their_spans_together(data: st.DataObject) -> None:
    """Each rule edits what the one before left; every stage is found again from the stored text and spans."""
    text = data.draw(st.text("abcd", min_size=1, max_size=12))
    edited, spans = text, list[Span]()
    for k in range(3):
        cuts = sorted(data.draw(st.sets(st.integers(0, len(edited)), max_size=6)))
        made = [
            Span(a, b, f"r{k}.v1.k", data.draw(st.sampled_from([None, "X", "YZ"])))
            for a, b in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        before, count = edited, len(spans)
        edited = apply_edits(edited, made)
        spans += rebase(made, spans, len(text))
        assert apply_edits(text, spans) == edited
        assert apply_edits(text, spans[:count]) == before
        assert "".join(piece.text for piece in pieces(text, spans)) == text


def test_two_cuts_of_one_replacement_are_one_span() -> None:
    first = [Span(0, 1, "r0.v1.k", "YZZ")]
    second = rebase([Span(0, 1, "r1.v1.k"), Span(2, 3, "r1.v1.k")], first, 1)
    assert second == [Span(0, 1, "r1.v1.k", "Z")]
    assert apply_edits("a", first + second) == "Z"
