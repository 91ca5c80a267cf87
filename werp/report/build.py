"""From a finished run to `report.html`: the facts, the charts, and the page around them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from werp.edits import Piece
from werp.finished import BYTES_PER_TOKEN, FinishedRun, open_run, tokens_of
from werp.progress import each
from werp.report import charts
from werp.report.collect import Ending, Facts, collect, stages_of, top
from werp.rundir import REPORT, write_atomically
from werp.tables import DROPPED, FAILED
from werp.visible import one_line, short_value, visible

#: Characters of a sample that are shown, and of what lies untouched between two edits.
_SAMPLE_CHARS, _BETWEEN = 1500, 260
_BEFORE_TEXT = ("read", "prefilter", "extract")
_SECTIONS = (
    ("funnel", "Funnel"), ("signals", "Signals"), ("edits", "Edits"), ("clusters", "Clusters"),
    ("contamination", "Contamination"), ("domains", "Domains"),
    ("languages", "Languages"), ("samples", "Samples"), ("casualties", "Casualties"), ("costs", "Time"),
    ("recipe", "Recipe"),
)  # fmt: skip


def write_report(directory: Path) -> Path:
    """Write `report.html` into a finished run's directory; returns its path. Raises as `open_run`."""
    run = open_run(directory)
    target = directory / REPORT
    temporary = directory / "_report"
    try:
        write_atomically(target, render(run, collect(run)).encode("utf-8"), temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def render(run: FinishedRun, facts: Facts) -> str:
    """The page as one string of HTML: no scripts, nothing fetched, every text from outside escaped."""
    with charts.style():
        return _render(run, facts)


def _render(run: FinishedRun, facts: Facts) -> str:
    manifest = run.manifest
    stages = list(stages_of(facts.endings))
    pages_lost = [ending.pages.pages for _, endings in stages for ending in endings]
    languages = sorted(facts.languages.items(), key=lambda item: (-_pages(item[1]), item[0]))[:25]
    clusters = manifest.get("dedup", {}).get("worst", [])
    manifest.setdefault("contamination", {})  # a run of before
    manifest.setdefault("lists", {})
    shown = {"edits": facts.edits, "clusters": clusters, "contamination": manifest["contamination"]}
    page = _environment().from_string(files("werp.report").joinpath("page.html").read_text("utf-8"))
    return page.render(
        run=manifest, recipe=run.recipe, records=manifest["records"], facts=facts, stages=stages,
        clusters=clusters, bytes_per_token=BYTES_PER_TOKEN,
        kept_tokens=tokens_of(manifest["kept_text_bytes"]),
        input_bytes=sum(item["size"] for item in manifest["inputs"]),
        sections=[section for section in _SECTIONS if shown.get(section[0], True)],
        funnel_chart=charts.funnel(list(_steps(manifest, facts, stages))),
        most_pages=max(pages_lost, default=1), no_pages=records_without_a_page(facts),
        pages_failed=sum(e.pages.pages for e in facts.endings if e.outcome == FAILED),
        pages_dropped=sum(e.pages.pages for e in facts.endings if e.outcome == DROPPED),
        histograms=sorted(
            (
                (data, charts.histogram(data) if data.only is None else "")
                for data in each("drawing the report", facts.histograms, len(facts.histograms))
            ),
            key=lambda item: not item[1],
        ),
        domains_kept=top(facts.domains, "kept", 15), domains_dropped=top(facts.domains, "dropped", 15),
        languages=languages, languages_most=_pages(languages[0][1]) if languages else 1,
        timings_chart=charts.bars(_without_total(manifest["timings"]), "timings"),
        tasks_chart=charts.bars(list(manifest["task_seconds"].items()), "tasks"),
        resources=list(_resources(manifest, facts)),
        recipe_text=yaml.safe_dump(manifest["recipe"], sort_keys=False, allow_unicode=True),
    )  # fmt: skip


def records_without_a_page(facts: Facts) -> int:
    """Records that hold no page and no text: requests, metadata, images, redirects."""
    return sum(ending.records - ending.pages.pages for ending in facts.endings)


def _pages(sides: Any) -> int:
    return int(sides.kept.pages + sides.dropped.pages)


def _without_total(timings: dict[str, float]) -> list[tuple[str, float]]:
    return [(name.replace("_", " "), value) for name, value in timings.items() if name != "total"]


def _steps(
    manifest: dict[str, Any], facts: Facts, stages: list[tuple[str, list[Ending]]]
) -> Iterator[tuple[str, int, int | None]]:
    """What is left after each stage."""
    yield "pages", facts.pages, None
    skipped = sum(ending.records for stage, endings in stages if stage == "prefilter" for ending in endings)
    if skipped:
        yield "after prefilter", facts.pages - skipped, None
    left, text_bytes = facts.documents.pages, facts.documents.bytes
    yield "texts extracted or given", left, tokens_of(text_bytes)
    for stage, endings in stages:
        if stage in _BEFORE_TEXT:
            continue
        left -= sum(ending.pages.pages for ending in endings)
        text_bytes -= sum(ending.pages.bytes for ending in endings)
        yield f"after {stage}", left, tokens_of(text_bytes)
    if all(stage in _BEFORE_TEXT for stage, _ in stages):
        yield "kept", left, tokens_of(text_bytes)


def _resources(manifest: dict[str, Any], facts: Facts) -> Iterator[tuple[str, str]]:
    seconds = sum(manifest["task_seconds"].values())
    size = sum(item["size"] for item in manifest["inputs"])
    yield "task time", charts.duration(seconds)
    yield "input", f"{_size(size)}"
    if size:
        yield "task hours per TB of input", charts.short(seconds / 3600 / size * 1e12)
    if facts.pages:
        yield "task time a page", f"{charts.short(1000 * seconds / facts.pages)} ms"
    yield "peak memory, worker", f"{manifest['peak_rss_mb']['worker']:,.0f} MiB"
    yield "peak memory, extraction process", f"{manifest['peak_rss_mb']['extraction']:,.0f} MiB"


# --- what the page's expressions use ------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": lambda value: f"{value:,}", "percent": _percent, "plain": charts.plain,
        "size": _size, "short": charts.short, "tokens": tokens_of,
        "visible": lambda value: visible(value or ""), "cut": one_line, "value": short_value,
        "link": _link, "marked": _marked,
        "anchor": _anchor, "width": lambda value, most: f"{100 * value / max(most, 1):.1f}",
        "breakable": _breakable,
    }  # fmt: skip
    return environment


def _percent(value: float) -> str:
    return f"{charts.short(100 * value)} %"


def _size(value: float) -> str:
    """Bytes with their unit.

    >>> _size(0), _size(950), _size(41_000_000)
    ('0 B', '950 B', '41 MB')
    """
    text = charts.short(value)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def _anchor(ending: Ending) -> str:
    """An id made of letters, digits, `_` and `.` alone."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", f"{ending.outcome}-{ending.stage}-{ending.rule}")


def _breakable(rule: str) -> Markup:
    """A rule's name that may break behind its dots and bars, not within a word."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(visible(rule)))))


def _link(url: str | None) -> Markup:
    """An address: a link where it is http(s), text where it is anything else."""
    if not url:
        return Markup("<i>no address</i>")
    shown = one_line(url, 300)
    if re.match(r"https?://", url, re.IGNORECASE) and shown == url:
        return Markup('<a rel="noreferrer noopener nofollow" href="{0}">{0}</a>').format(url)
    return escape(shown)


def _marked(pieces: Iterable[Piece], rule: str | None = None) -> Markup:
    """A text with what was removed struck out and what replaced it beside; long stretches are cut short.

    rule: show what this rule took out, and of the rest only what stands beside it.
    """
    out: list[Markup] = []
    left = _SAMPLE_CHARS
    parts = list(pieces)
    plain = len(parts) == 1
    if rule is not None:
        parts = list(_beside(parts, rule))
    for index, piece in enumerate(parts):
        if left <= 0:
            rest = sum(len(part.text) for part in parts[index:])
            out.append(_gap(rest))
            break
        if piece is _LEFT_OUT:
            out.append(Markup('<span class="gap">…</span> '))
        elif piece.rule is None:
            most = left if plain else min(left, _BETWEEN)
            out.append(_cut(piece.text, most, both_ends=not plain))
            left -= min(len(piece.text), most)
        else:
            text = _cut(piece.text, _BETWEEN, both_ends=True)
            out.append(Markup('<del title="{}">{}</del>').format(visible(piece.rule), text))
            if piece.replacement:
                out.append(Markup("<ins>{}</ins>").format(visible(piece.replacement)))
            left -= min(len(piece.text), _BETWEEN)
    return Markup("").join(out)


_LEFT_OUT = Piece("")


def _beside(parts: list[Piece], rule: str) -> Iterator[Piece]:
    """The pieces that a rule took out and their neighbours; each gap between is one `_LEFT_OUT`."""
    hits = {index for index, piece in enumerate(parts) if piece.rule == rule}
    near = {index + step for index in hits for step in (-1, 0, 1)}
    for index, piece in enumerate(parts):
        if index in near:
            yield piece
        elif index == 0 or index - 1 in near:
            yield _LEFT_OUT


def _cut(text: str, most: int, *, both_ends: bool) -> Markup:
    if len(text) <= most:
        return escape(visible(text))
    if not both_ends:
        return escape(visible(text[:most])) + _gap(len(text) - most)
    half = most // 2
    return (
        escape(visible(text[:half])) + _gap(len(text) - 2 * half) + escape(visible(text[len(text) - half :]))
    )


def _gap(characters: int) -> Markup:
    return Markup(' <span class="gap">… {} characters</span> ').format(f"{characters:,}")
