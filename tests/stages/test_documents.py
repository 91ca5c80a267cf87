"""A file of hostile pages through reading and extraction: each costs its page, the others keep theirs."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from werp.inputs import list_inputs
from werp.progress import Heartbeat
from werp.recipe import Recipe
from werp.stages.documents import read_meta, write_documents
from werp.stages.unit import units_of

ARTICLE = (
    b"<html><body><article><h1>Tides</h1><p>"
    + b"The tide comes in twice a day because the Earth turns under the pull of the Moon. " * 8
    + b"</p></article></body></html>"
)


def hostile_pages() -> dict[str, tuple[bytes, str | None]]:
    """Name -> (body as stored, Content-Encoding)."""
    row = b"<tr><td>1</td><td>2</td></tr>"
    span = b"<table><tr><td colspan=9007199254740991>a</td><td>b</td></tr></table>"
    return {
        "million-rows": (b"<html><body><table>" + row * 500_000 + b"</table></body></html>", None),
        "colspan": (b"<html><body>" + span + ARTICLE + b"</body></html>", None),
        "nested": (b"<html><body>" + b"<div>" * 100_000 + b"text " * 100, None),
        "large": (b"<html><body><p>" + b"All work and no play. " * (200 << 20 >> 4) + b"</p>", None),
        "bomb": (gzip.compress(b"<html>" + bytes(1 << 30), 1), "gzip"),
        "bomb-in-a-bomb": (gzip.compress(gzip.compress(bytes(1 << 28), 1), 1), "gzip, gzip"),
    }


def write_archive(path: Path) -> list[str]:
    """Hostile pages, each between two articles; returns all paths."""
    names = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for name, (body, coding) in hostile_pages().items():
            for page, content in ((f"before-{name}", (ARTICLE, None)), (name, (body, coding))):
                headers = [
                    ("Content-Type", "text/html"),
                    *([("Content-Encoding", content[1])] * bool(content[1])),
                ]
                http = StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
                record = writer.create_warc_record(
                    f"https://example.org/{page}",
                    "response",
                    payload=io.BytesIO(content[0]),
                    http_headers=http,
                )
                writer.write_record(record)
                names.append(page)
    return names


def test_names_of_tables_follow_all_that_they_hold(tmp_path: Path) -> None:
    """Another name for every change of what a table holds, the same one for a threshold."""
    (tmp_path / "a.warc").write_bytes(b"WARC/1.0")
    files = list_inputs([str(tmp_path / "a.warc")])
    rules: list[dict[str, Any]] = [{"rule": "length.v1"}, {"rule": "c4.v1"}, {"rule": "gopher_quality.v1"}]

    def names(limit: int | None = None, **changes: Any) -> tuple[str, str]:
        (unit,) = units_of(files, Recipe.model_validate({"name": "t", "rules": rules} | changes), limit)
        return unit.documents, unit.signals

    plain = names()
    both = [
        names(limit=3), names(page_seconds=7), names(read={"max_page_mb": 1}),
        names(extract={"extractors": ["resiliparse"]}), names(extract={"caps": {"cpu_seconds": 5}}),
        names(prefilters=[{"rule": "mime_prefilter.v1"}]), names(segmenter=None),
        names(rules=[rules[0], rules[1] | {"min_words_per_line": 4}, rules[2]]),
    ]  # fmt: skip
    signals = [names(rules=[rules[1], rules[0], rules[2]]),  # the length of the edited text
               names(rules=[*rules[:2], rules[2] | {"counting": "dclm"}])]  # fmt: skip
    assert len({documents for documents, _ in (plain, *both)}) == 1 + len(both)
    assert len({name for _, name in (plain, *both, *signals)}) == 1 + len(both) + len(signals)
    assert {documents for documents, _ in signals} == {plain[0]}
    assert names(rules=[rules[0] | {"min_words": 9}, rules[1], rules[2] | {"min_words": 9}]) == plain


def test_hostile_pages_cost_themselves_alone(tmp_path: Path) -> None:
    names = write_archive(tmp_path / "a.warc.gz")
    caps = {"cpu_seconds": 5, "wall_seconds": 30, "memory_mb": 512}
    recipe = Recipe.model_validate({"name": "t", "extract": {"extractors": ["trafilatura"], "caps": caps}})
    (unit,) = units_of(list_inputs([str(tmp_path / "a.warc.gz")]), recipe, None)
    work = tmp_path / "work"
    heartbeat = Heartbeat(tmp_path / "progress", "0", unit.file.size)
    write_documents(unit, recipe, None, work, heartbeat)
    rows = {
        row["url"].rpartition("/")[2]: row
        for row in pq.read_table(work / "records").to_pylist()
        if row["url"]
    }
    assert list(rows) == names
    articles = [row for name, row in rows.items() if name.startswith("before-")]
    assert all(row["outcome"] is None and row["casualty"] is None for row in articles)
    texts = {row["id"]: row["text"] for row in pq.read_table(work / "documents").to_pylist()}
    assert all("pull of the Moon" in texts[row["id"]] for row in articles)
    ends = {name: (rows[name]["outcome"], rows[name]["rule"]) for name in hostile_pages()}
    assert ends["large"] == ends["bomb"] == ends["bomb-in-a-bomb"] == ("failed", "too_large")
    for name in ("million-rows", "colspan", "nested"):  # extracted after all, or settled where it happened
        assert ends[name][0] is None or rows[name]["stage"] == "extract", ends[name]
    meta = read_meta(work / "records" / unit.documents)
    assert meta.records == len(pq.read_table(work / "records"))
    assert meta.extract_peak_rss_mb < 512 + 256
