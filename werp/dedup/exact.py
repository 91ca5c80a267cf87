"""Exact deduplication across a run: every hash keeps one survivor.

Only hashes, sizes and ids are shuffled, never text. Survivors are found by an aggregation
that combines on the map side, so a page copied ten million times is no hot spot.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.decide import decide
from werp.signals.exact import Exact

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from werp.signals.base import Rule

_CANDIDATE = "unit int, offset long, id string, hash string, chars long, score double"
_DUPLICATE = "unit int, id string, survivor_id string"


def write_duplicates(
    spark: SparkSession,
    signals: Sequence[Path],
    records: Sequence[Path],
    targets: Sequence[Path],
    rules: Sequence[Rule],
    exact: Exact,
    temporary: Path,
) -> int:
    """Find duplicates among the documents that pass `rules`; returns how many there are.

    One file of (id, survivor_id) is written per input file that has any, to `targets[unit]`.
    The order that settles ties is (unit, offset), so neither partitions nor file order matter.
    """
    from pyspark.sql import functions as F  # noqa: N812, PLC0415

    units = spark.range(0, len(signals), 1, max(1, min(len(signals), 10_000)))
    candidates = units.mapInArrow(_candidates(signals, records, rules, exact), _CANDIDATE)
    order = {
        "first": ["unit", "offset"],
        "longest": ["-chars as preference", "unit", "offset"],
        "best": ["-coalesce(score, double('-Infinity')) as preference", "unit", "offset"],
    }[exact.survivor]
    ordered = candidates.withColumn("rank", F.expr(f"struct({', '.join(order)}, id)"))
    groups = (
        ordered.groupBy("hash")
        .agg(F.min("rank").alias("best"), F.count("*").alias("copies"))
        .where("copies > 1")
        .select("hash", F.col("best.id").alias("survivor_id"))
    )
    duplicates: DataFrame = (
        candidates.join(groups, "hash")
        .where("id <> survivor_id")
        .select("unit", "offset", "id", "survivor_id")
        .repartition("unit")
        .sortWithinPartitions("unit", "offset")
        .select("unit", "id", "survivor_id")
    )
    written = duplicates.mapInArrow(_writer(targets, temporary), "rows long")
    return sum(row["rows"] for row in written.collect())


def local_duplicates(
    signals: Sequence[Path],
    records: Sequence[Path],
    targets: Sequence[Path],
    rules: Sequence[Rule],
    exact: Exact,
    temporary: Path,
) -> int:
    """What `write_duplicates` finds, without Spark: for replays of a run on one machine.

    The candidates and the order are the same; they are sorted here, which takes about 150 bytes a
    document that passes the rules.
    """
    tables = [
        _unit_candidates(unit, *paths, rules, exact)
        for unit, paths in enumerate(zip(signals, records, strict=True))
    ]
    table = pa.concat_tables(tables)
    preference = {
        "first": pa.nulls(table.num_rows, pa.float64()),
        "longest": pc.negate(table.column("chars").cast(pa.float64())),
        "best": pc.negate(pc.fill_null(table.column("score"), float("-inf"))),
    }[exact.survivor]
    table = table.append_column("preference", preference)
    table = table.sort_by([(name, "ascending") for name in ("hash", "preference", "unit", "offset")])
    hashes = table.column("hash").combine_chunks()
    is_first = np.ones(len(hashes), dtype=bool)
    is_first[1:] = np.asarray(pc.not_equal(hashes[1:], hashes[:-1]), dtype=bool)
    best = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    table = table.append_column("survivor_id", table.column("id").take(pa.array(best)))
    found = table.filter(pa.array(~is_first)).sort_by([("unit", "ascending"), ("offset", "ascending")])
    for _ in _writer(targets, temporary)(iter(found.select(["unit", "id", "survivor_id"]).to_batches())):
        pass
    return int(found.num_rows)


def _candidates(
    signals: Sequence[Path], records: Sequence[Path], rules: Sequence[Rule], exact: Exact
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def candidates(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for unit in batch.column(0).to_pylist():
                yield from _unit_candidates(unit, signals[unit], records[unit], rules, exact).to_batches(
                    10_000
                )

    return candidates


def _unit_candidates(
    unit: int, signals: Path, records: Path, rules: Sequence[Rule], exact: Exact
) -> pa.Table:
    measured = pq.read_table(signals)
    facts = pq.read_table(records, columns=["warc_offset", "outcome"])
    offsets = facts.filter(pc.is_null(facts.column("outcome"))).column("warc_offset")
    passing = pc.is_null(decide(measured, rules).column("stage"))
    score = measured.column(exact.score) if exact.survivor == "best" else pa.nulls(len(offsets), pa.float64())
    table = pa.table(
        {
            "unit": pa.repeat(pa.scalar(unit, pa.int32()), len(offsets)),
            "offset": offsets,
            "id": measured.column("id"),
            "hash": measured.column("exact.hash"),
            "chars": measured.column("exact.chars"),
            "score": score.cast(pa.float64()),
        }
    )
    return table.filter(pc.and_(passing, pc.is_valid(table.column("hash"))))


def _writer(
    targets: Sequence[Path], temporary: Path
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Rows arrive sorted by unit: one file is open at a time."""

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        temporary.mkdir(parents=True, exist_ok=True)
        schema = pa.schema([("id", pa.string()), ("survivor_id", pa.string())])
        unit, rows, total = -1, list[pa.Table](), 0

        def flush() -> None:
            if rows:
                partial = temporary / f"{uuid.uuid4().hex}.parquet"
                pq.write_table(pa.concat_tables(rows).cast(schema), partial)
                targets[unit].parent.mkdir(parents=True, exist_ok=True)
                partial.replace(targets[unit])
                rows.clear()

        for batch in batches:
            table = pa.Table.from_batches([batch])
            for present in pc.unique(table.column("unit")).to_pylist():
                if present != unit:
                    flush()
                    unit = present
                rows.append(
                    table.filter(pc.equal(table.column("unit"), present)).select(["id", "survivor_id"])
                )
            total += batch.num_rows
        flush()
        yield pa.RecordBatch.from_pydict({"rows": pa.array([total], pa.int64())})

    return write
