"""One record of the sample, and what should become of it; makers for the common kinds."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace

import brotli

from werp.sample.archive import Headers, chunked, http_response
from werp.sample.pages import render
from werp.sample.prose import Page, Site, Verdict, verdict

_CODERS = {"gzip": lambda data: gzip.compress(data, mtime=0), "deflate": zlib.compress, "br": brotli.compress}


@dataclass(frozen=True)
class Case:
    """One record: its block, and the ledger row it was written for.

    charset: the encoding the page's bytes are really in, whatever the page claims.
    """

    url: str | None
    record_type: str
    block: bytes
    verdict: Verdict
    kind: str
    charset: str = "utf-8"
    date: str = "2026-01-15T08:00:00Z"
    headers: Headers = ()


def html_case(
    url: str,
    html: str | bytes,
    expect: str,
    why: str,
    kind: str,
    charset: str = "utf-8",
    content_type: str = "text/html; charset=utf-8",
    headers: Headers = (),
) -> Case:
    """A 200 response with a page."""
    body = html if isinstance(html, bytes) else html.encode(charset)
    return Case(
        url,
        "response",
        http_response(body, content_type, headers=headers),
        verdict(expect, why),
        kind,
        charset=charset,
    )


def page_case(page: Page, related: tuple[Page, ...] = ()) -> Case:
    """The response for a page of prose, in the charset and codings its author asked for.

    `page.charset` is an encoding and where it is stated: `header`, `meta`, `silent`, or
    `lie ENCODING` for a meta element that names another.
    """
    charset, stated, *lie = page.charset.split()
    claim = {"meta": charset, "lie": "".join(lie)}.get(stated, "")
    html = render(page, related, claim)
    if charset in {"windows-1252", "utf-16"} or stated == "lie":
        html = html.replace("&#x27;", "’")
    body = html.encode(charset)
    headers: list[tuple[str, str]] = [("Server", "sample/1.0")]
    for coding in page.coding.split():
        if coding == "chunked":
            body = chunked(body)
            headers.append(("Transfer-Encoding", "chunked"))
        else:
            body = _CODERS[coding](body)
            headers.append(("Content-Encoding", coding))
    content_type = f"text/html; charset={charset}" if stated == "header" else "text/html"
    block = http_response(body, content_type, headers=headers)
    case = Case(page.url, "response", block, page.verdict, page.kind, charset=charset)
    return replace(case, date=f"{page.date}T{6 + len(page.path) % 12:02d}:{len(page.title) % 60:02d}:00Z")


def moved(page: Page, site: Site, path: str, expect: str, why: str) -> Page:
    """The same text on another address."""
    return replace(page, site=site, path=path, verdict=verdict(expect, why))
