"""The recipe's stages of deduplication, one after the other, over the inputs of a run and of earlier ones.

The index of an earlier run is what it stored anyway: signals with hashes and signatures, and documents. So
adding a crawl reads no archive and signs no text again; keys are exchanged over all files, and what changes
for documents of earlier runs becomes rows (`werp.dedup.earlier`). Since every stage is a function of all
documents in the order of input names, the result is that of one run over everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.belt import worst_clusters
from werp.dedup.context import Context, ids_of, over_units, rows_of_nodes, units_of_nodes
from werp.dedup.exact import run_exact
from werp.dedup.minhash import run_minhash
from werp.dedup.old_both import run_old_both
from werp.dedup.stages import OldBoth, Substring
from werp.dedup.substring import run_substring
from werp.rundir import new_file
from werp.signals.exact import Exact
from werp.signals.minhash import MinHash
from werp.tables import DEDUP

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Stage = Exact | MinHash | OldBoth | Substring


def deduplicate(
    spark: SparkSession | None, context: Context, stages: Sequence[Stage], targets: Sequence[Path]
) -> dict[str, Any]:
    """Run the stages over the documents that pass `context.rules`, and write each source's DEDUP table.

    context: its `folder` is where the stages work, each in a folder of its own. targets: a file for each
    source. A stage that a killed run finished is not done again, nor is a finished phase of the one it was
    in.

    Returns figures: `stages` (rule, removed, rounds, largest clusters ...), `sources` ([documents, removed]
    by folder of the inputs), `worst` (see `werp.dedup.belt`).
    """
    found: list[Path] = []
    figures = []
    for number, stage in enumerate(stages):
        own = replace(context, folder=context.folder / f"{number}-{stage.rule}", before=tuple(found))
        done = own.phase("stage", lambda: _run(spark, own, stage))  # noqa: B023
        figures.append({"rule": stage.rule, **done})
        found.append(own.folder / "found")

    def merge(unit: int) -> list[int]:
        tables = [pq.read_table(path / f"{unit}.parquet") for path in found]
        merged = pa.concat_tables(tables).cast(DEDUP).replace_schema_metadata(DEDUP.metadata)
        with new_file(targets[unit], context.temporary) as partial:
            pq.write_table(merged, partial, compression="zstd")
        return [int(context.candidates(unit).sum()), int(np.sum(merged.column("dropped").to_numpy()))]

    counts = context.phase("merged", lambda: over_units(spark, context, merge))
    worst = context.phase("worst", lambda: worst_clusters(spark, context, figures, targets))
    return {"stages": figures, "sources": _by_source(context, counts), "worst": worst}


def _run(spark: SparkSession | None, context: Context, stage: Stage) -> dict[str, Any]:
    if isinstance(stage, OldBoth):
        return run_old_both(spark, context, stage)
    if isinstance(stage, Substring):
        return run_substring(spark, context, stage)
    if isinstance(stage, Exact):
        done = run_exact(spark, context, stage)
    else:
        done = run_minhash(spark, context, stage)
    return {**done, "largest": _named(context, done["largest"])}


def _named(context: Context, clusters: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Clusters (size, survivor node, first node) with ids in place of nodes; at most twenty, so read here."""

    def name(node: int) -> str:
        one = np.array([node], np.uint64)
        return ids_of(context.sources[int(units_of_nodes(one)[0])].signals, rows_of_nodes(one))[0]

    return [{"size": size, "survivor_id": name(a), "id": name(b)} for size, a, b in clusters]


def _by_source(context: Context, counts: Sequence[Sequence[int]]) -> dict[str, list[int]]:
    documents: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for source, (there, gone) in zip(context.sources, counts, strict=True):
        folder = PurePosixPath(source.name).parent.as_posix()
        documents[folder] += there
        removed[folder] += gone
    return {folder: [documents[folder], removed[folder]] for folder in sorted(documents)}
