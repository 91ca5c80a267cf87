"""The charset that a page itself declares: the HTML standard's prescan (section 13.2.3.2).

Comments, other tags' attributes and text are no declarations; a `meta` needs `charset`, or `content` beside
`http-equiv=content-type`. The XML declaration counts where no `meta` does.
"""

from __future__ import annotations

import re

from werp.read.encodings import encoding_of

#: The standard reads so much before it parses.
_HEADER = 1024
#: Its parser then finds the page's own `meta`, and starts anew with that: so far one is looked for, up to the
#: end of the head.
_LATE = 1 << 16
_HEAD_ENDS = re.compile(rb"</head|<body", re.I)
_TAG = re.compile(rb"<(?:(!--)|(meta)(?=[\t\n\f\r /])|(/?[a-z][^\t\n\f\r >]*)|[!/?])", re.I)
_RAW = re.compile(rb"script|style|title|textarea|noscript|noframes|iframe|xmp|template", re.I)
#: Its groups: the tag's end; a name; its value in quotes, without, or in quotes that nothing closes.
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*(?:(>)|([^\t\n\f\r />][^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*"
    rb"(?:(?=>)|\"([^\"]*)\"|'([^']*)'|([^\"'\t\n\f\r >][^\t\n\f\r >]*)|(\"[^\"]*\Z|'[^']*\Z)))?)"
)
_CONTENT = re.compile(rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\"'\t\n\f\r ;][^\t\n\f\r ;]*))", re.I)  # noqa: E501  # fmt: skip
_XML = re.compile(rb"<\?xml[^>]*?encoding[\x00-\x20]*=[\x00-\x20]*(?:\"([^\">]*)\"|'([^'>]*)')[^>]*>")
_UTF_16_XML = {b"<\0?\0x\0": "utf-16le", b"\0<\0?\0x": "utf-16be"}


def declared(html: bytes) -> tuple[str | None, str]:
    """The encoding that a page declares and where: `meta` or `xml`; None where it declares none."""
    if found := _UTF_16_XML.get(html[:6]):
        return found, "xml"
    end = _HEAD_ENDS.search(html, _HEADER, _LATE)
    found = _meta(html[: end.start() if end else _LATE], parsing=True) or _meta(html[:_HEADER], parsing=False)
    if found is not None:
        return found, "meta"
    return xml_encoding(html), "xml"


def xml_encoding(html: bytes) -> str | None:
    """The encoding that an XML declaration at the very beginning names."""
    match = _XML.match(html, 0, _HEADER)
    return _readable(encoding_of(_first(match))) if match else None


def _meta(html: bytes, *, parsing: bool) -> str | None:
    """The first `meta` that declares an encoding. parsing: what stands in scripts and the like is no tag."""
    at = 0
    while tag := _TAG.search(html, at):
        comment, meta, other = tag.groups()
        if comment:
            at = html.find(b"-->", tag.start() + 2) + 3
            if at < 3:
                return None
            continue
        if not (meta or other):
            at = html.find(b">", tag.end()) + 1
            if not at:
                return None
            continue
        attributes, at = _attributes(html, tag.end())
        if at < 0:
            return None
        if meta and (found := _declaration(attributes)):
            return found
        if parsing and other and _RAW.fullmatch(other):
            raw_end = re.compile(rb"</" + other, re.I).search(html, at)
            at = raw_end.start() if raw_end else len(html)
    return None


def _attributes(html: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A tag's attributes and the place behind it, -1 where the bytes end inside the tag."""
    found: dict[bytes, bytes] = {}
    while match := _ATTRIBUTE.match(html, at):
        at = match.end()
        if match[1]:
            return found, at
        if match[6] is not None or at == len(html):
            return found, -1
        found.setdefault(match[2].lower(), match[3] or match[4] or match[5] or b"")
    return found, -1


def _declaration(attributes: dict[bytes, bytes]) -> str | None:
    if (label := attributes.get(b"charset")) is not None and (found := _encoding(label)):
        return found
    if attributes.get(b"http-equiv", b"").lower() == b"content-type" and b"charset" not in attributes:
        match = _CONTENT.search(attributes.get(b"content", b""))
        return _encoding(_first(match)) if match else None
    return None


def _first(match: re.Match[bytes]) -> str:
    return next(group for group in match.groups() if group is not None).decode("latin-1")


def _encoding(label: bytes | str) -> str | None:
    return _readable(encoding_of(label.decode("latin-1") if isinstance(label, bytes) else label))


def _readable(encoding: str | None) -> str | None:
    """UTF-16 can't be, since the declaration was read as ASCII; the standard's two replacements."""
    if encoding in ("utf-16le", "utf-16be"):
        return "utf-8"
    return "windows-1252" if encoding == "x-user-defined" else encoding
