"""Which record lies in which file of the sample, and the two faults that files themselves have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from werp.sample import archive, broken, copies, oddities, spam
from werp.sample.cases import Case, page_case
from werp.sample.prose import Page, Site, Verdict, load_pages, verdict

FOLDER = "CC-MAIN-2026-05/segment-0/warc"
_DEALS = Site(
    host="www.super-deals.example", name="Super Deals", tagline="Deals, deals, deals", language="en",
    layout="portal", nav=("Hot", "New", "Today", "Login"), cookies="Cookies! Accept.",
)  # fmt: skip
_MIRROR = Site(
    host="mirror.reposted.example", name="Reposted", tagline="The best of everywhere", language="en",
    layout="portal", nav=("Popular", "Latest", "Random"), cookies="",
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """One file of the crawl: its bytes, and the expected rows in the order of its records."""

    name: str
    data: bytes
    rows: list[dict[str, Any]]


def _row(file: str, verdict: Verdict, case: Case | None = None) -> dict[str, Any]:
    """A line of expected.jsonl; damage has neither address nor record type."""
    return {
        "file": f"{FOLDER}/{file}",
        "url": case.url if case else None,
        "record_type": case.record_type if case else None,
        "outcome": verdict.outcome,
        "stage": verdict.stage,
        "rule": verdict.rule,
        "why": verdict.why,
        "kind": case.kind if case else "damage",
        "charset": case.charset if case else None,
    }


def _warc(case: Case) -> bytes:
    return archive.warc_record(case.record_type, case.url, case.date, case.block, case.headers)


def _pages(pages: list[Page]) -> Iterator[Case]:
    for i, page in enumerate(pages):
        yield page_case(page, tuple(pages[i + 1 : i + 5]))


def _with_companions(cases: Iterable[Case], every: int) -> Iterator[Case]:
    """Every n-th response between its request and its metadata."""
    for i, case in enumerate(cases):
        if i % every:
            yield case
        else:
            request, metadata = oddities.companions(case)
            yield from (request, case, metadata)


def files() -> list[File]:
    """The whole crawl, in the order of file names."""
    prose = load_pages()
    by_path = {page.path: page for pages in prose.values() for page in pages}
    return [
        _large("sample-00000.warc.gz", prose, by_path),
        _plain("sample-00001.warc", prose, by_path),
        _arc("sample-00002.arc.gz", prose),
        _whole_gzip("sample-00003.warc.gz", prose, by_path),
        _damaged("sample-00004.warc.gz", prose, by_path),
        _no_archive("sample-00005.warc.gz"),
    ]


def _large(name: str, prose: dict[str, list[Page]], by_path: dict[str, Page]) -> File:
    """Most pages and all spam; each record a gzip member."""
    english = prose["harbourlight"] + prose["kettleandknife"]
    scraped = prose["oldroads"] + prose["wayfarer"] + prose["civicdesk"][:7]
    cases = [
        oddities.warcinfo(name),
        *_with_companions(_pages(english), 5),
        *_pages(prose["werkbank"]),
        *_pages(prose["jardindesmots"]),
        copies.early_copy(by_path, _MIRROR),
        *spam.repetition_cases(_DEALS, scraped),
        *spam.quality_cases(_DEALS, scraped),
    ]
    data = b"".join(archive.gzip_member(_warc(case)) for case in cases)
    return File(name, data, [_row(name, case.verdict, case) for case in cases])


def _plain(name: str, prose: dict[str, list[Page]], by_path: dict[str, Page]) -> File:
    """Not compressed; its last record ends before its Content-Length does."""
    site = prose["greenacre"][0].site
    cases = [
        oddities.warcinfo(name),
        *_with_companions(_pages(prose["oldroads"]), 4),
        *_pages(prose["greenacre"]),
        *_pages(prose["plazamayor"]),
        *oddities.other_records(site, prose["civicdesk"][0]),
        *oddities.http_oddities(site),
        oddities.mixed_case(site),
        *broken.empty_cases(site),
    ]
    whole = b"".join(_warc(case) for case in cases)
    cut = page_case(prose["bargainbarn"][0])
    last = _warc(cut)
    rows = [_row(name, case.verdict, case) for case in cases]
    rows.append(_row(name, verdict("failed read truncated", "the file ends in the middle of a page"), cut))
    return File(name, whole + last[: len(last) // 2], rows)


def _arc(name: str, prose: dict[str, list[Page]]) -> File:
    """ARC version 1, each record a gzip member."""
    date = "20260115080000"
    url = f"filedesc://{name}"
    dropped = verdict("dropped read record_type", "describes the file")
    head = Case(url, "arc_header", b"", dropped, "record")
    cases = [*_pages(prose["wayfarer"][:5]), *_pages(prose["severnyveter"][:3])]
    members = [archive.gzip_member(archive.arc_header(name, date))]
    for case in cases:
        assert case.url
        members.append(archive.gzip_member(archive.arc_record(case.url, date, "text/html", case.block)))
    return File(name, b"".join(members), [_row(name, case.verdict, case) for case in [head, *cases]])


def _whole_gzip(name: str, prose: dict[str, list[Page]], by_path: dict[str, Page]) -> File:
    """The whole file is one gzip member, as some tools leave it."""
    civic = prose["civicdesk"][1:]  # the first is stored as a resource in an earlier file
    cases = [
        oddities.warcinfo(name),
        *_pages(prose["stackyard"]),
        *_pages(civic),
        *_pages(prose["hidamari"]),
        *copies.near_copies(by_path, _MIRROR),
    ]
    data = archive.gzip_member(b"".join(_warc(case) for case in cases))
    return File(name, data, [_row(name, case.verdict, case) for case in cases])


def _damaged(name: str, prose: dict[str, list[Page]], by_path: dict[str, Page]) -> File:
    """One gzip member in the middle is ruined, and the last one is cut off."""
    broken_site, wayfarer = prose["oldroads"][0].site, prose["wayfarer"][5:]
    before = [
        oddities.warcinfo(name),
        *_pages(prose["bargainbarn"]),
        *_pages(wayfarer),
        *_pages(prose["severnyveter"][3:]),
    ]
    after = [
        *copies.exact_copies(by_path, _MIRROR),
        *broken.broken_cases(by_path, prose["kettleandknife"][0].site),
        *oddities.odd_but_readable(broken_site, prose["greenacre"][:3]),
    ]
    cut = page_case(prose["oldroads"][0])
    page = archive.gzip_member(_warc(cut))
    parts = [archive.gzip_member(_warc(case)) for case in before]
    parts.append(archive.ruined_member(page))
    parts += [archive.gzip_member(_warc(case)) for case in after]
    parts.append(page[: len(page) // 2])
    rows = [_row(name, case.verdict, case) for case in before]
    rows.append(
        _row(name, verdict("failed read damaged_record", "a gzip member in the middle can't be decoded"))
    )
    rows += [_row(name, case.verdict, case) for case in after]
    rows.append(
        _row(name, verdict("failed read truncated", "the file ends in the middle of a gzip member"), cut)
    )
    return File(name, b"".join(parts), rows)


def _no_archive(name: str) -> File:
    """What a download leaves that was refused: a page of the object store under an archive's name."""
    data = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>\n'
    return File(
        name, data, [_row(name, verdict("failed read not_an_archive", "an error message of the store"))]
    )
