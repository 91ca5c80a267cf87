"""The extractors give what their libraries give, page for page, whatever page came before."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.job import environment
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


def test_the_bench_times_a_library_that_our_import_has_not_touched(tmp_path: Path) -> None:
    page = {"html": f"<html><body><p>{'Old boats lie there. ' * 9}</p></body></html>", "gold_text": "x"}
    with lzma.open(tmp_path / "pages.jsonl.xz", "wt") as file:
        file.write(json.dumps(page))
    kinds = "import trafilatura.xpaths as x; print({type(e).__module__ for e in x.BODY_XPATH})"
    for raw in (
        "trafilatura",
        None,
    ):  # as the bench starts itself for a raw library, and as a person starts it
        line = f"from pathlib import Path; from werp.extract.bench import main; main(Path('.'), raw={raw!r})"
        program = [sys.executable, "-c", f"{line}; {kinds}"]
        done = subprocess.run(
            program, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
        )
        assert ("werp.extract.xpaths" in done.stdout.splitlines()[-1]) == (raw is None)
    empty = subprocess.run(
        [sys.executable, "-m", "werp.extract.bench", str(tmp_path / "none")], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert empty.returncode == 2
    assert re.fullmatch(r"werp.extract.bench: \S+none: no page with a gold text .*\n", empty.stderr)


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
