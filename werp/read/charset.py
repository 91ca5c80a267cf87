"""The page's text: charset from BOM, HTTP header, meta element or detection."""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_META = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
#: Of so many characters beyond ASCII one may be undecodable before a declared charset is doubted.
_STRAY = 10
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode_html(html: bytes, content_type: str | None) -> tuple[str, str, str]:
    """A page's text, its charset as Python names it, and the source of that: bom, header, meta, detected.

    The order is that of the HTML standard (section 13.2.3.2). A declared charset that the bytes
    contradict is overruled by detection, unless only stray bytes do: then they become U+FFFD.
    """
    for bom, name in _BOMS:
        if html.startswith(bom):
            return html[len(bom) :].decode(name, "replace"), name, "bom"
    header, meta = _HEADER.search(content_type or ""), _META.search(html[:4096])
    labels = (("header", header and header[1]), ("meta", meta and meta[1].decode("ascii", "replace")))
    contradicted: list[tuple[str, str]] = []
    for source, label in labels:
        charset = map_encoding_to_html5(label, fallback_utf8=False) if label else None
        if not charset:
            continue
        if source == "meta" and charset.startswith("utf-16"):  # it was read as ASCII, so it can't be
            charset = "utf-8"
        try:
            return html.decode(charset), charset, source
        except LookupError:  # a charset of the standard that Python lacks
            continue
        except UnicodeDecodeError:
            contradicted.append((charset, source))
    for charset, source in contradicted:
        text = html.decode(charset, "replace")
        if text.count("\ufffd") * _STRAY <= len(text) - len(text.encode("ascii", "ignore")):
            return text, charset, source
    charset = detect_encoding(html) or "utf-8"
    return html.decode(charset, "replace"), charset, "detected"
