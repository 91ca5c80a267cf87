"""The sample crawl keeps what its authors promise, by a second and independent reading."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fasttext
import pytest
import trafilatura

from tests.sample.reference import (
    QUALITY,
    REPETITION,
    Judged,
    Reading,
    judge,
    levelled,
    read_archive,
    verdict_of,
)  # fmt: skip
from werp.language import find_model
from werp.sample import write_sample

#: A page's value may lie no nearer to a threshold than this share of it. The ratio of words with
#: letters and of bullets end at 1, so there is less room: prose with its commas lies near 0.87. Ten
#: words are two fives, so a page that the rule for ten drops lies between 0.10 and the 0.15 for five.
_MARGIN = 0.2
_NARROW = {
    "gopher_quality.v1.min_alpha_word_ratio": 0.03, "gopher_quality.v1.max_bullet_line_ratio": 0.05,
    "gopher_repetition.v1.max_dup_5_gram_char_ratio": 0.1,
}  # fmt: skip
_UNREACHABLE = {"max_dup_paragraph_ratio", "max_dup_paragraph_char_ratio"}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def rows(sample: Path) -> list[Row]:
    return [json.loads(line) for line in (sample / "expected.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def readings(sample: Path) -> list[tuple[str, Reading]]:
    crawl = sample / "crawl"
    paths = sorted(path for path in crawl.rglob("*") if path.is_file())
    return [(path.relative_to(crawl).as_posix(), item) for path in paths for item in read_archive(path)]


@pytest.fixture(scope="module")
def texts(rows: list[Row], readings: list[tuple[str, Reading]]) -> list[str | None]:
    """The text of each record that reached extraction."""
    found: list[str | None] = []
    for row, (_, reading) in zip(rows, readings, strict=True):
        html = reading.body.decode(row["charset"] or "utf-8", "replace")
        options = {"include_comments": False, "include_tables": True, "favor_precision": False}
        found.append(None if reading.settled else trafilatura.extract(html, **options) or "")
    return found


@pytest.fixture(scope="module")
def judged(texts: list[str | None]) -> list[Judged | None]:
    model = fasttext.load_model(str(find_model()))
    found: list[Judged | None] = []
    for text in texts:
        if text is None:
            found.append(None)
            continue
        top = model.f.predict(text.replace("\n", " "), 1, 0.0, "strict")
        score, label = top[0] if top else (0.0, "")
        found.append(judge(text, label.removeprefix("__label__"), score))
    return found


def test_each_record_is_expected_once_and_in_order(
    rows: list[Row], readings: list[tuple[str, Reading]]
) -> None:
    found = [(file, reading.url, reading.record_type) for file, reading in readings]
    assert found == [(row["file"], row["url"], row["record_type"]) for row in rows]


def test_every_verdict_holds(
    rows: list[Row],
    readings: list[tuple[str, Reading]],
    texts: list[str | None],
    judged: list[Judged | None],
) -> None:
    wrong, seen = [], set()
    for row, (_, reading), text, judgement in zip(rows, readings, texts, judged, strict=True):
        if judgement is None or text is None:
            assert reading.settled
            verdict = reading.settled
        else:
            verdict = judgement.verdict
            if verdict[0] == "kept":
                key = levelled(text)
                verdict = ("dropped", "dedup", "exact.v1") if key in seen else verdict
                seen.add(key)
        if verdict != verdict_of(row):
            last = judgement.measured[-1:] if judgement else []
            wrong.append(f"{row['url']}: meant {verdict_of(row)}, found {verdict} {last}")
    assert not wrong, "\n".join(wrong)


def test_no_page_sits_near_a_threshold(rows: list[Row], judged: list[Judged | None]) -> None:
    near = []
    for row, judgement in zip(rows, judged, strict=True):
        for rule, value, threshold, _ in judgement.measured if judgement else []:
            if abs(value / threshold - 1) < _NARROW.get(rule, _MARGIN):
                near.append(f"{row['url']}: {rule} {value:.3f} at {threshold}")
    assert not near, "\n".join(near)


def test_every_rule_that_can_be_reached_has_a_page(rows: list[Row]) -> None:
    wanted = {
        *(("read", rule) for rule in (
            "record_type", "http_status", "mime", "empty_body", "not_an_archive", "damaged_record",
            "truncated", "http_malformed", "content_encoding", "too_large",
        )),
        ("extract", "empty"), ("language", "language.v1.languages"), ("language", "language.v1.min_score"),
        *(("filter", f"gopher_quality.v1.{key}") for key in QUALITY),
        *(("filter", f"gopher_repetition.v1.{key}") for key in REPETITION if key not in _UNREACHABLE),
        ("dedup", "exact.v1"),
    }  # fmt: skip
    assert {(row["stage"], row["rule"]) for row in rows if row["stage"]} == wanted


def test_the_text_has_one_paragraph_which_makes_two_rules_unreachable(texts: list[str | None]) -> None:
    assert not any("\n\n" in text for text in texts if text)


def test_the_mix_of_pages(rows: list[Row]) -> None:
    pages = [row for row in rows if row["charset"] and row["stage"] != "read"]
    kinds = Counter((row["kind"], row["outcome"]) for row in pages)
    assert 140 <= len(pages) <= 190
    assert 75 <= sum(row["outcome"] == "kept" for row in rows) <= 100
    assert kinds["exact copy", "dropped"] >= 5
    assert kinds["near copy", "kept"] >= 5
    assert kinds["forum", "kept"] >= 5
    hosts = {row["url"].split("/")[2] for row in pages}
    assert len(hosts) >= 12
    assert all(row["why"] for row in rows)


def test_the_bytes_are_the_same_every_time(sample: Path, tmp_path: Path) -> None:
    again = write_sample(tmp_path)

    def digests(root: Path) -> dict[str, str]:
        paths = (path for path in root.rglob("*") if path.is_file())
        return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}

    assert digests(again) == digests(sample)
