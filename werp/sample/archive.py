"""WARC 1.1 and ARC 1 records as plain bytes.

Written by hand rather than through a library's writer: a writer draws record ids and dates,
and mends the very faults the sample needs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from collections.abc import Sequence

Headers = Sequence[tuple[str, str]]

_CONTENT_TYPES = {
    "warcinfo": "application/warc-fields",
    "metadata": "application/warc-fields",
    "request": "application/http; msgtype=request",
    "response": "application/http; msgtype=response",
    "revisit": "application/http; msgtype=response",
    "conversion": "text/plain",
}


def http_response(
    body: bytes, content_type: str = "text/html; charset=utf-8", status: str = "200 OK", headers: Headers = ()
) -> bytes:
    """An HTTP/1.1 message; no Content-Type line where `content_type` is empty."""
    lines = [f"HTTP/1.1 {status}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    if not any(name == "Transfer-Encoding" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body: bytes, size: int = 700) -> bytes:
    """A body in HTTP's chunked transfer coding."""
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def warc_record(record_type: str, url: str | None, date: str, block: bytes, headers: Headers = ()) -> bytes:
    """A WARC 1.1 record; its id is drawn from type, address, date and block."""
    digest = hashlib.sha1(block, usedforsecurity=False).digest()
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{record_type} {url} {date} {digest.hex()}")
    fields = {
        "WARC-Type": record_type,
        "WARC-Record-ID": f"<urn:uuid:{identity}>",
        "WARC-Date": date,
        "WARC-Block-Digest": f"sha1:{base64.b32encode(digest).decode()}",
        "Content-Type": _CONTENT_TYPES.get(record_type, "application/octet-stream"),
        "Content-Length": str(len(block)),
    }
    if url:
        fields["WARC-Target-URI"] = url
    fields.update(headers)
    lines = ["WARC/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + block + b"\r\n\r\n"


def arc_record(url: str, date: str, content_type: str, block: bytes) -> bytes:
    """An ARC 1 record; `date` as fourteen digits."""
    return f"{url} 192.0.2.7 {date} {content_type} {len(block)}\n".encode() + block + b"\n"


def arc_header(name: str, date: str) -> bytes:
    """The record that opens an ARC file."""
    block = b"1 0 Blu-WERP sample\nURL IP-address Archive-date Content-type Archive-length\n"
    return f"filedesc://{name} 0.0.0.0 {date} text/plain {len(block)}\n".encode() + block + b"\n"


def gzip_member(data: bytes) -> bytes:
    """One gzip member with no time in its header, so that the same data give the same bytes."""
    return gzip.compress(data, 9, mtime=0)


def ruined_member(member: bytes) -> bytes:
    """A gzip member whose deflate stream can't be decoded from its first byte on.

    Block type 3, which 0xff announces, does not exist; the member's length stays as it was.
    """
    return member[:10] + b"\xff" * (len(member) - 10)
