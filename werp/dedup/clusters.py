"""From groups of documents to verdicts: each group's survivor, size and what FineWeb2 would repeat of it.

Documents that share a 128-bit key are a cluster. A file sends one row for each key it holds (how many,
its best document, its first), so a cluster of any size is one row a file wherever it is gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from werp.dedup.context import Context, Nodes, nodes_of, rows_of_nodes, units_of_nodes
from werp.dedup.exchange import Arrays, exchange, pack, scattered, unpack, unpack_all

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: FineWeb2's repeat weights: (smallest cluster size, weight), Penedo et al. 2025, arXiv 2506.20920.
_REPEATS = ((1, 1), (2, 2), (3, 3), (5, 5), (100, 8), (1000, 1))
_SHOWN = 20  # largest clusters that a run reports

Records = Callable[[int, npt.NDArray[np.int64]], Sequence[bytes]]


class Members(NamedTuple):
    """Clustered documents of a unit: row, and cluster's size, survivor and first node of each."""

    rows: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    survivors: Nodes
    firsts: Nodes


def repeat_weight(size: int) -> int:
    """How often FineWeb2 repeats the survivor of a cluster of this size.

    >>> [repeat_weight(n) for n in (1, 2, 4, 99, 100, 1000)]
    [1, 2, 3, 5, 8, 1]
    """
    return next(weight for smallest, weight in reversed(_REPEATS) if size >= smallest)


def resolve(spark: SparkSession | None, context: Context, keys: str) -> list[list[int]]:
    """Settle every cluster; each unit's `Members` are stored as phase `members`.

    keys: the phase that stored (rows, key, key, preference) of each unit: documents of one key pair are a
        cluster, in which the highest preference survives, and of equals the first.
    Returns the largest clusters as (size, survivor node, first node), largest first.
    """

    def send(unit: int) -> Any:
        _, low, high, count, _, preference, best, first = _combined(unit, context.stored(keys, unit))
        index = np.arange(len(low), dtype=np.int64)
        return scattered(low, context.shards, high, index, count, preference, best, first)

    def answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
        sender = np.repeat([unit for unit, _ in messages], [len(unpack(data)[0]) for _, data in messages])
        low, high, index, count, preference, best, first = unpack_all([data for _, data in messages])
        order = np.lexsort((best, -preference, high, low))
        starts = _starts(low[order], high[order])
        group = np.cumsum(starts) - 1
        at = np.flatnonzero(starts)
        size = np.add.reduceat(count[order], at)[group]
        survivor = best[order][at][group]
        earliest = np.minimum.reduceat(first[order], at)[group]
        told = size > 1
        for unit in np.unique(sender):
            mine = told & (sender[order] == unit)
            if mine.any():
                yield int(unit), pack(index[order][mine], size[mine], survivor[mine], earliest[mine])

    def receive(unit: int, messages: list[bytes]) -> list[list[int]]:
        stored = context.stored(keys, unit)
        rows, low, _, _, group, *_ = _combined(unit, stored)
        size = np.zeros(len(low), np.int64)
        survivor, first = np.zeros(len(low), np.uint64), np.zeros(len(low), np.uint64)
        if messages:
            index, *values = unpack_all(messages)
            size[index], survivor[index], first[index] = values
        clustered = size[group] > 1 if len(rows) else np.zeros(0, bool)
        order = np.argsort(rows[clustered], kind="stable")
        of = group[clustered][order]
        context.store("members", unit, rows[clustered][order], size[of], survivor[of], first[of])
        mine = np.flatnonzero((units_of_nodes(first) == unit) & (size > 1))
        largest = mine[np.lexsort((first[mine], -size[mine]))][:_SHOWN]
        return [[int(size[k]), int(survivor[k]), int(first[k])] for k in largest]

    def work() -> list[list[int]]:
        found = exchange(spark, context.units, context.shards, context.slices, send, answer, receive)
        every = [cluster for unit in found for cluster in unit]
        return sorted(every, key=lambda cluster: (-cluster[0], cluster[2]))[:_SHOWN]

    largest: list[list[int]] = context.phase("members", work)
    return largest


def members(context: Context, unit: int) -> Members:
    """A unit's clustered documents, in the order of their rows, once `resolve` is done."""
    return Members(*context.stored("members", unit))


def _combined(unit: int, stored: Arrays) -> Arrays:
    """A unit's rows by key: rows and, a key, both halves, count; each row's group; then of each key the best
    preference and its node, and the first node.
    """
    rows, low, high, preference = stored
    order = np.lexsort((rows, -preference, high, low))
    rows, low, high = rows[order].astype(np.int64), low[order], high[order]
    starts = _starts(low, high)
    at = np.flatnonzero(starts)
    nodes = nodes_of(unit, rows)
    count = np.diff(np.append(at, len(rows))).astype(np.int64)
    first = np.minimum.reduceat(nodes, at) if len(rows) else nodes
    group = np.cumsum(starts) - 1
    return [rows, low[at], high[at], count, group, preference[order][at], nodes[at], first]


def _starts(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a new key begins in sorted keys."""
    starts = np.ones(len(low), bool)
    starts[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return starts


def fetch(
    spark: SparkSession | None,
    context: Context,
    wanted: Callable[[int], Nodes],
    record: Records,
    use: Callable[[int, dict[int, bytes]], Any],
) -> list[Any]:
    """Bring facts of documents to the units that want them.

    wanted: the nodes a unit asks for. record: facts of rows of a unit, bytes each. use: what a unit does
    with the facts, by node; its small results come back in the units' order.
    """

    def send(unit: int) -> Any:
        nodes = np.unique(wanted(unit))
        owners = units_of_nodes(nodes)
        for owner in np.unique(owners):
            yield int(owner), pack(nodes[owners == owner])

    def answer(owner: int, messages: list[tuple[int, bytes]]) -> Any:
        asked = [(unit, unpack(data)[0]) for unit, data in messages]
        nodes = np.unique(np.concatenate([part for _, part in asked]))
        facts = record(owner, rows_of_nodes(nodes))
        for unit, part in asked:
            chosen = [facts[k] for k in np.searchsorted(nodes, part)]
            lengths = np.array([len(fact) for fact in chosen], np.int64)
            yield unit, pack(part, lengths, np.frombuffer(b"".join(chosen), np.uint8))

    def receive(unit: int, messages: list[bytes]) -> Any:
        facts: dict[int, bytes] = {}
        for message in messages:
            nodes, lengths, data = unpack(message)
            ends = np.cumsum(lengths)
            for node, begin, end in zip(nodes.tolist(), ends - lengths, ends, strict=True):
                facts[node] = data[begin:end].tobytes()
        return use(unit, facts)

    return exchange(spark, context.units, max(1, len(context.units)), context.slices, send, answer, receive)
