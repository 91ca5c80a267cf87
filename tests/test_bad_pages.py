"""Pages that hang or raise outside the guard: each is a failed row that names the step; no other page is."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

import werp.pages
from tests.job import manifest, table
from werp.ask.what_if import replayed
from werp.ask.why import explain
from werp.clock import attempt
from werp.edits import Span
from werp.errors import WerpError
from werp.extract.prefilters import MimePrefilter, Skipped
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.recipe import Recipe
from werp.refine import Options, make_plan, refine
from werp.signals.batch import TextBatch
from werp.signals.c4 import C4

_SECONDS = 1.0
#: Pages by their mark: the ledger's stage and rule, and what its value says.
BAD = {
    "read-hang": ("read", "timeout", "record: took longer than page_seconds=1"),
    "read-raise": ("read", "error", "record: IndexError: of the reader"),
    "prefilter-hang": ("prefilter", "timeout", "page: took longer"),
    "prefilter-raise": ("prefilter", "error", "page: RecursionError"),
    "edit-hang": ("filter", "timeout", "c4.v1: took longer"),
    "edit-raise": ("filter", "error", "c4.v1: KeyError: 'edit'"),
    "edit-memory": ("filter", "out_of_memory", "c4.v1: MemoryError"),
    "own-hang": ("filter", "timeout", "trouble.v1: took longer"),
    "own-deaf": ("filter", "timeout", "trouble.v1: took longer"),
    "own-raise": ("filter", "error", "trouble.v1: ZeroDivisionError: division by zero (bad_rules.py:"),
    "own-memory": ("filter", "out_of_memory", "trouble.v1: MemoryError"),
    "own-exit": ("filter", "error", "trouble.v1: SystemExit: 3"),
    "own-text": ("filter", "error", "trouble.v1: ValueError: signal x"),
    "own-huge": ("filter", "error", "trouble.v1: ValueError: signal x"),
    "own-surrogate": ("filter", "error", "trouble.v1: OSError: ?"),
    "score-raise": ("quality", "error", "quality.v1: RuntimeError: no score"),
    "score-nan": ("quality", "error", "quality.v1: ValueError: quality model bad_rules:score"),
}
GOOD = [f"good-{number}" for number in range(6)]

_MODULE = """
import time

def _value(text):
    if "own-hang" in text:
        time.sleep(600)
    while "own-deaf" in text:
        try:
            time.sleep(600)
        except Exception:
            pass
    if "own-raise" in text:
        return 1 / 0
    if "own-memory" in text:
        raise MemoryError
    if "own-exit" in text:
        raise SystemExit(3)
    if "own-surrogate" in text:
        raise OSError("\\ud800")
    if "own-text" in text:
        return "a text"
    return 10**400 if "own-huge" in text else len(text)

def trouble(batch):
    return {"x": [_value(text) for text in batch.texts]}

def broken(batch):
    return {"x": [text.no_such_thing for text in batch.texts]}

def score(rows):
    texts = rows.column("text").to_pylist()
    if any("score-raise" in text for text in texts):
        raise RuntimeError("no score")
    return [float("nan") if "score-nan" in text else 1.0 for text in texts]
"""

RULES: list[dict[str, Any]] = [
    {"rule": "language.v1"},
    {"rule": "c4.v1", "min_sentences": 1},
    {"rule": "bad_rules:trouble"},
]


def recipe(rules: list[dict[str, Any]]) -> Recipe:
    model = {"name": "own", "model": "bad_rules:score"}
    return Recipe.model_validate(
        {"name": "t", "page_seconds": _SECONDS, "extract": {"extractors": ["resiliparse"]},
         "prefilters": [{"rule": "mime_prefilter.v1"}], "rules": rules, "dedup": [{"rule": "exact.v1"}],
         "quality": {"rule": "quality.v1", "models": [model]}}
    )  # fmt: skip


def write_archive(path: Path, names: list[str]) -> None:
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for name in names:
            article = f"The ferry {name} leaves the harbour at noon, and it comes back with the tide. " * 8
            html = f"<html><body><article><p>{article}</p></article></body></html>".encode()
            http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            address = f"https://example.org/{name}"
            record = writer.create_warc_record(
                address, "response", payload=io.BytesIO(html), http_headers=http,
                warc_headers_dict={"WARC-Date": "2026-01-01T00:00:00Z"},
            )  # fmt: skip
            writer.write_record(record)


def job(inputs: list[Path], output: Path, rules: list[dict[str, Any]]) -> Path:
    refine(None, make_plan(recipe(rules), list_inputs([str(path) for path in inputs]), output, Options()))
    return output


@pytest.fixture(scope="module", autouse=True)
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module of bad functions, and steps of the package that stumble over marked pages."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "bad_rules.py").write_text(_MODULE)
    parse, skips, edits = werp.pages.parse_http, MimePrefilter.skips, C4.edits

    def bad_parse(block: bytes, **options: Any) -> Any:
        if b"read-hang" in block:
            time.sleep(600)
        if b"read-raise" in block:
            raise IndexError("of the reader")
        return parse(block, **options)

    def bad_skips(self: MimePrefilter, url: str, mime: str | None, html: bytes) -> Skipped | None:
        if b"prefilter-hang" in html:
            re.fullmatch("(a+)+b", "a" * 64)
        if b"prefilter-raise" in html:
            return bad_skips(self, url, mime, html)
        return skips(self, url, mime, html)

    def bad_edits(self: C4, batch: TextBatch) -> list[list[Span]]:
        for text in batch.texts:
            if "edit-hang" in text:
                time.sleep(600)
            if "edit-memory" in text:
                raise MemoryError
            if "edit-raise" in text:
                raise KeyError("edit")
        return edits(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(werp.pages, "parse_http", bad_parse)
        patch.setattr(MimePrefilter, "skips", bad_skips)
        patch.setattr(C4, "edits", bad_edits)
        yield
    sys.modules.pop("bad_rules", None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    names = [name for pair in zip(BAD, GOOD * 3, strict=False) for name in pair]
    write_archive(folder / "all.warc.gz", list(dict.fromkeys(names)))
    return job([folder / "all.warc.gz"], folder / "out", RULES)


def ends(output: Path) -> dict[str, dict[str, Any]]:
    rows = table(output, "ledger")
    return {row["url"].rpartition("/")[2]: row for row in rows if row["record_type"] == "response"}


def test_a_bad_page_is_a_failed_row_that_names_the_step(finished: Path) -> None:
    ledger = ends(finished)
    assert ledger.keys() == {*BAD, *GOOD}
    for name, (stage, rule, value) in BAD.items():
        row = ledger[name]
        assert (row["outcome"], row["stage"], row["rule"]) == ("failed", stage, rule), name
        assert row["value"].startswith(value), name
        assert row["threshold"] == ("page_seconds=1" if rule == "timeout" else None)
    assert {ledger[name]["outcome"] for name in GOOD} == {"kept"}
    assert manifest(finished)["records"] == {
        "in": len(ledger), "kept": len(GOOD), "dropped": 0, "failed": len(BAD),
    }  # fmt: skip
    assert {row["url"].rpartition("/")[2] for row in table(finished, "shards")} == set(GOOD)


def test_its_text_is_stored_without_edits_or_signals(finished: Path) -> None:
    documents = {row["url"].rpartition("/")[2]: row for row in table(finished, "documents")}
    signals = {row["id"]: row for row in table(finished, "signals")}
    for name, (stage, *_) in BAD.items():
        assert (name in documents) == (stage not in ("read", "prefilter"))
        if name in documents:
            row = documents[name]
            assert name in row["text"]
            assert (row["failure"] is not None) == name.startswith("edit-")
            own = signals[row["id"]]
            assert own.pop("failure")["stage"] == stage
            assert own.pop("id")
            assert set(own.values()) == {None}


def test_no_outcome_follows_from_the_pages_beside_it(finished: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "1.warc.gz", [*GOOD[:3], "own-raise", "edit-hang", "own-memory", "score-nan"])
    rest = set(BAD) - {"own-raise", "edit-hang", "own-memory", "score-nan"}
    write_archive(tmp_path / "2.warc.gz", [*sorted(rest), *GOOD[3:]])
    again = job([tmp_path / "1.warc.gz", tmp_path / "2.warc.gz"], tmp_path / "out", RULES)
    assert manifest(again)["content_hash"] == manifest(finished)["content_hash"]


def test_the_report_and_the_questions_show_it(finished: Path) -> None:
    assert "out_of_memory" in (finished / "report.html").read_text()
    run = open_run(finished)
    (found,) = explain(run, "https://example.org/edit-hang")
    assert found.verdict["rule"] == "timeout"
    assert "edit-hang" in found.text
    with replayed(run, ["c4.min_sentences=99"], pytest.fail) as replay:
        (unit,) = replay.tables
        rows = {row["url"].rpartition("/")[2]: row for row in pq.read_table(unit.ledger).to_pylist()}
    assert {rows[name]["rule"] for name in GOOD} == {"c4.v1.min_sentences"}
    assert all(rows[name]["rule"] == rule for name, (_, rule, _) in BAD.items())


def test_under_other_line_rules_a_stored_text_may_be_fine(finished: Path) -> None:
    with replayed(open_run(finished), ["rules=[{rule: language.v1}]", "quality=null"], pytest.fail) as replay:
        (unit,) = replay.tables
        rows = {row["url"].rpartition("/")[2]: row for row in pq.read_table(unit.ledger).to_pylist()}
    for name, (stage, *_) in BAD.items():
        assert rows[name]["outcome"] == ("failed" if stage in ("read", "prefilter") else "kept"), name


def test_a_rule_that_fails_on_every_page_ends_the_run(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.warc.gz", GOOD[:2])
    with pytest.raises(WerpError, match=r"all 2 documents.*broken\.v1: AttributeError.*no_such_thing.*bad_r"):
        job([tmp_path / "a.warc.gz"], tmp_path / "out", [{"rule": "bad_rules:broken"}])
    assert not (tmp_path / "out" / "run.json").exists()


def test_the_clock_leaves_no_alarm_behind_and_stops_what_python_can_stop() -> None:
    import signal  # noqa: PLC0415

    before = signal.getsignal(signal.SIGALRM)
    started = time.perf_counter()
    for work in (lambda: time.sleep(60), lambda: re.search("(a|a)*b", "a" * 64), lambda: 7**7**8):
        found = attempt(work, "filter", "x", 0.05)
        assert found == ("filter", "timeout", "x: took longer than page_seconds=0.05", "page_seconds=0.05")
    assert time.perf_counter() - started < 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
    assert attempt(lambda: 3, "filter", "x", 0.05) == 3
