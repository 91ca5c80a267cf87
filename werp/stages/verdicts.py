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

from werp.decide import decide
from werp.recipe import Recipe
from werp.rundir import new_file
from werp.stages.shards import edited_texts
from werp.tables import DROPPED, KEPT, LEDGER

_CONTENT_BITS = 1 << 128


@dataclass
class Verdicts:
    """What a unit adds to the run: counts, content sum and the bytes of text it keeps.

    outcomes: `[outcome, stage, rule]` joined by tabs -> rows.
    """

    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    content_sum: str = "0"
    kept_bytes: int = 0


def read_verdicts(ledger: Path) -> Verdicts:
    """The `Verdicts` stored in a ledger file's metadata."""
    metadata = pq.read_metadata(ledger).metadata or {}
    return Verdicts(**json.loads(metadata[b"werp.verdicts"]))


def write_ledger(
    records: Path,
    documents: Path,
    signals: Path,
    duplicates: Path,
    ledger: Path,
    recipe: Recipe,
    temporary: Path,
) -> Verdicts:
    """Give every record of one input file its verdict, and store the ledger.

    duplicates: the unit's file of (id, survivor_id) pairs; absent when it has none.
    Raises `ValueError` when the tables do not belong together (a document without signals).
    """
    table = pq.read_table(records)
    measured = pq.read_table(signals)
    texts = pq.read_table(documents, columns=["id", "text_sha256"])
    if not measured.column("id").equals(texts.column("id")):
        raise ValueError(f"{signals}: its rows are not those of {documents}; remove both and run again")
    verdicts = decide(measured, recipe.rules).to_pydict()
    survivors = _survivors(duplicates)
    sizes = _text_bytes(documents)
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
            sha = texts.column("text_sha256")[at].as_py()
            row["text_bytes"] = sizes[at]
            language = languages[at] if languages else None
            if verdicts["stage"][at] is not None:
                row["outcome"] = DROPPED
                row.update({name: verdicts[name][at] for name in ("stage", "rule", "value", "threshold")})
            elif row["id"] in survivors:
                row.update(outcome=DROPPED, stage="dedup", rule="exact.v1", survivor_id=survivors[row["id"]])
            else:
                row["outcome"] = KEPT
                kept_bytes += sizes[at]
            at += 1
        rows.append({name: row.get(name) for name in LEDGER.names})
        counts["\t".join([row["outcome"], row["stage"] or "", row["rule"] or ""])] += 1
        content += _row_hash(row, language, sha)
    if at != texts.num_rows:
        raise ValueError(
            f"{documents}: {texts.num_rows} documents for {at} records; remove both and run again"
        )
    summary = Verdicts(len(rows), dict(sorted(counts.items())), str(content % _CONTENT_BITS), kept_bytes)
    schema = LEDGER.with_metadata(
        {**(LEDGER.metadata or {}), b"werp.verdicts": json.dumps(summary.__dict__).encode()}
    )
    with new_file(ledger, temporary) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema), partial, compression="zstd")
    return summary


def _survivors(duplicates: Path) -> dict[str, str]:
    if not duplicates.is_file():
        return {}
    table = pq.read_table(duplicates)
    return dict(zip(table.column("id").to_pylist(), table.column("survivor_id").to_pylist(), strict=True))


def _text_bytes(documents: Path) -> list[int]:
    """Bytes of each document's text after its edits."""
    sizes: list[int] = []
    with pq.ParquetFile(documents) as source:
        for batch in source.iter_batches(1024, columns=["text", "removed"]):
            sizes += pc.binary_length(edited_texts(batch)).to_pylist()
    return sizes


def _row_hash(row: dict[str, Any], language: str | None, text_sha256: str | None) -> int:
    """128 bits over what a ledger row says of content: no paths, floats or timings."""
    verdict = [row["outcome"], row["stage"], row["rule"]]
    content = [row["url"], row["date"], language, text_sha256, *verdict]
    return int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:16], "big")
