"""What every stage of deduplication works on: input files, the documents still in, and where to store.

A document is a node: `unit << 32 | row`, its row in the file's `documents` table. Units are numbered in the
order of input names and rows follow offsets, so the order of nodes is the order of documents, whatever runs
they came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.decide import still_in
from werp.dedup.exchange import Arrays, pack, unpack
from werp.progress import stage
from werp.rundir import new_file, write_atomically
from werp.signals.base import Rule
from werp.spread import spread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Nodes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_ROWS = np.uint64(32)
_ROW = np.uint64((1 << 32) - 1)


@dataclass(frozen=True)
class Source:
    """The tables of one input file; `earlier` where they belong to a finished run that is taken as given."""

    name: str
    records: Path
    documents: Path
    signals: Path
    earlier: bool = False


@dataclass(frozen=True)
class Context:
    """A stage's surroundings, sent to its tasks.

    sources: every input file, by unit, in the order of their names.
    rules: what a document has to pass before deduplication looks at it.
    before: folders of what the earlier stages found, a DEDUP table `<unit>.parquet` for each unit.
    folder: where this stage stores its phases; temporary: for files half-written.
    slices: tasks over units; shards: parts of the key space. segmenter: the recipe's.
    accepted: alarms of the seat-belt that a person has accepted.
    """

    sources: tuple[Source, ...]
    rules: tuple[Rule, ...]
    before: tuple[Path, ...]
    folder: Path
    temporary: Path
    slices: int
    shards: int
    segmenter: str | None = None
    accepted: frozenset[str] = frozenset()

    @property
    def units(self) -> range:
        """Every unit's number."""
        return range(len(self.sources))

    def candidates(self, unit: int) -> Bools:
        """Which documents of a unit pass the rules and were left by the stages before: one flag a row."""
        found = [folder / f"{unit}.parquet" for folder in self.before]
        return still_in(self.sources[unit].signals, self.rules, found)

    def store(self, phase: str, unit: int, *arrays: npt.NDArray[Any]) -> None:
        """Keep a unit's arrays of a phase, whole or not at all."""
        with new_file(self.folder / phase / f"{unit}.bin", self.temporary) as partial:
            partial.write_bytes(pack(*arrays))

    def stored(self, phase: str, unit: int) -> Arrays:
        """The arrays that `store` kept."""
        return unpack((self.folder / phase / f"{unit}.bin").read_bytes())

    def phase(self, name: str, work: Callable[[], Any]) -> Any:
        """Do a phase once: what it returned is found again when a killed run goes on. JSON values only."""
        done = self.folder / name / "_done.json"
        if done.is_file():
            return json.loads(done.read_text())
        with stage(self._label(name)):
            result = work()
        write_atomically(done, json.dumps(result).encode(), self.temporary)
        return result

    def _label(self, phase: str) -> str:
        """What a person is told of a phase, e.g. `deduplicating, minhash.v1: round 02`."""
        number, _, rule = self.folder.name.partition("-")
        of = f"deduplicating, {rule}" if number.isdigit() else "deduplicating"
        words = phase.replace("-", " ").replace("worst", "largest clusters")
        return of if phase == "stage" else f"{of}: {words}"


def nodes_of(unit: int, rows: npt.NDArray[Any]) -> Nodes:
    """Nodes of rows of a unit."""
    return np.uint64(unit) << _ROWS | rows.astype(np.uint64)


def units_of_nodes(nodes: Nodes) -> npt.NDArray[np.int64]:
    """The unit of each node."""
    return (nodes >> _ROWS).astype(np.int64)


def rows_of_nodes(nodes: Nodes) -> npt.NDArray[np.int64]:
    """The row of each node in its unit's tables."""
    return (nodes & _ROW).astype(np.int64)


def over_units(spark: SparkSession | None, context: Context, work: Callable[[int], Any]) -> list[Any]:
    """`work` on every unit; results in the units' order."""
    return spread(spark, context.units, context.slices, work)


def batches_of(documents: Path, rows: int = 512) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, batch) of a `documents` table: id, url, text, removed."""
    at = 0
    with pq.ParquetFile(documents) as source:
        for batch in source.iter_batches(rows, columns=["id", "url", "text", "removed"]):
            yield at, batch
            at += batch.num_rows


def preferences(source: Source, survivor: str, score: str) -> npt.NDArray[np.float64]:
    """What the survivor rule compares of each document, higher is better: all equal for `first`."""
    if survivor == "best":
        column = pq.read_table(source.signals, columns=[score]).column(score).cast(pa.float64())
        return np.asarray(pc.fill_null(column, float("-inf")), dtype=np.float64)
    if survivor == "longest":
        sizes: list[float] = []
        for _, batch in batches_of(source.documents):
            sizes += pc.utf8_length(batch.column("text")).to_pylist()
        return np.array(sizes, np.float64)
    records = pq.read_table(source.records, columns=["date", "outcome"])
    dates = records.filter(pc.is_null(records.column("outcome"))).column("date").to_pylist()
    if survivor == "newest":
        return np.array([_seconds(date) for date in dates], np.float64)
    return np.zeros(len(dates), np.float64)


def _seconds(date: str | None) -> float:
    """A WARC-Date as seconds; a missing or unreadable one is older than all others."""
    try:
        return float(np.datetime64((date or "").rstrip("Z")).astype("datetime64[ms]").astype(np.int64))
    except ValueError:
        return float("-inf")


def ids_of(path: Path, rows: Sequence[int] | npt.NDArray[Any]) -> list[str]:
    """The ids of rows of a signals table."""
    column = pq.read_table(path, columns=["id"]).column("id").combine_chunks()
    ids: list[str] = column.take(pa.array(rows, pa.int64())).to_pylist()
    return ids
