from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings

from tests.signals.signal_texts import MADE_TEXT, ODD_TEXTS, assert_columns, batch_of, emptied
from werp.signals import characters
from werp.signals.characters import SYMBOL, TABLE_SIZE, character_table
from werp.signals.gopher_quality import STOP_WORDS, GopherQuality
from werp.signals.scripts import is_unspaced

INVISIBLE = np.flatnonzero(character_table() & characters.INVISIBLE)


def punctuation(word: str) -> bool:
    table = character_table()
    return all(ord(c) < TABLE_SIZE and table[ord(c)] & SYMBOL for c in word)


def reference(text: str, words: list[str], stop_words: tuple[str, ...]) -> dict[str, float | None]:
    """Straight from the definitions, on strings."""
    texts = [w for w in words if not punctuation(w)]
    lines = text.splitlines()

    def per(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    return {
        "words": len(texts),
        "mean_word_length": per(sum(map(len, texts)), len(texts)),
        "hash_ratio": per(text.count("#"), len(words)),
        "ellipsis_ratio": per(text.count("...") + text.count("…"), len(words)),
        "bullet_line_ratio": per(sum(s.lstrip().startswith(("•", "-")) for s in lines), len(lines)),
        "ellipsis_line_ratio": per(sum(s.rstrip().endswith(("...", "…")) for s in lines), len(lines)),
        "alpha_word_ratio": per(sum(any(map(str.isalpha, w)) for w in words), len(words)),
        "stop_words": len(set(words) & set(stop_words)),
    }


def dclm_reference(text: str, words: list[str], stop_words: tuple[str, ...]) -> dict[str, float | None]:
    """As DCLM's filters have it, for text without a script that lacks spaces."""
    words = text.split()
    lines = [line for line in map(str.strip, emptied(text).split("\n")) if line]
    symbols = sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…"))

    def per(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    def ends(line: str) -> bool:
        seen = line.rstrip("".join(map(chr, INVISIBLE)) + " \t\u00a0")
        return seen.endswith(("...", ". . .", "…"))

    def starts(line: str) -> bool:
        return line.lstrip("".join(map(chr, INVISIBLE)) + " \t\u00a0").startswith(("●", "•", "*", "-"))

    return {
        "words": sum(token[0].isalnum() for token in re.split("[ \t\n\v\f\r\0]+", text) if token),
        "mean_word_length": per(sum(map(len, words)), len(words)),
        "symbol_ratio": per(symbols, len(words)),
        "bullet_line_ratio": per(sum(map(starts, lines)), len(lines)),
        "ellipsis_line_ratio": per(sum(map(ends, lines)), len(lines)),
        "alpha_word_ratio": per(sum(any(map(str.isalpha, w)) for w in words), len(words)),
        "stop_words": sum(w.lower() in stop_words for w in words),
    }


REFERENCES = {"datatrove": reference, "dclm": dclm_reference}


def check(texts: list[str], rule: GopherQuality) -> None:
    batch = batch_of(texts)
    columns = rule.measure(batch)
    own = REFERENCES[rule.counting]
    expected = [own(text, batch.words(t), rule.stop_words) for t, text in enumerate(texts)]
    for name in own("", [], ()):
        assert_columns(columns, f"gopher_quality.{name}", [row[name] for row in expected])


def test_equals_the_definitions(real_texts: list[str]) -> None:
    check(ODD_TEXTS, GopherQuality())
    check(real_texts, GopherQuality())
    check(real_texts[:50], GopherQuality(stop_words=("der", "die", ",", "der", "a" * 40)))
    check(ODD_TEXTS, GopherQuality(stop_words=()))
    check([], GopherQuality())


def test_equals_dclms_definitions(real_texts: list[str]) -> None:
    spaced = [text for text in [*ODD_TEXTS, *SPACED_DOTS] if not is_unspaced(text)]
    check([*spaced, *(text for text in real_texts if not is_unspaced(text))], GopherQuality(counting="dclm"))
    check([], GopherQuality(counting="dclm"))


SPACED_DOTS = [
    ". . .", ". . . .", ". . . . . .", ".. . .", "... . .", "a . . . b\nc . . .", "x. . . y", ". .  .",
    " . . . ", "The THE the, (the) be\u00a0to OF", "● a\n* b\n\n\n - c\n• d\n\u200b\n+ e",
    "50\u00a0% \0 (x) .5 5. é", "a...\n\nb…\n \nc . . .\nd",
]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(MADE_TEXT.filter(lambda text: not is_unspaced(text)))
def test_equals_dclms_definitions_on_made_texts(text: str) -> None:
    check([text, "", text], GopherQuality(counting="dclm"))


@settings(deadline=None, max_examples=300)
@given(MADE_TEXT)
def test_equals_the_definitions_on_made_texts(text: str) -> None:
    check([text, "", text], GopherQuality())


def test_a_key_of_the_other_counting_is_named() -> None:
    with pytest.raises(ValueError, match=r"max_hash_ratio is of counting: datatrove.*max_symbol_ratio"):
        GopherQuality(counting="dclm", max_hash_ratio=0.2)
    with pytest.raises(ValueError, match="max_symbol_ratio is of counting: dclm"):
        GopherQuality(max_symbol_ratio=0.2)
    checked = [c.key for c in GopherQuality(counting="dclm").checks()]
    assert "max_symbol_ratio" in checked
    assert "max_hash_ratio" not in checked
    assert GopherQuality.model_validate(GopherQuality(counting="dclm").model_dump()).counting == "dclm"


def test_by_hand() -> None:
    columns = GopherQuality().measure(batch_of(["- The cat, the dog...\n# of 12 …\n", "", "   "]))
    # words: - The cat , the dog ... # of 12 …
    values = {name.split(".")[1]: column.to_pylist() for name, column in columns.items()}
    assert values["words"] == [6, 0, 0]
    assert values["mean_word_length"] == [(3 + 3 + 3 + 3 + 2 + 2) / 6, None, None]
    assert values["hash_ratio"] == [1 / 11, None, None]
    assert values["ellipsis_ratio"] == [2 / 11, None, None]
    assert values["bullet_line_ratio"] == [1 / 2, None, 0.0]
    assert values["ellipsis_line_ratio"] == [1.0, None, 0.0]
    assert values["alpha_word_ratio"] == [5 / 11, None, None]
    assert values["stop_words"] == [2, 0, 0]


def test_thresholds_are_those_of_the_sheet() -> None:
    checks = [
        (c.key, c.signal.removeprefix("gopher_quality."), c.drop_if, c.threshold)
        for c in GopherQuality().checks()
    ]
    assert checks == [
        ("min_words", "words", "<", 50),
        ("max_words", "words", ">", 100_000),
        ("min_mean_word_length", "mean_word_length", "<", 3),
        ("max_mean_word_length", "mean_word_length", ">", 10),
        ("max_hash_ratio", "hash_ratio", ">", 0.1),
        ("max_ellipsis_ratio", "ellipsis_ratio", ">", 0.1),
        ("max_bullet_line_ratio", "bullet_line_ratio", ">", 0.9),
        ("max_ellipsis_line_ratio", "ellipsis_line_ratio", ">", 0.3),
        ("min_alpha_word_ratio", "alpha_word_ratio", "<", 0.8),
        ("min_stop_words", "stop_words", "<", 2),
    ]
    assert STOP_WORDS == ("the", "be", "to", "of", "and", "that", "have", "with")
    assert "max_hash_ratio" not in [c.key for c in GopherQuality(max_hash_ratio=None).checks()]


def test_every_check_names_a_measured_signal() -> None:
    measured = GopherQuality().measure(batch_of(["x"]))
    assert {c.signal for c in GopherQuality().checks()} == set(measured)


@pytest.mark.parametrize("other", [("a", "b"), ()])
def test_stop_words_are_a_measure_parameter(other: tuple[str, ...]) -> None:
    assert GopherQuality(stop_words=other).measure_parameters() != GopherQuality().measure_parameters()
    assert GopherQuality(min_words=1).measure_parameters() == GopherQuality().measure_parameters()
    assert (
        GopherQuality(stop_words=STOP_WORDS[::-1]).measure_parameters()
        == GopherQuality().measure_parameters()
    )
