"""The rules that edit, and those after them: the sources' thresholds, edits by hand, both texts kept."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from werp.decide import decide
from werp.edits import apply_edits
from werp.recipe import Recipe, load_recipe
from werp.signals.base import Rule
from werp.signals.batch import TextBatch
from werp.signals.c4 import C4
from werp.signals.chain import edit, measure, signals_schema
from werp.signals.fineweb_quality import FineWebQuality
from werp.signals.pii import Pii
from werp.signals.refinedweb_lines import RefinedWebLines


def batch(*texts: str) -> TextBatch:
    return TextBatch([str(i) for i in range(len(texts))], [""] * len(texts), list(texts))


def edited(rule: Rule, text: str) -> str:
    return apply_edits(text, edit([rule], batch(text))[0])


def signal(rules: list[Rule], text: str, name: str) -> Any:
    return measure(rules, batch(text))[name][0].as_py()


def verdict(rules: list[Rule], text: str) -> str | None:
    found: str | None = decide(pa.table(measure(rules, batch(text))), rules).column("rule")[0].as_py()
    return found


def limits(rule: Rule) -> dict[str, Any]:
    return {check.key: check.threshold for check in rule.checks()}


def test_thresholds_are_those_of_the_sources() -> None:
    c4 = C4.model_validate({})
    assert (c4.max_word_length, c4.min_words_per_line, c4.min_sentences) == (1000, 3, 5)
    assert all((c4.terminal_punctuation, c4.remove_citations, c4.javascript, c4.policy))
    assert limits(c4) == {"lorem_ipsum": 0, "curly_bracket": 0, "min_sentences": 5}
    assert limits(FineWebQuality.model_validate({})) == {
        "empty": 1, "min_line_punct_ratio": 0.12, "max_short_line_ratio": 0.67, "max_char_dup_ratio": 0.01,
        "max_newline_ratio": 0.3,
    }  # fmt: skip
    assert FineWebQuality.model_validate({}).short_line_length == 30
    lines = RefinedWebLines.model_validate({})
    assert (lines.max_uppercase_ratio, lines.max_digit_ratio) == (0.5, 0.999999)
    assert (lines.min_words_per_line, lines.max_words_of_phrase_line) == (2, 10)
    assert limits(lines) == {"max_removed_word_ratio": 0.05}


def test_recipes_set_what_their_sources_set() -> None:
    rules = {rule.family: rule for rule in load_recipe("fineweb").rules}
    assert list(rules) == [
        "url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb_quality", "pii",
    ]  # fmt: skip
    assert rules["c4"].terminal_punctuation is False  # type: ignore[attr-defined]
    dclm = {rule.family: rule for rule in load_recipe("dclm").rules}
    assert dclm["gopher_repetition"].counting == "dclm"  # type: ignore[attr-defined]
    assert dclm["gopher_quality"].counting == "dclm"  # type: ignore[attr-defined]
    for name in ("werp_next", "blu_werp"):
        quality = next(rule for rule in load_recipe(name).rules if rule.family == "gopher_quality")
        assert quality.counting == "dclm"  # type: ignore[attr-defined]
    french = {rule.family: rule.for_language("fr") for rule in load_recipe("fineweb2").rules}
    assert limits(french["language"])["min_score"] == 0.824
    assert limits(french["gopher_repetition"]) == {
        "max_dup_line_ratio": 0.264, "max_top_2_gram_char_ratio": 0.161, "max_top_3_gram_char_ratio": 0.149,
        "max_top_4_gram_char_ratio": 0.134, "max_dup_5_gram_char_ratio": 0.15,
        "max_dup_6_gram_char_ratio": 0.141, "max_dup_7_gram_char_ratio": 0.131,
        "max_dup_8_gram_char_ratio": 0.121, "max_dup_9_gram_char_ratio": 0.111,
        "max_dup_10_gram_char_ratio": 0.1,
    }  # fmt: skip
    quality = limits(french["gopher_quality"])
    assert (quality["min_mean_word_length"], quality["max_mean_word_length"]) == (2, 11)
    assert quality["min_alpha_word_ratio"] == 0.812
    assert limits(french["fineweb_quality"]) == {
        "empty": 1, "min_line_punct_ratio": 0.1, "max_char_dup_ratio": 0.1, "max_newline_ratio": 0.185,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("This line stays as it is.", "This line stays as it is."),
        ("  White space goes at both ends.\t", "White space goes at both ends."),
        ("This one has no end", None),
        ("This one trails off...", None),
        ("Two words.", None),
        ("Please enable JavaScript to see this.", None),
        ("We use cookies on this site.", None),
        (f"A word of {'x' * 1001} is too long.", None),
        (f"A word of {'x' * 1000} is not.", f"A word of {'x' * 1000} is not."),
        ("Three words stay.", "Three words stay."),
        ("The marks[12] of an article[citation needed] go.", "The marks of an article go."),
        ("", None),
    ],
)
def test_c4_lines(line: str, kept: str | None) -> None:
    text = f"The first line stays.\n{line}\r\nThe last line stays."
    wanted = "\n".join(part for part in ("The first line stays.", kept, "The last line stays.") if part)
    assert edited(C4.model_validate({}), text) == wanted


def test_c4_pages() -> None:
    rules: list[Rule] = [C4.model_validate({})]
    good = 'One sentence here. And two of them! Are these three? "Four it is." Then comes five.'
    assert verdict(rules, good) is None
    assert signal(rules, good, "c4.sentences") == 5
    assert verdict(rules, "Only this. And that one.") == "c4.v1.min_sentences"
    assert verdict(rules, f"{good}\nHere is lorem ipsum again.") == "c4.v1.lorem_ipsum"
    assert verdict(rules, f"{good}\nThe set {{1, 2}} is small.") == "c4.v1.curly_bracket"
    # What a line rule takes out before shows nothing.
    assert verdict(rules, f"{good}\nlorem ipsum without an end") is None
    assert verdict(rules, f"{good}\nfunction() {{ is javascript of course.") is None


def test_c4_bad_words_come_from_a_file(tmp_path: Any) -> None:
    (tmp_path / "words.txt").write_text("# a comment\nDarn\ntwo words\n")
    rules: list[Rule] = [C4.model_validate({"min_sentences": 0, "bad_words": str(tmp_path / "words.txt")})]
    assert verdict(rules, "This is a darn shame.") == "c4.v1.bad_words"
    assert verdict(rules, "These two words are there.") == "c4.v1.bad_words"
    assert verdict(rules, "Darning a sock is fine.") is None


def test_refinedweb_lines() -> None:
    rule = RefinedWebLines.model_validate({})
    text = "\n".join(
        ["LOUD LINE", "12345", "1,234 likes", "Alone", "", "3 items in cart here",
         "The story goes on Read more...",
         "Sign-in to comment", "A line that stays.", "HALF off", f"{'w ' * 8}Read more...",
         f"{'w ' * 9}Read more..."]
    )  # fmt: skip
    assert edited(rule, text) == (
        "3 here\nThe story goes on\nto comment\nA line that stays.\nHALF off\nw w w w w w w w\n"
        "w w w w w w w w w Read more..."
    )
    long = "word " * 100 + "\nLOUD LINE OF CAPITALS THAT HAS EIGHT WORDS"
    assert verdict([rule], long) == "refinedweb_lines.v1.max_removed_word_ratio"
    assert signal([rule], long, "refinedweb_lines.removed_word_ratio") == pytest.approx(8 / 108)
    assert verdict([rule], "word " * 100 + "\nLOUD LINE") is None


def test_fineweb_quality() -> None:
    rules: list[Rule] = [FineWebQuality.model_validate({})]
    long = "This is a line of more than thirty characters"
    assert verdict(rules, "\n".join(f"{long} {i}." for i in range(5))) is None
    assert verdict(rules, " \n ") == "fineweb_quality.v1.empty"
    assert (
        verdict(rules, "\n".join(f"{long} {i}" for i in range(5)))
        == "fineweb_quality.v1.min_line_punct_ratio"
    )
    assert verdict(rules, "A short one.\n" * 2 + f"{long}.") == "fineweb_quality.v1.max_char_dup_ratio"
    assert (
        verdict(rules, "\n".join(f"Short {i}." for i in range(5)))
        == "fineweb_quality.v1.max_short_line_ratio"
    )
    assert signal(rules, f"{long}।\n{long}", "fineweb_quality.line_punct_ratio") == 0.5  # any script's
    lengths = "\n".join(["x" * 30, "y" * 31, "z" * 30, "z" * 30])
    assert signal(rules, lengths, "fineweb_quality.short_line_ratio") == 3 / 4
    assert signal(rules, lengths, "fineweb_quality.char_dup_ratio") == 30 / 121
    assert signal(rules, "one two\nthree four five", "fineweb_quality.newline_ratio") == 1 / 5


def test_masking() -> None:
    rule = Pii.model_validate({})
    text = "Ask ann@corp.com or bob@x.org at 8.8.8.8 or 1.1.1.1, not 192.168.0.1 nor 999.1.1.1."
    assert edited(rule, text) == (
        "Ask email@example.com or firstname.lastname@example.org at 22.214.171.124 or 126.96.36.199,"
        " not 192.168.0.1 nor 999.1.1.1."
    )
    assert signal([rule], text, "pii.emails") == 2
    assert signal([rule], text, "pii.ip_addresses") == 2


def test_rules_after_an_edit_measure_the_edited_text() -> None:
    rules = Recipe.model_validate(
        {"name": "x", "rules": [{"rule": "length.v1"}, {"rule": "c4.v1"}, {"rule": "fineweb_quality.v1"}]}
    ).rules
    text = "A line that stays for good.\nmenu\nlogin\nAnother line that stays."
    assert signal(list(rules), text, "length.lines") == 4
    assert signal(list(rules), text, "fineweb_quality.lines") == 2
    schema = signals_schema(rules)
    assert schema.field("length.chars").metadata == {b"text_stage": b"extracted"}
    assert schema.field("c4.sentences").metadata == {b"text_stage": b"edited"}
    assert schema.field("fineweb_quality.lines").metadata == {b"text_stage": b"edited"}


def test_every_edit_rule_on_odd_texts_leaves_both_texts_recoverable() -> None:
    rules = [C4.model_validate({}), RefinedWebLines.model_validate({}), Pii.model_validate({})]
    texts = ["", "\n", " \n\n ", "a\x0b\x0cb c d.\u2028e f g.", "[1] [2] [3].\n[4]", "x@y.zz\r\n\r\n1 like",
             "日本語のテキスト。\n一二三", "Sign-in Sign-in\nitems in cartitems in cart"]  # fmt: skip
    for rule in rules:
        spans = edit([rule], batch(*texts))
        for text, own in zip(texts, spans, strict=True):
            after = apply_edits(text, own)
            assert after == apply_edits(text, edit([rule], batch(text))[0])
            assert len(own) == len(set(own))
            if isinstance(rule, C4):
                assert after == after.strip()
                if "[" not in text:  # words are counted before the marks go, as in datatrove
                    assert edited(rule, after) == after
