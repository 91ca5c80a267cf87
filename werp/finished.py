"""A finished run, opened for reading: what the report and the questions of `werp` look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from werp.edits import Piece, Span, apply_edits, pieces, spans_of
from werp.errors import WerpError
from werp.recipe import Recipe
from werp.rundir import RunDirectory
from werp.stages.published import removed_spans
from werp.tables import LEDGER, SCHEMA_VERSION

#: UTF-8 bytes a GPT-2 token on the kept pages of docs/report.md (4.52; all English pages 4.26, German 2.67,
#: French 2.96, Japanese 1.95, Russian 1.69). Token counts made by it are estimates, good for shares.
BYTES_PER_TOKEN = 4.5


@dataclass(frozen=True)
class Tables:
    """The tables of one input file; `name` as in the ledger's `warc_file`; no `dedup` where none was done."""

    name: str
    records: Path
    documents: Path
    signals: Path
    ledger: Path
    dedup: Path | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A committed run directory: its manifest, its recipe, and its tables in the order of input names."""

    path: Path
    manifest: dict[str, Any]
    recipe: Recipe
    tables: tuple[Tables, ...]


class Text(NamedTuple):
    """One stored document: its text before any edit, and the edits made to it."""

    text: str
    spans: list[Span]
    extractor: str
    charset: str

    @property
    def edited(self) -> str:
        """The text after line rules, masking and deduplication, as a shard carries it."""
        return apply_edits(self.text, self.spans)

    @property
    def pieces(self) -> Iterator[Piece]:
        """The stored text, cut into what was kept and what was taken out."""
        return pieces(self.text, self.spans)


def open_run(path: Path, flag: str = "--run") -> FinishedRun:
    """Open a run directory; `flag` is what errors call it.

    Raises `WerpError` when it is not a finished run, was made by a version with other tables, or
    has lost files, or parts of them.
    """
    manifest = RunDirectory(path, "").manifest()
    if manifest is None:
        raise WerpError(
            f"{flag} {path}: no run.json there, so it is no finished run; give a run's output folder"
        )
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise WerpError(
            f"{flag} {path}: tables of version {manifest.get('schema_version')}, this is version"
            f" {SCHEMA_VERSION}; refine it again"
        )
    try:
        recipe = Recipe.model_validate(manifest["recipe"])
        files = manifest["files"]
        names = [item["name"] for item in manifest["inputs"]]
        columns = [[_inside(path / table, name) for name in files[table]] for table in _TABLES]
        dedup: list[Path | None] = [_inside(path / "dedup", name) for name in files["dedup"]]
        dedup = dedup or [None] * len(names)
        tables = tuple(Tables(name, *row) for name, *row in zip(names, *columns, dedup, strict=True))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise WerpError(f"{path / 'run.json'}: not a manifest of this version: {error}") from error
    for unit in tables:
        for file in (unit.records, unit.documents, unit.signals, unit.ledger, unit.dedup):
            if file is not None and not file.is_file():
                raise WerpError(
                    f"{file}: listed in run.json but not there; the run is damaged, refine it again"
                )
            if file is not None and not _has_footer(file):
                raise WerpError(f"{file}: no whole Parquet file; the run is damaged, copy or refine it again")
    return FinishedRun(path, manifest, recipe, tables)


def _has_footer(file: Path) -> bool:
    """Whether a file ends as Parquet does; one cut short does not."""
    with file.open("rb") as opened:
        return (
            opened.seek(0, os.SEEK_END) > 8 and opened.seek(-4, os.SEEK_END) > 0 and opened.read() == b"PAR1"
        )


def earlier_runs(run: FinishedRun) -> list[FinishedRun]:
    """The runs that a run was deduplicated against; `WerpError` where one isn't there any more."""
    keys, folders = run.manifest["earlier"], run.manifest.get("earlier_folders", [])
    if len(folders) < len(keys):
        raise WerpError(f"--run {run.path}: doesn't say where the earlier runs lie; refine it again")
    found = []
    for key, folder in zip(keys, folders, strict=True):
        found.append(open_run(Path(folder), "earlier run"))
        if found[-1].manifest["key"] != key:
            raise WerpError(
                f"earlier run {folder}: not the run any more that {run.path} was deduplicated against;"
                " refine anew with --earlier, then werp diff"
            )
    return found


_TABLES = ("records", "documents", "signals", "ledger")


def _inside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"file name {name!r} leads out of the run directory")
    return folder / name


def read_pages(unit: Tables) -> pa.Table:
    """The ledger of one input file, with `date` and, for documents, the `language` that was identified."""
    ledger = pq.read_table(unit.ledger, columns=LEDGER.names)
    records = pq.read_table(unit.records, columns=["outcome", "date"])
    names = pq.read_schema(unit.signals).names
    language: pa.Array = pa.nulls(ledger.num_rows, pa.string())
    if "language.label" in names:
        at = np.flatnonzero(np.asarray(pc.is_null(records.column("outcome"))))
        labels = pq.read_table(unit.signals, columns=["language.label"]).column(0).to_pylist()
        values = np.full(ledger.num_rows, None, dtype=object)
        values[at] = labels
        language = pa.array(values, pa.string())
    return ledger.append_column("date", records.column("date")).append_column("language", language)


def read_signals(unit: Tables) -> pa.Table:
    """The signals of one input file, and each document's row number in the ledger as `row`."""
    signals = pq.read_table(unit.signals)
    is_document = pc.is_null(pq.read_table(unit.records, columns=["outcome"]).column("outcome"))
    return signals.append_column("row", pa.array(np.flatnonzero(np.asarray(is_document))))


def signal_names(run: FinishedRun) -> list[str]:
    """The columns of the run's signals; none of a run without an input."""
    return list(pq.read_schema(run.tables[0].signals).names) if run.tables else []


def read_texts(unit: Tables, ids: Collection[str]) -> dict[str, Text]:
    """The stored texts of some documents, read a batch at a time."""
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, Text] = {}
    if not ids:
        return found
    removed = removed_spans(unit.dedup)
    columns = ["id", "text", "removed", "extractor", "charset"]
    with pq.ParquetFile(unit.documents) as file:
        for batch in file.iter_batches(256, columns=columns):
            for row in batch.filter(pc.is_in(batch.column("id"), value_set=wanted)).to_pylist():
                spans = [*spans_of(row["removed"]), *removed.get(row["id"], ())]
                found[row["id"]] = Text(row["text"], spans, row["extractor"], row["charset"])
    return found


def domain_of(url: str | None) -> str:
    """The host of a URL without `www.`, in lower case; "" when there is none.

    >>> domain_of("https://WWW.example.org:80/x"), domain_of("http://[broken"), domain_of(None)
    ('example.org', '', '')
    """
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:  # e.g. a broken IPv6 address
        return ""
    return host.strip(".").removeprefix("www.")


def tokens_of(text_bytes: int) -> int:
    """The tokens that so many bytes of text make, about (see BYTES_PER_TOKEN)."""
    return round(text_bytes / BYTES_PER_TOKEN)


def draw(name: str, offset: int) -> int:
    """A number drawn from a record's place: the least are the samples, whatever the order."""
    key = f"{name}\0{offset}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
