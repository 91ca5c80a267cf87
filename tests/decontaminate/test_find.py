"""Contamination matching: by the definition on small cases, on real items planted into real pages."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from werp.decontaminate.bench import edited, planted, sample, split_lines, texts_of, verbatim
from werp.decontaminate.find import find_items
from werp.decontaminate.index import GRAM, Index, build
from werp.decontaminate.items import Item, find_benchmarks, read_items
from werp.decontaminate.tokens import tokenise
from werp.errors import WerpError

LONG = Item(
    "mmlu", "test/1", "A student measures how long a ball takes to fall from the roof of a school on a calm"
    " day. Which quantity changes at a constant rate?", "the speed of the ball",
)  # fmt: skip
SHORT = Item("arc_easy", "test/2", "Which technology was developed most recently?", "cellular telephone")
BLANK = Item(
    "winogrande", "validation/3", "Sarah was a much better surgeon than Maria so Maria always got it.", ""
)
FILLER = " Elsewhere the weather stayed dry, and nobody in the village spoke of it again for years."


@pytest.fixture(scope="module")
def index() -> Index:
    return build([LONG, SHORT, BLANK])


def found(text: str, index: Index) -> list[tuple[str, str]]:
    (hits,) = find_items([text], index)
    return [(hit.item, hit.rule) for hit in hits]


def test_tokens_are_runs_of_letters_and_digits() -> None:
    text = "Don’t STOP—it's “3.14”, naïve Éa\u0301 x_y 中文!"
    hashes, starts, ends, offsets = tokenise([text, "", "dont stop"])
    assert [text[a:b] for a, b in zip(starts[: offsets[1]], ends[: offsets[1]], strict=True)] == [
        "Don’t", "STOP", "it's", "3", "14", "naïve", "Éa", "x", "y", "中", "文",
    ]  # fmt: skip
    assert offsets.tolist() == [0, 11, 11, 13]
    assert hashes[:2].tolist() == hashes[11:].tolist()
    plain = re.findall(r"\w+", "the same tokens as a plain reading of words")
    assert len(tokenise([" ".join(plain)])[0]) == len(plain)


def test_an_item_is_found_with_its_answer_and_its_place(index: Index) -> None:
    text = f"{FILLER} {LONG.question} It was {LONG.answer}.{FILLER}"
    (hits,) = find_items([text], index)
    assert [(h.task, h.item, h.rule) for h in hits] == [("mmlu", "test/1", "13-gram")]
    assert text[hits[0].start : hits[0].end] == f"{LONG.question} It was {LONG.answer}"
    assert found(f"{FILLER}{SHORT.question}\nA) {SHORT.answer}{FILLER}", index) == [("test/2", "short")]
    assert found(f"{FILLER}{BLANK.question}{FILLER}", index) == [("validation/3", "13-gram")]


def test_a_question_without_its_answer_is_no_hit(index: Index) -> None:
    assert found(f"{FILLER} {LONG.question}{FILLER}", index) == []
    assert found(f"{SHORT.question}{FILLER}", index) == []
    far = FILLER * 5
    assert found(f"{LONG.question}{far}{LONG.answer}", index) == []
    assert found(f"{SHORT.question}{FILLER * 2} {SHORT.answer}", index) == []


def test_half_of_the_eight_grams_is_enough_and_less_is_not(index: Index) -> None:
    words = LONG.question.split()
    grams = len(words) - GRAM + 1
    half = [*words[:12], "whatever", "comes", "of", *words[15:]]
    kept = sum(half[k : k + GRAM] == words[k : k + GRAM] for k in range(grams))
    assert kept >= grams / 2
    assert found(f"{' '.join(half)} {LONG.answer}", index) == [("test/1", "8-gram")]
    less = [*words[:9], "whatever", *words[10:18], "comes", *words[19:]]
    kept = sum(less[k : k + GRAM] == words[k : k + GRAM] for k in range(grams))
    assert kept < grams / 2
    assert found(f"{' '.join(less)} {LONG.answer}", index) == []


def test_boilerplate_is_no_question() -> None:
    stem = "Which of the following statements about the figure shown above is most likely to be true"
    items = [Item("mmlu", f"test/{k}", stem, f"the number {k} is odd but not prime") for k in range(6)]
    five = f"{stem}?{FILLER} Then the number 3 is odd but not prime."
    assert [rule for _, rule in found(five, build(items[:5]))] == ["13-gram"] * 5
    index = build(items)
    assert found(f"{stem}? Nothing follows from it, the number it is.", index) == []
    assert found(f"{stem}?\nA. the number 3 is odd but not prime", index) == [("test/3", "short")]


def test_nothing_depends_on_the_batch(index: Index) -> None:
    texts = [FILLER, f"{LONG.question} {LONG.answer}", "", f"{SHORT.question} {SHORT.answer}", "中" * 50]
    alone = [find_items([text], index)[0] for text in texts]
    assert find_items(texts, index) == alone
    assert find_items(texts[::-1], index) == alone[::-1]
    assert find_items([], index) == []


def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"split": "test", "task": "x", "id": 1, "question": "q", "choices": []}\n'
    )
    with pytest.raises(WerpError, match=r"x\.jsonl:1: not an item"):
        read_items(tmp_path)
    monkeypatch.delenv("WERP_BENCHMARKS", raising=False)
    monkeypatch.delenv("WERP_DATA", raising=False)
    with pytest.raises(WerpError, match="WERP_BENCHMARKS"):
        find_benchmarks(None)
    with pytest.raises(WerpError, match="holds no"):
        find_benchmarks(str(tmp_path / "empty"))


@pytest.fixture(scope="module")
def nine(werp_data: Path) -> Index:
    return build(read_items(werp_data / "benchmarks"))


def test_planted_items_are_found(werp_data: Path, nine: Index) -> None:
    pages = texts_of(werp_data, "c4-sample")
    assert planted(nine.items, nine, pages, "verbatim")["recall"] >= 0.98
    assert planted(nine.items, nine, pages, "split_lines")["recall"] >= 0.9
    assert planted(nine.items, nine, pages, "edited")["recall"] >= 0.4


def test_real_pages_without_planted_items_have_none(werp_data: Path, nine: Index) -> None:
    pages = texts_of(werp_data, "c4-sample") + texts_of(werp_data, "usgov")
    assert [hits for hits in find_items(pages, nine) if hits] == []


def test_the_index_holds_every_gram_of_a_plain_reading(werp_data: Path) -> None:
    items = read_items(werp_data / "benchmarks")[:400]
    index = build(items, most_items=10**9)
    for number, item in enumerate(items):
        tokens = tokenise([item.question])[0]
        if len(tokens) >= GRAM:
            assert index.count[number] == len(tokens) - GRAM + 1
    assert np.array_equal(index.grams, np.unique(index.grams))


def test_ways_of_planting_say_what_they_do() -> None:
    random_ = random.Random(0)
    assert verbatim(SHORT, random_) == f"{SHORT.question}\n{SHORT.answer}"
    assert split_lines(SHORT, random_).endswith("\n(B) cellular telephone")
    assert not re.search(r"[A-Z?]", edited(LONG, random_))
    assert len(sample([SHORT] * 600)) == 504


def test_an_item_without_question_or_answer_is_an_error(tmp_path: Path) -> None:
    whole = {"task": "t", "split": "test", "id": 1, "question": "is it?", "choices": ["no", "yes"], "gold": 1}
    for change, says in (
        ({"gold": -1}, "gold is -1, not the place of one of the 2 choices"),
        ({"gold": 2}, "gold is 2"),
        ({"gold": "1"}, "gold is '1'"),
        ({"choices": "no, yes"}, "choices is no list"),
        ({"question": None}, "question is no text"),
    ):
        (tmp_path / "t.jsonl").write_text("\n" + json.dumps(whole | change))
        with pytest.raises(WerpError, match=rf"t\.jsonl:2: not an item of a benchmark: {says}"):
            read_items(tmp_path)
    del whole["gold"]
    (tmp_path / "t.jsonl").write_text(json.dumps(whole))
    with pytest.raises(WerpError, match=r"t\.jsonl:1: not an item of a benchmark: no field 'gold'"):
        read_items(tmp_path)
