"""Stage `minhash.v1`: documents that share a band are linked, components are clusters, one of each survives.

    signatures ─► band keys ─► edges to each bucket's first document ─► components ─► survivors, similarities

A bucket of n documents gives n - 1 edges, never pairs. Band keys are 64-bit hashes of (band, its minima):
among a billion documents and 14 bands less than one pair of different bands is expected to collide; `verify`
removes such an edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from werp.dedup.clusters import Members, fetch, members, resolve
from werp.dedup.components import connect
from werp.dedup.context import (
    Context,
    Nodes,
    ids_of,
    nodes_of,
    over_units,
    preferences,
    rows_of_nodes,
    units_of_nodes,
)  # fmt: skip
from werp.dedup.exchange import exchange, pack, scattered, unpack, unpack_all
from werp.dedup.results import cluster_rows, write_rows
from werp.dedup.verify import verified
from werp.signals.minhash import MinHash
from werp.signals.words import native

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_U = np.uint64
_ID_BYTES = 16


def run_minhash(spark: SparkSession | None, context: Context, stage: MinHash) -> dict[str, Any]:
    """Cluster near-duplicates across all sources and store each unit's rows; returns the stage's figures."""
    buckets = context.phase("edges", lambda: _edges(spark, context, stage))
    edges = "edges"
    if stage.verify is not None:
        context.phase("verified", lambda: verified(spark, context, stage, "edges", "verified"))
        edges = "verified"
    labels, rounds = connect(spark, context, edges, stage.max_rounds)
    context.phase("keys", lambda: _keys(spark, context, stage, labels))
    largest = resolve(spark, context, "keys")
    counts = context.phase("rows", lambda: _rows(spark, context, stage))
    return {
        "largest": largest,
        "largest_bucket": max(buckets, default=0),
        "rounds": rounds,
        "removed": sum(dropped for dropped, _ in counts),
    }


@native
def band_keys(signatures: Any, valid: Any, bands: int, rows: int) -> Any:
    """64-bit keys of the bands of each valid document: uint64 [valid documents, bands]."""
    count = 0
    for flag in valid:
        count += flag
    keys = np.empty((count, bands), np.uint64)
    n = 0
    for d in range(len(valid)):
        if not valid[d]:
            continue
        for band in range(bands):
            h = _U(band + 1) * _U(0x9E3779B97F4A7C15)
            for row in range(band * rows, (band + 1) * rows):
                h = (h ^ _U(signatures[d, row])) * _U(0xFF51AFD7ED558CCD)
                h ^= h >> _U(32)
            keys[n, band] = h
        n += 1
    return keys


def signed(context: Context, unit: int, stage: MinHash) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """A unit's signatures, and which documents are in the stage and have one."""
    signals = pq.read_table(context.sources[unit].signals, columns=["minhash.signature"])
    matrix, valid = stage.signature_matrix(signals.column("minhash.signature"))
    return matrix, valid & context.candidates(unit)


def _bucketed(context: Context, unit: int, stage: MinHash) -> tuple[npt.NDArray[Any], Nodes, Nodes, Nodes]:
    """A unit's buckets (key, first node), and the edges (node, its bucket's first node) within the unit."""
    matrix, valid = signed(context, unit, stage)
    nodes = nodes_of(unit, np.flatnonzero(valid))
    keys = band_keys(matrix, valid, stage.bands, stage.rows).ravel()
    members_of = np.repeat(nodes, stage.bands)
    order = np.argsort(keys)
    keys, members_of = keys[order], members_of[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)
    first = np.minimum.reduceat(members_of, starts) if len(keys) else nodes
    smallest = np.repeat(first, np.diff(np.append(starts, len(keys))))
    inner = smallest != members_of
    return keys[starts], first, members_of[inner], smallest[inner]


def _edges(spark: SparkSession | None, context: Context, stage: MinHash) -> list[int]:
    """Store each unit's edges to the first documents of its buckets; returns sizes of the largest buckets in
    units that hold the bucket.
    """

    def send(unit: int) -> Any:
        keys, first, *_ = _bucketed(context, unit, stage)
        return scattered(keys, context.shards, first)

    def answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
        keys, first = unpack_all([data for _, data in messages])
        order = np.argsort(keys)
        keys, first = keys[order], first[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        lengths = np.diff(np.append(starts, len(keys)))
        smallest = np.repeat(np.minimum.reduceat(first, starts), lengths)
        shared = np.repeat(lengths > 1, lengths)
        # A document that meets the same one in several bands needs one edge.
        pairs = np.unique(np.stack([first[shared], smallest[shared]]), axis=1)
        owners = units_of_nodes(pairs[0])
        for unit in np.unique(owners):
            mine = owners == unit
            yield int(unit), pack(pairs[0][mine], pairs[1][mine])

    def receive(unit: int, messages: list[bytes]) -> int:
        _, _, a, b = _bucketed(context, unit, stage)
        for message in messages:
            more_a, more_b = unpack(message)
            a, b = np.concatenate([a, more_a]), np.concatenate([b, more_b])
        pairs = np.unique(np.stack([a, b]), axis=1)
        context.store("edges", unit, pairs[0], pairs[1])
        return int(np.unique(b, return_counts=True)[1].max()) + 1 if len(b) else 0

    return exchange(spark, context.units, context.shards, context.slices, send, answer, receive)


def _keys(spark: SparkSession | None, context: Context, stage: MinHash, labels: str) -> int:
    """Store what `resolve` takes: the labelled documents of each unit, keyed by their label."""

    def work(unit: int) -> int:
        nodes, roots = context.stored(labels, unit)
        own = units_of_nodes(nodes) == unit
        rows = rows_of_nodes(nodes[own])
        preference = preferences(context.sources[unit], stage.survivor, stage.score)[rows]
        context.store("keys", unit, rows, roots[own], np.zeros(len(rows), np.uint64), preference)
        return len(rows)

    return sum(over_units(spark, context, work))


def _rows(spark: SparkSession | None, context: Context, stage: MinHash) -> list[list[int]]:
    """Write each unit's rows; the similarity is the share of minima that document and survivor agree on."""

    def signature_bytes(unit: int, rows: npt.NDArray[np.int64]) -> list[bytes]:
        matrix, _ = signed(context, unit, stage)
        return [matrix[row].tobytes() for row in rows]

    def wanted(unit: int) -> Nodes:
        found = members(context, unit)
        return np.concatenate([found.survivors, found.firsts])

    def record(unit: int, rows: npt.NDArray[np.int64]) -> list[bytes]:
        names = ids_of(context.sources[unit].signals, rows)
        parts = zip(names, signature_bytes(unit, rows), strict=True)
        return [bytes.fromhex(name) + signature for name, signature in parts]

    def use(unit: int, facts: dict[int, bytes]) -> list[int]:
        found = members(context, unit)
        own = ids_of(context.sources[unit].signals, found.rows)
        names = {node: fact[:_ID_BYTES].hex() for node, fact in facts.items()}
        similarities = _similarities(context, unit, stage, found, facts)
        rows = cluster_rows(
            own, nodes_of(unit, found.rows), found, names, similarities, stage.rule, stage.verify
        )
        return write_rows(context, unit, rows)

    return fetch(spark, context, wanted, record, use)


def _similarities(
    context: Context, unit: int, stage: MinHash, found: Members, facts: dict[int, bytes]
) -> list[float]:
    matrix, _ = signed(context, unit, stage)
    own = matrix[found.rows]
    theirs = b"".join(facts[node][_ID_BYTES:] for node in found.survivors.tolist())
    other = np.frombuffer(theirs, matrix.dtype).reshape(own.shape)
    agreeing: list[float] = (own == other).mean(axis=1).tolist() if len(own) else []
    return agreeing
