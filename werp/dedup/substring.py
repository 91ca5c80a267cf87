"""Stage `substring.v1`: passages of at least `min_tokens` words that occurred before, word for word, are cut.

A window of `min_tokens` words is a copy when the same window stands earlier, in an earlier document or
earlier in its own; the words of all copies go, so of every repeated passage the first occurrence stays.
Nothing is sorted but hashes:

1. Winnowing (Schleimer, Wilkerson, Aiken 2003) chooses anchors: of the k-word grams (k = half a window) in
   each window the one with the smallest hash. Equal windows choose equal anchors, and one gram in about k / 2
   is chosen, so this exchange is small. Anchors that occur twice, in one file or in two, are known after it.
2. Only windows over such an anchor are exchanged, as 128 bits (two independent 64-bit hashes, both compared):
   each file learns which of its windows an earlier file holds, and finds earlier ones of its own itself.

Memory of a task: 16 bytes a word of its file's windows over shared anchors, and its texts in batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from werp.dedup.context import Context, over_units
from werp.dedup.exchange import exchange, pack, scattered, unpack, unpack_all
from werp.dedup.grams import window_hashes
from werp.dedup.old_both import inside
from werp.dedup.results import write_rows
from werp.dedup.stages import Substring
from werp.dedup.text import Texts, candidate_texts
from werp.edits import Span
from werp.signals.batch import TextBatch
from werp.signals.split import Split
from werp.signals.words import native

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_OTHER = np.uint64(0xD1B54A32D192ED03)


def run_substring(spark: SparkSession | None, context: Context, stage: Substring) -> dict[str, Any]:
    """Cut repeated passages across all sources; returns the stage's figures."""
    context.phase("anchors", lambda: _anchors(spark, context, stage))
    windows = context.phase("windows", lambda: _windows(spark, context, stage))
    counts = context.phase(
        "rows", lambda: over_units(spark, context, lambda unit: _write(context, unit, stage))
    )
    return {
        "removed": sum(gone for gone, _ in counts),
        "removed_spans": sum(cut for _, cut in counts),
        "windows_exchanged": sum(windows),
    }


@native
def chosen_anchors(grams: Any, firsts: Any, span: int) -> Any:
    """Which grams are the smallest, the last of equals, in some `span` consecutive ones of their text."""
    chosen = np.zeros(len(grams), np.bool_)
    queue = np.empty(len(grams) + 1, np.int64)  # candidates, hashes rising from head to tail
    for t in range(len(firsts) - 1):
        head, tail = 0, 0
        for g in range(firsts[t], firsts[t + 1]):
            while tail > head and grams[queue[tail - 1]] >= grams[g]:
                tail -= 1
            queue[tail] = g
            tail += 1
            if queue[head] <= g - span:
                head += 1
            if g - firsts[t] >= span - 1:
                chosen[queue[head]] = True
    return chosen


@native
def windows_over(marked: Any, gram_firsts: Any, window_firsts: Any, span: int) -> Any:
    """Which windows hold a marked gram: window i of a text holds grams i to i + span - 1 of it."""
    out = np.zeros(window_firsts[-1], np.bool_)
    for t in range(len(gram_firsts) - 1):
        last = -1 - span
        for k in range(gram_firsts[t + 1] - gram_firsts[t]):
            if marked[gram_firsts[t] + k]:
                last = k
            window = k - span + 1
            if window >= 0 and last >= window:
                out[window_firsts[t] + window] = True
    return out


def _gram_size(stage: Substring) -> int:
    return (stage.min_tokens + 1) // 2


def _batches(context: Context, unit: int) -> Iterator[tuple[Texts, Split]]:
    for texts in candidate_texts(context, unit):
        yield texts, TextBatch(texts.ids, texts.ids, texts.texts, context.segmenter).split


def _grams(split: Split, size: int, words: Hashes | None = None) -> tuple[Hashes, npt.NDArray[np.int64]]:
    offsets = split.word_offsets
    hashes = split.word_hash if words is None else words
    found: tuple[Hashes, Any] = window_hashes(hashes, offsets[:-1], offsets[1:], size)
    return found


def _anchors(spark: SparkSession | None, context: Context, stage: Substring) -> list[int]:
    """Store each unit's anchors that occur more than once, sorted."""
    size = _gram_size(stage)
    span = stage.min_tokens - size + 1

    def own(unit: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
        parts = [np.zeros(0, np.uint64)]
        for _, split in _batches(context, unit):
            grams, firsts = _grams(split, size)
            parts.append(grams[chosen_anchors(grams, firsts, span)])
        return np.unique(np.concatenate(parts), return_counts=True)

    def send(unit: int) -> Any:
        anchors, counts = own(unit)
        return scattered(anchors, context.shards, counts)

    def answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
        anchors, counts = unpack_all([data for _, data in messages])
        distinct, places = np.unique(anchors, return_inverse=True)
        shared = distinct[np.bincount(places, counts) > 1]
        for unit, data in messages:
            mine = unpack(data)[0]
            yield unit, pack(mine[inside(mine, shared)])

    def receive(unit: int, messages: list[bytes]) -> int:
        shared = np.sort(unpack_all(messages)[0]) if messages else np.zeros(0, np.uint64)
        context.store("anchors", unit, shared)
        return len(shared)

    return exchange(spark, context.units, context.shards, context.slices, send, answer, receive)


def _held(
    context: Context, unit: int, stage: Substring
) -> Iterator[tuple[Texts, Split, Bools, npt.NDArray[np.int64], Hashes, Hashes]]:
    """Batches with their windows: which may be copies, where each text's begin, both hashes of those."""
    (shared,) = context.stored("anchors", unit)
    size = _gram_size(stage)
    for texts, split in _batches(context, unit):
        grams, firsts = _grams(split, size)
        full, window_firsts = _grams(split, stage.min_tokens)
        held = windows_over(inside(grams, shared), firsts, window_firsts, stage.min_tokens - size + 1)
        other, _ = _grams(
            split, stage.min_tokens, split.word_hash * _OTHER ^ (split.word_hash >> np.uint64(7))
        )
        yield texts, split, held, window_firsts, full[held], other[held]


def _windows(spark: SparkSession | None, context: Context, stage: Substring) -> list[int]:
    """Store, for each of a unit's windows that may be a copy, whether it is one."""

    def own(unit: int) -> tuple[Hashes, Hashes, npt.NDArray[np.int64], int]:
        """Distinct windows in the order of their hashes; of each window the number of its distinct one."""
        parts = [(full, other) for *_, full, other in _held(context, unit, stage)]
        full = np.concatenate([np.zeros(0, np.uint64), *(part for part, _ in parts)])
        other = np.concatenate([np.zeros(0, np.uint64), *(part for _, part in parts)])
        order = np.lexsort((other, full))
        new = np.ones(len(full), bool)
        new[1:] = (full[order][1:] != full[order][:-1]) | (other[order][1:] != other[order][:-1])
        number = np.empty(len(full), np.int64)
        number[order] = np.cumsum(new) - 1
        return full[order][new], other[order][new], number, int(new.sum())

    def send(unit: int) -> Any:
        full, other, _, count = own(unit)
        return scattered(full, context.shards, other, np.arange(count))

    def answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
        sender = np.concatenate([np.full(len(unpack(data)[0]), unit) for unit, data in messages])
        full, other, index = unpack_all([data for _, data in messages])
        order = np.lexsort((sender, other, full))
        again = np.zeros(len(full), bool)  # the same window stands before it, so in an earlier unit
        again[1:] = (full[order][1:] == full[order][:-1]) & (other[order][1:] == other[order][:-1])
        for unit in np.unique(sender[order][again]):
            yield int(unit), pack(index[order][again & (sender[order] == unit)])

    def receive(unit: int, messages: list[bytes]) -> int:
        *_, number, count = own(unit)
        seen = np.zeros(count, bool)
        if messages:
            seen[unpack_all(messages)[0]] = True
        first = np.full(count, len(number), np.int64)
        np.minimum.at(first, number, np.arange(len(number)))
        copies = seen[number] | (first[number] < np.arange(len(number)))
        context.store("copies", unit, copies)
        return count

    return exchange(spark, context.units, context.shards, context.slices, send, answer, receive)


def _write(context: Context, unit: int, stage: Substring) -> list[int]:
    (copies,) = context.stored("copies", unit)
    rows: list[dict[str, Any]] = []
    at = 0
    for texts, split, held, firsts, full, _ in _held(context, unit, stage):
        copy = np.zeros(len(held), bool)
        copy[np.flatnonzero(held)] = copies[at : at + len(full)]
        at += len(full)
        for k in range(len(texts.rows)):
            windows = np.flatnonzero(copy[firsts[k] : firsts[k + 1]])
            if len(windows):
                rows.append(_row(texts, split, k, windows, stage))
    return write_rows(context, unit, rows)


def _row(
    texts: Texts, split: Split, k: int, windows: npt.NDArray[np.int64], stage: Substring
) -> dict[str, Any]:
    """The row of a document whose windows (by first word) are copies: their words go, runs as one span."""
    first = split.word_offsets[k]
    base = split.text_offsets[k]
    breaks = np.flatnonzero(np.diff(windows) > stage.min_tokens)
    begins = windows[np.append(0, breaks + 1)]
    ends = windows[np.append(breaks, len(windows) - 1)] + stage.min_tokens - 1
    spans = [
        Span(
            int(split.word_start[first + a] - base),
            int(split.word_end[first + b] - base),
            f"{stage.rule}.repeated",
        )
        for a, b in zip(begins, ends, strict=True)
    ]
    text = texts.texts[k]
    left = text
    for span in reversed(spans):
        left = left[: span.start] + left[span.end :]
    share = int((ends - begins + 1).sum()) / int(split.word_offsets[k + 1] - first)
    empty = not left.strip()
    return {
        "id": texts.ids[k], "rule": f"{stage.rule}.{'empty' if empty else 'repeated'}", "dropped": empty,
        "similarity": share, "threshold": None, "removed": [] if empty else texts.stored_spans(k, spans),
    }  # fmt: skip
