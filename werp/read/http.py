"""HTTP messages as archives hold them: status, headers, body decoded within a cap.

A head is read as browsers, curl and warcio read it. Sources: RFC 9112 (lines, folding, chunks), RFC 9110
section 5.3 (repeated headers); where servers break them, what Chrome's parser does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from werp.read.coding import HttpError, undo
from werp.read.mime import begins_as_html

__all__ = ["HttpError", "HttpMessage", "parse_http"]

#: A head ends with a blank line, or where a line begins with "<", which no header's name can (the rest of a
#: broken `Link` may).
_HEAD_END = re.compile(rb"\n(?:\r*\n|(?=<(?!https?:)))")
_CR_HEAD_END = re.compile(rb"\r\r\n?|\n\r*\n|[\r\n](?=<(?!https?:))")
_LINE_END = re.compile(rb"\r*(?:\n|\Z)")
#: As Chrome does: line ends before it are skipped, and up to four other bytes.
_STATUS_LINE = re.compile(
    rb"[\r\n\t ]*[^\r\n<]{0,4}?"
    rb"((?:HTTP/[0-9]+(?:\.[0-9]+)?(?=[\t\r\n ]|\Z)|(?:HTTP|ICY)(?=[\t ]+[0-9]))[^\r\n]*)",
    re.I,
)
_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
_STATUS = re.compile(r"\S+[ \t]+([0-9]{1,3})")
_STATED = re.compile("[1-9][0-9]{2}(?![0-9])")  # in CGI's `Status`, RFC 3875 section 6.3.3
_OWS = " \t\r"
_MOST_CODINGS = 5  # as curl has it
_CHUNK_SIZE = re.compile(rb"[ \t\r\n]*([0-9A-Fa-f]+)[ \t]*(?:;[^\n]*+|\r*+)\n")
_LAST_CHUNK = re.compile(rb"[ \t\r\n]*0+[ \t]*(?:;[^\n]*+|\r*+)$")


@dataclass(frozen=True)
class HttpMessage:
    """Status, headers (lower-case names; a repeated one is a list) and the decoded body.

    notes: what was wrong with it though it could be read, each `rule: cause`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    notes: tuple[str, ...] = ()


def parse_http(block: bytes, *, max_body_bytes: int) -> HttpMessage:
    """Parse a response. Raises `HttpError`: `http_malformed`, `content_encoding` or `too_large`."""
    notes: list[str] = []
    status, headers, body = _head(block, notes)
    while 100 <= status < 200 and status != 101 and _STATUS_LINE.match(body):  # only announced the response
        status, headers, body = _head(body, notes)
    codings = [*_tokens(headers.get("content-encoding", "")), *_tokens(headers.get("transfer-encoding", ""))]
    if len(codings) > _MOST_CODINGS:
        raise HttpError("content_encoding", f"{len(codings)} codings, at most {_MOST_CODINGS} are undone")
    for coding in reversed(codings):
        body = _unchunk(body, notes) if coding == "chunked" else undo(body, coding, max_body_bytes, notes)
    if len(body) > max_body_bytes:
        raise HttpError("too_large", str(len(body)))
    return HttpMessage(status, headers, body, tuple(notes))


def _head(block: bytes, notes: list[str]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and what follows them."""
    first = _STATUS_LINE.match(block)
    if first is None:
        if begins_as_html(block):  # HTTP/0.9, or a crawler that kept no head
            notes.append("head: none: taken for a page from its first byte on")
            return 200, {}, block
        if _HEADER_LINE.match(block) and (end := _HEAD_END.search(block)):
            headers = _headers(block[: end.start()].decode("latin-1").split("\n"))
            if "content-type" in headers:
                stated = _STATED.match(headers.get("status", ""))
                notes.append(f"head: no status line: taken for {stated[0] if stated else 200}")
                return int(stated[0]) if stated else 200, headers, block[end.end() :]
        shown = block[:80].decode("latin-1").partition("\n")[0]
        raise HttpError("http_malformed", f"no status line: {shown.rstrip()!r}")
    bare_cr = _LINE_END.match(block, first.end()) is None
    end = (_CR_HEAD_END if bare_cr else _HEAD_END).search(block, first.start(1))
    if end is None or len(end.group()) == 1:
        notes.append("head: no blank line ends it")
    head = block[first.start(1) : end.start() if end else len(block)].decode("latin-1")
    lines = (head.replace("\r\n", "\n").replace("\r", "\n") if bare_cr else head).split("\n")
    number = _STATUS.match(lines[0])
    if number is None:
        notes.append(f"head: no status in {lines[0][:40].rstrip()!r}: taken for 200")
    return int(number[1]) if number else 200, _headers(lines[1:]), block[end.end() :] if end else b""


def _headers(lines: list[str]) -> dict[str, str]:
    """Headers by name; a line that begins with a blank continues the one before."""
    found: dict[str, list[list[str]]] = {}
    last: list[str] = []  # the parts of the header that a folded line continues
    for line in lines:
        if line[:1] in (" ", "\t"):
            last.append(line.strip(_OWS))
            continue
        key, colon, value = line.partition(":")
        last = [value.strip(_OWS)]
        if colon and (name := key.strip(_OWS).lower()):
            found.setdefault(name, []).append(last)
    return {name: ", ".join(" ".join(parts) for parts in values) for name, values in found.items()}


def _tokens(value: str) -> list[str]:
    """The codings of a list, in lower case, without parameters and quotes."""
    return [token.partition(";")[0].strip("\"' \t\r").lower() for token in value.split(",")] if value else []


def _unchunk(body: bytes, notes: list[str]) -> bytes:
    """A body without its chunks' frames; from where there are none it is taken as it is, as warcio does."""
    pieces: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        length = int(size[1], 16)
        at = size.end() + length
        if length == 0:
            _end_of_chunks(body, at, notes)
            return b"".join(pieces)
        pieces.append(body[size.end() : at])
        if at > len(body):
            notes.append(f"chunked: cut short: {len(pieces[-1])} bytes of a chunk of {length}")
            return b"".join(pieces)
    rest = body[at:]
    if not pieces:
        notes.append("chunked: stated, not so coded: taken as it is")
        return body
    if _LAST_CHUNK.match(rest):
        return b"".join(pieces)
    if not rest.strip():
        notes.append("chunked: no last chunk")
        return b"".join(pieces)
    notes.append(
        f"chunked: no size of a chunk at byte {at}: the {len(rest)} bytes from there are taken as they are"
    )
    return b"".join([*pieces, rest.removeprefix(b"\r").removeprefix(b"\n")])


def _end_of_chunks(body: bytes, at: int, notes: list[str]) -> None:
    """Note what stands behind the last chunk and its trailer."""
    while end := body.find(b"\n", at) + 1:
        line = body[at:end].strip()
        if line and b":" not in line:
            break
        at = end
        if not line:
            break
    if body[at:].strip():
        notes.append(f"chunked: {len(body) - at} bytes behind the last chunk are left out")
