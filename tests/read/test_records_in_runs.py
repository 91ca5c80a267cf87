"""What a run's tables say of records: pages cut short by their crawler, ARC header lines with spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.job import table
from werp.ask.what_if import replayed
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.sample.archive import arc_record, http_response, warc_record

DATE, DIGITS = "2026-01-02T03:04:05Z", "20260102030405"
RECIPE = """
name: t
extract: {extractors: [resiliparse]}
rules: [{rule: truncated.v1}]
"""


def no_session() -> Any:
    pytest.fail("a Spark session was asked for")


def page(name: str) -> bytes:
    text = f"<p>The ferry {name} leaves the harbour at noon and comes back at night.</p>" * 3
    return http_response(f"<html><body><article>{text}</article></body></html>".encode())


def refined(folder: Path, changes: tuple[str, ...] = ()) -> Path:
    (folder / "recipe.yaml").write_text(RECIPE)
    files = list_inputs([str(folder / "in")])
    output = folder / ("out" + "-changed" * bool(changes))
    refine(None, make_plan(load_recipe(str(folder / "recipe.yaml"), changes), files, output, Options()))
    return output


REASONS = {
    "whole": None, "length": "length", "time": "Time ", "disconnect": "disconnect",
    "unspecified": "UNSPECIFIED", "other": "no such reason", "blank": " ",
}  # fmt: skip


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    records = [
        warc_record("response", f"https://a.org/{name}", DATE, page(name),
                    [("WARC-Truncated", reason)] if reason is not None else [])
        for name, reason in REASONS.items()
    ]  # fmt: skip
    records.append(
        warc_record("request", "https://a.org/r", DATE, b"GET /\r\n", [("WARC-Truncated", "time")])
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(b"".join(records))
    return tmp_path


def test_what_a_crawler_cut_short_is_a_column_and_a_rule(truncated: Path) -> None:
    stated = [
        None, "length", "time", "disconnect", "unspecified", "no such reason", None, "time",
    ]  # fmt: skip
    output = refined(truncated)
    for name in ("records", "ledger"):
        assert [row["truncated"] for row in table(output, name)] == stated
    by_name = {row["url"].rpartition("/")[2]: row for row in table(output, "ledger")}
    dropped = {name: row["value"] for name, row in by_name.items() if row["rule"] == "truncated.v1.drop"}
    assert dropped == {name: name for name in ("length", "time", "disconnect", "unspecified")}
    kept = refined(truncated, ("truncated.drop=[]",))
    assert {row["outcome"] for row in table(kept, "ledger") if row["record_type"] == "response"} == {"kept"}


SPACED = ("text/html; charset=utf-8", "text/html;  charset=utf-8; level=1", "text/html", "")
URLS = ("http://a.org/x", "http://a.org/with space", "http://a.org/1.2.3.4 20000101000000 text/html 7")


def arc_2_record(url: str, kind: str, block: bytes) -> bytes:
    fields = (
        url,
        "192.0.2.7",
        DIGITS,
        kind,
        "200",
        "SUM",
        "http://b.org/the other",
        "0",
        "a.arc",
        len(block),
    )
    return " ".join(map(str, fields)).encode() + b"\n" + block + b"\n"


def test_an_arc_header_line_is_read_from_both_ends(tmp_path: Path) -> None:
    wanted: list[tuple[Any, ...]] = []
    (tmp_path / "in").mkdir()
    for version in (1, 2):
        block = b"%d 0 t\nURL IP-address Archive-date Content-type Archive-length\n" % version
        head = f"filedesc://{version}.arc 0.0.0.0 {DIGITS} text/plain {len(block)}\n".encode()
        data = head + block + b"\n"
        wanted.append((f"filedesc://{version}.arc", DATE, "dropped"))
        for url in URLS:
            for kind in SPACED:
                body = page(f"{version} {url} {kind}")
                data += arc_2_record(url, kind, body) if version == 2 else arc_record(url, DIGITS, kind, body)
                wanted.append((url, DATE, "kept"))
        (tmp_path / "in" / f"{version}.arc").write_bytes(data)
    output = refined(tmp_path)
    records, ledger = table(output, "records"), table(output, "ledger")
    found = [(r["url"], r["date"], v["outcome"]) for r, v in zip(records, ledger, strict=True)]
    assert found == wanted


def test_a_record_header_is_split_at_line_feeds_alone(tmp_path: Path) -> None:
    """Folded lines, UTF-8, and bytes that other readers take for line ends."""
    odd = "\x85\x0b\x0c\x1c\x1d\x1e\u2028"
    heads = {
        "https://a.org/plain": "X-Odd: {odd}WARC-Target-URI: https://b.org/{end}WARC-Target-URI: {url}",
        "https://a.org/grüße-\u2028-\x85": "WARC-Target-URI: {url}{end}X: y",
        "https://a.org/%20folded": "WARC-Target-URI: https://a.org/{end} folded{end}X: y",
        "https://a.org/first": "WARC-Target-URI: {url}{end}WARC-Target-URI: https://b.org/{end}no colon",
        "https://a.org/angled": "warc-target-uri:<{url}>",
    }
    data, wanted = b"", []
    for end in ("\r\n", "\n"):
        for url, head in heads.items():
            block = page(url + end)
            stated = f"Content-Length: {len(block)}{end}WARC-Type: response{end}WARC-Date: {DATE}{end}"
            lines = head.format(url=url, odd=odd, end=end)
            data += f"WARC/1.1{end}{stated}{lines}{end}{end}".encode() + block + b"\r\n\r\n"
            wanted.append((url, DATE, "kept"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(data)
    output = refined(tmp_path)
    records, ledger = table(output, "records"), table(output, "ledger")
    found = [(r["url"], r["date"], v["outcome"]) for r, v in zip(records, ledger, strict=True)]
    assert found == wanted


def test_what_if_answers_for_pages_cut_short(truncated: Path) -> None:
    kept = refined(truncated, ("truncated.drop=[]",))
    with replayed(open_run(kept), ["truncated.drop=[length]"], no_session) as replay:
        ledger = pq.read_table(replay.tables[0].ledger).to_pylist()
    assert [row["url"] for row in ledger if row["rule"] == "truncated.v1.drop"] == ["https://a.org/length"]
    assert not replay.measured_again
