"""Content codings undone as browsers undo them, and what is done where a body is not what its header says.

Sources: RFC 9110 section 8.4, RFC 1950 to 1952, 7932, 8878. Every departure is noted: the caller puts the
notes into the ledger.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import brotli
import zstandard

from werp.read.mime import is_binary
from werp.read.packing import GZIP, ZSTD, is_skippable, skippable_end

_ZSTD_WINDOW = 8 << 20  # the most that RFC 8878 lets a content encoding ask for
_ERRORS = (zlib.error, brotli.error, zstandard.ZstdError)
_KNOWN = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})
_SENT_BEFORE = re.compile(rb"(?:\xef\xbb\xbf|[\r\n\t ])++")
#: Shorter output before an error, from a coding that has no signature, is chance.
_CHANCE = 64


class HttpError(Exception):
    """A message that can't be decoded: `rule` as the ledger names it, and the cause."""

    def __init__(self, rule: str, cause: str) -> None:
        super().__init__(cause)
        self.rule, self.cause = rule, cause


class _Decoder(Protocol):
    """One member, frame or stream. piece: bytes fed at once, so that no step gives more than some MiB."""

    piece: int

    def feed(self, data: bytes) -> bytes: ...

    def spare(self) -> int | None:
        """Bytes of what was fed last that stand behind the end; None before the end."""


class _Zlib:
    piece = 1 << 14  # deflate grows at most 1,032 times

    def __init__(self, wbits: int) -> None:
        self._object = zlib.decompressobj(wbits)

    def feed(self, data: bytes) -> bytes:
        return self._object.decompress(data)

    def spare(self) -> int | None:
        return len(self._object.unused_data) if self._object.eof else None


class _Brotli:
    piece = 1 << 14

    def __init__(self, cap: int) -> None:
        self._object, self._left = brotli.Decompressor(), cap + 1

    def feed(self, data: bytes) -> bytes:
        parts = [self._object.process(data, output_buffer_limit=self._left)]
        self._left -= len(parts[0])
        while self._left > 0 and not self._object.can_accept_more_data():
            parts.append(self._object.process(b"", output_buffer_limit=self._left))
            self._left -= len(parts[-1])
        return b"".join(parts)

    def spare(self) -> int | None:
        return 0 if self._object.is_finished() else None  # bytes behind the end are an error to it


class _Zstd:
    piece = 1 << 8  # four bytes can be a block of 128 KiB

    def __init__(self) -> None:
        self._object: Any = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def feed(self, data: bytes) -> bytes:
        return bytes(self._object.decompress(data))

    def spare(self) -> int | None:
        return len(self._object.unused_data) if self._object.eof else None


def undo(body: bytes, coding: str, cap: int, notes: list[str]) -> bytes:
    """A body without one content coding, whole members and frames on end; at most `cap` bytes.

    What the bytes are decides where they have a signature. A body that is text although a coding is stated,
    or whose coding is unknown, stays as it is; of one that is cut short or damaged, what decodes stays.
    notes: gets a line for each of these. Raises `HttpError`: `too_large`, or `content_encoding` where
    nothing can be had and the bytes are no text.
    """
    if coding in ("", "identity") or not body:
        return body
    unread = f"{coding} stated, not so coded" if coding in _KNOWN else f"unknown coding {coding[:40]!r}"
    if before := _before_signature(body, coding):
        notes.append(f"content_encoding: {before} bytes before its beginning are left out")
        body = body[before:]
    why = unread
    for name, new in _candidates(body, coding, cap):
        out, problem, broken = _members(body, name, new, cap)
        if broken and (not out or (name in ("br", "raw deflate") and len(out) < _CHANCE)):
            why = f"{name}: {problem}"
            continue
        if name not in _MEANT[coding]:
            notes.append(f"content_encoding: {coding} stated, {name} found")
        if problem:
            notes.append(f"content_encoding: {name}: {problem}; {len(out)} bytes decoded")
        return out
    if is_binary(body):
        raise HttpError("content_encoding", why)
    notes.append(f"content_encoding: {unread}: taken as it is")
    return body


_MEANT = {
    "gzip": ("gzip",), "x-gzip": ("gzip",), "deflate": ("zlib", "raw deflate"), "br": ("br",),
    "zstd": ("zstd",),
}  # fmt: skip


def _candidates(body: bytes, coding: str, cap: int) -> Iterator[tuple[str, Callable[[], _Decoder]]]:
    """What a body can be: by its signature, and what was stated where that has none."""
    if coding not in _KNOWN:
        return
    if coding == "br":
        yield "br", lambda: _Brotli(cap)
    if body.startswith(GZIP[:2]):
        yield "gzip", lambda: _Zlib(31)
    elif body.startswith(ZSTD) or is_skippable(body[:8]):
        yield "zstd", _Zstd
    elif len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0:
        yield "zlib", lambda: _Zlib(15)
    if coding == "deflate":
        yield "raw deflate", lambda: _Zlib(-15)


def _before_signature(body: bytes, coding: str) -> int:
    """The bytes that a script sent before its server packed what followed: a byte order mark, line ends."""
    before = _SENT_BEFORE.match(body) if coding in _KNOWN else None
    return before.end() if before and body.startswith((GZIP, ZSTD), before.end()) else 0


def _members(body: bytes, name: str, new: Callable[[], _Decoder], cap: int) -> tuple[bytes, str | None, bool]:
    """All members of a body: the bytes, what is wrong with it, whether that is more than a missing end."""
    parts: list[bytes] = []
    size = at = 0
    while at < len(body):
        if name == "zstd" and is_skippable(body[at : at + 8]):
            at = skippable_end(body[at : at + 8], at)
            continue
        if at and not (name in ("gzip", "zstd") and body.startswith((GZIP[:2], ZSTD), at)):
            padding = not body[at:].strip(b"\0\r\n\t ")
            return b"".join(parts), None if padding else f"{len(body) - at} bytes behind its end", False
        member = _member(body, at, new, cap - size)
        parts.append(member.out)
        size += len(member.out)
        if member.problem is not None:
            return b"".join(parts), member.problem, member.broken
        at = member.end
    return b"".join(parts), None, False


class _Member(NamedTuple):
    out: bytes
    end: int
    problem: str | None = None
    broken: bool = False


def _member(body: bytes, start: int, new: Callable[[], _Decoder], left: int) -> _Member:
    """One member, fed in pieces; at most `left` bytes may come of it."""
    decoder, at, size = new(), start, 0
    parts: list[bytes] = []
    while at < len(body):
        try:
            part = decoder.feed(body[at : at + decoder.piece])
        except _ERRORS as error:
            part, at, ended = _by_bytes(new, body, start, at)
            out = b"".join([*parts, part])
            return (
                _Member(out, at) if ended else _Member(out, at, f"{error} at byte {at} of {len(body)}", True)
            )
        parts.append(part)
        size += len(part)
        if size > left:
            raise HttpError("too_large", "more than read.max_page_mb once decoded")
        at = min(at + decoder.piece, len(body))
        if (spare := decoder.spare()) is not None:
            return _Member(b"".join(parts), at - spare)
    return _Member(b"".join(parts), at, f"cut short after {len(body)} bytes")


def _by_bytes(new: Callable[[], _Decoder], body: bytes, start: int, bad: int) -> tuple[bytes, int, bool]:
    """The member at `start` read again, byte by byte from `bad` on: a decoder that raises keeps back output.

    What it gives from `bad` on, the place behind its end or of the damage, and whether it ended well.
    """
    decoder = new()
    for at in range(start, bad, decoder.piece):
        decoder.feed(body[at : at + decoder.piece])
    parts: list[bytes] = []
    for at in range(bad, min(bad + decoder.piece, len(body))):
        try:
            parts.append(decoder.feed(body[at : at + 1]))
        except _ERRORS:
            return b"".join(parts), at, False
        if decoder.spare() is not None:
            return b"".join(parts), at + 1, True
    return b"".join(parts), min(bad + decoder.piece, len(body)), False
