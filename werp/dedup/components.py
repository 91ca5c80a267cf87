"""Connected components of a graph that is spread over input files.

Every file holds a forest over the documents it has edges of. A round is one exchange: for each document it
mentions, a file tells the document's shard the smallest one it can reach from it; the shard answers with the
smallest that any file can; the file links the two. That is the large-star and the small-star step of
Kiveris et al. 2014 ("Connected Components in MapReduce and Beyond") taken together, after each file's own
edges are contracted, and with a hub's edges staying where they are: whatever a document's degree, a shard
sees one row of it from each file. When no answer is news to anyone, all files agree on each document, so
linked documents agree, and the label they agree on is the component's smallest, which names itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from werp.dedup.alarms import CONVERGENCE
from werp.dedup.belt import alarm
from werp.dedup.context import Context, Nodes, over_units
from werp.dedup.exchange import exchange, pack, scattered, unpack, unpack_all
from werp.signals.words import native

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@native
def _united(parent: Any, a: Any, b: Any) -> None:
    """Link a[k] with b[k] for every k in a union-find forest whose roots are the smallest members."""
    for k in range(len(a)):
        x, y = a[k], b[k]
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        while parent[y] != y:
            parent[y] = parent[parent[y]]
            y = parent[y]
        if x < y:
            parent[y] = x
        else:
            parent[x] = y
    for x in range(len(parent)):  # a parent is never larger, so it points at its root by now
        parent[x] = parent[parent[x]]


def contract(a: Nodes, b: Nodes) -> tuple[Nodes, Nodes]:
    """The components of edges (a[k], b[k]): their nodes in order, and each one's smallest fellow."""
    nodes, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    parent = np.arange(len(nodes), dtype=np.int64)
    _united(parent, places[: len(a)], places[len(a) :])
    return nodes, nodes[parent]


def connect(spark: SparkSession | None, context: Context, edges: str, max_rounds: int) -> tuple[str, int]:
    """Label every document with the smallest of its component.

    edges: the phase that stored (node, node) edges of each unit. Returns the phase that holds (nodes, labels)
    of each unit, and the number of rounds. Raises `SeatBeltError` when labels change after `max_rounds`.
    """
    context.phase("round-00", lambda: _first(spark, context, edges))
    for number in range(1, max_rounds + 1):
        before, now = f"round-{number - 1:02d}", f"round-{number:02d}"
        changed = context.phase(now, lambda: _round(spark, context, before, now))  # noqa: B023
        if not changed:
            return now, number
    # Accepted, every label is of its document's component: clusters come out too small, never wrong.
    alarm(
        CONVERGENCE,
        f"clusters did not settle in {max_rounds} rounds: {changed:,} labels changed in the last one. Raise"
        " minhash.max_rounds and start again: the rounds done are kept",
        context.accepted,
    )
    return now, max_rounds


def _first(spark: SparkSession | None, context: Context, edges: str) -> int:
    def work(unit: int) -> int:
        a, b = context.stored(edges, unit)
        context.store("round-00", unit, *contract(a, b))
        return len(a)

    return sum(over_units(spark, context, work))


def _round(spark: SparkSession | None, context: Context, before: str, now: str) -> int:
    def send(unit: int) -> Any:
        return scattered(*_columns(context.stored(before, unit), context.shards))

    def receive(unit: int, messages: list[bytes]) -> int:
        nodes, labels = context.stored(before, unit)
        if messages:
            known, smaller = unpack_all(messages)
            nodes, labels = contract(np.concatenate([nodes, known]), np.concatenate([labels, smaller]))
        context.store(now, unit, nodes, labels)
        return sum(len(unpack(message)[0]) for message in messages)

    return sum(exchange(spark, context.units, context.shards, context.slices, send, _answer, receive))


def _columns(stored: list[npt.NDArray[Any]], shards: int) -> tuple[Nodes, int, Nodes]:
    nodes, labels = stored
    return nodes, shards, labels


def _answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
    """Tell each file the smallest label of its nodes, where that is news."""
    parts = [unpack(data) for _, data in messages]
    nodes = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    order = np.argsort(nodes, kind="stable")
    starts = np.flatnonzero(np.append(True, nodes[order][1:] != nodes[order][:-1]))
    smallest = np.empty_like(labels)
    lengths = np.diff(np.append(starts, len(nodes)))
    smallest[order] = np.repeat(np.minimum.reduceat(labels[order], starts), lengths)
    at = 0
    for (unit, _), part in zip(messages, parts, strict=True):
        found = smallest[at : at + len(part[0])]
        at += len(part[0])
        news = found < part[1]
        if news.any():
            yield unit, pack(part[0][news], found[news])
