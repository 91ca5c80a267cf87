"""Stage decide: records, signals and duplicates of one input file into its `ledger`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.decide import decide, text_of
from werp.edits import Span
from werp.quality.cuts import rejected
from werp.recipe import Recipe
from werp.rundir import new_file
from werp.stages.published import published_texts, removed_spans
from werp.tables import DROPPED, KEPT, LEDGER

_CONTENT_BITS = 1 << 128
#: Ledger columns that show what a stage of deduplication compared.
_SAID = {"value": "similarity", "threshold": "threshold"}


@dataclass
class Verdicts:
    """What a unit adds to the run: counts, content sum and the bytes of text it keeps.

    outcomes: `[outcome, stage, rule]` joined by tabs -> rows.
    contamination: benchmark -> documents that hold one of its items, and those of them that are kept.
    """

    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    content_sum: str = "0"
    kept_bytes: int = 0
    contamination: dict[str, list[int]] = field(default_factory=dict)


def read_verdicts(ledger: Path) -> Verdicts:
    """The `Verdicts` stored in a ledger file's metadata."""
    metadata = pq.read_metadata(ledger).metadata or {}
    return Verdicts(**json.loads(metadata[b"werp.verdicts"]))


def write_ledger(
    records: Path,
    documents: Path,
    signals: Path,
    dedup: Path | None,
    ledger: Path,
    recipe: Recipe,
    settled: dict[str, Any],
    temporary: Path,
) -> Verdicts:
    """Give every record of one input file its verdict, and store the ledger.

    dedup: the unit's file of what deduplication found; None where the recipe has no such stage.
    settled: what `werp.quality.cuts.cuts_of` found over the whole run.
    Raises `ValueError` when the tables do not belong together (a document without signals).
    """
    table = pq.read_table(records)
    measured = pq.read_table(signals)
    dropped, removed = _dropped(dedup), removed_spans(dedup)
    ids, shas, sizes = _published(documents, removed)
    if measured.column("id").to_pylist() != ids:
        raise ValueError(f"{signals}: its rows are not those of {documents}; remove both and run again")
    verdicts = decide(measured, recipe.rules).to_pydict()
    poor = rejected(measured, recipe.quality, settled) if recipe.quality else None
    languages = (
        measured.column("language.label").to_pylist() if "language.label" in measured.column_names else None
    )
    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    content = kept_bytes = 0
    at = 0
    for row in table.to_pylist():
        sha, language = None, None
        if row["outcome"] is None:
            sha = shas[at]
            row["text_bytes"] = sizes[at]
            language = languages[at] if languages else None
            if verdicts["stage"][at] is not None:
                row["outcome"] = DROPPED
                row.update({name: verdicts[name][at] for name in ("stage", "rule", "value", "threshold")})
            elif row["id"] in dropped:
                row.update(outcome=DROPPED, stage="dedup", **dropped[row["id"]])
            elif poor is not None and poor.rule[at] is not None:
                row.update(outcome=DROPPED, stage="quality", rule=poor.rule[at])
                row.update(value=text_of(poor.value[at]), threshold=text_of(poor.threshold[at]))
            else:
                row["outcome"] = KEPT
                kept_bytes += sizes[at]
            at += 1
        rows.append({name: row.get(name) for name in LEDGER.names})
        counts["\t".join([row["outcome"], row["stage"] or "", row["rule"] or ""])] += 1
        content += _row_hash(row, language, sha)
    if at != len(ids):
        raise ValueError(f"{documents}: {len(ids)} documents for {at} records; remove both and run again")
    kept = {row["id"] for row in rows if row["outcome"] == KEPT}
    summary = Verdicts(
        len(rows), dict(sorted(counts.items())), str(content % _CONTENT_BITS), kept_bytes,
        _contamination(measured, kept),
    )  # fmt: skip
    schema = LEDGER.with_metadata(
        {**(LEDGER.metadata or {}), b"werp.verdicts": json.dumps(summary.__dict__).encode()}
    )
    with new_file(ledger, temporary) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema), partial, compression="zstd")
    return summary


def _contamination(measured: pa.Table, kept: set[str]) -> dict[str, list[int]]:
    """Of each benchmark that `decontaminate.v1` looked for: documents hit, and how many of them are kept."""
    found: dict[str, list[int]] = {}
    if "decontaminate.hits" not in measured.column_names:
        return found
    hits = measured.select(["id", "decontaminate.hits"])
    for row in hits.filter(pc.greater(pc.list_value_length(hits.column(1)), 0)).to_pylist():
        for task in {hit["task"] for hit in row["decontaminate.hits"]}:
            counts = found.setdefault(task, [0, 0])
            counts[0] += 1
            counts[1] += row["id"] in kept
    return dict(sorted(found.items()))


def _dropped(dedup: Path | None) -> dict[str, dict[str, Any]]:
    """The ledger columns of the documents that deduplication drops; the first stage that does decides."""
    dropped: dict[str, dict[str, Any]] = {}
    if dedup is None:
        return dropped
    table = pq.read_table(dedup, columns=["id", "rule", "survivor_id", "similarity", "threshold", "dropped"])
    for row in table.filter(table.column("dropped")).to_pylist():
        columns = {"rule": row["rule"], "survivor_id": row["survivor_id"]}
        columns |= {name: text_of(row[column]) for name, column in _SAID.items()}
        dropped.setdefault(row["id"], columns)
    return dropped


def _published(documents: Path, removed: dict[str, list[Span]]) -> tuple[list[str], list[str], list[int]]:
    """Of each document its id, and hash and bytes of the text that a shard would carry."""
    ids: list[str] = []
    shas: list[str] = []
    sizes: list[int] = []
    with pq.ParquetFile(documents) as source:
        for batch in source.iter_batches(1024, columns=["id", "text", "removed", "text_sha256"]):
            texts = published_texts(batch, removed)
            sizes += pc.binary_length(texts).to_pylist()
            stored, names = batch.column("text_sha256").to_pylist(), batch.column("id").to_pylist()
            edited = pc.greater(pc.list_value_length(batch.column("removed")), 0).to_pylist()
            for index, name in enumerate(names):
                if edited[index] or name in removed:
                    stored[index] = hashlib.sha256(texts[index].as_py().encode()).hexdigest()
            ids += names
            shas += stored
    return ids, shas, sizes


def _row_hash(row: dict[str, Any], language: str | None, text_sha256: str | None) -> int:
    """128 bits over what a ledger row says of content: no paths, floats or timings."""
    verdict = [row["outcome"], row["stage"], row["rule"]]
    content = [row["url"], row["date"], language, text_sha256, *verdict]
    return int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:16], "big")
