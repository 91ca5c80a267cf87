"""Verification: an edge between two documents stands only if their shingles really are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from werp.dedup.clusters import fetch
from werp.dedup.context import Context, Nodes, batches_of, rows_of_nodes, units_of_nodes
from werp.dedup.text import edited_texts
from werp.signals.batch import TextBatch
from werp.signals.minhash import MinHash

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Sets = dict[int, npt.NDArray[np.uint64]]


def shingle_sets(context: Context, unit: int, rows: npt.NDArray[np.int64], stage: MinHash) -> Sets:
    """The sorted distinct shingle hashes of rows of a unit, by row; text is read in batches."""
    from werp.signals.shingles import shingles  # noqa: PLC0415

    wanted = np.zeros(int(rows.max()) + 1 if len(rows) else 0, bool)
    wanted[rows] = True
    sets: Sets = {}
    for at, batch in batches_of(context.sources[unit].documents):
        chosen = np.flatnonzero(wanted[at : at + batch.num_rows])
        if not len(chosen):
            continue
        texts = edited_texts(batch.take(chosen))
        made = TextBatch([""] * len(texts), [""] * len(texts), texts, context.segmenter)
        hashes, firsts = shingles(made, stage.shingle_size, stage.shingle, stage.fold)
        for k, row in enumerate(chosen.tolist()):
            sets[at + row] = np.unique(hashes[firsts[k] : firsts[k + 1]])
    return sets


def jaccard(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> float:
    """|a and b| / |a or b| of two sets as sorted distinct arrays; 0 for two empty ones."""
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / max(len(a) + len(b) - both, 1)


def verified(
    spark: SparkSession | None, context: Context, stage: MinHash, edges: str, target: str
) -> list[int]:
    """Store the edges of `edges` whose true Jaccard similarity is at least `stage.verify`, as phase `target`.

    Returns how many edges each unit lost. Memory: the shingle hashes of the documents at a unit's edges, 8
    bytes a word.
    """
    least = stage.verify or 0.0

    def wanted(unit: int) -> Nodes:
        _, b = context.stored(edges, unit)
        return np.unique(b[units_of_nodes(b) != unit])

    def record(unit: int, rows: npt.NDArray[np.int64]) -> list[bytes]:
        sets = shingle_sets(context, unit, rows, stage)
        return [sets[row].tobytes() for row in rows.tolist()]

    def use(unit: int, facts: dict[int, bytes]) -> int:
        a, b = context.stored(edges, unit)
        own = np.unique(np.concatenate([a, b[units_of_nodes(b) == unit]]))
        sets: Sets = shingle_sets(context, unit, rows_of_nodes(own), stage)
        by_node: Sets = {node: np.frombuffer(fact, np.uint64) for node, fact in facts.items()}
        by_node |= dict(zip(own.tolist(), map(sets.__getitem__, rows_of_nodes(own).tolist()), strict=True))
        # An edge to oneself only says that a document is in a bucket of another file.
        pairs = zip(a.tolist(), b.tolist(), strict=True)
        keep = np.array([x == y or jaccard(by_node[x], by_node[y]) >= least for x, y in pairs], bool)
        context.store(target, unit, a[keep], b[keep])
        return int((~keep).sum())

    return fetch(spark, context, wanted, record, use)
