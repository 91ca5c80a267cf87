"""The job on texts that are extracted already: WET, JSON lines, Parquet, Arrow, and a run's own shards."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.job import manifest, run, table
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine

WET = "commoncrawl+whirlwind-python/whirlwind.warc.wet.gz"


@pytest.fixture(scope="module")
def crawl(werp_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 real rows in four packings, for exact deduplication to keep once; bad rows; a real WET file."""
    folder = tmp_path_factory.mktemp("inputs")
    data = lzma.decompress((werp_data / "corpora" / "c4-sample.jsonl.xz").read_bytes())
    texts = [json.loads(line)["text"] for line in data.splitlines()]
    for part in ("a", "b", "c", "d"):
        (folder / part).mkdir()
    shutil.copy(werp_data / "warc" / WET, folder / "a" / "page.warc.wet.gz")
    (folder / "b" / "rows.jsonl.gz").write_bytes(
        gzip.compress(data + b'{"text": "  "}\n{"tex": "a"}\n{"text"')
    )
    (folder / "b" / "rows.jsonl.zst").write_bytes(zstandard.compress(data))
    pq.write_table(pa.table({"text": texts}), folder / "c" / "train-00000.parquet", row_group_size=100)
    (folder / "c" / "dataset_infos.json").write_text("{}")
    with pa.ipc.new_stream(str(folder / "d" / "data.arrow"), pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": texts}))
    return folder


@pytest.fixture(scope="module")
def finished(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "out"
    run("--input", *(crawl / part for part in "abcd"), "--output", output)
    return output


def test_every_row_has_its_ledger_row(crawl: Path, finished: Path) -> None:
    ledger = table(finished, "ledger")
    assert manifest(finished)["records"]["in"] == len(ledger)
    rows = Counter(row["warc_file"] for row in ledger)
    with (crawl / "a" / "page.warc.wet.gz").open("rb") as file:
        wet = sum(1 for _ in ArchiveIterator(file))
    assert rows == {
        "page.warc.wet.gz": wet, "rows.jsonl.gz": 303, "rows.jsonl.zst": 300, "train-00000.parquet": 300,
        "data.arrow": 300,
    }  # fmt: skip
    settled = {(row["outcome"], row["rule"]) for row in ledger if row["stage"] == "read"}
    assert settled == {
        ("dropped", "record_type"), ("dropped", "empty_body"), ("failed", "no_text"), ("failed", "bad_row"),
    }  # fmt: skip
    kept_by_file = Counter(row["warc_file"] for row in ledger if row["outcome"] == "kept")
    duplicates = Counter(row["warc_file"] for row in ledger if row["rule"] == "exact.v1")
    first = kept_by_file.pop("data.arrow")
    assert first > 100
    assert kept_by_file.keys() <= {"page.warc.wet.gz"}
    assert set(duplicates.values()) == {first}  # in each of the three later copies


def test_text_is_taken_as_it_is_and_ids_follow_file_offset_and_bytes(crawl: Path, finished: Path) -> None:
    documents = table(finished, "documents")
    assert {row["extractor"] for row in documents} == {"given"}
    assert "extract" not in {outcome["stage"] for outcome in manifest(finished)["outcomes"]}
    places = {row["id"]: row for row in table(finished, "records") if row["id"]}
    for row in documents:
        place = places[row["id"]]
        digest = place["payload_digest"]
        name = f"{place['warc_file']}\0{place['warc_offset']}\0{digest}"
        assert row["id"] == hashlib.sha256(name.encode()).hexdigest()[:32]
    with (crawl / "a" / "page.warc.wet.gz").open("rb") as file:
        wet = [
            (record.rec_headers["WARC-Target-URI"], record.content_stream().read().decode())
            for record in ArchiveIterator(file)
            if record.rec_type == "conversion"
        ]
    assert wet
    assert [(row["url"], row["text"]) for row in documents if row["url"]] == wet


def test_shards_can_be_refined_again(finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "again"
    refine(None, make_plan(load_recipe("raw"), list_inputs([str(finished / "shards")]), output, Options()))
    before, after = table(finished, "shards"), table(output, "shards")
    assert [row["text"] for row in after] == [row["text"] for row in before]
    assert [row["crawl"] for row in after] == [row["crawl"] for row in before]


def test_wet_records_between_pages_keep_their_place(tmp_path: Path) -> None:
    article = (
        "<html><body><article>" + "<p>The ferry to the island leaves at noon.</p>" * 12 + "</article></html>"
    )
    with (tmp_path / "mixed.warc.gz").open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for number in range(6):
            url = f"https://example.org/{number}"
            if number % 2:
                text = io.BytesIO(f"Text number {number}, given in WET.\n".encode())
                writer.write_record(
                    writer.create_warc_record(url, "conversion", text, warc_content_type="text/plain")
                )
            else:
                http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
                page = io.BytesIO(article.encode())
                writer.write_record(writer.create_warc_record(url, "response", page, http_headers=http))
    output = tmp_path / "out"
    files = list_inputs([str(tmp_path / "mixed.warc.gz")])
    refine(None, make_plan(load_recipe("raw"), files, output, Options()))
    records, documents = table(output, "records"), table(output, "documents")
    assert [row["url"] for row in records] == [f"https://example.org/{number}" for number in range(6)]
    assert [row["id"] for row in documents] == [row["id"] for row in records]
    assert [row["extractor"] == "given" for row in documents] == [bool(number % 2) for number in range(6)]
    assert documents[3]["text"] == "Text number 3, given in WET.\n"


def test_what_utf8_cannot_hold_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text(
        r'{"text": "a \ud800 b \u0000 c", "url": "https://example.org/\udc80", "date": "\ud800"}' + "\n"
        r'{"text": "plain", "url": 5, "date": 1e400, "crawl": "\udfff"}' + "\n"
    )
    files, output = list_inputs([str(tmp_path / "odd.jsonl")]), tmp_path / "out"
    recipe = load_recipe("raw", ["language.languages=null", "language.min_score=0"])
    refine(None, make_plan(recipe, files, output, Options()))
    assert [row["outcome"] for row in table(output, "ledger")] == ["kept", "kept"]
    for name in ("records", "documents", "ledger", "shards"):
        assert [row["url"] for row in table(output, name)] == ["https://example.org/?", "5"]
