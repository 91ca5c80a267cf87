"""The packed units of an archive file: gzip members, zstd frames, or bytes that are not packed.

Packing is judged by the bytes, never by the name. A unit is read forward in pieces of at most
PIECE bytes (zstd: see ZstdUnit), so a bomb costs a piece, not its expansion.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, BinaryIO

import zstandard
from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor, IsalError

PIECE = 1 << 18
#: Bytes read at once. After each member the decompressor copies what it did not use of the window:
#: on Common Crawl's 30 KB members 64 KiB was fastest of 32 KiB to 1 MiB.
WINDOW = 1 << 16
RAW_PIECE = 1 << 18

GZIP = b"\x1f\x8b\x08"
ZSTD = b"\x28\xb5\x2f\xfd"
_MAX_DICTIONARY = 16 << 20
#: A zstd block of 4 bytes can expand to 128 KiB: frames that do not state a small size are fed so
#: many bytes at a time that no step gives more than 8 MiB.
_ZSTD_STEP = 256
_ZSTD_PLAIN_SIZE = 8 << 20
_ZSTD_DICTIONARY = b"\x37\xa4\x30\xec"
#: The extractor must hold the window that a frame asks for: 128 MiB is zstd's own limit.
_ZSTD_WINDOW = 1 << 27
#: isal's stubs declare its error class as an instance.
_DECODE_ERRORS: Any = (IsalError, zstandard.ZstdError, EOFError)


class UnitError(Exception):
    """A unit that cannot be decompressed further; the message says why."""


class Source:
    """A file read through one window; positions are absolute, so members can be retried anywhere."""

    def __init__(self, file: BinaryIO) -> None:
        self._fd = file.fileno()
        self.size = os.fstat(self._fd).st_size
        self._window = memoryview(b"")
        self._start = 0

    def feed(self, offset: int, most: int = WINDOW) -> memoryview:
        """Some bytes from `offset` on, at most `most`; empty only at the end of the file."""
        at = offset - self._start
        if not 0 <= at < len(self._window):
            self._window = memoryview(os.pread(self._fd, WINDOW, offset))
            self._start, at = offset, 0
        return self._window[at : at + most]

    def read(self, offset: int, most: int) -> bytes:
        """Bytes from `offset` on, past the window."""
        return os.pread(self._fd, most, offset)

    def peek(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`, without moving the window."""
        at = offset - self._start
        if 0 <= at <= len(self._window) - length:
            return bytes(self._window[at : at + length])
        return os.pread(self._fd, length, offset)


class Unit(ABC):
    """One packed unit of a file.

    offset: where it begins in the file.
    end: the offset behind it, once `more` has given b"".
    cut: the file ended inside it.
    """

    packing = ""

    def __init__(self, source: Source, offset: int) -> None:
        self.source, self.offset, self.end = source, offset, offset
        self.cut = False

    @abstractmethod
    def more(self) -> bytes:
        """The next piece, b"" at the end; raises UnitError (again and again) on damaged data."""


class RawUnit(Unit):
    """Everything from an offset to the end of the file, not packed."""

    packing = "raw"

    def more(self) -> bytes:
        """The next bytes of the file."""
        piece = self.source.read(self.end, RAW_PIECE)
        self.end += len(piece)
        return piece


class _PackedUnit(Unit):
    """A unit with a decompressor.

    A decompressor that meets damage keeps back what the same call had already made of the bytes
    before it. So the unit is then read once more, byte by byte near the damage: nothing that can be
    had is lost.
    """

    def __init__(self, source: Source, offset: int) -> None:
        super().__init__(source, offset)
        self._given = 0
        self._careful_from: int | None = None
        self._error: UnitError | None = None
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Set a new decompressor."""

    @abstractmethod
    def _decompress(self) -> bytes:
        """The next piece; b"" at the end."""

    def more(self) -> bytes:
        """The next piece of what is packed."""
        if self._error is not None:
            raise self._error
        try:
            piece = self._decompress()
        except _DECODE_ERRORS as error:
            if self._careful_from is None and self._given + self.end - self.offset > 0:
                self._careful_from = max(self.offset, self.end - 2 * WINDOW)
                return self._again()
            self._error = UnitError(f"{self.packing} data cannot be decompressed: {error}")
            raise self._error from error
        self._given += len(piece)
        return piece

    def _again(self) -> bytes:
        """Read from the unit's beginning; what comes after the bytes that were given before."""
        skip, self._given, self.end = self._given, 0, self.offset
        self._begin()
        while self._given <= skip:
            piece = self.more()
            if not piece:
                return b""
        return piece[len(piece) - (self._given - skip) :]

    def _feed(self, most: int) -> memoryview:
        if self._careful_from is not None and self.end >= self._careful_from:
            most = 1
        feed = self.source.feed(self.end, most)
        self.cut = not feed
        self.end += len(feed)
        return feed


class GzipUnit(_PackedUnit):
    """One gzip member; its checksum and length are verified before the end is reported."""

    packing = "gzip"

    def _begin(self) -> None:
        self._decompressor = IgzipDecompressor(flag=DECOMP_GZIP)

    def _decompress(self) -> bytes:
        decompressor = self._decompressor
        while not decompressor.eof:
            feed: memoryview | bytes = b""
            if decompressor.needs_input and not (feed := self._feed(WINDOW)):
                return b""
            piece: bytes = decompressor.decompress(feed, PIECE)
            if decompressor.eof:
                self.end -= len(decompressor.unused_data)
            if piece:
                return piece
        return b""


class ZstdUnit(_PackedUnit):
    """One zstd frame; a piece is at most 8 MiB."""

    packing = "zstd"

    def __init__(self, source: Source, offset: int, dictionary: bytes | None) -> None:
        self._dictionary = dictionary
        super().__init__(source, offset)

    def _begin(self) -> None:
        self._decompressor: Any = None
        self._step = _ZSTD_STEP

    def _open(self) -> None:
        data = zstandard.ZstdCompressionDict(self._dictionary) if self._dictionary else None
        stated = zstandard.get_frame_parameters(self.source.peek(self.offset, 18)).content_size
        if stated <= _ZSTD_PLAIN_SIZE:
            self._step = WINDOW
        context = zstandard.ZstdDecompressor(dict_data=data, max_window_size=_ZSTD_WINDOW)
        self._decompressor = context.decompressobj()

    def _decompress(self) -> bytes:
        if self._decompressor is None:
            self._open()
        decompressor = self._decompressor
        while not decompressor.eof:
            feed = self._feed(self._step)
            if not feed:
                return b""
            piece: bytes = decompressor.decompress(feed)
            if decompressor.eof:
                self.end -= len(decompressor.unused_data)
            if piece:
                return piece
        return b""


def is_skippable(head: bytes) -> bool:
    """Whether a zstd skippable frame begins so."""
    return len(head) >= 8 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"


def skippable_end(head: bytes, offset: int) -> int:
    """The offset behind the skippable frame that begins so at `offset`."""
    return offset + 8 + int.from_bytes(head[4:8], "little")


def leading_dictionary(source: Source) -> bytes | None:
    """The dictionary of a .warc.zst file: a first skippable frame, itself zstd or plain.

    Source: IIPC, "Zstandard compression of WARC files", draft 1.0. Raises UnitError when the frame says
    it is one and cannot be read.
    """
    head = source.peek(0, 8)
    if head[:4] != b"\x5d\x2a\x4d\x18" or len(head) < 8:
        return None
    length = skippable_end(head, 0) - 8
    if length > _MAX_DICTIONARY:
        raise UnitError(f"zstd dictionary of {length} bytes; at most {_MAX_DICTIONARY} are read")
    data = source.peek(8, length)
    if not data.startswith(ZSTD):
        return data if data.startswith(_ZSTD_DICTIONARY) else None
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(data)
        plain: bytes = reader.read(_MAX_DICTIONARY + 1)
    except zstandard.ZstdError as error:
        raise UnitError(f"zstd dictionary cannot be decompressed: {error}") from error
    if len(plain) > _MAX_DICTIONARY:
        raise UnitError(f"zstd dictionary larger than {_MAX_DICTIONARY} bytes")
    return plain


def open_unit(source: Source, offset: int, dictionary: bytes | None) -> Unit:
    """The unit that begins at `offset`, whatever its packing."""
    head = source.peek(offset, 4)
    if head.startswith(GZIP):
        return GzipUnit(source, offset)
    if head == ZSTD:
        return ZstdUnit(source, offset, dictionary)
    return RawUnit(source, offset)


_FOREIGN = (
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d FILE"),
    (b"\x02\x21\x4c\x18", "lz4", "lz4 -d FILE"),
    (b"BZh", "bzip2", "bunzip2 FILE"),
    (b"\xfd7zXZ\x00", "xz", "unxz FILE"),
    (b"PK\x03\x04", "zip (a WACZ?)", "unzip FILE, then read its archive/*.warc.gz"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x FILE"),
)


def foreign_packing(head: bytes) -> str | None:
    """What a packing that is not read is called, with the remedy; None for any other beginning."""
    for magic, name, remedy in _FOREIGN:
        if head.startswith(magic):
            return f"packed as {name}, which is not read: unpack it ({remedy}) or repack it with gzip"
    return None
