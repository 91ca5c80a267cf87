"""Reading forward through a packed unit: lines, blocks, and the search for the next record."""

from __future__ import annotations

import re

from werp.read.packing import Unit

#: The longest line that is looked at as a line; what is longer is skipped as it streams by.
MAX_LINE = 1 << 20
_KEEP = 1 << 14


class Cursor:
    """A place in the decompressed bytes of one unit; holds one piece and what was not read of the last."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._buffer = b""
        self._at = 0
        self._before = 0

    def tell(self) -> int:
        """Bytes of the unit read so far (decompressed)."""
        return self._before + self._at

    def _fill(self) -> bool:
        piece = self.unit.more()
        if not piece:
            return False
        self._before += self._at
        self._buffer = self._buffer[self._at :] + piece if self._at < len(self._buffer) else piece
        self._at = 0
        return True

    def peek_line(self) -> bytes:
        """The next line with its newline, cut at MAX_LINE; b"" at the unit's end."""
        while True:
            end = self._buffer.find(b"\n", self._at, self._at + MAX_LINE)
            if end >= 0:
                return self._buffer[self._at : end + 1]
            if len(self._buffer) - self._at >= MAX_LINE or not self._fill():
                return self._buffer[self._at : self._at + MAX_LINE]

    def line(self) -> bytes:
        """Read what `peek_line` shows."""
        line = self.peek_line()
        self._at += len(line)
        return line

    def skip_line(self) -> int:
        """Read to the end of the line, however long; its length."""
        length = 0
        while line := self.line():
            length += len(line)
            if line.endswith(b"\n"):
                break
        return length

    def take(self, most: int) -> bytes:
        """Up to `most` bytes, as many as lie ready; b"" at the unit's end."""
        if self._at >= len(self._buffer) and not self._fill():
            return b""
        piece = self._buffer[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def peek_header(self, most: int) -> bytes | None:
        """The bytes before the next CRLF CRLF where that lies ready; else None."""
        end = self._buffer.find(b"\r\n\r\n", self._at, self._at + most)
        return self._buffer[self._at : end] if end >= 0 else None

    def skip(self, ready: int) -> None:
        """Go over bytes that a peek has shown."""
        self._at += ready

    def skip_blank(self) -> bool:
        """Go over the CRLF CRLF that ends a record, where it lies ready; whether it did."""
        found = self._buffer.startswith(b"\r\n\r\n", self._at)
        self._at += 4 * found
        return found

    def seek_pattern(self, pattern: re.Pattern[bytes], magic: bytes | None = None) -> bytes:
        """Read on to the next match of `pattern` or `magic`; what matched, or b"" at the unit's end.

        The cursor must stand at the beginning of a line; matches longer than 16 KiB can be missed.
        """
        while True:
            match = pattern.search(self._buffer, self._at)
            found = match.start() if match else -1
            other = self._buffer.find(magic, self._at) if magic else -1
            if other >= 0 and (found < 0 or other < found):
                self._at = other
                return magic or b""
            if match:
                self._at = found
                return match.group()
            # One byte more than is searched is kept, so that `^` never matches where a line was cut.
            self._at = max(self._at, len(self._buffer) - _KEEP)
            before = max(self._at - 1, 0)
            kept = self._at - before
            self._at = before
            if not self._fill():
                self._at = len(self._buffer)
                return b""
            self._at = kept
