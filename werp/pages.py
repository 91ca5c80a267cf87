"""From an archive record to an HTML page, or to the reason why it is none."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from werp.read import Damage, Given, HttpError, Record, parse_http
from werp.read.mime import begins_as_html, content_type
from werp.tables import DROPPED, FAILED

_MIB = 1 << 20
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
#: Types that state none: the first bytes of such a body are looked at. The first three are MIME Sniffing's.
_VAGUE_TYPES = frozenset({"", "unknown/unknown", "application/unknown", "text/unknown"})
#: What Tika calls that it does not know.
_UNKNOWN = frozenset({"", "application/octet-stream"})
_PAGE_RECORDS = frozenset({"response", "resource"})
#: What stands for the extractor where the input holds text already.
GIVEN = "given"


class ReadOptions(BaseModel):
    """The recipe's `read` section: what one record may weigh."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_record_mb: Annotated[int, Field(ge=1, le=1024)] = Field(
        64, description="a larger record fails as too_large; never held in memory"
    )
    max_page_mb: Annotated[int, Field(ge=1, le=1024)] = Field(
        16, description="a page larger than this once decoded fails as too_large"
    )
    text_fields: tuple[str, ...] = Field(
        ("text",), min_length=1, description="of JSONL, Parquet and Arrow: the first of these is the text"
    )
    url_fields: tuple[str, ...] = Field(("url", "metadata.url"), description="likewise, the address")
    date_fields: tuple[str, ...] = Field(("date", "timestamp", "created"), description="likewise, the date")
    crawl_fields: tuple[str, ...] = Field(("crawl", "dump"), description="likewise, the crawl")

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """The names of the fields of a row, by what they hold."""
        return {
            "text": self.text_fields, "url": self.url_fields,
            "date": self.date_fields, "crawl": self.crawl_fields,
        }  # fmt: skip


@dataclass
class Row:
    """One row of the records table on its way; `html` is set while extraction is due, `text` once had.

    is_page: an HTML page, whether or not a prefilter skips it, or a text that was given.
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
    `truncated`, `http_malformed`, `content_encoding`, `too_large`. The plain text of a `conversion`
    record (WET) is a document as it is.
    """
    row = Row({"warc_file": warc_file, "warc_offset": item.offset, "crawl": crawl})
    if isinstance(item, Damage):
        return row.settle(FAILED, "read", item.rule, item.cause)
    truncated = item.headers.get("warc-truncated", "").strip().lower() or None
    row.columns.update(url=item.url, record_type=item.record_type, date=item.date, truncated=truncated)
    if item.damage is not None and item.damage.rule == "truncated":
        return row.settle(FAILED, "read", "truncated", item.damage.cause)
    if item.damage is not None:
        row.casualties.append(f"read: {item.damage.rule}: {item.damage.cause}")
    wet = item.record_type == "conversion" and _stated(item)[0] == "text/plain"
    if item.record_type not in _PAGE_RECORDS and not wet:
        return row.settle(DROPPED, "read", "record_type", item.record_type)
    if item.block is None:
        cap = f"read.max_record_mb={options.max_record_mb}"
        return row.settle(FAILED, "read", "too_large", str(item.block_length), cap)
    return _content(row, item, item.block, options)


def _content(row: Row, item: Record, block: bytes, options: ReadOptions) -> Row:
    if item.record_type == "conversion":
        return _wet_text(row, block, options)
    if item.record_type == "response" and not _is_plain(item):
        return _http_page(row, item, block, options)
    return _page(row, item, block, item.headers.get("content-type", ""), options)


def _stated(item: Record) -> tuple[str, str | None]:
    return content_type(item.headers.get("content-type"))


def row_of_given(item: Given | Damage, name: str, crawl: str | None, options: ReadOptions) -> Row:
    """What becomes of a row of JSONL, Parquet or Arrow: a document, or a settled outcome.

    Rules of stage `read`: dropped `empty_body`; failed as `werp.read.rows.read_rows` says.
    """
    row = Row({"warc_file": name, "warc_offset": item.offset, "crawl": crawl, "record_type": "row"})
    if isinstance(item, Damage):
        return row.settle(FAILED, "read", item.rule, item.cause)
    row.columns.update(url=item.url, date=item.date, crawl=item.crawl or crawl)
    return _text(row, item.text, options)


def _wet_text(row: Row, block: bytes, options: ReadOptions) -> Row:
    row.columns["mime"] = "text/plain"
    # WET is UTF-8 by definition; what is not becomes replacement characters, as in the archive itself.
    return _text(row, block.decode("utf-8", "replace"), options)


def _text(row: Row, text: str, options: ReadOptions) -> Row:
    """A text that needs no extraction; its id comes from its bytes as a page's does."""
    if not text.strip():
        return row.settle(DROPPED, "read", "empty_body", None)
    data = text.encode("utf-8", "replace")  # JSON can hold lone surrogates
    if len(data) > options.max_page_mb * _MIB:
        return row.settle(
            FAILED, "read", "too_large", str(len(data)), f"read.max_page_mb={options.max_page_mb}"
        )
    _identify(row, data)
    row.text, row.extractor, row.charset = data.decode("utf-8"), GIVEN, "utf-8"
    row.is_page = True
    return row


def _identify(row: Row, body: bytes) -> None:
    digest = "sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    row.columns.update(payload_digest=digest)
    row.columns["id"] = document_id(row.columns["warc_file"], row.columns["warc_offset"], digest)


def _is_plain(item: Record) -> bool:
    """A response that carries no HTTP message (dns:, ftp: and the like)."""
    scheme = (item.url or "").partition(":")[0].lower()
    return scheme in {"dns", "ftp", "whois", "file", "filedesc", "gopher"}


def _http_page(row: Row, item: Record, block: bytes, options: ReadOptions) -> Row:
    try:
        message = parse_http(block, max_body_bytes=options.max_page_mb * _MIB)
    except HttpError as error:
        threshold = f"read.max_page_mb={options.max_page_mb}" if error.rule == "too_large" else None
        return row.settle(FAILED, "read", error.rule, error.cause, threshold)
    row.casualties += [f"read: {note}" for note in message.notes]
    row.columns["http_status"] = message.status
    if not 200 <= message.status < 300:
        return row.settle(DROPPED, "read", "http_status", str(message.status))
    return _page(row, item, message.body, message.headers.get("content-type", ""), options)


def _page(row: Row, item: Record, body: bytes, stated: str, options: ReadOptions) -> Row:
    mime = content_type(stated)[0]
    row.columns["mime"] = mime or None
    if not body.strip():
        return row.settle(DROPPED, "read", "empty_body", None)
    identified = content_type(item.headers.get("warc-identified-payload-type"))[0]
    if not _is_html(body, mime, identified):
        kind = mime if identified in _UNKNOWN else identified
        return row.settle(DROPPED, "read", "mime", kind or "not stated")
    if len(body) > options.max_page_mb * _MIB:
        return row.settle(
            FAILED, "read", "too_large", str(len(body)), f"read.max_page_mb={options.max_page_mb}"
        )
    _identify(row, body)
    row.html, row.content_type = body, stated
    row.is_page = True
    return row


def _is_html(body: bytes, mime: str, identified: str) -> bool:
    """Whether a body is HTML: by what its crawler found it to be, else by its server, else by its bytes.

    The crawler's word (`WARC-Identified-Payload-Type`) comes first, as it does where FineWeb chose its pages.
    """
    if identified not in _UNKNOWN:
        return identified in _HTML_TYPES
    return mime in _HTML_TYPES or (mime in _VAGUE_TYPES and begins_as_html(body))


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
