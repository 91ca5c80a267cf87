"""The reader: every record of a WARC or ARC file, and every place that has none.

One pass over the packed units of the file. A record is read as warcio reads it; where warcio would
raise, or stop without a word, the damage is noted once and reading goes on at the next record.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from werp.read.cursor import MAX_LINE, Cursor
from werp.read.grammar import (
    BOUNDARY,
    Head,
    arc_fields,
    arc_head,
    decode,
    irregular_head,
    is_warc,
    regular_head,
    starts_record,
)
from werp.read.packing import (
    GZIP,
    ZSTD,
    RawUnit,
    Source,
    Unit,
    UnitError,
    foreign_packing,
    is_skippable,
    leading_dictionary,
    open_unit,
    skippable_end,
)
from werp.read.records import Damage, Record

_MAX_HEADER = 4 * MAX_LINE
#: Response and request records whose block is missing altogether are no records to warcio.
_HTTP_RECORDS = frozenset({"response", "request"})


def read_records(path: str | Path, *, max_block_bytes: int = 256 << 20) -> Iterator[Record | Damage]:
    """Read every record of a WARC or ARC file in order, with one Damage for each damaged region.

    Packing (gzip by record or whole, zstd, none) is judged by the bytes. At most one block of
    `max_block_bytes` and a few MiB are held; a larger record comes with `block=None`. Only opening
    the file raises (OSError). An empty file gives nothing.
    """
    with open(path, "rb", buffering=0) as file:
        yield from _Reader(Source(file), max_block_bytes).items()


class _Chain(Unit):
    """The members from an offset on, taken as one stream: records run across their borders."""

    def __init__(self, source: Source, offset: int, dictionary: bytes | None) -> None:
        super().__init__(source, offset)
        self._dictionary = dictionary
        self._unit = open_unit(source, offset, dictionary)
        self.packing = self._unit.packing

    def more(self) -> bytes:
        """The next piece, of whichever member."""
        while True:
            piece = self._unit.more()
            self.end, self.cut = self._unit.end, self._unit.cut
            if piece or self.cut or self.end >= self.source.size:
                return piece
            following = open_unit(self.source, self.end, self._dictionary)
            if isinstance(following, RawUnit):
                return b""
            self._unit = following
            self.offset = self.end


class _Reader:
    def __init__(self, source: Source, max_block: int) -> None:
        self.source, self.max_block = source, max_block
        self.dictionary: bytes | None = None
        self.cursor = Cursor(RawUnit(source, source.size))
        self.before_unit = 0  # decompressed bytes of the units before this one
        self.in_unit = 0  # records that began in this unit
        self.stream_offsets = False  # a packed unit held several records
        self.last_offset = -1
        self.in_arc = self.arc_2 = False
        self.damages: list[Damage] = []  # not yet given
        self.in_damage = False  # nothing good has been read since the last of them
        self.found = 0
        self.undecodable = False
        self.marked = False  # the last record was cut short

    # --- the walk -------------------------------------------------------------------------------

    def items(self) -> Iterator[Record | Damage]:
        if not self.source.size:
            return
        if cause := self._unreadable():
            yield Damage(0, "not_an_archive", cause)
            return
        self._open(0)
        more = True
        while more:
            try:
                more, record = self._step()
            except UnitError as error:
                record = None
                self.undecodable = True
                self._fail("damaged_record", str(error))
                self._open_raw(self.cursor.unit.offset + 1)
                self._scan()
            if record is not None:
                self.found += 1
                while self.damages and self.damages[0].offset < record.offset:
                    yield self.damages.pop(0)
                yield record
        yield from map(self._last_damage, self.damages)

    def _unreadable(self) -> str | None:
        try:
            self.dictionary = leading_dictionary(self.source)
        except UnitError as error:
            return str(error)
        return foreign_packing(self.source.peek(0, 8))

    def _last_damage(self, damage: Damage) -> Damage:
        """A file without any record was none of ours, unless it is packed and cannot be unpacked."""
        if self.found or self.undecodable or damage.rule != "damaged_record":
            return damage
        if is_warc(self.source.peek(0, 8)):
            return damage
        return Damage(damage.offset, "not_an_archive", f"neither WARC nor ARC: {damage.cause}")

    def _step(self) -> tuple[bool, Record | None]:
        """Read one record, or get over what is none; false at the end of the file."""
        line = self.cursor.peek_line()
        if not line:
            return self._advance(), None
        start = self.cursor.tell()
        if not line.endswith(b"\n") and self._continues():
            line = self.cursor.peek_line()
        record = None
        if isinstance(self.cursor.unit, RawUnit) and line.startswith((GZIP, ZSTD)):
            self._packed_in_raw(line)
        elif not decode(line).rstrip():
            record = self._blank(start)
        elif is_warc(line):
            self.cursor.line()
            record = self._warc(start)
        elif arc_fields(line) is not None and starts_record(line, in_arc=self.in_arc):
            self.cursor.line()
            record = self._arc(line, start)
        else:
            part = self.in_arc or b"WARC/".startswith(line[:5])
            cut = self.found and part and not line.endswith(b"\n")
            self._fail("truncated" if cut else "damaged_record", _not_a_record(line))
            self._scan()
        return True, record

    def _packed_in_raw(self, line: bytes) -> None:
        """A gzip member or zstd frame behind bytes that are not packed."""
        if self._is_unit(self._file_offset()):
            self._open(self._file_offset())
        else:
            self._fail("damaged_record", _not_a_record(line))
            self._scan()

    def _blank(self, start: int) -> Record | None:
        """A blank line where a record should begin."""
        self.cursor.skip_line()
        if self.found or self.damages or self.in_arc:
            return None
        # warcio: a file that begins with a blank line is one record that has no header.
        return self._record(Head("", None, None, {}, None), start, complete=True)

    # --- units ----------------------------------------------------------------------------------

    def _open(self, offset: int) -> None:
        while is_skippable(head := self.source.peek(offset, 8)):
            offset = skippable_end(head, offset)
        self._enter(open_unit(self.source, offset, self.dictionary))

    def _open_raw(self, offset: int) -> None:
        self._enter(RawUnit(self.source, offset))

    def _enter(self, unit: Unit) -> None:
        self.before_unit += self.cursor.tell()
        self.in_unit = 0
        self.marked = False
        self.cursor = Cursor(unit)

    def _advance(self) -> bool:
        """Go on to the next unit; false at the end of the file."""
        unit = self.cursor.unit
        if unit.cut and not self.marked:
            self._fail("truncated", f"the file ends inside a {unit.packing} member")
        if unit.cut or unit.end >= self.source.size:
            return False
        several = self.in_unit > 1
        self._open(unit.end)
        if several and not self._begins_record(unit.end):
            self._chain(unit.end)
        return True

    def _chain(self, offset: int) -> None:
        """Take all members from `offset` on as one stream that continues what was read."""
        self.stream_offsets = True
        self.cursor.unit = _Chain(self.source, offset, self.dictionary)

    def _continues(self) -> bool:
        """At the end of a unit, inside a record: whether the next unit continues it; if so go on there."""
        unit = self.cursor.unit
        if isinstance(unit, RawUnit) or unit.cut or unit.end >= self.source.size:
            return False
        head = self.source.peek(unit.end, 4)
        if not head.startswith((GZIP, ZSTD)) or self._begins_record(unit.end):
            return False
        self._chain(unit.end)
        return True

    def _begins_record(self, offset: int) -> bool:
        try:
            line = Cursor(open_unit(self.source, offset, self.dictionary)).peek_line()
        except UnitError:
            return True  # it is met, and reported, where it stands
        return not line or starts_record(line, in_arc=self.in_arc)

    def _is_unit(self, offset: int) -> bool:
        """Whether a packed unit that holds the beginning of a record begins at `offset`."""
        cursor = Cursor(open_unit(self.source, offset, self.dictionary))
        try:
            return starts_record(cursor.peek_line()) or bool(BOUNDARY.search(cursor.take(1 << 16)))
        except UnitError:
            return False

    def _file_offset(self) -> int:
        return self.cursor.unit.offset + self.cursor.tell()

    # --- records --------------------------------------------------------------------------------

    def _warc(self, start: int) -> Record | None:
        header = self.cursor.peek_header(_MAX_HEADER)
        head = regular_head(header) if header is not None else None
        if header is not None and head is not None:
            self.cursor.skip(len(header) + 4)
            return self._record(head, start, complete=True)
        lines: list[bytes] = []
        size = 0
        while True:
            line = self.cursor.line()
            while not line.endswith(b"\n") and len(line) < MAX_LINE and self._continues():
                line += self.cursor.line()
            if not decode(line).rstrip():
                return self._record(irregular_head(lines), start, complete=bool(line))
            lines.append(line)
            size += len(line)
            if size > _MAX_HEADER or len(line) >= MAX_LINE:
                self._fail("damaged_record", f"record header longer than {MAX_LINE} bytes", start)
                self._scan()
                return None

    def _arc(self, line: bytes, start: int) -> Record | None:
        self.in_arc = True
        version_block: list[bytes] = []
        if line.startswith(b"filedesc://"):
            version_block = [self.cursor.line(), self.cursor.line()]
            self.arc_2 = version_block[0].startswith(b"2")
        head = arc_head(line, version_block, version_2=self.arc_2)
        return self._record(head, start, complete=line.endswith(b"\n"))

    def _record(self, head: Head, start: int, *, complete: bool) -> Record | None:
        """The record whose header was just read; everything up to the next record is read with it."""
        offset = self._offset(start)
        body = self.cursor.unit, self.cursor.tell()
        try:
            block, length = self._block(head.length)
        except UnitError as error:
            self._note(Damage(offset, "damaged_record", str(error)))
            raise
        self.in_unit += 1
        http = head.record_type in _HTTP_RECORDS and (head.url or "").startswith(("http:", "https:"))
        if not length and http and head.length != 0:
            self._note(
                Damage(offset, "truncated", "the file or member ends right behind the record's header")
            )
            return None
        self.in_damage = False
        try:
            remnant = self._separators()
        except UnitError as error:
            if "checksum" in str(error) and self.in_unit == 1:
                self._note(Damage(offset, "damaged_record", str(error)))
                raise
            remnant = 0  # the block was whole; the next step meets the error again
        complete = complete and (head.length is None or length >= head.length)
        damage = None if complete else Damage(offset, "truncated", _cut(length, head.length))
        overrun = self._overrun(block, *body)
        if block is not None and overrun:
            block = _without_separator(block[:overrun])
            length = len(block)
            damage = Damage(offset, "wrong_length", "the stated length runs into the next record")
        elif remnant:
            cause = f"{remnant} bytes between the end of the block and the next record: wrong Content-Length?"
            damage = damage or Damage(offset, "wrong_length", cause)
        self.marked = damage is not None and damage.rule == "truncated"
        return Record(offset, head.record_type, head.url, head.date, head.headers, block, length, damage)

    def _block(self, stated: int | None) -> tuple[bytes | None, int]:
        """The block and its length; None for a block above the cap, which streams by."""
        left = stated if stated is not None else 1 << 62
        parts: list[bytes] = []
        length = 0
        while left:
            piece = self.cursor.take(left)
            if not piece:
                if stated is not None and self._continues():
                    continue
                break
            left -= len(piece)
            length += len(piece)
            if length <= self.max_block:
                parts.append(piece)
            else:
                parts.clear()
        return (b"".join(parts) if length <= self.max_block else None), length

    def _separators(self) -> int:
        """Read blank lines, and one line of anything else as warcio does; its length."""
        cursor = self.cursor
        remnant = 0
        first = not cursor.skip_blank()
        while line := cursor.peek_line():
            if line.rstrip():
                if not first or starts_record(line) or line.startswith((GZIP, ZSTD)):
                    break
                remnant = cursor.skip_line()
            else:
                cursor.line()
            first = False
        return remnant

    def _overrun(self, block: bytes | None, unit: Unit, start: int) -> int:
        """Go back to the record that begins inside a block, when what stands behind the block is none.

        Its place in the block; 0 where there is none, or no way back (packed units).
        """
        if block is None or not isinstance(unit, RawUnit):
            return 0
        line = self.cursor.peek_line()
        if not line or starts_record(line, in_arc=self.in_arc) or line.startswith((GZIP, ZSTD)):
            return 0
        at = unit.offset + start
        match = BOUNDARY.search(block + self.source.read(at + len(block), 1 << 10), 1)
        if match is None or match.start() >= len(block):
            return 0
        self.last_offset = max(at, self.last_offset + 1)
        self._note(Damage(self.last_offset, "damaged_record", "the stated length runs into the next record"))
        self._open(at + match.start())
        return match.start()

    # --- damage and offsets ---------------------------------------------------------------------

    def _offset(self, start: int) -> int:
        """The offset to report for what begins `start` bytes into the unit."""
        raw = isinstance(self.cursor.unit, RawUnit)
        if self.in_unit and not raw:
            self.stream_offsets = True
        if self.stream_offsets:
            offset = self.before_unit + start
        else:
            offset = self.cursor.unit.offset + (start if raw else 0)
        self.last_offset = max(offset, self.last_offset + 1)
        return self.last_offset

    def _fail(self, rule: str, cause: str, start: int | None = None) -> None:
        """Note damage at a place in the unit (here, if none is given)."""
        if not self.in_damage:
            streams = self.stream_offsets
            offset = self._offset(self.cursor.tell() if start is None else start)
            self.stream_offsets = streams  # only records make a file one of several records a member
            self._note(Damage(offset, rule, cause))

    def _note(self, damage: Damage) -> None:
        """Damage next to damage is one region: only its first cause is kept."""
        if not self.in_damage:
            self.damages.append(damage)
        self.in_damage = True

    def _scan(self) -> None:
        """Go on at the next place in this unit where a record begins, or to the unit's end."""
        magic = None
        if isinstance(self.cursor.unit, RawUnit):
            head = self.source.peek(0, 8)
            magic = ZSTD if head.startswith(ZSTD) or is_skippable(head) else GZIP
        self.cursor.take(1)
        while found := self.cursor.seek_pattern(BOUNDARY, magic):
            if found != magic or self._is_unit(self._file_offset()):
                return
            self.cursor.take(1)


def _not_a_record(line: bytes) -> str:
    shown = decode(line[:80]).rstrip()
    return f"no record begins here: {shown!r}"


def _cut(length: int, stated: int | None) -> str:
    return f"the file ends inside the record: {length} bytes of its block, {stated or 'unknown'} stated"


def _without_separator(block: bytes) -> bytes:
    for separator in (b"\r\n\r\n", b"\n\n"):
        if block.endswith(separator):
            return block[: -len(separator)]
    return block
