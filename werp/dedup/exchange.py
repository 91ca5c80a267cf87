"""One round of messages between input files and shards of a key space: all that dedup needs of Spark.

    send(unit) ─► (shard, bytes) ─► answer(shard, [(unit, bytes)]) ─► (unit, bytes) ─► receive(unit, [bytes])

A file first combines what it has to say of one key, so the busiest key has one message a file: a page that
was copied ten million times is no hot spot, and no key needs salting. Messages are packed arrays, so the JVM
carries blocks of bytes and the work on keys is native. Shards are a function of the keys alone; how many
there are decides memory, never a result.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from werp.spread import task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_R = TypeVar("_R")
Send = Callable[[int], Iterable[tuple[int, bytes]]]
Answer = Callable[[int, list[tuple[int, bytes]]], Iterable[tuple[int, bytes]]]
Arrays = list[npt.NDArray[Any]]


def pack(*arrays: npt.NDArray[Any]) -> bytes:
    """One-dimensional arrays as one block of bytes; see `unpack`."""
    head = json.dumps([[array.dtype.str, len(array)] for array in arrays]).encode()
    return b"".join([struct.pack("<I", len(head)), head, *(array.tobytes() for array in arrays)])


def unpack(data: bytes) -> Arrays:
    """The arrays of `pack`, read-only views of the block."""
    (length,) = struct.unpack_from("<I", data)
    at = 4 + length
    arrays: Arrays = []
    for kind, count in json.loads(data[4:at]):
        arrays.append(np.frombuffer(data, np.dtype(kind), count, at))
        at += arrays[-1].nbytes
    return arrays


def unpack_all(messages: Sequence[bytes]) -> Arrays:
    """The arrays of several blocks of one layout, end to end."""
    parts = [unpack(message) for message in messages]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def scattered(
    keys: npt.NDArray[np.uint64], shards: int, *columns: npt.NDArray[Any]
) -> Iterator[tuple[int, bytes]]:
    """Messages to the shards that the keys belong to: the keys and their columns, packed, in their order."""
    home = shard_of(keys, shards)
    order = np.argsort(home, kind="stable")
    ends = np.searchsorted(home[order], np.arange(shards + 1))
    for shard in range(shards):
        rows = order[ends[shard] : ends[shard + 1]]
        if len(rows):
            yield shard, pack(keys[rows], *(column[rows] for column in columns))


def shard_of(keys: npt.NDArray[np.uint64], shards: int) -> npt.NDArray[np.int64]:
    """The shard of each key, by a mix of all its bits (splitmix64's finaliser, Steele et al. 2014)."""
    mixed = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed >> np.uint64(33)) % np.uint64(shards)).astype(np.int64)


def exchange(
    spark: SparkSession | None,
    units: Sequence[int],
    shards: int,
    slices: int,
    send: Send,
    answer: Answer,
    receive: Callable[[int, list[bytes]], _R],
) -> list[_R]:
    """Send from every unit, answer in every shard that was written to, receive in every unit.

    slices: tasks over the units. Results of `receive` come back in the units' order and must be small. A task
    may run twice: `send` and `answer` are functions of what is stored, `receive` writes files whole.
    Memory of a task: the messages of the shards, or units, that it holds, at a time. Without a session all
    of it happens here, and memory holds the messages of one direction.
    """
    if spark is None:
        return _exchange_here(units, send, answer, receive)
    slices = max(1, min(slices, len(units)))
    positions = {unit: position for position, unit in enumerate(units)}
    ordered = list(units)

    def sent(part: Iterator[int]) -> Iterator[tuple[int, tuple[int, bytes]]]:
        with task():
            for unit in part:
                for shard, data in send(unit):
                    yield shard, (unit, data)

    def answered(part: Iterator[tuple[int, tuple[int, bytes]]]) -> Iterator[tuple[int, tuple[int, bytes]]]:
        with task():
            for shard, messages in _grouped(part):
                for unit, data in answer(shard, messages):
                    yield positions[unit] % slices, (unit, data)

    def received(slot: int, part: Iterator[tuple[int, tuple[int, bytes]]]) -> Iterator[tuple[int, _R]]:
        with task():
            inbox: dict[int, list[bytes]] = {unit: [] for unit in ordered[slot::slices]}
            for _, (unit, data) in part:
                inbox[unit].append(data)
            for unit in ordered[slot::slices]:
                yield positions[unit], receive(unit, inbox.pop(unit))

    tasks = spark.sparkContext.parallelize(ordered, slices).mapPartitions(sent)
    replies = tasks.partitionBy(shards, _itself).mapPartitions(answered)
    done = replies.partitionBy(slices, _itself).mapPartitionsWithIndex(received).collect()
    return [result for _, result in sorted(done, key=_first)]


def _exchange_here(
    units: Sequence[int], send: Send, answer: Answer, receive: Callable[[int, list[bytes]], _R]
) -> list[_R]:
    sent = ((shard, (unit, data)) for unit in units for shard, data in send(unit))
    inbox: dict[int, list[bytes]] = {unit: [] for unit in units}
    for shard, messages in _grouped(sent):
        for unit, data in answer(shard, messages):
            inbox[unit].append(data)
    return [receive(unit, inbox.pop(unit)) for unit in units]


def _itself(key: int) -> int:
    return key


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _grouped(
    part: Iterator[tuple[int, tuple[int, bytes]]],
) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    shards: dict[int, list[tuple[int, bytes]]] = {}
    for shard, message in part:
        shards.setdefault(shard, []).append(message)
    for shard in sorted(shards):
        # Which unit's message arrives first is chance.
        yield shard, sorted(shards.pop(shard), key=lambda message: message[0])
