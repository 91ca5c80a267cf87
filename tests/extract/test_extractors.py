"""The extractors give what their libraries give, page for page, whatever page came before."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from werp.extract.bench import gold_pages, measure, raw_libraries, word_f1
from werp.extract.extractors import EXTRACTORS, JusText, Trafilatura

JAPANESE = (
    "<html><body>" + "<p>" + "これは海の向こうの島々についての長い記事です。" * 12 + "</p></body></html>"
)


@pytest.mark.parametrize("name", sorted(EXTRACTORS))
def test_f1_is_not_below_the_raw_library(name: str, werp_data: Path) -> None:
    pages = list(islice(gold_pages(werp_data / "extraction"), 0, 1200, 12))
    extractor = EXTRACTORS[name].model_validate({"name": name})
    ours, _, failures = measure(lambda html: extractor.extract(html, None), pages)
    theirs, _, raw_failures = measure(raw_libraries()[name], pages)
    assert ours >= theirs
    assert failures <= raw_failures


def test_a_language_without_stop_list_is_not_lost() -> None:
    assert "島々" in JusText().extract(JAPANESE, None)


def test_an_xml_declaration_does_not_garble_the_text() -> None:
    body = (
        "<p>"
        + "Das Wetter für die nächsten Tage bleibt überwiegend schön und die Straßen sind trocken. " * 6
        + "</p>"
    )
    html = f'<?xml version="1.0" encoding="iso-8859-1"?>\n<html><body>{body}</body></html>'
    assert "für die nächsten Tage" in JusText().extract(html, None)


def test_deduplication_within_a_page_forgets_the_page_before() -> None:
    html = "<html><body><article>" + "".join(
        f"<p>Paragraph {n} says that the harbour was rebuilt in stone after the storm.</p>" for n in range(9)
    )
    extractor = Trafilatura(deduplicate=True)
    texts = {extractor.extract(html, None) for _ in range(6)}
    assert len(texts) == 1
    assert "harbour" in texts.pop()


def test_word_f1_against_the_closed_form() -> None:
    assert word_f1("a b b c", "a b d") == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))
    assert word_f1("", "a") == 0
    assert word_f1("a", "b") == 0
