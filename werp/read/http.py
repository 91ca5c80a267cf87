"""HTTP messages as archives hold them: status, headers, body decoded within a cap."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import brotli
import zstandard

_ZSTD_WINDOW = 8 << 20  # the most that RFC 8878 lets a content encoding ask for
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class HttpError(Exception):
    """A message that can't be decoded: `rule` as the ledger names it, and the cause."""

    def __init__(self, rule: str, cause: str) -> None:
        super().__init__(cause)
        self.rule, self.cause = rule, cause


@dataclass(frozen=True)
class HttpMessage:
    """Status, headers (lower-case names) and the decoded body."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_http(block: bytes, *, max_body_bytes: int) -> HttpMessage:
    """Parse a response. Raises `HttpError`: `http_malformed`, `content_encoding` or `too_large`."""
    end, gap = min(
        ((at, len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := block.find(mark)) >= 0),
        default=(len(block), 0),
    )
    lines = block[:end].decode("latin-1").splitlines()
    words = lines[0].split() if lines else []
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1][:3].isdigit():
        raise HttpError("http_malformed", f"no status line: {lines[0][:80] if lines else ''!r}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
    }
    body = block[end + gap :]
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _unchunk(body)
    for encoding in reversed(headers.get("content-encoding", "").lower().replace(" ", "").split(",")):
        body = _decode(body, encoding, max_body_bytes)
    if len(body) > max_body_bytes:
        raise HttpError("too_large", str(len(body)))
    return HttpMessage(int(words[1][:3]), headers, body)


def _unchunk(body: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    while (end := body.find(b"\n", at)) >= 0:
        digits = body[at:end].split(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(digits):  # archives often keep the header and join the chunks
            return body if not pieces else b"".join(pieces)
        size = int(digits, 16)
        if size == 0:
            break
        pieces.append(body[end + 1 : end + 1 + size])
        at = end + 1 + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1
    return b"".join(pieces)


def _decode(body: bytes, encoding: str, cap: int) -> bytes:
    """At most `cap` decoded bytes; of a body that is cut short, what there is."""
    if encoding in ("", "identity") or not body:
        return body
    try:
        if encoding in ("gzip", "x-gzip", "deflate"):
            raw = encoding == "deflate" and body[0] & 0x0F != 8
            out = zlib.decompressobj(-15 if raw else 47).decompress(body, cap + 1)
        elif encoding == "br":
            out = brotli.Decompressor().process(body, output_buffer_limit=cap + 1)
        elif encoding == "zstd":
            out = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(body).read(cap + 1)
        else:
            raise HttpError("content_encoding", f"unknown encoding {encoding[:40]!r}")
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        if body.lstrip()[:1] == b"<":  # archives often keep the header and decode the body
            return body
        raise HttpError("content_encoding", f"{encoding}: {error}") from error
    if len(out) > cap:
        raise HttpError("too_large", f"more than {cap} bytes once decoded")
    return out
