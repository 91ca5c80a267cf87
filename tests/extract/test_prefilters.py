"""Prefilters: what they skip, what the guard says of it, and that the ledger has value and threshold."""

from __future__ import annotations

from pathlib import Path

import pytest

from werp.extract.extractors import Trafilatura
from werp.extract.guard import Caps, Guard
from werp.extract.prefilters import LanguagePrefilter, MimePrefilter, UrlPrefilter

ENGLISH, GERMAN = (
    f"<html><body><p>{sentence * 8}</p></body></html>"
    for sentence in (
        "The ferry leaves the harbour at noon and comes back with the tide. ",
        "Die Fähre verlässt den Hafen am Mittag und kommt mit der Flut zurück. ",
    )
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"%PDF-1.7 ...", "application/pdf"), (b"\x89PNG\r\n", "image"), (b"PK\x03\x04..", "application/zip"),
        (b' {"a": 1}', "application/json"), (b'[{"a": 1}]', "application/json"),
        (b'<?xml version="1.0"?>\n<rss version="2.0">', "feed"), (b"<!-- x --><feed xmlns='a'>", "feed"),
        (ENGLISH.encode(), None), (b"<?xml version='1.0'?><!DOCTYPE html><html>", None),
        (b"{braces} in text", None), (b"<p>A file that begins with %PDF- or GIF89a</p>", None),
    ],
)  # fmt: skip
def test_pages_that_are_something_else(body: bytes, kind: str | None) -> None:
    skipped = MimePrefilter().skips("http://a.org", "text/html", body)
    assert (skipped and skipped.value) == kind
    if skipped:
        assert skipped.rule == "mime_prefilter.v1.skip"
        assert kind in (skipped.threshold or "").split(",")


def test_addresses(tmp_path: Path) -> None:
    (tmp_path / "soft.txt").write_text("casino\npoker\n")
    prefilter = UrlPrefilter(soft_words=str(tmp_path / "soft.txt"))
    assert prefilter.skips("http://a.org/casino", None, b"") is None
    skipped = prefilter.skips("http://a.org/casino-poker", None, b"")
    assert skipped == ("url_prefilter.v1.max_soft_words", "2", "1")
    before = prefilter.key_parameters()
    (tmp_path / "soft.txt").write_text("casino\n")
    assert prefilter.key_parameters() != before


def test_languages() -> None:
    english = LanguagePrefilter()
    assert english.skips_text(ENGLISH) is None
    skipped = english.skips_text(GERMAN)
    assert skipped is not None
    assert skipped.rule == "lang_prefilter.v1.min_score"
    assert float(skipped.value) < 0.02 == float(skipped.threshold or 0)
    assert LanguagePrefilter(languages=("en", "de")).skips_text(GERMAN) is None
    assert english.skips_text("<p>Kurz.</p>") is None  # too little to judge
    # A page of two languages is judged by its whole text, too.
    assert english.skips_text(GERMAN.replace("</p>", "</p>" + ENGLISH * 3)) is None
    assert english.skips_text(ENGLISH * 4 + GERMAN * 4 + ENGLISH * 4) is None


def test_the_guard_says_why_and_goes_on() -> None:
    guard = Guard([Trafilatura()], Caps(), [LanguagePrefilter()])
    try:
        for html, text in ((GERMAN, None), (ENGLISH, "The ferry leaves"), (GERMAN, None)):
            guard.submit(html.encode(), None, "text/html; charset=utf-8")
            result = guard.result()
            assert result.casualties == ()
            assert (result.skipped is not None) == (text is None)
            assert (result.text or "")[:16] == (text or "")
    finally:
        guard.close()
