"""The page's text: its encoding from the byte order mark, the HTTP header, the page itself, or detection.

The order is that of the HTML standard (section 13.2.3.2), labels and decoders are the Encoding Standard's.
Where the bytes show that a declaration is wrong, it is overruled; `docs/reading.md` says when.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import islice

from resiliparse.parse.encoding import detect_encoding

from werp.read.encodings import decode, encoding_of, is_single_byte
from werp.read.mime import content_type as parse_content_type
from werp.read.prescan import declared, xml_encoding

#: Of so many characters beyond ASCII one may be undecodable before a declared charset is doubted. In UTF-8
#: half may be: a byte sequence of another charset is hardly ever valid there.
_STRAY = 10
_STRAY_UTF_8 = 2
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
#: Markup of two bytes a character: no other encoding has a zero behind, or before, each of its first bytes.
_WIDE_MARKUP = (
    (re.compile(rb"(?:[\t\n\f\r ]\0){0,64}+<\0[!?/A-Za-z]\0"), "utf-16le"),
    (re.compile(rb"(?:\0[\t\n\f\r ]){0,64}+\0<\0[!?/A-Za-z]"), "utf-16be"),
)
_ASCII = bytes(range(128))
_NO_LETTERS = bytes(range(0xC0))
_BEYOND = re.compile("[^\x00-\x7f]")
_WIDE = re.compile("[^\x00-\u07ff]")
_PLACE = re.compile("[^\x00-\x7f]+")
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")
_COMMON = re.compile("[\x00-\xff\u2010-\u2027]*")
_SIGNS = re.compile("[\x00-\xbf\u2010-\u2027]*")
#: So many different characters are no chance.
_ENOUGH = 4
#: Bytes in a row as no Western text has them: letters of another script, or characters of two bytes.
_FOREIGN = re.compile(rb"[\xc0-\xff]{3}|(?=[\x80-\xff]{0,3}[\xc0-\xff])[\x80-\xff]{4}")
#: So many accented letters are needed before one Latin code page is told from another.
_TELLING = 24
_LATIN = frozenset({
    "windows-1250", "windows-1252", "windows-1254", "windows-1257", "windows-1258", "macintosh",
    *(f"iso-8859-{number}" for number in (2, 3, 4, 10, 13, 14, 15, 16)),
})  # fmt: skip
#: uchardet's names that are no labels of the standard.
_DETECTED = {
    "cp949": "euc-kr", "mac-cyrillic": "x-mac-cyrillic", "hz": "hz-gb-2312", "iso2022_kr": "iso-2022-kr",
}  # fmt: skip
#: What browsers take where nothing is declared, in most of the world.
_FALLBACK = "windows-1252"


def decode_html(html: bytes, content_type: str | None) -> tuple[str, str, str]:
    """A page's text, its encoding (the standard's name in lower case), and how that was found.

    The last is `bom`, `header`, `meta`, `xml` or `detected`. A declared encoding that the bytes contradict
    is overruled, unless only stray bytes do: then they become U+FFFD.
    """
    if (signed := _signed(html)) is not None:
        begin, name, source = signed
        return decode(html[begin:], name)[0], name, source
    contradicted: list[tuple[str, int, str, str]] = []
    for encoding, source in _declarations(html, content_type):
        if encoding == "utf-8":
            try:
                return html.decode(), encoding, source
            except UnicodeDecodeError:
                pass
        elif encoding.startswith("utf-16"):
            if b"\0" not in html[:1024]:  # markup has one in every other byte
                continue
        elif (text := _utf_8(html, declared_single=is_single_byte(encoding))) is not None:
            return text, "utf-8", "detected"
        text, errors = decode(html, encoding)
        if not errors:
            return text, encoding, source
        contradicted.append((text, errors, encoding, source))
    for text, errors, encoding, source in contradicted:
        stray = _STRAY_UTF_8 if encoding == "utf-8" else _STRAY
        if errors * stray <= len(text) - len(text.encode("ascii", "ignore")):
            return text, encoding, source
    return *_detected(html), "detected"


def _signed(html: bytes) -> tuple[int, str, str] | None:
    """What the first bytes say against any declaration: where the text begins, its encoding, its source."""
    for bom, name in _BOMS:
        if html.startswith(bom):
            return len(bom), name, "bom"
    if b"\0" in html[:2]:
        for markup, name in _WIDE_MARKUP:
            if markup.match(html):
                return 0, name, "detected"
    return None


def _declarations(html: bytes, content_type: str | None) -> Iterator[tuple[str, str]]:
    """Declared encodings in their order of precedence, and where each stands."""
    kind, label = parse_content_type(content_type)
    if header := encoding_of(label):
        yield header, "header"
    if kind == "application/xhtml+xml" and (own := xml_encoding(html)):
        yield own, "xml"
    found, source = declared(html)
    if found and found != header:
        yield found, source


def _utf_8(html: bytes, *, declared_single: bool | None) -> str | None:
    """The text where the bytes are surely UTF-8; None for pure ASCII or where they may be something else.

    A few bytes of another charset can be UTF-8 by chance (`É™` in Windows-1252), so four different
    characters are needed, or one of four bytes; in text of two-byte charsets chance is greater, and four
    characters of three bytes are needed.
    Fewer do where they are signs (`Â©` is no word of any language); common letters do where no charset is
    declared, and against a declared one in two places or more, since the W3C's cases have them in one.

    declared_single: whether a single-byte charset was declared; None where none was.
    """
    if html.isascii():
        return None
    try:
        text, used = codecs.utf_8_decode(html, "strict", False)  # a cut page may end inside a character
    except UnicodeDecodeError:
        return None
    text += "\ufffd" * (used < len(html))
    if _distinct(_WIDE if declared_single is False else _BEYOND, text) >= _ENOUGH:
        return text
    if declared_single is False:
        return None
    if _FOUR_BYTES.search(text):
        return text
    several = declared_single is None or len(list(islice(_PLACE.finditer(text), 2))) == 2
    return text if (_COMMON if several else _SIGNS).fullmatch(text) else None


def _distinct(pattern: re.Pattern[str], text: str) -> int:
    """How many different characters match, as far as it matters."""
    found: set[str] = set()
    for match in pattern.finditer(text):
        found.add(match.group())
        if len(found) >= _ENOUGH:
            break
    return len(found)


def _detected(html: bytes) -> tuple[str, str]:
    """Text and encoding of bytes that nothing true is declared of."""
    if html.isascii():
        return html.decode(), "utf-8"
    if (text := _utf_8(html, declared_single=None)) is not None:
        return text, "utf-8"
    beyond = len(html.translate(None, _ASCII))
    text, errors = decode(html, "utf-8")
    if 0 < errors * _STRAY <= beyond - errors:  # UTF-8 with stray bytes
        return text, "utf-8"
    foreign = _FOREIGN.search(html) is not None
    letters = len(html.translate(None, _NO_LETTERS))
    guess = _guess(html) if foreign or letters >= _TELLING else None
    if guess and (foreign or guess in _LATIN):
        text, errors = decode(html, guess)
        if errors * _STRAY <= beyond:
            return text, guess
    return decode(html, _FALLBACK)[0], _FALLBACK


def _guess(html: bytes) -> str | None:
    """uchardet's guess; its own names, since the library gives UTF-8 for those that it can't map."""
    name = detect_encoding(html, html5_compatible=False)
    return encoding_of(_DETECTED.get(name, name)) if name else None
