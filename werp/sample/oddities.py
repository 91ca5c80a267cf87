"""Records that are no page, or a page that can't be read: what stage `read` is for."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

from werp.sample.archive import Headers, http_response
from werp.sample.cases import Case, html_case
from werp.sample.pages import frame, render
from werp.sample.prose import Page, Site, verdict

_GIF = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
_HTTP = "application/http; msgtype=response"


def warcinfo(file_name: str) -> Case:
    """The record that opens a WARC file; it names the crawl."""
    fields = {
        "software": "werp.sample",
        "format": "WARC File Format 1.1",
        "isPartOf": "CC-MAIN-2026-05",
        "publisher": "Blu-WERP",
        "description": "a sample crawl written for tests",
    }
    block = "".join(f"{key}: {value}\r\n" for key, value in fields.items()).encode()
    headers = (("WARC-Filename", file_name),)
    return _no_page(None, "warcinfo", block, "describes the file", headers=headers)


def _no_page(
    url: str | None,
    record_type: str,
    block: bytes,
    why: str,
    headers: Headers = (),
    rule: str = "record_type",
) -> Case:
    return Case(url, record_type, block, verdict(f"dropped read {rule}", why), "record", headers=headers)


def companions(case: Case) -> tuple[Case, Case]:
    """The request before a response, and the metadata after it."""
    assert case.url
    host, _, path = case.url.removeprefix("https://").partition("/")
    request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sample\r\n\r\n".encode()
    return (
        replace(_no_page(case.url, "request", request, "what the crawler sent"), date=case.date),
        replace(
            _no_page(case.url, "metadata", b"fetchTimeMs: 41\r\n", "what the crawler noted"), date=case.date
        ),
    )


def other_records(site: Site, article: Page) -> list[Case]:
    """Records of the rarer types; a resource counts as a page when it is HTML."""
    base = f"https://{site.host}"
    revisit = http_response(b"", headers=(("ETag", '"41"'),))
    profile = ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest")
    kept = verdict("kept", "an HTML page stored as a resource")
    return [
        _no_page(f"{base}/again", "revisit", revisit, "the payload is elsewhere", (profile,)),
        _no_page(f"{base}/text", "conversion", b"%PDF-1.4", "made from another record, no text", (("Content-Type", "application/pdf"),)),
        _no_page(f"{base}/rest", "continuation", b"the second half", "a part of a record", (("WARC-Segment-Number", "2"),)),
        _no_page(f"{base}/dot.gif", "resource", _GIF, "an image", (("Content-Type", "image/gif"),), RESOURCE_RULE),
        _no_page(f"{base}/note.txt", "resource", b"A note.", "plain text", (("Content-Type", "text/plain"),), RESOURCE_RULE),
        Case(article.url, "resource", render(article).encode(), kept, article.kind, headers=(("Content-Type", "text/html"),)),
    ]  # fmt: skip


#: What reading says of a resource that is not HTML: its type of content is at fault.
RESOURCE_RULE = "mime"


def http_oddities(site: Site) -> list[Case]:
    """Responses that hold no page, or none that can be decoded."""
    page = frame(site, "Not here", "<p>The page you asked for is not here, and we are sorry about that.</p>")
    bomb = gzip.compress(b"<p>" + b"All work and no play. " * 1_100_000, mtime=0)  # 24 MB once decoded
    broken = gzip.compress(page.encode(), mtime=0)[:10] + b"\xff" * 200
    gzipped = (("Content-Encoding", "gzip"),)

    def case(path: str, block: bytes, expect: str, why: str) -> Case:
        return Case(f"https://{site.host}{path}", "response", block, verdict(expect, why), "http")

    return [
        case("/lost", http_response(page.encode(), status="404 Not Found"), "dropped read http_status", "a 404 response"),
        case("/old", http_response(b"", status="301 Moved Permanently", headers=(("Location", "/new"),)), "dropped read http_status", "a redirect"),
        case("/busy", http_response(page.encode(), status="503 Service Unavailable"), "dropped read http_status", "a 503 response"),
        case("/paper.pdf", http_response(b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\n%%EOF\n", "application/pdf"), "dropped read mime", "a PDF"),
        case("/api/items", http_response(json.dumps({"items": [1, 2, 3]}).encode(), "application/json"), "dropped read mime", "JSON"),
        case("/site.css", http_response(b"body { margin: 0 }", "text/css"), "dropped read mime", "a style sheet"),
        case("/nothing", http_response(b""), "dropped read empty_body", "a 200 response without a body"),
        case("/blank", http_response(b" \r\n\r\n "), "dropped read empty_body", "a body of white space"),
        case("/garbled", b"<<< no HTTP at all >>>\r\n\r\n" + page.encode(), "failed read http_malformed", "no status line"),
        case("/broken-gzip", http_response(broken, headers=gzipped), "failed read content_encoding", "its gzip data can't be decoded"),
        case("/bomb", http_response(bomb, headers=gzipped), "failed read too_large", "24 MB once decoded, over the limit of 16 MiB"),
    ]  # fmt: skip


def odd_but_readable(site: Site, articles: list[Page]) -> list[Case]:
    """Responses whose headers break the rules in ways that browsers forgive."""
    first, second, third = (render(replace(article, site=site)).encode() for article in articles)
    headers = b"HTTP/1.0 200\nserver\ncontent-TYPE:text/html\n X-Folded: yes\n: empty name\n\n"
    base = f"https://{site.host}/odd"

    def case(path: str, block: bytes, why: str) -> Case:
        return Case(base + path, "response", block, verdict("kept", why), "http")

    return [
        case("/lines", headers + first, "bare line feeds, a line without a colon, an empty name"),
        case("/untyped", http_response(second, ""), "HTML without a Content-Type"),
        case("/xhtml", http_response(third, "application/xhtml+xml"), "XHTML by its type"),
    ]


def mixed_case(site: Site) -> Case:
    """A page in which English leads without a majority."""
    body = "\n".join(f"<p>{line}</p>" for line in _MIXED)
    html = frame(site, "Phrase book", body)
    return html_case(f"https://{site.host}/phrases", html, "dropped language language.v1.min_score", "a phrase book in seven languages", "mixed")  # fmt: skip


_MIXED = (
    "Good morning, where is the station, please? Guten Morgen, wo ist bitte der Bahnhof?",
    "Where is the bank, and when does it open? Où est la banque, et à quelle heure ouvre-t-elle?",
    "How much is a room with a view of the sea? ¿Cuánto cuesta una habitación con vistas al mar?",
    "I would like to pay, and thank you for the soup. Vorrei pagare, e grazie per la zuppa.",
    "Can you tell me when the last boat leaves? Kunt u mij zeggen wanneer de laatste boot vertrekt?",
    "We are late and the children are tired. Estamos atrasados e as crianças estão cansadas.",
)
