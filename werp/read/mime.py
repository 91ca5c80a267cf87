"""What a server says a body is, and what its first bytes say.

Sources: Fetch (WHATWG), "extract a MIME type"; MIME Sniffing (WHATWG), section 7.1.
"""

from __future__ import annotations

import re

_LIST_ITEM = re.compile(r'(?:"[^"]*"?|[^",])+')
_TYPE = re.compile(r"""[\s"']*([A-Za-z0-9!#$%&*+.^_`|~-]+/[A-Za-z0-9!#$%&*+.^_`|~-]+)(?=[\s;,:("'=]|$)""")
_CHARSET = re.compile(r"""(?:^|[\s;,(])charset[ \t]*=[ \t]*(?:"([^"]*)|'([^']*)|([^\s;,"']+))""", re.I)

#: MIME Sniffing's start tags; the standard asks for a space or ">" behind them, here a line end does too.
_DOCUMENT = rb"!doctype[\t\n\f\r ]{1,64}html|html"
_ELEMENTS = rb"head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p"
_END = rb")(?=[\t\n\f\r >])"
_TAG = re.compile(rb"<(?:" + _DOCUMENT + rb"|" + _ELEMENTS + _END, re.I)
_XHTML = re.compile(rb"<(?:" + _DOCUMENT + _END, re.I)
_SPACE = re.compile(rb"[\t\n\f\r ]*")
_TERMINATORS = (b" ", b">", b"\t", b"\n", b"\f", b"\r")
_BOM = b"\xef\xbb\xbf"
#: The bytes that are looked at: MIME Sniffing's resource header has 1,445.
_HEADER = 4096
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def content_type(value: str | None) -> tuple[str, str | None]:
    """The type in lower case and the charset's label that a Content-Type states; "" where it states none.

    Of a list (a repeated header is one) the last type counts, as in browsers; an earlier charset holds on
    while the type is the same. Quotes around it and a missing ";" are forgiven.

    >>> content_type("text/html charset=x"), content_type("text/plain, 'text/html';charset=\\"y\\"")
    (('text/html', 'x'), ('text/html', 'y'))
    """
    kind, charset = "", None
    for item in _LIST_ITEM.findall(value or ""):
        found, label = _TYPE.match(item), _CHARSET.search(item)
        stated = next((part for part in label.groups() if part is not None), None) if label else None
        if found and (new := found[1].lower()) != "*/*":
            if new != kind:
                kind, charset = new, None
            charset = stated or charset
        elif stated and not kind:
            charset = stated
    return kind, charset


def begins_as_html(body: bytes) -> bool:
    """Whether a body of unknown type is HTML: one of the standard's start tags, or a comment, comes first.

    Beyond the standard a byte order mark is skipped, a comment that has no space at its beginning when a
    start tag follows, and an XML declaration when `<html>` or its doctype does.
    """
    at = len(_BOM) if body.startswith(_BOM) else 0
    tag = _TAG
    while True:
        space = _SPACE.match(body, at, _HEADER)
        at = space.end() if space else at
        if tag.match(body, at, _HEADER):
            return True
        if body.startswith(b"<!--", at):
            if tag is _TAG and body[at + 4 : at + 5] in _TERMINATORS:
                return True
            end = body.find(b"-->", at + 2, _HEADER)
        elif body.startswith(b"<?xml", at):
            tag, end = _XHTML, body.find(b">", at, _HEADER) - 2
        else:
            return False
        if end < at:
            return False
        at = end + 3


def is_binary(body: bytes) -> bool:
    """Whether a body holds bytes that no text has, by MIME Sniffing's rule (sections 3 and 7.2)."""
    if body.startswith((_BOM, b"\xfe\xff", b"\xff\xfe")):
        return False
    return _BINARY.search(body, 0, 1445) is not None
