from __future__ import annotations

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from tests.signals.signal_texts import MADE_TEXT, ODD_TEXTS, assert_columns, batch_of, emptied
from werp.signals.length import Length


def check(texts: list[str]) -> None:
    batch = batch_of(texts)
    columns = Length().measure(batch)
    assert {str(c.type) for c in columns.values()} == {"int64"}
    assert_columns(columns, "length.chars", [len(t) for t in texts])
    assert_columns(columns, "length.words", [len(batch.words(i)) for i in range(len(texts))])
    assert_columns(columns, "length.lines", [len([s for s in emptied(t).split("\n") if s]) for t in texts])


def test_counts(real_texts: list[str]) -> None:
    check(ODD_TEXTS)
    check(real_texts)
    check([])


@settings(deadline=None)
@given(MADE_TEXT)
def test_counts_of_made_texts(text: str) -> None:
    check([text, text])


def test_only_set_thresholds_are_checked() -> None:
    assert Length().checks() == []
    checks = Length(min_words=0, max_chars=10).checks()
    assert [(c.key, c.signal, c.drop_if, c.threshold) for c in checks] == [
        ("max_chars", "length.chars", ">", 10),
        ("min_words", "length.words", "<", 0),
    ]
    with pytest.raises(ValidationError):
        Length(min_word=3)  # type: ignore[call-arg]
