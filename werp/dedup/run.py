"""The recipe's stages of deduplication, one after the other, over a run's input files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.context import Context, Source, over_units
from werp.dedup.exact import run_exact
from werp.dedup.minhash import run_minhash
from werp.dedup.old_both import run_old_both
from werp.dedup.stages import OldBoth
from werp.rundir import new_file
from werp.signals.base import Rule
from werp.signals.exact import Exact
from werp.signals.minhash import MinHash
from werp.tables import DEDUP

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Stage = Exact | MinHash | OldBoth


def deduplicate(
    spark: SparkSession | None,
    sources: Sequence[Source],
    targets: Sequence[Path],
    rules: Sequence[Rule],
    stages: Sequence[Stage],
    folder: Path,
    temporary: Path,
    slices: int,
) -> dict[str, Any]:
    """Run the stages over the documents that pass `rules`, and write each source's DEDUP table to its target.

    Returns the figures of every stage. A stage that a killed run finished is not done again, nor is a
    finished phase of the one it was in.
    """
    done: list[Path] = []
    figures = []
    for number, stage in enumerate(stages):
        own = folder / f"{number}-{stage.rule}"
        context = Context(tuple(sources), tuple(rules), tuple(done), own, temporary, slices, max(1, slices))
        figures.append({"rule": stage.rule, **context.phase("stage", lambda: _run(spark, context, stage))})  # noqa: B023
        done.append(own / "found")

    def merge(unit: int) -> None:
        tables = [pq.read_table(path / f"{unit}.parquet") for path in done]
        with new_file(targets[unit], temporary) as partial:
            merged = pa.concat_tables(tables).cast(DEDUP).replace_schema_metadata(DEDUP.metadata)
            pq.write_table(merged, partial, compression="zstd")

    context = Context(tuple(sources), tuple(rules), tuple(done), folder, temporary, slices, 1)
    context.phase("merged", lambda: over_units(spark, context, merge))
    return {"stages": figures}


def _run(spark: SparkSession | None, context: Context, stage: Stage) -> dict[str, Any]:
    if isinstance(stage, Exact):
        return run_exact(spark, context, stage)
    if isinstance(stage, MinHash):
        return run_minhash(spark, context, stage)
    return run_old_both(spark, context, stage)
