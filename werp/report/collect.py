"""What the report tells, gathered from a run's tables in one pass; texts are read for the samples alone.

Memory holds one input file's ledger and signals, the counters, the histograms and the samples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.ask.compare import Amount
from werp.edits import Piece
from werp.finished import (
    FinishedRun,
    Tables,
    domain_of,
    draw,
    read_pages,
    read_signals,
    read_texts,
    signal_names,
)
from werp.progress import each
from werp.report.histogram import Histogram, histograms_of
from werp.tables import KEPT

#: Samples shown of each rule, and of the pages kept.
SAMPLES, KEPT_SAMPLES = 3, 6
#: Domains counted at once; past it the rarest are forgotten, so that a whole crawl fits.
_MOST_DOMAINS = 400_000


class Sample(NamedTuple):
    """A record to look at. pieces: its stored text, cut where line rules took something out."""

    row: dict[str, Any]
    pieces: tuple[Piece, ...]
    extractor: str | None


@dataclass
class Ending:
    """One way in which records end: kept, or a stage and a rule."""

    outcome: str
    stage: str | None
    rule: str | None
    records: int = 0
    pages: Amount = field(default_factory=Amount)
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Sides:
    """Pages of one domain or language, kept and dropped."""

    kept: Amount = field(default_factory=Amount)
    dropped: Amount = field(default_factory=Amount)


@dataclass
class Edited:
    """What one line rule took out: spans, characters, and in how many documents."""

    spans: int = 0
    characters: int = 0
    documents: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Facts:
    """Everything that the page shows, beside the manifest.

    endings: in the order of the stages and of the recipe's rules. pages: records with a page or text.
    documents: those of which a text was had; text_bytes: theirs, after edits.
    """

    endings: list[Ending]
    pages: int
    documents: Amount
    domains: dict[str, Sides]
    languages: dict[str, Sides]
    histograms: list[Histogram]
    edits: dict[str, Edited]
    casualties: list[Sample]
    domains_cut: bool


def collect(run: FinishedRun) -> Facts:
    """Gather the facts of a run."""
    gathered = _Gathered(run)
    for unit in each("reading the tables for the report", run.tables, len(run.tables)):
        gathered.add(unit)
    return gathered.facts()


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(4096, columns=["id", "removed"])


class _Lot(NamedTuple):
    lot: int
    unit: Tables
    row: dict[str, Any]


class _Gathered:
    def __init__(self, run: FinishedRun) -> None:
        self._run = run
        self._endings: dict[tuple[str, str | None, str | None], Ending] = {}
        self._lots: defaultdict[Any, list[_Lot]] = defaultdict(list)
        self._domains: defaultdict[str, Sides] = defaultdict(Sides)
        self._languages: defaultdict[str, Sides] = defaultdict(Sides)
        self._edits: defaultdict[str, Edited] = defaultdict(Edited)
        self._histograms = histograms_of(run)
        self._pages, self._documents, self._domains_cut = 0, Amount(), False

    def add(self, unit: Tables) -> None:
        """Count one input file."""
        pages = read_pages(unit)
        for row in pages.to_pylist():
            self._record(unit, row)
        self._trim_domains()
        signals = read_signals(unit)
        ledger = pages.take(signals.column("row"))
        names = [f"{rule}" for rule in ledger.column("rule").to_pylist()]
        kept = np.asarray(pc.equal(ledger.column("outcome"), KEPT), dtype=bool)
        for histogram in self._histograms:
            histogram.add(signals, kept, names)
        self._edited(unit, pages)

    def _record(self, unit: Tables, row: dict[str, Any]) -> None:
        key = (row["outcome"], row["stage"], row["rule"])
        ending = self._endings.setdefault(key, Ending(*key))
        ending.records += 1
        self._draw(key, unit, row, KEPT_SAMPLES if row["outcome"] == KEPT else SAMPLES)
        if row["casualty"]:
            self._draw("casualty", unit, row, 2 * SAMPLES)
        if row["id"] is None:
            return
        size = row["text_bytes"]
        self._pages += 1
        ending.pages.add(size)
        if size is not None:
            self._documents.add(size)
        for part, name in ((self._domains, domain_of(row["url"])), (self._languages, row["language"])):
            sides = part[name or ""]
            (sides.kept if row["outcome"] == KEPT else sides.dropped).add(size)

    def _draw(self, key: Any, unit: Tables, row: dict[str, Any], most: int) -> None:
        lots, lot = self._lots[key], draw(unit.name, row["warc_offset"])
        if len(lots) < most or lot < lots[-1].lot:
            lots.append(_Lot(lot, unit, row))
            lots.sort(key=lambda item: item.lot)
            del lots[most:]

    def _trim_domains(self) -> None:
        if len(self._domains) > _MOST_DOMAINS:
            self._domains_cut = True
            ordered = sorted(self._domains, key=lambda name: -_pages(self._domains[name]))
            for name in ordered[_MOST_DOMAINS // 2 :]:
                del self._domains[name]

    def _edited(self, unit: Tables, pages: pa.Table) -> None:
        """Count the spans that line rules and deduplication took out; the texts are not read."""
        rows: dict[str, dict[str, Any]] | None = None
        for path in filter(None, (unit.documents, unit.dedup)):
            for batch in _batches(path):
                some = batch.filter(pc.greater(pc.list_value_length(batch.column("removed")), 0))
                for document, spans in zip(*(column.to_pylist() for column in some.columns), strict=True):
                    if rows is None:
                        rows = {row["id"]: row for row in pages.to_pylist() if row["id"]}
                    self._spans(unit, rows[document], spans)

    def _spans(self, unit: Tables, row: dict[str, Any], spans: list[dict[str, Any]]) -> None:
        for rule, count in Counter(span["rule"] for span in spans).items():
            edited = self._edits[rule]
            edited.spans += count
            edited.documents += 1
            edited.characters += sum(span["end"] - span["start"] for span in spans if span["rule"] == rule)
            self._draw(("edit", rule), unit, row, SAMPLES)

    def facts(self) -> Facts:
        """All of it, with the samples' texts."""
        texts = self._texts()
        for key, ending in self._endings.items():
            ending.samples = [_sample(lot, texts) for lot in self._lots[key]]
        for rule, edited in self._edits.items():
            edited.samples = [_sample(lot, texts) for lot in self._lots["edit", rule]]
        order = _order(self._run)
        return Facts(
            endings=sorted(self._endings.values(), key=order),
            pages=self._pages,
            documents=self._documents,
            domains=dict(self._domains),
            languages=dict(self._languages),
            histograms=[histogram for histogram in self._histograms if histogram.documents],
            edits=dict(sorted(self._edits.items())),
            casualties=[_sample(lot, texts) for lot in self._lots["casualty"]],
            domains_cut=self._domains_cut,
        )

    def _texts(self) -> dict[str, Any]:
        wanted: defaultdict[Tables, set[str]] = defaultdict(set)
        for lots in self._lots.values():
            for lot in lots:
                if lot.row["text_bytes"] is not None:
                    wanted[lot.unit].add(lot.row["id"])
        return {name: text for unit, ids in wanted.items() for name, text in read_texts(unit, ids).items()}


def _sample(lot: _Lot, texts: dict[str, Any]) -> Sample:
    text = texts.get(lot.row["id"] or "")
    return Sample(lot.row, tuple(text.pieces), text.extractor) if text else Sample(lot.row, (), None)


def _pages(sides: Sides) -> int:
    return sides.kept.pages + sides.dropped.pages


def _order(run: FinishedRun) -> Any:
    """Endings in the order in which a record meets them: read, extract, rules, dedup, quality, kept."""
    names = signal_names(run)
    rules = [
        f"{rule.name}.{check.key}"
        for rule in run.recipe.rules
        for check in [*rule.emptied(), *rule.checks_on(names)]
    ]
    place = {name: index for index, name in enumerate(rules)}

    def order(ending: Ending) -> tuple[Any, ...]:
        stage = {"read": 0, "prefilter": 1, "extract": 2, "dedup": 4, "quality": 5}.get(ending.stage or "", 3)
        if ending.outcome == KEPT:
            stage = 6
        return (stage, place.get(ending.rule or "", len(place)), -ending.records, ending.rule or "")

    return order


def top(part: dict[str, Sides], side: str, most: int) -> list[tuple[str, Sides]]:
    """The entries with the most pages on a side (`kept`, `dropped`), ties by name; none without any."""
    some = ((name, sides) for name, sides in part.items() if getattr(sides, side).pages)
    return sorted(some, key=lambda item: (-getattr(item[1], side).pages, item[0]))[:most]


def stages_of(endings: Sequence[Ending]) -> Iterator[tuple[str, list[Ending]]]:
    """The endings by stage, in order; those kept are no stage."""
    by_stage: dict[str, list[Ending]] = {}
    for ending in endings:
        if ending.outcome != KEPT:
            by_stage.setdefault(ending.stage or "", []).append(ending)
    yield from by_stage.items()
