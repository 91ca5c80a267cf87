"""What reading an archive file gives: records, and the places where there was none to be had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One archive record.

    offset: where a reader can start: the byte offset of the gzip member or zstd frame that holds the
        record; in an uncompressed file the record's own offset; from the second record of a member
        on, the offset in the decompressed stream. Strictly increasing within a file.
    record_type: `warcinfo`, `response`, `request`, `metadata`, `resource`, `revisit`, `conversion`,
        `continuation`, or whatever the file says; ARC: `arc_header` or `response`; "" where a WARC
        record states none.
    url: the target URI without `<>`, spaces as %20; for ARC the URL field.
    date: `WARC-Date` stripped; ARC's 14 digits as `YYYY-MM-DDTHH:MM:SSZ`.
    headers: the record's headers, names in lower case, the first of a repeated name; of an ARC record
        `uri`, `ip-address`, `archive-date`, `content-type`, `length`.
    block: the content block; None when it is larger than `max_block_bytes`.
    block_length: bytes that the file holds of the block.
    damage: what is wrong with the record itself: `truncated`, the file ends inside it; `wrong_length`,
        it was read whole or nearly so although its stated length is wrong. None for a sound record.
    """

    offset: int
    record_type: str
    url: str | None
    date: str | None
    headers: dict[str, str]
    block: bytes | None
    block_length: int
    damage: Damage | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """A region that gave no record, or what is wrong with a record.

    offset: as for `Record`, or the byte offset of the damage where no record begins there.
    rule: `not_an_archive`, `damaged_record` or `truncated`; of a record see there.
    cause: one line for a person, with the remedy where there is one.
    """

    offset: int
    rule: str
    cause: str
