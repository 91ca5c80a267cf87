"""Stage `old_both.v1`: paragraphs and documents whose n-grams were seen before, in one order for the run.

The definition is a loop over all paragraphs in the order of documents: count a paragraph's n-grams that are
seen; if their share is above the threshold it goes, else all its n-grams are seen from then on. The
parallel form finds the same decisions: every file runs that loop over its own paragraphs, given which of
its n-grams were seen in earlier files; it tells their shards which it has seen itself; the shards tell
every file what earlier files saw. Files repeat until no answer changes. A file is right once all before it
are, so this ends, after as many rounds as there are files at the very most and in practice a few.

In `bloom` mode the run is cut into a fixed number of shards by input name, and each runs the loop alone
with a Bloom filter of fixed size: bounded memory, no shuffle; copies in different shards stay, and the
filter errs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from werp.dedup.alarms import CONVERGENCE
from werp.dedup.belt import alarm
from werp.dedup.context import Context, over_units
from werp.dedup.exchange import exchange, pack, scattered, unpack, unpack_all
from werp.dedup.grams import PROBES, judge, judge_with_filter, set_bits, window_hashes
from werp.dedup.results import write_rows
from werp.dedup.stages import OldBoth
from werp.dedup.text import Texts, candidate_texts
from werp.edits import Span
from werp.errors import WerpError
from werp.signals.batch import TextBatch
from werp.signals.split import Split
from werp.spread import spread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Ints = npt.NDArray[np.int64]
Grams = npt.NDArray[np.uint64]


def run_old_both(spark: SparkSession | None, context: Context, stage: OldBoth) -> dict[str, Any]:
    """Remove what was seen before across all sources; returns the stage's figures."""
    if stage.mode == "bloom":
        return _run_bloom(spark, context, stage)
    context.phase(
        "grams", lambda: over_units(spark, context, lambda unit: _store_grams(context, unit, stage))
    )
    for number in range(stage.max_rounds):
        name = f"round-{number:02d}"
        changed = context.phase(name, lambda: _round(spark, context, stage, number))  # noqa: B023
        if not changed:
            break
    else:
        alarm(
            CONVERGENCE,
            f"old_both.v1 did not settle in {stage.max_rounds} rounds: {changed} input files saw other"
            " n-grams in the last one. Raise old_both.max_rounds and start again: the rounds done are kept",
            context.accepted,
        )

    def write(unit: int) -> list[int]:
        _, firsts = context.stored("grams", unit)
        contained, stays = context.stored(f"judged-{number:02d}", unit)
        return write_rows(context, unit, _rows(context, unit, stage, firsts, contained, stays))

    counts = context.phase("rows", lambda: over_units(spark, context, write))
    return {"rounds": number + 1, **_totals(counts)}


def _totals(counts: list[list[int]]) -> dict[str, int]:
    return {"removed": sum(gone for gone, _ in counts), "removed_spans": sum(cut for _, cut in counts)}


def line_windows(split: Split, n: int) -> tuple[Grams, Ints]:
    """Hashes of the n-grams of every line of a split, and where each line's begin."""
    begins = np.searchsorted(split.word_start, split.line_start).astype(np.int64)
    ends = np.searchsorted(split.word_start, split.line_end).astype(np.int64)
    found: tuple[Grams, Ints] = window_hashes(split.word_hash, begins, np.maximum(begins, ends), n)
    return found


def _batches(context: Context, unit: int) -> Iterator[tuple[Texts, Split]]:
    for texts in candidate_texts(context, unit):
        yield texts, TextBatch(texts.ids, texts.ids, texts.texts, context.segmenter).split


def _grams_of(context: Context, unit: int, stage: OldBoth) -> tuple[Grams, Ints]:
    grams, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for _, split in _batches(context, unit):
        found, firsts = line_windows(split, stage.ngram)
        grams.append(found)
        counts.append(np.diff(firsts))
    return np.concatenate(grams), np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)


def _store_grams(context: Context, unit: int, stage: OldBoth) -> None:
    context.store("grams", unit, *_grams_of(context, unit, stage))


def _round(spark: SparkSession | None, context: Context, stage: OldBoth, number: int) -> int:
    """One round; each unit stores its decisions, and what of its n-grams earlier units have seen."""

    def before(unit: int) -> tuple[Grams | None, Grams]:
        """N-grams that other units hold too (None: not known yet), and those that earlier units have seen."""
        if number == 0:
            return None, np.zeros(0, np.uint64)
        shared, seen = context.stored(f"seen-{number - 1:02d}", unit)
        return shared, shared[seen]

    def send(unit: int) -> Any:
        grams, firsts = context.stored("grams", unit)
        shared, seen = before(unit)
        contained, stays = judge(grams, firsts, seen, stage.threshold)
        context.store(f"judged-{number:02d}", unit, contained, stays)
        staying = np.repeat(stays, np.diff(firsts))
        own = np.unique(grams[staying])
        told = np.unique(grams) if shared is None else shared
        return scattered(told, context.shards, inside(told, own))

    def receive(unit: int, messages: list[bytes]) -> bool:
        shared, seen = unpack_all(messages) if messages else (np.zeros(0, np.uint64), np.zeros(0, bool))
        order = np.argsort(shared)
        shared, seen = shared[order], seen[order]
        context.store(f"seen-{number:02d}", unit, shared, seen)
        return not np.array_equal(shared[seen], before(unit)[1])

    return sum(exchange(spark, context.units, context.shards, context.slices, send, _answer, receive))


def _answer(_shard: int, messages: list[tuple[int, bytes]]) -> Any:
    """Tell each unit which of its n-grams others hold, and whether an earlier unit has seen them."""
    sender = np.concatenate([np.full(len(unpack(data)[0]), unit) for unit, data in messages])
    grams, own = unpack_all([data for _, data in messages])
    order = np.lexsort((sender, grams))
    grams, own, sender = grams[order], own[order], sender[order]
    starts = np.flatnonzero(np.append(True, grams[1:] != grams[:-1]))
    lengths = np.diff(np.append(starts, len(grams)))
    count = np.cumsum(own) - own  # holders before this one, in all n-grams so far
    seen = count > np.repeat(count[starts], lengths)
    shared = np.repeat(lengths > 1, lengths)
    for unit in np.unique(sender[shared]):
        mine = shared & (sender == unit)
        yield int(unit), pack(grams[mine], seen[mine])


def inside(values: Grams, among: Grams) -> npt.NDArray[np.bool_]:
    """Which of `values` are in the sorted, distinct `among`."""
    if not len(among):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.asarray(among[places] == values, dtype=bool)


def _rows(
    context: Context, unit: int, stage: OldBoth, firsts: Ints, contained: Ints, stays: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """The rows of documents that lose something, from the decisions on all lines of the unit."""
    rows: list[dict[str, Any]] = []
    totals = np.diff(firsts)
    at = 0
    for texts, split in _batches(context, unit):
        for k in range(len(texts.rows)):
            a, b = split.line_offsets[k], split.line_offsets[k + 1]
            lines = slice(at, at + b - a)
            at += int(b - a)
            all_grams = int(totals[lines].sum())
            share = int(contained[lines].sum()) / all_grams if all_grams else 0.0
            if share <= stage.threshold and stays[lines].all():
                continue
            base = split.text_offsets[k]
            spans = _spans(
                stage.rule, split.line_start[a:b] - base, split.line_end[a:b] - base, ~stays[lines]
            )
            rows.append(_row(texts, k, stage, share, spans))
    return rows


def _spans(rule: str, starts: Any, ends: Any, gone: npt.NDArray[np.bool_]) -> list[Span]:
    """Removed lines as spans, each with the newline at its head; neighbours are one span."""
    spans: list[Span] = []
    for k in np.flatnonzero(gone).tolist():
        start, end = max(int(starts[k]) - 1, 0), int(ends[k])
        if spans and spans[-1].end == start:
            spans[-1] = spans[-1]._replace(end=end)
        elif end > start:
            spans.append(Span(start, end, f"{rule}.paragraph"))
    return spans


def _row(texts: Texts, k: int, stage: OldBoth, share: float, spans: list[Span]) -> dict[str, Any]:
    text = texts.texts[k]
    left = len(text) - sum(span.end - span.start for span in spans)
    empty = left == 0 or not "".join(_kept(text, spans)).strip()
    key = "document" if share > stage.threshold else ("empty" if empty else "paragraph")
    return {
        "id": texts.ids[k], "rule": f"{stage.rule}.{key}", "dropped": key != "paragraph",
        "similarity": share, "threshold": stage.threshold,
        "removed": texts.stored_spans(k, spans) if key == "paragraph" else [],
    }  # fmt: skip


def _kept(text: str, spans: list[Span]) -> Iterator[str]:
    at = 0
    for span in spans:
        yield text[at : span.start]
        at = span.end
    yield text[at:]


def bloom_shard(name: str, shards: int) -> int:
    """The logical shard of an input file: a function of its name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % shards


def _run_bloom(spark: SparkSession | None, context: Context, stage: OldBoth) -> dict[str, Any]:
    units: dict[int, list[int]] = {}
    for unit in context.units:
        shard = bloom_shard(context.sources[unit].name, stage.bloom_shards)
        units.setdefault(shard, []).append(unit)

    def work(shard: int) -> list[float]:
        # A power of two of words: the largest filter of at most bloom_mb.
        bits = np.zeros(1 << (stage.bloom_mb * (1 << 20) // 8).bit_length() - 1, np.uint64)
        counts = np.zeros(2, np.int64)
        for unit in units[shard]:
            grams, firsts = _grams_of(context, unit, stage)
            contained, stays = judge_with_filter(grams, firsts, bits, stage.threshold)
            counts += write_rows(context, unit, _rows(context, unit, stage, firsts, contained, stays))
        error = float((set_bits(bits) / (64 * len(bits))) ** PROBES)
        return [int(counts[0]), int(counts[1]), error]

    def every() -> list[list[float]]:
        return spread(spark, sorted(units), len(units), work)

    done = context.phase("rows", every)
    worst = max((error for *_, error in done), default=0.0)
    if worst > stage.bloom_max_error:
        raise WerpError(
            f"old_both.v1: a Bloom filter ended with a false-positive rate of {worst:.3f}, above"
            f" {stage.bloom_max_error}; nothing was committed. Raise old_both.bloom_mb (now {stage.bloom_mb})"
            " or old_both.bloom_shards"
        )
    removed, spans = (int(sum(part[k] for part in done)) for k in (0, 1))
    return {"removed": removed, "removed_spans": spans, "false_positive_rate": worst}
