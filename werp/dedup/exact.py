"""Stage `exact.v1`: of documents with one normalised text, one survives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from werp.dedup.clusters import fetch, members, resolve
from werp.dedup.context import Context, ids_of, nodes_of, over_units, preferences
from werp.dedup.results import cluster_rows, write_rows
from werp.signals.exact import Exact

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run_exact(spark: SparkSession | None, context: Context, stage: Exact) -> dict[str, Any]:
    """Find copies across all sources and store each unit's rows; returns the stage's figures."""

    def keys(unit: int) -> None:
        source = context.sources[unit]
        flags = context.candidates(unit)
        hashes = pq.read_table(source.signals, columns=["exact.hash"]).column("exact.hash").to_pylist()
        rows = np.array([row for row in np.flatnonzero(flags) if hashes[row] is not None], np.int64)
        words = np.frombuffer(b"".join(bytes.fromhex(hashes[row]) for row in rows), ">u8").astype(np.uint64)
        preference = preferences(source, stage.survivor, stage.score)[rows]
        context.store("keys", unit, rows, words[1::2], words[::2], preference)

    context.phase("keys", lambda: over_units(spark, context, keys))
    largest = resolve(spark, context, "keys")

    def wanted(unit: int) -> Any:
        found = members(context, unit)
        return np.concatenate([found.survivors, found.firsts])

    def record(unit: int, rows: Any) -> list[bytes]:
        return [bytes.fromhex(name) for name in ids_of(context.sources[unit].signals, rows)]

    def use(unit: int, facts: dict[int, bytes]) -> list[int]:
        found = members(context, unit)
        own = ids_of(context.sources[unit].signals, found.rows)
        names = {node: fact.hex() for node, fact in facts.items()}
        similarity = [1.0] * len(own)
        rows = cluster_rows(own, nodes_of(unit, found.rows), found, names, similarity, stage.rule, None)
        return write_rows(context, unit, rows)

    counts = context.phase("rows", lambda: fetch(spark, context, wanted, record, use))
    return {"largest": largest, "removed": sum(dropped for dropped, _ in counts)}
