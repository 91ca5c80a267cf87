"""`werp why URL`: one page's way through a run, from the record to its verdict, out of the stored tables."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.decide import _holds, text_of
from werp.errors import WerpError
from werp.finished import FinishedRun, Tables, domain_of, earlier_runs, read_signals, read_texts
from werp.progress import say
from werp.recipe import Recipe
from werp.visible import one_line

_ID = re.compile(r"[0-9a-f]{32}")
#: Records of one address that are explained; a home page may have been fetched a thousand times.
_MOST = 20
_DEDUP = ["id", "rule", "dropped", "survivor_id", "cluster_id", "cluster_size", "similarity", "threshold"]


@dataclass(frozen=True)
class Compared:
    """One comparison: a signal against a threshold, and whether it holds, that is, drops the page.

    decided: it is the one that the ledger names; those behind it were not looked at by the run.
    """

    stage: str
    rule: str
    signal: str
    value: str | None
    drop_if: str
    threshold: str | None
    holds: bool
    decided: bool


@dataclass
class Explanation:
    """What became of one record.

    record: its columns in the `records` table. extracted: extractor, charset, characters and edits by rule,
    for a document. compared: every comparison of the recipe's rules, in order. verdict: its ledger row.
    dedup: its rows of the `dedup` table. survivor: the page it is a duplicate of. duplicates: pages dropped
    as duplicates of it.
    """

    record: dict[str, Any]
    verdict: dict[str, Any]
    extracted: dict[str, Any] | None = None
    compared: list[Compared] = field(default_factory=list)
    dedup: list[dict[str, Any]] = field(default_factory=list)
    survivor: dict[str, Any] | None = None
    duplicates: list[str] = field(default_factory=list)
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `werp why --json` prints it."""
        return asdict(self)


def explain(run: FinishedRun, wanted: str) -> list[Explanation]:
    """Every record of a URL, or of a document id, explained, pages first; at most 20.

    Raises `WerpError` naming near addresses when the run has none.
    """
    wanted = wanted.encode("utf-8", "replace").decode("utf-8")  # bytes of the command line that are no UTF-8
    found = list(_rows(run, wanted))
    if not found:
        raise WerpError(f"why {wanted}: no record of this run has that address or id{_near(run, wanted)}")
    found.sort(key=lambda item: not item.is_page)
    if len(found) > _MOST:
        say(f"{len(found):,} records have that address; the first {_MOST} are explained")
    return [_explain(run, item.unit, item.row) for item in found[:_MOST]]


class _Found(NamedTuple):
    """A record's place in its ledger."""

    unit: Tables
    row: int
    is_page: bool


def _rows(run: FinishedRun, wanted: str) -> Iterator[_Found]:
    column = "id" if _ID.fullmatch(wanted) else "url"
    for unit in run.tables:
        table = pq.read_table(unit.ledger, columns=["id", "url"])
        for row in pc.indices_nonzero(
            pc.fill_null(pc.equal(table.column(column), wanted), False)
        ).to_pylist():
            yield _Found(unit, row, table.column("id")[row].is_valid)


def _near(run: FinishedRun, wanted: str) -> str:
    """Addresses like the one asked for: those of its domain first of all."""
    domain = domain_of(wanted if "//" in wanted else f"//{wanted}")
    near: set[str] = set()
    for unit in run.tables:
        urls = pq.read_table(unit.ledger, columns=["url"]).column(0)
        if domain:
            near.update(
                urls.filter(pc.match_substring(urls, domain, ignore_case=True)).drop_null().to_pylist()
            )
        if len(near) > 10_000:
            break
    close = difflib.get_close_matches(wanted, near, n=5, cutoff=0.0)
    shown = ", ".join(one_line(url, 200) for url in close)
    return f"; near it: {shown}" if close else f"; it has none of {domain or 'such a domain'}"


def _explain(run: FinishedRun, unit: Tables, row: int) -> Explanation:
    record, verdict = _row(pq.read_table(unit.records), row), _row(pq.read_table(unit.ledger), row)
    result = Explanation({"input": unit.name, **record}, verdict)
    document = record["id"]
    if record["outcome"] is not None or document is None:
        return result
    text = read_texts(unit, {document})[document]
    cut = Counter(span.rule for span in text.spans)
    result.extracted = {
        "extractor": text.extractor, "charset": text.charset, "characters": len(text.text),
        "edited_characters": len(text.edited), "edits": dict(sorted(cut.items())),
    }  # fmt: skip
    result.text = text.edited
    signals = read_signals(unit)
    signals = signals.filter(pc.equal(signals.column("row"), row))
    result.compared = list(_compared(run.recipe, signals, verdict))
    if unit.dedup is not None:
        found = pq.read_table(unit.dedup, columns=_DEDUP)
        result.dedup = found.filter(pc.equal(found.column("id"), document)).to_pylist()
    result.survivor = _survivor(run, verdict["survivor_id"])
    result.duplicates = list(_duplicates(run, document))
    return result


def _row(table: pa.Table, row: int) -> dict[str, Any]:
    found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    return found


def _compared(recipe: Recipe, signals: pa.Table, verdict: dict[str, Any]) -> Iterator[Compared]:
    named = "language.label" in signals.column_names
    label = signals.column("language.label")[0].as_py() if named else None
    for rule in recipe.rules:
        tuned = rule.for_language(label)
        for check in [*tuned.emptied(), *tuned.checks_on(signals.column_names)]:
            column = signals.column(check.signal)
            name = f"{rule.name}.{check.key}"
            value, threshold = text_of(column[0].as_py()), text_of(check.threshold)
            holds = bool(_holds(column, check)[0])
            decided = (rule.stage, name) == (verdict["stage"], verdict["rule"])
            yield Compared(rule.stage, name, check.signal, value, check.drop_if, threshold, holds, decided)


def _survivor(run: FinishedRun, survivor: str | None) -> dict[str, Any] | None:
    """The page, with the earlier `run` it is of; of such a run that is gone, its id and what is `missing`."""
    if survivor is None:
        return None
    found = _page(run, survivor)
    try:
        for earlier in earlier_runs(run) if found is None else ():
            page = _page(earlier, survivor)
            if page is not None:
                return page | {"run": str(earlier.path)}
    except WerpError as error:
        return {"id": survivor, "missing": str(error)}
    return found or {"id": survivor}


def _page(run: FinishedRun, document: str) -> dict[str, Any] | None:
    columns = ["id", "url", "warc_file", "warc_offset", "outcome"]
    for item in _rows(run, document):
        return _row(pq.read_table(item.unit.ledger, columns=columns), item.row)
    return None


def _duplicates(run: FinishedRun, document: str) -> Iterator[str]:
    for unit in run.tables:
        table = pq.read_table(unit.ledger, columns=["survivor_id", "url"])
        yield from table.filter(pc.equal(table.column("survivor_id"), document)).column("url").to_pylist()
