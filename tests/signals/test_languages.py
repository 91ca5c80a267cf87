"""Scripts without spaces, and thresholds that differ by language."""

from __future__ import annotations

import pyarrow as pa
import pytest
from icu4py.breakers import WordBreaker

from werp.decide import decide
from werp.errors import WerpError
from werp.recipe import load_recipe
from werp.signals.batch import TextBatch
from werp.signals.chain import measure
from werp.signals.gopher_quality import GopherQuality

ENGLISH = "The ferry leaves the harbour at noon, and comes back with the tide."
JAPANESE = "港を出るフェリーは正午に出発し、潮とともに戻ってくる。これは日本語の文章です。"
CHINESE = "渡轮中午离开港口，随着潮水返回。这是一个用中文写的句子。"
THAI = "เรือข้ามฟากออกจากท่าเรือตอนเที่ยงและกลับมาพร้อมกับน้ำขึ้น"


def batch(*texts: str, segmenter: str | None = "icu") -> TextBatch:
    return TextBatch([""] * len(texts), [""] * len(texts), list(texts), segmenter)


@pytest.mark.parametrize(("text", "label"), [(JAPANESE, "ja"), (CHINESE, "zh"), (THAI, "th")])
def test_words_are_those_of_icu(text: str, label: str) -> None:
    mixed = batch(ENGLISH, text, ENGLISH)
    assert mixed.languages()[1][0] == label
    wanted = [word for word in WordBreaker(text, label) if not word.isspace()]
    assert len(wanted) > 8
    assert mixed.words(1) == wanted
    # The texts around it, and all texts without a segmenter, are as they were.
    plain = batch(ENGLISH, text, ENGLISH, segmenter=None)
    assert mixed.words(0) == mixed.words(2) == plain.words(0)
    assert len(plain.words(1)) < len(wanted)


def test_stop_words_of_each_language_are_counted() -> None:
    rule = GopherQuality.model_validate({"per_language": {"ja": {"stop_words": ["の", "は", "を"]}}})
    counted = rule.measure(batch(ENGLISH, JAPANESE))["gopher_quality.stop_words"].to_pylist()
    words = WordBreaker(JAPANESE, "ja")
    assert counted == [3, len({"の", "は", "を"} & set(words))]
    every = GopherQuality.model_validate({"distinct_stop_words": False})
    assert every.measure(batch(ENGLISH))["gopher_quality.stop_words"].to_pylist() == [4]  # the twice


def test_thresholds_of_each_language_decide() -> None:
    rules = load_recipe("fineweb2").rules
    texts = [JAPANESE * 6, ENGLISH * 6]
    verdicts = decide(pa.table(measure(rules, batch(*texts))), rules[:1] + rules[2:3]).to_pylist()
    assert verdicts[0]["rule"] is None
    assert verdicts[1]["rule"] == "language.v1.languages"
    # English thresholds would drop it: its words are shorter than three characters.
    plain = [GopherQuality.model_validate({})]
    found = decide(pa.table(measure(plain, batch(*texts))), plain).column("rule").to_pylist()
    assert found[0] == "gopher_quality.v1.min_mean_word_length"


def test_mistakes_are_named() -> None:
    with pytest.raises(WerpError, match="did you mean min_words"):
        load_recipe("fineweb2", ["gopher_quality.per_language={fr: {min_word: 3}}"])
    with pytest.raises(WerpError, match="unknown key counting"):
        load_recipe("fineweb2", ["gopher_repetition.per_language={fr: {counting: dclm}}"])
    with pytest.raises(WerpError, match=r"lists no language\.v1"):
        load_recipe("fineweb2", ["rules=[{rule: gopher_quality.v1, per_language: {fr: {min_words: 3}}}]"])
