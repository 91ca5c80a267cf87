"""Where a score cuts a whole run: the exact document at which a share of documents or tokens is reached.

Documents are in one order: score from the highest, then id from the smallest. The last one kept is found by
radix selection: every pass sums, over all files, documents and tokens by the next 16 bits of the sort key,
until each cut lies at one document. Four passes settle scores, up to eight more equal scores by id. Only
sums travel, those that are not zero; nothing depends on files, tasks or their order, and no sampling is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from werp.decide import still_in
from werp.dedup.exchange import pack, unpack
from werp.rundir import new_file
from werp.signals.base import Rule
from werp.signals.quality import AnyOf, Buckets, KeepShare, Quality
from werp.spread import spread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BUCKETS = 20
_DIGITS = 12  # of 16 bits: 4 of the score, 8 of the id
_SCORE_DIGITS = 4
_SIGN = np.uint64(1 << 63)
_GROUPS = 256  # of files, whose sums a pass brings together, at most
_GROUP = 50_000  # documents of a group at least: their sums take as long as a task takes to begin

Keys = npt.NDArray[np.uint64]  # [documents, 3]: score (descending), id (both halves)
Prefix = tuple[int, ...]
#: (prefixes, pass) -> sums [prefixes, 65536, 2] of documents and weight by the next digit
Histogram = Callable[[Sequence[Prefix], int], npt.NDArray[np.int64]]


class Sums(NamedTuple):
    """What of a `Histogram` is not zero: places [n] in [prefixes x 65536], and their two sums [n, 2].

    Of a small file that is a few hundred places, where the whole is 20 MB for 19 prefixes.
    """

    places: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]


class Cut(NamedTuple):
    """The last document kept: its score, and the largest key kept (three words)."""

    score: float
    key: tuple[int, int, int]


def sort_keys(scores: Sequence[float | None], ids: Sequence[str]) -> Keys:
    """Keys in whose ascending order scores descend and, within a score, ids ascend; no score sorts last."""
    values = np.array([-np.inf if score is None else score for score in scores], np.float64) + 0.0  # no -0
    bits = values.view(np.uint64)
    ascending = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    halves = np.array([[int(name[:16], 16), int(name[16:32], 16)] for name in ids], np.uint64).reshape(-1, 2)
    return np.column_stack([~ascending, halves])


def score_of(word: int) -> float:
    """The score of a key's first word."""
    ascending = np.uint64(~np.uint64(word))
    bits = ascending ^ _SIGN if ascending & _SIGN else ~ascending
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def digits(keys: Keys, number: int) -> npt.NDArray[np.int64]:
    """Digit `number` of 16 bits of each key, the highest first."""
    shift = np.uint64(48 - 16 * (number % 4))
    return ((keys[:, number // 4] >> shift) & np.uint64(0xFFFF)).astype(np.int64)


def sums(keys: Keys, weights: npt.NDArray[np.int64], prefixes: Sequence[Prefix], number: int) -> Sums:
    """One file's part of a `Histogram`."""
    parts = []
    own = digits(keys, number)
    for row, prefix in enumerate(prefixes):
        inside = np.ones(len(keys), bool)
        for place, digit in enumerate(prefix):
            inside &= digits(keys, place) == digit
        there = weights[inside]
        parts.append(Sums((row << 16) + own[inside], np.column_stack([np.ones_like(there), there])))
    return gathered(parts)


def gathered(parts: Sequence[Sums]) -> Sums:
    """Each place once, with the sum of what lies there."""
    places, inverse = np.unique(np.concatenate([part.places for part in parts]), return_inverse=True)
    values = np.zeros((len(places), 2), np.int64)
    np.add.at(values, inverse, np.concatenate([part.values for part in parts]))
    return Sums(places, values)


def spread_out(parts: Sequence[Sums], prefixes: int) -> npt.NDArray[np.int64]:
    """The parts' total as a `Histogram` gives it, each place in its own."""
    total = np.zeros((prefixes << 16, 2), np.int64)
    for places, values in parts:  # no place is there twice in one part
        total[places] += values
    return total.reshape(prefixes, 1 << 16, 2)


def select(histogram: Histogram, shares: Sequence[Fraction], column: int) -> tuple[list[Cut], list[int]]:
    """The cut at which each share of documents (column 0) or weight (column 1) is reached; and both totals.

    A share of 3/10 of 10 documents keeps 3; of tokens, the fewest documents with at least 3/10 of them. No
    document: no cuts.
    """
    prefixes: list[Prefix] = [()] * len(shares)
    wanted: list[int] = []
    alone = [False] * len(shares)
    totals = [0, 0]
    for number in range(_DIGITS):
        if number >= _SCORE_DIGITS and all(alone):
            break
        unique = sorted(set(prefixes))
        found = histogram(unique, number)
        if number == 0:
            totals = [int(found[0, :, k].sum()) for k in (0, 1)]
            if not totals[0]:
                return [], totals
            # Of no weight at all, the first document is reached at once.
            wanted = [-(-share.numerator * totals[column] // share.denominator) for share in shares]
        for k, prefix in enumerate(prefixes):
            by_digit = found[unique.index(prefix)]
            reached = np.cumsum(by_digit[:, column])
            some = by_digit[:, 0] > 0
            digit = int(np.flatnonzero(some & (reached >= wanted[k]))[0])
            wanted[k] -= int(reached[digit] - by_digit[digit, column])
            alone[k] = by_digit[digit, 0] == 1
            prefixes[k] = (*prefix, digit)
    return [_cut(prefix) for prefix in prefixes], totals


def _cut(prefix: Prefix) -> Cut:
    full = (*prefix, *[0xFFFF] * (_DIGITS - len(prefix)))
    words = [0, 0, 0]
    for place, digit in enumerate(full):
        words[place // 4] = words[place // 4] << 16 | digit
    return Cut(score_of(words[0]), (words[0], words[1], words[2]))


def within(keys: Keys, cut: Cut) -> npt.NDArray[np.bool_]:
    """Which documents stand at or before the cut."""
    a, b, c = (np.uint64(word) for word in cut.key)
    later = (keys[:, 1] < b) | ((keys[:, 1] == b) & (keys[:, 2] <= c))
    return np.asarray((keys[:, 0] < a) | ((keys[:, 0] == a) & later), bool)


def cuts_of(
    spark: SparkSession | None, quality: Quality, sources: Sequence[tuple[Path, Path | None]],
    rules: Sequence[Rule], folder: Path, temporary: Path, slices: int,
) -> dict[str, Any]:  # fmt: skip
    """Settle `quality.accept` over a run: {"cuts": {model: [Cut]}, "documents": n, "words": n}.

    sources: (signals, dedup) of each input file. Counted are the documents that rules and deduplication left.
    """
    accept = quality.accept
    if accept is None or isinstance(accept, AnyOf):
        return {"cuts": {}}
    shares = [accept.fraction()] if isinstance(accept, KeepShare) else bucket_shares()
    column = 0 if isinstance(accept, KeepShare) and accept.by == "keep_documents" else 1
    units = list(range(len(sources)))
    names = quality.compared()

    def prepare(unit: int) -> int:
        signals, dedup = sources[unit]
        left = still_in(signals, rules, [] if dedup is None else [dedup])
        table = pq.read_table(signals, columns=["id", "quality.words", *(f"quality.{n}" for n in names)])
        table = table.filter(pa.array(left))
        ids, words = table.column("id").to_pylist(), table.column("quality.words").to_numpy()
        keys = [sort_keys(table.column(f"quality.{name}").to_pylist(), ids).ravel() for name in names]
        with new_file(folder / f"{unit}.bin", temporary) as partial:
            partial.write_bytes(pack(words, *keys))
        return len(ids)

    documents = sum(spread(spark, units, slices, prepare))
    count = min(_GROUPS, len(units), 1 + documents // _GROUP)
    groups = [units[k::count] for k in range(count)]
    result: dict[str, Any] = {"cuts": {}}
    for place, name in enumerate(names):

        def histogram(prefixes: Sequence[Prefix], number: int, place: int = place) -> Any:
            def part(own: list[int]) -> Sums:
                parts = []
                for unit in own:
                    words, *keys = unpack((folder / f"{unit}.bin").read_bytes())
                    parts.append(sums(keys[place].reshape(-1, 3), words.astype(np.int64), prefixes, number))
                return gathered(parts)

            return spread_out(spread(spark, groups, slices, part), len(prefixes))

        found, totals = select(histogram, shares, column)
        result["cuts"][name] = [[cut.score, list(cut.key)] for cut in found]
        result |= {"documents": totals[0], "words": totals[1]}
    return result


def bucket_shares() -> list[Fraction]:
    """Shares of tokens at which buckets end, from the best: 19 cuts make 20 buckets."""
    return [Fraction(k, BUCKETS) for k in range(1, BUCKETS)]


class Rejection(NamedTuple):
    """What the ledger says of each document that `accept` does not keep; None for those it keeps."""

    rule: list[str | None]
    value: list[float | int | None]
    threshold: list[float | int | None]


def rejected(measured: pa.Table, quality: Quality, settled: dict[str, Any]) -> Rejection:
    """Judge every document of a file by `quality.accept` and the run's cuts; `value` is a score or bucket."""
    accept = quality.accept
    rows = measured.num_rows
    out = Rejection([None] * rows, [None] * rows, [None] * rows)
    if accept is None:
        return out
    scores = {name: measured.column(f"quality.{name}").to_pylist() for name in quality.compared()}
    if isinstance(accept, AnyOf):
        _reject_below(out, scores, accept)
        return out
    ids = measured.column("id").to_pylist()
    cuts = {
        name: [Cut(score, (key[0], key[1], key[2])) for score, key in found]
        for name, found in settled["cuts"].items()
    }
    if isinstance(accept, KeepShare):
        found = cuts[accept.score]
        kept = within(sort_keys(scores[accept.score], ids), found[0]) if found else np.zeros(rows, bool)
        for k in np.flatnonzero(~kept).tolist():
            out.rule[k] = f"quality.v1.{accept.by}.{accept.score}"
            out.value[k], out.threshold[k] = scores[accept.score][k], found[0].score if found else None
        return out
    best = best_bucket(accept, scores, ids, cuts)
    for k in np.flatnonzero(best < accept.min_bucket).tolist():
        out.rule[k], out.value[k], out.threshold[k] = "quality.v1.min_bucket", int(best[k]), accept.min_bucket
    return out


def best_bucket(
    accept: Buckets, scores: dict[str, list[float | None]], ids: Sequence[str], cuts: dict[str, list[Cut]]
) -> npt.NDArray[np.int64]:
    """Each document's best bucket, 0-19: 19 less the cuts it stands behind."""
    best = np.zeros(len(ids), np.int64)
    for name in accept.scores:
        keys = sort_keys(scores[name], ids)
        behind = sum((~within(keys, cut)).astype(np.int64) for cut in cuts[name])
        best = np.maximum(best, BUCKETS - 1 - behind)
    return best


def _reject_below(out: Rejection, scores: dict[str, list[float | None]], accept: AnyOf) -> None:
    """FLUX's rule; the ledger shows the score that came nearest to its threshold."""
    for k in range(len(out.rule)):
        lacking = {
            name: least - (-np.inf if scores[name][k] is None else scores[name][k])  # type: ignore[operator]
            for name, least in accept.min.items()
        }
        nearest = min(lacking, key=lambda name: (lacking[name], name))
        if lacking[nearest] > 0:
            out.rule[k] = f"quality.v1.min.{nearest}"
            out.value[k], out.threshold[k] = scores[nearest][k], accept.min[nearest]
