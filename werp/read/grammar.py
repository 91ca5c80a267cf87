"""The headers of WARC and ARC records, read as leniently as warcio 1.8 reads them.

Sources: WARC 1.0/1.1 (ISO 28500), the Internet Archive's ARC 1 and 2 format note; leniencies were
measured on warcio, whose reading is the reference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ARC_LINE = rb"[A-Za-z][A-Za-z0-9+.\-]*:[^\r\n]{0,8192} \d{12,17} [^\r\n]{0,512}[ ]?\d{1,15}[ \t]*\r?\n"
#: Where a record begins, when all that is known is that it does not begin here. A WARC line counts
#: only before a header line: pages about WARC files mention `WARC/1.0` too.
BOUNDARY = re.compile(
    rb"WARC/\d+\.\d+[ \t]*\r?\n(?=[A-Za-z][A-Za-z0-9-]*[ \t]*:)|^" + _ARC_LINE,
    re.I | re.M,
)
_ARC_START = re.compile(_ARC_LINE.replace(rb"\r?\n", rb"\r?\n?$"), re.I)
_WARC_START = re.compile(rb"(?:\xef\xbb\xbf)?WARC/\d", re.I)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_ARC_FIELDS = ("uri", "ip-address", "archive-date", "content-type", "length")
_FILEDESC = "filedesc://"
#: What stands around a header's value; 0x85 and the like, which `str.strip` takes too, are part of it.
_OWS = " \t\r\n"
_ARC_DATE = re.compile(r"[0-9]{12,17}")
_ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*")
_STATUS = re.compile(r"[0-9]{3}")


class Head(NamedTuple):
    """A record's header: `length` is None when none is stated (the block then ends with its unit)."""

    record_type: str
    url: str | None
    date: str | None
    headers: dict[str, str]
    length: int | None


def starts_record(line: bytes, *, in_arc: bool = False) -> bool:
    """Whether a line can begin a record; `in_arc`: the file's last record was an ARC record."""
    if _WARC_START.match(line) or _ARC_START.match(line) or line.startswith(b"filedesc://"):
        return True
    return in_arc and arc_fields(line) is not None


def is_warc(line: bytes) -> bool:
    """Whether a line begins a WARC record."""
    return _WARC_START.match(line) is not None


def arc_fields(line: bytes, *, version_2: bool = False) -> list[str] | None:
    """The five fields that matter of an ARC header line; None when it is none.

    URL and content type may hold spaces, so the line is taken apart around its date, which is 12 to 17
    digits behind an IP address. Version 2 has five more fields before the length, the first of them the
    HTTP status. A line without such a date is read as warcio reads it: the last four words are no URL. It
    must begin with a scheme or end with a length, so that lines of a damaged page count as no records.
    """
    words = decode(line).rstrip().split(" ")
    at = _date_place(words)
    if at:
        last = len(words) - 1
        if version_2 and last - at >= 7:
            last = next((i for i in range(at + 1, last) if _STATUS.fullmatch(words[i])), last - 5)
        url, kind = " ".join(words[: at - 1]), " ".join(words[at + 1 : last])
        fields = [url, *words[at - 1 : at + 1], kind, words[-1]]
    elif len(words) >= 5:
        fields = [" ".join(words[:-4]), *words[-4:]]
    else:
        return None
    if _SCHEME.match(fields[0]) or _integer(fields[4]) is not None:
        return fields
    return None


def _date_place(words: list[str]) -> int:
    """Where the date stands in an ARC header line; 0 where there is none."""
    dates = [i for i in range(len(words) - 2, 1, -1) if _ARC_DATE.fullmatch(words[i])]
    return next((i for i in dates if _ADDRESS.fullmatch(words[i - 1])), dates[0] if dates else 0)


def decode(line: bytes) -> str:
    """UTF-8, else ISO-8859-1."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("iso-8859-1")


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _length(text: str | None, consumed: int) -> int | None:
    """The block's length; what is no number, or negative, counts as 0, as in warcio."""
    if text is None:
        return None
    return max((_integer(text) or 0) - consumed, 0)


def regular_head(header: bytes) -> Head | None:
    """The header of a WARC record whose every line is `name: value`; None for any other."""
    headers: dict[str, str] = {}
    try:
        lines = header.decode().split("\n")
    except UnicodeDecodeError:
        return None
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or line[0] in " \t":
            return None
        headers.setdefault(name.rstrip(" \t").lower(), value.strip(_OWS))
    return _warc_head(headers)


def irregular_head(lines: list[bytes]) -> Head:
    """The header of a WARC record: lines without a colon do not count, indented ones are folded in."""
    headers: dict[str, str] = {}
    name = None
    fresh = False
    for raw in lines:
        line = decode(raw).rstrip(_OWS)
        if name is not None and line[0] in " \t":
            if fresh:
                headers[name] += line
            continue
        key, colon, value = line.partition(":")
        name = key.rstrip(" \t").lower()
        fresh = bool(colon) and name not in headers
        if fresh:
            headers[name] = value.lstrip(_OWS)
    return _warc_head(headers)


def _warc_head(headers: dict[str, str]) -> Head:
    url = headers.get("warc-target-uri")
    if url is not None:
        if url.startswith("<") and url.endswith(">"):
            url = url[1:-1]
        url = url.replace(" ", "%20")
    date = headers.get("warc-date")
    return Head(
        headers.get("warc-type", ""),
        url,
        date.strip() if date is not None else None,
        headers,
        _length(headers.get("content-length"), 0),
    )


def arc_head(line: bytes, version_block: list[bytes], *, version_2: bool) -> Head:
    """The header of an ARC record.

    version_block: for a `filedesc:` line the two lines behind it, which count towards its length.
    version_2: ten fields in the header line, of which the first four and the last matter here;
        warcio takes the last five and all others for the URL.
    """
    fields = arc_fields(line, version_2=version_2)
    assert fields is not None, "arc_head needs a line that arc_fields accepts"
    url, _, date, _, length = fields
    consumed = sum(len(decode(extra)) for extra in version_block)
    return Head(
        "arc_header" if url.startswith(_FILEDESC) else "response",
        url,
        _iso_date(date),
        dict(zip(_ARC_FIELDS, fields, strict=True)),
        _length(length, consumed),
    )


def _iso_date(digits: str) -> str:
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()):
        return digits
    d = digits
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:]}Z"
