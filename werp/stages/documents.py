"""Stage read + extract: one input file into its `records` and `documents` tables."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.clock import Failure, attempt, in_turn
from werp.edits import Span, apply_edits
from werp.extract.guard import Casualty, Extraction, Guard
from werp.extract.prefilters import LanguagePrefilter, PagePrefilter, Prefilter, Skipped
from werp.pages import ReadOptions, Row, crawl_of_name, crawl_of_warcinfo, row_of, row_of_given
from werp.progress import Heartbeat
from werp.read import Damage, Given, Record, is_rows, read_records, read_rows
from werp.recipe import ExtractOptions, Recipe
from werp.rundir import new_file
from werp.signals.batch import TextBatch
from werp.signals.chain import edit, warm_up
from werp.stages.unit import Unit, edits_key
from werp.tables import DOCUMENTS, DROPPED, FAILED, RECORDS

_FLUSH_BYTES = 16 << 20  # text held before a row group is written
_FLUSH_ROWS = 4096
_MAX_WAITING = 1024  # settled rows held back behind the page in extraction

_guards: dict[str, Guard] = {}


def guard_for(options: ExtractOptions, prefilters: Sequence[Prefilter]) -> Guard:
    """This process's guard for these options: its child outlives the task, since starting costs a second."""
    on_text = [prefilter for prefilter in prefilters if isinstance(prefilter, LanguagePrefilter)]
    key = options.model_dump_json() + "".join(prefilter.model_dump_json() for prefilter in on_text)
    if key not in _guards:
        for old in _guards.values():
            old.close()
        _guards.clear()
        _guards[key] = Guard(options.extractors, options.caps, on_text)
    return _guards[key]


@dataclass
class Meta:
    """What the run must know of a finished unit; stored in the metadata of its records file."""

    records: int = 0
    pages: int = 0
    documents: int = 0
    text_bytes: int = 0
    read_seconds: float = 0.0
    extract_seconds: float = 0.0
    extract_peak_rss_mb: float = 0.0
    casualties: dict[str, int] = field(default_factory=dict)


def read_meta(records: Path) -> Meta:
    """The `Meta` stored in a records file."""
    metadata = pq.read_metadata(records).metadata or {}
    return Meta(**json.loads(metadata[b"werp.meta"]))


def write_documents(
    unit: Unit,
    recipe: Recipe,
    limit: int | None,
    work: Path,
    heartbeat: Heartbeat,
) -> None:
    """Read one archive, extract its pages, and store both tables under the unit's name in `work`.

    The records table is renamed into place last: where it exists, both are whole. Memory is
    bounded by one record, one page's text and a row group, whatever the file's size.

    limit: stop after this many pages (HTML, or texts given) of the file; None reads it all.
    """
    meta = Meta()
    warm_up(recipe.edits(), recipe.segmenter)
    guard = guard_for(recipe.extract, recipe.prefilters)
    guard.peak_rss_mb = 0.0
    rows = _timed_rows(_rows(unit, recipe, limit), meta, heartbeat)
    temporary = work / "tmp"
    records_path, documents_path = work / "records" / unit.documents, work / "documents" / unit.documents
    with (
        new_file(records_path, temporary) as records_partial,
        new_file(documents_path, temporary) as documents_partial,
        pq.ParquetWriter(records_partial, RECORDS, compression="zstd") as records,
        pq.ParquetWriter(documents_partial, DOCUMENTS, compression="zstd") as documents,
    ):
        for batch in _batches(_extracted(rows, guard, meta)):
            _write_batch(batch, recipe, records, documents, meta)
        meta.extract_peak_rss_mb = guard.peak_rss_mb
        records.add_key_value_metadata({"werp.meta": json.dumps(meta.__dict__)})


def _rows(unit: Unit, recipe: Recipe, limit: int | None) -> Iterator[Row]:
    prefilters = [prefilter for prefilter in recipe.prefilters if isinstance(prefilter, PagePrefilter)]
    pages = 0
    for row in _file_rows(unit, recipe):
        pages += row.is_page
        if row.html is not None:
            _prefilter(row, prefilters, recipe.page_seconds)
        yield row
        if limit is not None and pages >= limit:
            return


def _file_rows(unit: Unit, recipe: Recipe) -> Iterator[Row]:
    name, options, most = unit.file.name, recipe.read, recipe.read.max_record_mb << 20
    crawl = crawl_of_name(name)
    if is_rows(name):
        for given in read_rows(unit.file.path, options.fields, max_row_bytes=most):
            yield _row(row_of_given, given, name, crawl, recipe)
        return
    for item in read_records(unit.file.path, max_block_bytes=most):
        if isinstance(item, Record) and item.record_type == "warcinfo":
            crawl = crawl_of_warcinfo(item) or crawl
        yield _row(row_of, item, name, crawl, recipe)


def _row(
    read: Callable[[Any, str, str | None, ReadOptions], Row],
    item: Record | Given | Damage,
    name: str,
    crawl: str | None,
    recipe: Recipe,
) -> Row:
    """What `read` makes of an item; where that fails, a row of the item's place and address."""
    found = attempt(lambda: read(item, name, crawl, recipe.read), "read", "record", recipe.page_seconds)
    if not isinstance(found, Failure):
        return found
    known = {key: getattr(item, key, None) for key in ("url", "record_type", "date")}
    row = Row({"warc_file": name, "warc_offset": item.offset, "crawl": crawl, **known})
    return row.settle(FAILED, *found)


def _prefilter(row: Row, prefilters: Sequence[PagePrefilter], seconds: float) -> None:
    """Settle a page that one of the prefilters skips."""

    def work() -> Skipped | None:
        assert row.html is not None
        url, mime = row.columns["url"] or "", row.columns.get("mime")
        return next(filter(None, (prefilter.skips(url, mime, row.html) for prefilter in prefilters)), None)

    found = attempt(work, "prefilter", "page", seconds)
    if isinstance(found, Failure):
        row.settle(FAILED, *found)
    elif found is not None:
        row.settle(DROPPED, "prefilter", *found)


def _timed_rows(rows: Iterator[Row], meta: Meta, heartbeat: Heartbeat) -> Iterator[Row]:
    while True:
        started = time.perf_counter()
        row = next(rows, None)
        meta.read_seconds += time.perf_counter() - started
        if row is None:
            return
        meta.records += 1
        meta.pages += row.is_page
        heartbeat.beat(row.columns["warc_offset"], meta.records, meta.pages)
        yield row


def _extracted(rows: Iterator[Row], guard: Guard, meta: Meta) -> Iterator[Row]:
    """Rows in order, pages extracted; the next record is read while a page is in extraction."""
    in_flight: Row | None = None
    waiting: deque[Row] = deque()

    def land() -> Iterator[Row]:
        if in_flight is not None:
            started = time.perf_counter()
            _settle(in_flight, guard.result(), meta)
            meta.extract_seconds += time.perf_counter() - started
            yield in_flight
        yield from waiting
        waiting.clear()

    for row in rows:
        if row.html is not None:
            yield from land()
            guard.submit(row.html, row.columns["url"], row.content_type)
            in_flight = row
        elif in_flight is None:
            yield row
        elif row.text is not None:  # texts given are not heaped up behind a slow page
            yield from land()
            in_flight = None
            yield row
        else:
            waiting.append(row)
            if len(waiting) >= _MAX_WAITING:
                yield from land()
                in_flight = None
    yield from land()


def _settle(row: Row, extraction: Extraction, meta: Meta) -> None:
    row.html = None
    for casualty in extraction.casualties:
        row.casualties.append(_describe(casualty))
        key = f"{casualty.extractor}.{casualty.rule}"
        meta.casualties[key] = meta.casualties.get(key, 0) + 1
    if extraction.skipped is not None:
        row.settle(DROPPED, "prefilter", *extraction.skipped)
    elif extraction.text is None:
        last = extraction.casualties[-1]
        row.settle(FAILED, "extract", last.rule, last.cause)
    elif not extraction.text.strip():
        row.settle(DROPPED, "extract", "empty", None)
    else:
        row.text, row.extractor, row.charset = extraction.text, extraction.extractor, extraction.charset


def _describe(casualty: Casualty) -> str:
    return ": ".join(filter(None, casualty))


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += 4 * len(row.text or "")  # a code point takes up to four bytes
        if held >= _FLUSH_BYTES or len(batch) >= _FLUSH_ROWS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _write_batch(
    batch: list[Row],
    recipe: Recipe,
    records: pq.ParquetWriter,
    documents: pq.ParquetWriter,
    meta: Meta,
) -> None:
    texts: list[dict[str, Any]] = []
    for row in batch:
        row.columns = _clean({**row.columns, "casualty": "; ".join(row.casualties) or None})
        if row.text is None:
            continue
        # What an archive may hold that UTF-8 can't: spans count the characters of what is stored.
        text = row.text.encode("utf-8", "replace").decode("utf-8")
        meta.documents += 1
        texts.append(
            {
                "id": row.columns["id"],
                "url": row.columns["url"],
                "payload_digest": row.columns["payload_digest"],
                "extractor": row.extractor,
                "charset": row.charset,
                "truncated": row.columns.get("truncated"),
                "text": text,
            }
        )
    records.write_table(pa.Table.from_pylist([row.columns for row in batch], RECORDS))
    if texts:
        meta.text_bytes += sum(len(row["text"].encode()) for row in texts)
        documents.write_table(_edited(texts, recipe))


def _edited(rows: list[dict[str, Any]], recipe: Recipe) -> pa.Table:
    """Documents with the spans that the rules take out, and the hash of the text that is left.

    A document that a rule fails on keeps its text and has `failure`: under other rules it may be fine.
    """
    rules = recipe.edits()

    def work(some: Sequence[dict[str, Any]]) -> list[tuple[list[Span], str]]:
        ids, urls, texts = ([row[name] or "" for row in some] for name in ("id", "url", "text"))
        edits = edit(rules, TextBatch(ids, urls, texts, recipe.segmenter))
        return [(spans, _sha256(apply_edits(text, spans))) for text, spans in zip(texts, edits, strict=True)]

    for some, found in in_turn(rows, work, "filter", "line rules", recipe.page_seconds):
        failure = found._asdict() if isinstance(found, Failure) else None
        edited = [([], _sha256(some[0]["text"]))] if isinstance(found, Failure) else found
        for row, (spans, sha256) in zip(some, edited, strict=True):
            row["removed"], row["text_sha256"] = [span._asdict() for span in spans], sha256
            row["failure"] = failure
    return pa.Table.from_pylist(rows, DOCUMENTS)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_edited(stored: Path, target: Path, recipe: Recipe, temporary: Path) -> None:
    """A documents table under other line rules, from a stored one: no archive is opened."""
    warm_up(recipe.edits(), recipe.segmenter)
    with (
        pq.ParquetFile(stored) as source,
        new_file(target, temporary) as partial,
        pq.ParquetWriter(partial, DOCUMENTS, compression="zstd") as documents,
    ):
        for batch in source.iter_batches(1024):
            documents.write_table(_edited(batch.to_pylist(), recipe))


def _clean(columns: dict[str, Any]) -> dict[str, Any]:
    """Strings an archive may hold that UTF-8 can't: lone surrogates become question marks."""
    return {
        name: value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
        for name, value in columns.items()
    }


def ensure_documents(
    unit: Unit,
    recipe: Recipe,
    limit: int | None,
    work: Path,
    heartbeat: Heartbeat,
    found: tuple[Path, Path] | None,
) -> Meta:
    """Have the unit's tables in `work`: staged already, taken from another run, or made now.

    found: stored records and documents of the same extraction. Where their line rules are others, the text
    is taken over and the edits are made anew.
    """
    records, documents = work / "records" / unit.documents, work / "documents" / unit.documents
    if not records.is_file():
        if found is None:
            write_documents(unit, recipe, limit, work, heartbeat)
        else:
            if edits_key(found[1].name) == edits_key(unit.documents):
                _link(found[1], documents, work / "tmp")
            else:
                write_edited(found[1], documents, recipe, work / "tmp")
            _link(found[0], records, work / "tmp")
    return read_meta(records)


def _link(source: Path, target: Path, temporary: Path) -> None:
    with new_file(target, temporary) as partial:
        try:
            os.link(source, partial)
        except OSError:  # another file system
            partial.write_bytes(source.read_bytes())
