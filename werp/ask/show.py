"""The answers on a terminal. Nothing of a page reaches it unfiltered: see `werp.visible`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from werp.ask.compare import Amount, Change, Comparison, Sample, top, verdict_of
from werp.ask.why import Compared, Explanation
from werp.finished import tokens_of
from werp.visible import one_line, short_value, visible

_SIGNS = {"in": "in", "not_in": "not in", "set": "found"}


def console() -> Console:
    """A console that takes no markup from what it prints."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def show_why(found: Sequence[Explanation], to: Console) -> None:
    """Each page's way through the run; of other records (requests and the like) the verdict alone."""
    pages = [item for item in found if item.record["id"] or len(found) == 1]
    for explanation in pages:
        _show_page(explanation, to)
    others = Counter(
        (item.record["record_type"] or "damage", verdict_of(item.verdict))
        for item in found
        if item not in pages
    )
    for (kind, verdict), count in sorted(others.items()):
        to.print(Text(f"also {count:,} of type {one_line(kind, 40)}: {verdict}", "dim"))


def _show_page(explanation: Explanation, to: Console) -> None:
    record, verdict = explanation.record, explanation.verdict
    to.print(Text(visible(record["url"] or "(no address)"), "bold"))
    facts = [
        f"{record['input']} offset {record['warc_offset']}", record["record_type"],
        f"HTTP {record['http_status']}" if record["http_status"] else None, record["mime"], record["date"],
        f"cut short by its crawler: {record['truncated']}" if record["truncated"] else None,
        f"id {record['id']}" if record["id"] else None,
    ]  # fmt: skip
    _line(to, "record", ", ".join(visible(str(fact)) for fact in facts if fact))
    if record["casualty"]:
        _line(to, "casualty", one_line(record["casualty"], 300), "yellow")
    if explanation.extracted:
        _show_extracted(explanation.extracted, to)
        _show_compared(explanation.compared, to)
    for row in explanation.dedup:
        similar = f", similarity {row['similarity']:.3g}" if row["similarity"] is not None else ""
        cluster = f" in a cluster of {row['cluster_size']:,}" if row["cluster_size"] else ""
        _line(to, "dedup", f"{row['rule']}: {'dropped' if row['dropped'] else 'stays'}{cluster}{similar}")
    if explanation.survivor:
        of = explanation.survivor
        where = f", of the earlier run {of['run']}" if "run" in of else ""
        where += f"; {of['missing']}" if "missing" in of else ""
        _line(to, "copy of", f"{one_line(of.get('url') or '', 200)} (id {of['id']}){visible(where)}")
    if explanation.duplicates:
        urls = ", ".join(one_line(url or "", 120) for url in explanation.duplicates[:5])
        _line(to, "copies", f"{len(explanation.duplicates):,} dropped in its favour: {urls}")
    colour = {"kept": "green", "dropped": "red", "failed": "yellow"}[verdict["outcome"]]
    _line(to, "verdict", verdict_of(verdict), f"bold {colour}")
    if explanation.text:
        _line(to, "text", one_line(explanation.text, 400), "dim")
    to.print()


def _line(to: Console, label: str, content: str, style: str = "") -> None:
    to.print(Text.assemble((f"  {label:<9} ", "dim"), (content, style)))


def _show_extracted(facts: dict[str, Any], to: Console) -> None:
    _line(to, "extracted", f"by {facts['extractor']}, {facts['charset']}, {facts['characters']:,} characters")
    if facts["edits"]:
        cuts = ", ".join(f"{rule} x{count}" for rule, count in facts["edits"].items())
        _line(to, "edits", f"{facts['edited_characters']:,} characters left after {cuts}")


def _show_compared(compared: Sequence[Compared], to: Console) -> None:
    table = Table("", "rule", "value", "drops when", "", box=None, header_style="dim", pad_edge=False)
    table.columns[1].min_width = max((len(item.rule) for item in compared), default=0)
    table.columns[2].justify = "right"
    after = False
    for item in compared:
        value = "none" if item.value is None else short_value(item.value, 40)
        limit = f"{_SIGNS.get(item.drop_if, item.drop_if)} {short_value(item.threshold or '', 40)}".rstrip()
        mark = "dropped here" if item.decided else "would drop" if item.holds else ""
        style = "bold red" if item.decided else "red" if item.holds else "dim" if after else ""
        table.add_row(
            Text(f"  {item.stage}", "dim"), *(Text(part, style) for part in (item.rule, value, limit, mark))
        )
        after = after or item.decided
    to.print(table)


def show_comparison(result: Comparison, names: tuple[str, str], to: Console, most: int = 10) -> None:
    """What B keeps that A does not, and the other way round."""
    totals = Table("", "pages kept", "≈ tokens", box=None, header_style="dim", pad_edge=False)
    for column in totals.columns[1:]:
        column.justify = "right"
    for name, amount in zip(names, result.kept, strict=True):
        totals.add_row(Text(visible(name)), *_figures(amount))
    before, after = result.kept
    totals.add_row(
        "difference", f"{after.pages - before.pages:+,}", f"{tokens_of(after.bytes - before.bytes):+,}"
    )
    to.print(totals)
    for label, side in (("only in the first", 0), ("only in the second", 1)):
        if result.only[side].pages:
            files = result.only_files[side]
            note = f", {len(files)} files, such as {one_line(files[0], 80)}" if files else ""
            to.print(f"{label}: {result.only[side].pages:,} records{note}")
    if result.changed.pages:
        to.print(f"kept by both with another text: {result.changed.pages:,} pages")
    _show_change("gained", "green", result.gained, to, most)
    _show_change("lost", "red", result.lost, to, most)
    if result.moved:
        to.print(f"\ndropped by both, by another rule: {sum(result.moved.values()):,} pages")
        for (one, two), count in result.moved.most_common(most):
            to.print(f"  {count:>9,}  {one} → {two}")
    if not (result.gained.total.pages or result.lost.total.pages or result.moved or result.changed.pages):
        to.print("no page changes sides")


def _figures(amount: Amount) -> tuple[str, str]:
    return f"{amount.pages:,}", f"{tokens_of(amount.bytes):,}"


def _show_change(name: str, colour: str, change: Change, to: Console, most: int) -> None:
    if not change.total.pages:
        return
    pages, tokens = _figures(change.total)
    to.print(Text(f"\n{name}: {pages} pages, ≈ {tokens} tokens", f"bold {colour}"))
    why = "was dropped by" if name == "gained" else "is dropped by"
    for label, part in (
        (why, change.by_rule),
        ("language", change.by_language),
        ("domain", change.by_domain),
    ):
        rows = top(part, most)
        more = f"  and {len(part) - len(rows):,} more" if len(part) > len(rows) else ""
        to.print(Text(f"  {label}{more}", "dim"))
        for key, amount in rows:
            to.print(f"    {amount.pages:>9,}  {one_line(key, 100)}")
    for samples in change.samples.values():
        for sample in samples:
            _show_sample(sample, to)


def _show_sample(sample: Sample, to: Console) -> None:
    to.print(Text(f"  · {sample.url}", "bold"))
    to.print(f"    {sample.before}  →  {sample.after}")
    to.print(Text(f"    {sample.text}", "dim"))
