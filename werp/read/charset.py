"""The page's text: charset from BOM, HTTP header, meta element or detection."""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_META = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode_html(html: bytes, content_type: str | None) -> tuple[str, str, str]:
    """(text, charset, source), source in bom, header, meta, detected."""
    for bom, name in _BOMS:
        if html.startswith(bom):
            return html[len(bom) :].decode(name, "replace"), name, "bom"
    header, meta = _HEADER.search(content_type or ""), _META.search(html[:4096])
    for source, label in (
        ("header", header and header[1]),
        ("meta", meta and meta[1].decode("ascii", "replace")),
    ):
        charset = map_encoding_to_html5(label) if label else None
        if charset:
            if source == "meta" and charset.startswith("utf-16"):
                charset = "utf-8"
            try:
                return html.decode(charset), charset, source
            except (UnicodeDecodeError, LookupError):
                break
    charset = detect_encoding(html) or "utf-8"
    return html.decode(charset, "replace"), charset, "detected"
