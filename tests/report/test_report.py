"""The report: its numbers are the ledger's, and no page can do anything with it."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.job import manifest, table
from werp.cli import app
from werp.errors import WerpError
from werp.finished import draw, open_run
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.report.build import write_report
from werp.report.collect import collect
from werp.sample import write_sample
from werp.visible import visible

LINES = """
name: lines
description: "<b>a</b> recipe & its $description$"
rules:
  - {rule: language.v1, languages: null, min_score: 0.0}
  - {rule: c4.v1, terminal_punctuation: false, min_sentences: null, curly_bracket: false}
  - {rule: length.v1, min_words: %d}
"""
PROSE = "The old harbour lies behind the market square, and the boats come in with the tide each morning. "
ATTACKS = [
    "<script>alert(1)</script>", "</div></details><script>alert(2)</script>", "<img src=x onerror=alert(3)>",
    '"><svg onload=alert(4)>', "{{ 7 * 7 }} {% raw %}", "<!--", "]]>", "&lt;script&gt;",
    "\x00nul\x1b[31mred\x07",
    "\u202egnp.exe\u202c \u2066isolate\u2069 \u200fmark", "\u2028line\u2029separator", "$\\frac{1}{2}$",
    "<style>body{display:none}</style>", "<a href='javascript:alert(5)'>x</a>", "lone \ud800 surrogate",
]  # fmt: skip
URLS = [
    "javascript:alert(1)//<script>",
    'https://evil.example/"onclick="alert(1)', "https://<script>.example/",
    "https://bidi.example/\u202egpj.exe", "data:text/html,<script>alert(1)</script>", "http://[broken", "",
    "https://$x^2$.example/",
]  # fmt: skip


def refined(source: Path, output: Path, recipe: str) -> Path:
    refine(None, make_plan(load_recipe(recipe), list_inputs([str(source)]), output, Options()))
    return output


def hostile(folder: Path, words: int) -> Path:
    """A run over pages that attack whoever looks at them, in text, address, and a line that C4 takes out."""
    rows = [
        {
            "text": f"{PROSE * 3}\n{attack} policy: terms of use\n{PROSE}{attack}",
            "url": URLS[index % len(URLS)],
        }
        for index, attack in enumerate(ATTACKS)
    ]
    rows += [{"text": attack, "url": url} for attack in ATTACKS[:3] for url in URLS]
    folder.mkdir()
    lines = "\n".join(json.dumps(row) for row in rows) + '\n{"text": "<script>alert(9)</script>\n'
    (folder / "<b>rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "lines.yaml").write_text(LINES % words)
    return refined(folder / "<b>rows.jsonl.gz", folder / "out", str(folder / "lines.yaml"))


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "wbr", "hr", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = hostile(tmp_path_factory.mktemp("hostile") / "in", 20)
    with pytest.MonkeyPatch.context() as patch:  # all of them are shown
        patch.setattr("werp.report.collect.SAMPLES", 100)
        patch.setattr("werp.report.collect.KEPT_SAMPLES", 100)
        write_report(output)
    return output


def test_no_page_breaks_out_of_its_place(attacked: Path) -> None:
    html = (attacked / "report.html").read_text("utf-8")
    page = Page(html)
    assert page.open == []
    tags = Counter(tag for tag, _ in page.elements)
    assert not tags.keys() & {"script", "iframe", "img", "object", "embed", "form", "base", "link", "b>rows"}
    assert tags["style"] == 1 + sum(tag == "svg" for tag, _ in page.elements)  # the page's, and each chart's
    policy = next(
        a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        link = attributes.get("href") or attributes.get("xlink:href") or "#"
        assert link.startswith(("#", "http://", "https://"))
    text = "".join(page.words)
    for attack in ATTACKS:  # each is shown, and nothing else
        assert visible(attack).strip() in text or "surrogate" in attack
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]", html
    )
    for shown in ("[U+0000]", "[U+001B]", "[U+202E]", "[U+2066]", "[U+2028]"):
        assert shown in text
    assert "<del" in html
    assert "c4.v1.policy" in {attributes.get("title") for tag, attributes in page.elements if tag == "del"}


def test_nothing_is_fetched(attacked: Path) -> None:
    html = (attacked / "report.html").read_text("utf-8")
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert not re.search(r"@import|\bsrc\s*=", re.sub(r">[^<]*<", "><", html))


def test_what_line_rules_took_out_is_counted(attacked: Path) -> None:
    removed = [row["removed"] for row in table(attacked, "documents")]
    spans = Counter(span["rule"] for own in removed for span in own)
    documents = Counter(rule for own in removed for rule in {span["rule"] for span in own})
    assert spans != documents
    edits = collect(open_run(attacked)).edits
    assert {rule: edited.spans for rule, edited in edits.items()} == spans
    assert {rule: edited.documents for rule, edited in edits.items()} == documents


def test_a_run_that_keeps_nothing_has_its_report(tmp_path: Path) -> None:
    output = hostile(tmp_path / "in", 10**6)
    assert manifest(output)["records"]["kept"] == 0
    html = (output / "report.html").read_text("utf-8")
    assert Page(html).open == []
    assert "No page was kept." in html
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    nothing = refined(empty, tmp_path / "nothing", "gopher_only")
    assert "nothing was dropped" in (nothing / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return refined(write_sample(folder / "sample") / "crawl", folder / "out", "gopher_only")


def test_its_numbers_are_the_ledgers(finished: Path) -> None:
    ledger = table(finished, "ledger")
    facts = collect(open_run(finished))
    assert {(e.outcome, e.stage, e.rule): e.records for e in facts.endings} == Counter(
        (row["outcome"], row["stage"], row["rule"]) for row in ledger
    )
    assert facts.pages == sum(row["id"] is not None for row in ledger) == manifest(finished)["pages"]
    texts = {row["id"]: row["text"] for row in table(finished, "documents")}
    assert facts.documents.pages == len(texts)
    assert facts.documents.bytes == sum(len(text.encode()) for text in texts.values())
    signals = table(finished, "signals")
    outcome = {row["id"]: row for row in ledger if row["id"]}
    for histogram in facts.histograms:
        known = [row for row in signals if row[histogram.check.signal] is not None]
        split = Counter(
            0 if outcome[row["id"]]["outcome"] == "kept"
            else 1 if outcome[row["id"]]["rule"] == histogram.rule else 2
            for row in known
        )  # fmt: skip
        assert list(histogram.counts.sum(axis=1) + histogram.zeros) == [split[0], split[1], split[2]]
        drops = histogram.edges[:-1] < histogram.threshold
        if histogram.check.drop_if == "<" and not histogram.log:  # no page is kept on the dropping side
            assert histogram.counts[0][histogram.edges[1:] <= histogram.threshold].sum() == 0
        assert drops.any() or histogram.check.drop_if == ">"
    hosts = Counter(re.sub(r"^https?://(www\.)?([^/]*).*", r"\2", row["url"]) for row in outcome.values())
    assert {name: s.kept.pages + s.dropped.pages for name, s in facts.domains.items()} == hosts
    html = (finished / "report.html").read_text("utf-8")
    assert f"{facts.pages:,}</b>pages, in {len(ledger):,} records read" in html
    without = [row for row in ledger if row["id"] is None]
    assert f"{len(without):,}</b>records that hold no page" in html
    lost = Counter(row["outcome"] for row in ledger if row["id"])
    assert f"{lost['dropped']:,}</b>pages dropped" in html
    # Bars are of pages: records without one, more than all others, have none and shorten none.
    funnel = html[html.index('id="funnel"') : html.index('id="signals"')]
    rows = [row for row in re.findall(r"<tr>(?!<th).*?</tr>", funnel) if "<code>" in row]
    bars = [
        float(width[0]) if width else None for width in (re.findall(r"width: ([\d.]+)%", row) for row in rows)
    ]
    by_rule = Counter((row["stage"], row["rule"]) for row in ledger if row["id"] and row["outcome"] != "kept")
    assert len([bar for bar in bars if bar]) == len(by_rule)
    assert max(bar for bar in bars if bar) == 100
    # A language of which nothing was kept has nothing of the colour of what is kept.
    part = html[html.index('id="languages"') : html.index('id="samples"')]
    for row in re.findall(r"<tr><td>.*?</tr>", part):
        kept = int(re.findall(r'<td class="n">([\d,]+)</td>', row)[1].replace(",", ""))
        assert ('class="k"' in row) == (kept > 0)
    # No two ticks of an axis look alike, and none has lost what follows its second decimal.
    for chart in re.findall(r"<svg.*?</svg>", html, re.S):
        for axis in re.findall(
            r'<g id="matplotlib\.axis_\d">.*?(?=<g id="matplotlib\.axis|<g id="patch|</svg>)', chart, re.S
        ):
            ticks = re.findall(r"<text[^>]*>([^<]*)</text>", axis)
            assert len(set(ticks)) == len(ticks), ticks
    assert ">0.005</text>" in html or ">0.025</text>" in html
    assert len(html) < 2_000_000


def test_the_largest_clusters_stand_beside_their_survivors(finished: Path) -> None:
    html = (finished / "report.html").read_text("utf-8")
    section = html[html.index('id="clusters"') : html.index('id="domains"')]
    worst = manifest(finished)["dedup"]["worst"]
    assert worst
    for cluster in worst:
        assert len(cluster["members"]) >= 2
        for member in cluster["members"]:
            assert member["jaccard"] == 1  # this run's are exact copies
            assert member["url"] in section
    assert section.count("survivor</b>") == len(worst)


def test_samples_are_drawn_alike_and_shown(finished: Path, tmp_path: Path) -> None:
    first = collect(open_run(finished))
    again = collect(open_run(finished))
    assert first.endings == again.endings
    texts = {row["id"]: row["text"] for row in table(finished, "documents")}
    ledger = sorted(table(finished, "ledger"), key=lambda row: draw(row["warc_file"], row["warc_offset"]))
    for ending in first.endings:
        assert 1 <= len(ending.samples) <= 6
        own = (ending.outcome, ending.stage, ending.rule)
        rows = [row for row in ledger if (row["outcome"], row["stage"], row["rule"]) == own]
        offsets = [row["warc_offset"] for row in rows[: len(ending.samples)]]
        assert [sample.row["warc_offset"] for sample in ending.samples] == offsets
        for sample in ending.samples:
            assert (sample.row["outcome"], sample.row["rule"]) == (ending.outcome, ending.rule)
            assert "".join(piece.text for piece in sample.pieces) == texts.get(sample.row["id"], "")


def test_the_command_writes_it_anew_and_says_what_is_wrong(finished: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    target = finished / "report.html"
    before = target.read_bytes()
    target.unlink()
    assert str(target) in CliRunner().invoke(app, ["report", "--run", str(finished)]).output
    assert target.read_bytes() == before
    assert not [path.name for path in finished.iterdir() if path.name.startswith("_")]
    with pytest.raises(WerpError, match="no finished run"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(WerpError, match="tables of version None"):
        write_report(tmp_path)
    content = manifest(finished)
    content["files"]["ledger"][0] = "../../etc/passwd"
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(WerpError, match="leads out of the run directory"):
        write_report(tmp_path)


def test_a_ledger_is_read_whole(finished: Path) -> None:
    run = open_run(finished)
    rows = sum(pq.read_metadata(unit.ledger).num_rows for unit in run.tables)
    assert rows == manifest(finished)["records"]["in"]
