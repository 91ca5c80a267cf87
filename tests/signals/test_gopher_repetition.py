from __future__ import annotations

import re
from collections import Counter
from typing import Literal

import pytest
from hypothesis import given, settings

from tests.signals.signal_texts import MADE_TEXT, ODD_TEXTS, assert_columns, batch_of, emptied
from werp.signals.gopher_repetition import GopherRepetition

Shares = dict[str, float | None]


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def size(pieces: object) -> int:
    return sum(map(len, pieces))  # type: ignore[call-overload]


def datatrove_reference(text: str, words: list[str]) -> Shares:
    if not text:
        return {}
    out: Shares = {}
    seen = emptied(text)
    lines = [line for line in re.split(r"\n+", seen) if line]
    for name, pieces in (("line", lines), ("paragraph", [p for p in re.split(r"\n{2,}", seen.strip()) if p])):
        later = list((Counter(pieces) - Counter(set(pieces))).elements())
        out[f"dup_{name}_ratio"] = len(later) / max(len(pieces), 1)
        out[f"dup_{name}_char_ratio"] = size(later) / len(text)
    for n in (2, 3, 4):
        top = Counter(grams(words, n)).most_common(1)
        out[f"top_{n}_gram_char_ratio"] = len(" ".join(top[0][0])) * top[0][1] / len(text) if top else 0.0
    for n in range(5, 11):
        met, total, i = set(), 0, 0
        while i + n <= len(words):
            gram = tuple(words[i : i + n])
            if gram in met:
                total += size(gram)
                i += n
            else:
                met.add(gram)
                i += 1
        out[f"dup_{n}_gram_char_ratio"] = total / len(text)
    return out


def dclm_reference(text: str, words: list[str]) -> Shares:
    out: Shares = {}
    words = [w for w in words if w[0].isalnum()]
    for name, mark in (("line", "\n"), ("paragraph", "\n\n")):
        pieces = [piece.strip() for piece in emptied(text).split(mark) if piece.strip()]
        counts = Counter(pieces)
        if pieces:
            repeated = [piece for piece in pieces if counts[piece] > 1]
            out[f"dup_{name}_ratio"] = len(repeated) / len(pieces)
            out[f"dup_{name}_char_ratio"] = size(repeated) / size(pieces)
    for n in range(2, 11) if words else ():
        counts_n = Counter(grams(words, n))
        most = max(counts_n.values(), default=0)
        if n < 5:
            longest = max((size(g) for g, c in counts_n.items() if c == most), default=0)
            out[f"top_{n}_gram_char_ratio"] = longest * most / size(words) if most > 1 else 0.0
        else:
            inside = {j for i, g in enumerate(grams(words, n)) if counts_n[g] > 1 for j in range(i, i + n)}
            out[f"dup_{n}_gram_char_ratio"] = size(words[j] for j in inside) / size(words)
    return out


REFERENCES = {"datatrove": datatrove_reference, "dclm": dclm_reference}
COUNTINGS: list[Literal["datatrove", "dclm"]] = ["datatrove", "dclm"]


def check(texts: list[str], counting: Literal["datatrove", "dclm"]) -> None:
    batch = batch_of(texts)
    columns = GopherRepetition(counting=counting).measure(batch)
    expected = [REFERENCES[counting](text, batch.words(t)) for t, text in enumerate(texts)]
    assert len(columns) == 13
    for column in columns:
        name = column.removeprefix(f"gopher_repetition.{counting}.")
        assert_columns(columns, column, [row.get(name) for row in expected])


@pytest.mark.parametrize("counting", COUNTINGS)
def test_equals_the_definitions(real_texts: list[str], counting: Literal["datatrove", "dclm"]) -> None:
    check(ODD_TEXTS, counting)
    check([*real_texts, *(text * 2 for text in real_texts[::20])], counting)
    check([], counting)


@pytest.mark.parametrize("counting", COUNTINGS)
@settings(deadline=None, max_examples=300)
@given(text=MADE_TEXT)
def test_equals_the_definitions_on_made_texts(text: str, counting: Literal["datatrove", "dclm"]) -> None:
    check([text, "", text + text, text], counting)


def test_by_hand() -> None:
    text = "a b\na b\nc d"  # 11 characters; words a b a b c d
    datatrove = GopherRepetition().measure(batch_of([text]))
    dclm = GopherRepetition(counting="dclm").measure(batch_of([text]))

    def of(columns: dict[str, object], name: str) -> float:
        (column,) = (c for key, c in columns.items() if key.endswith(f".{name}"))
        return column.to_pylist()[0]  # type: ignore[attr-defined, no-any-return]

    assert of(datatrove, "dup_line_ratio") == 1 / 3
    assert of(dclm, "dup_line_ratio") == 2 / 3
    assert of(datatrove, "dup_line_char_ratio") == 3 / 11
    assert of(dclm, "dup_line_char_ratio") == 6 / 9
    assert of(datatrove, "dup_paragraph_ratio") == 0.0
    assert of(datatrove, "top_2_gram_char_ratio") == len("a b") * 2 / 11
    assert of(dclm, "top_2_gram_char_ratio") == len("ab") * 2 / 6
    assert of(datatrove, "top_3_gram_char_ratio") == len("a b a") / 11  # no 3-gram repeats: the first, once
    assert of(dclm, "top_3_gram_char_ratio") == 0.0

    text = "one two three four five six. one two three four five six."
    datatrove, dclm = (GopherRepetition(counting=c).measure(batch_of([text])) for c in COUNTINGS)
    assert of(datatrove, "dup_5_gram_char_ratio") == len("onetwothreefourfive") / len(text)
    assert of(dclm, "dup_5_gram_char_ratio") == 1.0
    assert of(datatrove, "dup_8_gram_char_ratio") == 0.0


def test_thresholds_are_those_of_the_sheet() -> None:
    limits = {c.key: c.threshold for c in GopherRepetition().checks()}
    assert limits == {
        "max_dup_line_ratio": 0.30,
        "max_dup_paragraph_ratio": 0.30,
        "max_dup_line_char_ratio": 0.20,
        "max_dup_paragraph_char_ratio": 0.20,
        "max_top_2_gram_char_ratio": 0.20,
        "max_top_3_gram_char_ratio": 0.18,
        "max_top_4_gram_char_ratio": 0.16,
        "max_dup_5_gram_char_ratio": 0.15,
        "max_dup_6_gram_char_ratio": 0.14,
        "max_dup_7_gram_char_ratio": 0.13,
        "max_dup_8_gram_char_ratio": 0.12,
        "max_dup_9_gram_char_ratio": 0.11,
        "max_dup_10_gram_char_ratio": 0.10,
    }
    assert {c.drop_if for c in GopherRepetition().checks()} == {">"}
    assert len(GopherRepetition(max_dup_line_ratio=None).checks()) == 12


@pytest.mark.parametrize("counting", COUNTINGS)
def test_every_check_names_a_measured_signal(counting: Literal["datatrove", "dclm"]) -> None:
    rule = GopherRepetition(counting=counting)
    assert {c.signal for c in rule.checks()} == set(rule.measure(batch_of(["x"])))
    assert rule.measure_parameters() == {"counting": counting}


@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize("piece", ["a ", "a b c d e f g h i j k l\n", "x", ".\n"])
def test_repetitive_texts(piece: str, counting: Literal["datatrove", "dclm"]) -> None:
    check([piece * (40_000 // len(piece))], counting)


def test_five_megabytes() -> None:
    words = 2_500_000
    columns = GopherRepetition().measure(batch_of(["a " * words]))
    found = {
        name.removeprefix("gopher_repetition.datatrove."): c.to_pylist()[0] for name, c in columns.items()
    }
    assert found["dup_line_ratio"] == 0.0
    assert found["top_4_gram_char_ratio"] == 7 * (words - 3) / (2 * words)  # occurrences overlap, so above 1
    assert found["dup_5_gram_char_ratio"] == (words - 1) // 5 * 5 / (2 * words)  # all but the first position
