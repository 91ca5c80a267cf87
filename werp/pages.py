"""From an archive record to an HTML page, or to the reason why it is none."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from werp.read import Damage, HttpError, Record, parse_http
from werp.tables import DROPPED, FAILED

_MIB = 1 << 20
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
#: Types under which servers send HTML all the same; such a body is looked at before it is dropped.
_VAGUE_TYPES = frozenset({"", "unknown/unknown", "application/unknown", "text/unknown", "no-type"})
_HTML_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|\?xml[^>]*>\s*<!doctype\s+html)", re.I | re.S)  # noqa: E501  # fmt: skip
_PAGE_RECORDS = frozenset({"response", "resource"})


class ReadOptions(BaseModel):
    """The recipe's `read` section: what one record may weigh."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_record_mb: Annotated[int, Field(ge=1, le=1024)] = Field(
        64, description="a larger record fails as too_large; never held in memory"
    )
    max_page_mb: Annotated[int, Field(ge=1, le=1024)] = Field(
        16, description="a page larger than this once decoded fails as too_large"
    )


@dataclass
class Row:
    """One row of the records table on its way; `html` is set while extraction is due.

    is_page: it is an HTML page, whether or not a prefilter skips it.
    """

    columns: dict[str, Any]
    html: bytes | None = None
    is_page: bool = False
    content_type: str | None = None
    text: str | None = None
    extractor: str = ""
    charset: str = ""
    casualties: list[str] = field(default_factory=list)

    def settle(
        self, outcome: str, stage: str, rule: str, value: str | None, threshold: str | None = None
    ) -> Row:
        """Give the record its outcome; the page's bytes are let go."""
        self.columns.update(outcome=outcome, stage=stage, rule=rule, value=value, threshold=threshold)
        self.html = None
        return self


def row_of(item: Record | Damage, warc_file: str, crawl: str | None, options: ReadOptions) -> Row:
    """What reading makes of one record: a page to extract, or a settled outcome.

    Only HTML with a 2xx status goes on. Rules of stage `read`: dropped `record_type`,
    `http_status`, `mime`, `empty_body`; failed `not_an_archive`, `damaged_record`,
    `truncated`, `http_malformed`, `content_encoding`, `too_large`.
    """
    row = Row({"warc_file": warc_file, "warc_offset": item.offset, "crawl": crawl})
    if isinstance(item, Damage):
        return row.settle(FAILED, "read", item.rule, item.cause)
    row.columns.update(url=item.url, record_type=item.record_type, date=item.date)
    if item.damage is not None:
        if item.damage.rule == "truncated":
            return row.settle(FAILED, "read", "truncated", item.damage.cause)
        row.casualties.append(f"read: {item.damage.rule}: {item.damage.cause}")
    if item.record_type not in _PAGE_RECORDS:
        return row.settle(DROPPED, "read", "record_type", item.record_type)
    if item.block is None:
        return row.settle(
            FAILED, "read", "too_large", str(item.block_length), f"read.max_record_mb={options.max_record_mb}"
        )
    if item.record_type == "response" and not _is_plain(item):
        return _http_page(row, item.block, options)
    content_type = item.headers.get("content-type", "")
    return _page(row, item.block, content_type, options)


def _is_plain(item: Record) -> bool:
    """A response that carries no HTTP message (dns:, ftp: and the like)."""
    scheme = (item.url or "").partition(":")[0].lower()
    return scheme in {"dns", "ftp", "whois", "file", "filedesc", "gopher"}


def _http_page(row: Row, block: bytes, options: ReadOptions) -> Row:
    try:
        message = parse_http(block, max_body_bytes=options.max_page_mb * _MIB)
    except HttpError as error:
        threshold = f"read.max_page_mb={options.max_page_mb}" if error.rule == "too_large" else None
        return row.settle(FAILED, "read", error.rule, error.cause, threshold)
    row.columns["http_status"] = message.status
    if not 200 <= message.status < 300:
        return row.settle(DROPPED, "read", "http_status", str(message.status))
    return _page(row, message.body, message.headers.get("content-type", ""), options)


def _page(row: Row, body: bytes, content_type: str, options: ReadOptions) -> Row:
    mime = content_type.partition(";")[0].strip().lower()
    row.columns["mime"] = mime or None
    if not body.strip():
        return row.settle(DROPPED, "read", "empty_body", None)
    if mime not in _HTML_TYPES and not (mime in _VAGUE_TYPES and _HTML_START.match(body[:4096])):
        return row.settle(DROPPED, "read", "mime", mime or "not stated")
    if len(body) > options.max_page_mb * _MIB:
        return row.settle(
            FAILED, "read", "too_large", str(len(body)), f"read.max_page_mb={options.max_page_mb}"
        )
    digest = "sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    row.columns.update(payload_digest=digest)
    row.columns["id"] = document_id(row.columns["warc_file"], row.columns["warc_offset"], digest)
    row.html, row.content_type = body, content_type
    return row


def document_id(warc_file: str, warc_offset: int, payload_digest: str) -> str:
    """The first 128 bits of SHA-256 over (input name, offset, payload digest), as hex.

    >>> document_id("a.warc.gz", 0, "sha1:X")
    '7a270aa11c2c2306718a133c9ae6af64'
    """
    key = f"{warc_file}\0{warc_offset}\0{payload_digest}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(key).hexdigest()[:32]


_CRAWL_FIELD = re.compile(rb"^isPartOf\s*:\s*([\w.+-]+)\s*$", re.I | re.M)
_CRAWL_NAME = re.compile(r"CC-MAIN-\d{4}-\d{2}")


def crawl_of_name(warc_file: str) -> str | None:
    """The crawl that a Common Crawl path names, e.g. `CC-MAIN-2026-05`."""
    match = _CRAWL_NAME.search(warc_file)
    return match.group() if match else None


def crawl_of_warcinfo(record: Record) -> str | None:
    """The crawl that a warcinfo record says it is part of (`isPartOf`)."""
    match = _CRAWL_FIELD.search((record.block or b"")[:65536])
    return match.group(1).decode("ascii", "replace") if match else None
