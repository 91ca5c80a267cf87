"""Two sets of verdicts side by side: which pages one keeps and the other does not, and by what rule.

Files are matched by name and records by offset, one file at a time, so that memory holds one file's
ledgers, the counters and the samples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.finished import Tables, domain_of, draw, read_pages, read_texts, tokens_of
from werp.tables import KEPT
from werp.visible import one_line, visible

#: Samples are cut to this many characters.
_SAMPLE_CHARS = 200


@dataclass
class Amount:
    """Pages and UTF-8 bytes of their text."""

    pages: int = 0
    bytes: int = 0

    def add(self, size: int | None) -> None:
        """Count one page more."""
        self.pages += 1
        self.bytes += size or 0

    def to_json(self) -> dict[str, int]:
        """As `werp ... --json` prints it."""
        return {"pages": self.pages, "tokens": tokens_of(self.bytes)}


class Sample(NamedTuple):
    """A page that changed sides. before, after: its rule, value and threshold there, "kept" where kept."""

    url: str
    language: str | None
    before: str
    after: str
    text: str


@dataclass
class Change:
    """Pages that changed in one way (gained, lost), by what explains it."""

    total: Amount = field(default_factory=Amount)
    by_rule: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    by_language: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    by_domain: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    samples: dict[str, list[Sample]] = field(default_factory=dict)


@dataclass
class Comparison:
    """What differs between A and B.

    kept: what each keeps. gained: kept by B alone, by the rule that keeps it out of A; lost: kept by A alone,
    by the rule of B. changed: kept by both with another text. moved: kept by neither, and dropped by another
    rule, as (rule of A, rule of B). only: records that one side alone has, since inputs or limits differ.
    """

    kept: tuple[Amount, Amount] = field(default_factory=lambda: (Amount(), Amount()))
    gained: Change = field(default_factory=Change)
    lost: Change = field(default_factory=Change)
    changed: Amount = field(default_factory=Amount)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    only: tuple[Amount, Amount] = field(default_factory=lambda: (Amount(), Amount()))
    only_files: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    same: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `werp diff --json` prints it."""
        return {
            "kept": [amount.to_json() for amount in self.kept],
            "gained": _change_json(self.gained),
            "lost": _change_json(self.lost),
            "changed_text": self.changed.to_json(),
            "moved": [{"from": a, "to": b, "pages": n} for (a, b), n in self.moved.most_common()],
            "only_in": [amount.to_json() for amount in self.only],
            "only_in_files": list(self.only_files),
            "same": self.same,
        }


def _change_json(change: Change) -> dict[str, Any]:
    parts = {"rule": change.by_rule, "language": change.by_language, "domain": change.by_domain}
    return {
        **change.total.to_json(),
        **{
            f"by_{name}": {key: amount.to_json() for key, amount in top(part)} for name, part in parts.items()
        },
        "samples": {rule: [sample._asdict() for sample in some] for rule, some in change.samples.items()},
    }


def top(part: dict[str, Amount], most: int | None = None) -> list[tuple[str, Amount]]:
    """The entries with the most pages first, ties by name."""
    return sorted(part.items(), key=lambda item: (-item[1].pages, item[0]))[:most]


def compare(a: Sequence[Tables], b: Sequence[Tables], samples: int = 3) -> Comparison:
    """Compare two runs' verdicts; `samples` pages are shown for each rule that gains or loses any."""
    result = Comparison()
    drawn: dict[str, dict[str, list[_Drawn]]] = {"gained": defaultdict(list), "lost": defaultdict(list)}
    second = {unit.name: unit for unit in b}
    for unit in a:
        other = second.pop(unit.name, None)
        if other is None:
            _alone(unit, 0, result)
        else:
            _unit(unit, other, result, drawn, samples)
    for unit in second.values():
        _alone(unit, 1, result)
    _fill_samples(result, drawn)
    return result


class _Drawn(NamedTuple):
    """A candidate for a sample; the least `lot` stays."""

    lot: int
    unit: Tables
    id: str | None
    sample: Sample


def _alone(unit: Tables, side: int, result: Comparison) -> None:
    result.only_files[side].append(unit.name)
    page = pq.read_table(unit.ledger, columns=["outcome", "text_bytes"]).to_pydict()
    for outcome, size in zip(page["outcome"], page["text_bytes"], strict=True):
        result.only[side].add(size)
        if outcome == KEPT:
            result.kept[side].add(size)


def _unit(
    first: Tables,
    second: Tables,
    result: Comparison,
    drawn: dict[str, dict[str, list[_Drawn]]],
    samples: int,
) -> None:
    a, b = read_pages(first), read_pages(second)
    for side, table in enumerate((a, b)):
        for outcome, size in zip(
            *(table.column(n).to_pylist() for n in ("outcome", "text_bytes")), strict=True
        ):
            if outcome == KEPT:
                result.kept[side].add(size)
    at_a, at_b = _matched(a, b)
    for side, (table, at) in enumerate(((a, at_a), (b, at_b))):
        sizes = np.delete(np.asarray(table.column("text_bytes").to_pylist(), dtype=object), at)
        for size in sizes:
            result.only[side].add(size)
    a, b = a.take(pa.array(at_a)), b.take(pa.array(at_b))
    differs = _differs(a, b)
    text_differs = _text_differs(first, second, a, b)
    result.same += int((~differs & ~text_differs).sum())
    for size in b.column("text_bytes").filter(pa.array(text_differs)).to_pylist():
        result.changed.add(size)
    where = pa.array(np.flatnonzero(differs))
    for one, two in zip(a.take(where).to_pylist(), b.take(where).to_pylist(), strict=True):
        _count(one, two, (first, second), result, drawn, samples)


def _matched(a: pa.Table, b: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of A and of B that are one record: the same offset, and the same address there."""
    one, two = (np.asarray(table.column("warc_offset"), dtype=np.int64) for table in (a, b))
    _, at_a, at_b = np.intersect1d(one, two, assume_unique=True, return_indices=True)
    urls = [np.asarray(t.column("url").to_pylist(), dtype=object)[at] for t, at in ((a, at_a), (b, at_b))]
    same = np.asarray(urls[0] == urls[1], dtype=bool) if len(at_a) else np.zeros(0, dtype=bool)
    return at_a[same], at_b[same]


def _differs(a: pa.Table, b: pa.Table) -> npt.NDArray[np.bool_]:
    differs = np.zeros(a.num_rows, dtype=bool)
    for name in ("outcome", "stage", "rule"):
        one, two = (np.asarray(table.column(name).to_pylist(), dtype=object) for table in (a, b))
        differs |= one != two
    return differs


def _text_differs(first: Tables, second: Tables, a: pa.Table, b: pa.Table) -> npt.NDArray[np.bool_]:
    """Pages that both keep, with another text in B: as extracted and edited, or what dedup left."""
    both = np.asarray(pc.and_(*(pc.equal(table.column("outcome"), KEPT) for table in (a, b))), dtype=bool)
    sizes = [np.asarray(pc.fill_null(table.column("text_bytes"), -1)) for table in (a, b)]
    differs: npt.NDArray[np.bool_] = both & (sizes[0] != sizes[1])
    if first.documents.resolve() == second.documents.resolve():
        return differs
    hashes = []
    for unit in (first, second):
        table = pq.read_table(unit.documents, columns=["id", "text_sha256"])
        hashes.append(dict(zip(table.column("id").to_pylist(), table.column(1).to_pylist(), strict=True)))
    ids = zip(a.column("id").to_pylist(), b.column("id").to_pylist(), strict=True)
    other = np.fromiter((hashes[0].get(x) != hashes[1].get(y) for x, y in ids), dtype=bool, count=a.num_rows)
    differs |= both & other
    return differs


def verdict_of(row: dict[str, Any]) -> str:
    """A verdict in a few words: `kept`, or outcome, stage, rule and what was compared."""
    if row["outcome"] == KEPT:
        return KEPT
    text = f"{row['outcome']} {rule_of(row)}"
    if row["value"] is not None:
        text += f": {one_line(row['value'], 80)}"
    if row["threshold"] is not None:
        text += f" (threshold {one_line(row['threshold'], 60)})"
    return text


def rule_of(row: dict[str, Any]) -> str:
    """`stage rule`, e.g. `filter gopher_quality.v1.min_words`."""
    return f"{row['stage']} {row['rule']}" if row["outcome"] != KEPT else KEPT


def _count(
    one: dict[str, Any],
    two: dict[str, Any],
    units: tuple[Tables, Tables],
    result: Comparison,
    drawn: dict[str, dict[str, list[_Drawn]]],
    samples: int,
) -> None:
    if KEPT not in (one["outcome"], two["outcome"]):
        result.moved[rule_of(one), rule_of(two)] += 1
        return
    way = "gained" if two["outcome"] == KEPT else "lost"
    change: Change = getattr(result, way)
    row, unit = (two, units[1]) if way == "gained" else (one, units[0])
    rule = rule_of(one if way == "gained" else two)
    size = row["text_bytes"]
    change.total.add(size)
    change.by_rule[rule].add(size)
    change.by_language[row["language"] or "none"].add(size)
    change.by_domain[visible(domain_of(row["url"])) or "none"].add(size)
    sample = Sample(one_line(row["url"] or "", 300), row["language"], verdict_of(one), verdict_of(two), "")
    some = drawn[way][rule]
    some.append(_Drawn(draw(unit.name, row["warc_offset"]), unit, row["id"], sample))
    some.sort(key=lambda item: item.lot)
    del some[samples:]


def _fill_samples(result: Comparison, drawn: dict[str, dict[str, list[_Drawn]]]) -> None:
    """Read the beginnings of the samples' texts, each file once."""
    wanted: defaultdict[Tables, set[str]] = defaultdict(set)
    for item in _all(drawn):
        if item.id is not None:
            wanted[item.unit].add(item.id)
    texts = {
        (unit, name): text for unit, ids in wanted.items() for name, text in read_texts(unit, ids).items()
    }
    for way, rules in drawn.items():
        change: Change = getattr(result, way)
        for rule, items in rules.items():
            change.samples[rule] = [
                item.sample._replace(text=one_line(texts[item.unit, item.id].edited, _SAMPLE_CHARS))
                if item.id is not None and (item.unit, item.id) in texts
                else item.sample
                for item in items
            ]


def _all(drawn: dict[str, dict[str, list[_Drawn]]]) -> Iterable[_Drawn]:
    return (item for rules in drawn.values() for items in rules.values() for item in items)
