"""No regular expression of the package takes more than linear time on a text made to hurt it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.patterns import Found, patterns, superlinear
from werp.signals.c4 import C4


@pytest.mark.parametrize(
    "pattern",
    [
        re.compile(r"(a+)+b"),
        re.compile(rb"(?:<!--.*?-->\s*)*<(?:rss|feed)[\s>]", re.S),  # what the prefilter once was
        re.compile(r"\b[\w-]+(?:\.[\w-]+)*@(?:[a-z](?:[a-z-]*[a-z])?\.)+[a-z]+"),  # what masking once was
        re.compile(r"x\s*,?\s*y"),
        re.compile(r"(?:a|a)*\Z"),
        re.compile(r"\[.*?\]"),
    ],
)
def test_the_measure_finds_what_is_known_to_be_slow(pattern: re.Pattern[str]) -> None:
    assert superlinear(pattern)


@pytest.mark.parametrize("pattern", [r"(?:ab|a)c", r"a.{0,30}b", r"\A\s*+<x", r"(?<!\d)\d++!", r"[a-z]++ "])
def test_it_says_nothing_of_what_is_linear(pattern: str) -> None:
    assert superlinear(re.compile(pattern), in_place=pattern.startswith("[")) is None


def test_every_pattern_of_the_package_is_linear(tmp_path: Path) -> None:
    found = patterns()
    (tmp_path / "words.txt").write_text("bad\nbad word\nbad words\nworse*\n")
    rule = C4.model_validate({"bad_words": str(tmp_path / "words.txt")})
    assert rule._bad_words is not None
    found["c4.bad_words"] = Found(rule._bad_words, in_place=False)
    assert {
        "werp/visible.py:_OBEYED",
        "werp/signals/boilerplate_lines.py:CLASSES[breadcrumb]",
    } <= found.keys()
    slow = {
        name: text
        for name, (pattern, in_place) in found.items()
        if (text := superlinear(pattern, in_place=in_place))
    }
    assert not slow, "\n".join(f"{name} on {text}" for name, text in slow.items())
