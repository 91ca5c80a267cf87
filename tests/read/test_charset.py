"""The page's charset: the W3C's cases, and pages whose declarations lie."""

from __future__ import annotations

import base64
import codecs
import json
from pathlib import Path

import pytest

from werp.read import decode_html

#: The charset that each case's own title and text ask for; 015 states none and says so.
W3C = {
    "001": "iso-8859-15", "003": "utf-16-le", "004": "utf-16-le", "007": "iso-8859-15", "009": "iso-8859-15",
    "015": None, "016": "iso-8859-15", "018": "iso-8859-15", "030": "iso-8859-15", "034": "utf-8",
    "037": "utf-8", "038": "utf-8",
}  # fmt: skip
#: Served as ISO-8859-15 with bytes that are none: the header is contradicted by nothing in the page.
TEXT = "Die Brücke über den Fluß wurde im März eröffnet, schöne Grüße aus Köln. " * 5


def test_w3c_cases(werp_data: Path) -> None:
    path = werp_data / "html-encoding" / "w3c-encoding.jsonl"
    wrong = []
    for line in path.read_text("utf-8").splitlines():
        case = json.loads(line)
        number = case["name"].removesuffix(".html")[-3:]
        headers = case["http_headers"] or ""
        found = decode_html(base64.b64decode(case["html_b64"]), headers.partition(":")[2])[1]
        wanted = W3C.pop(number)
        if wanted and codecs.lookup(found).name != codecs.lookup(wanted).name:
            wrong.append((number, wanted, found))
    assert wrong == []
    assert W3C == {}


@pytest.mark.parametrize(
    ("html", "content_type", "source"),
    [
        (TEXT.encode("iso-8859-15"), "text/html; charset=ISO-8859-15", "header"),
        (b'<meta charset="utf-8">' + TEXT.encode(), "text/html", "meta"),
        (b"<meta http-equiv=content-type content='text/html; charset=utf-8'>" + TEXT.encode(), "", "meta"),
        (codecs.BOM_UTF8 + TEXT.encode(), "text/html; charset=iso-8859-1", "bom"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), None, "bom"),
        (TEXT.encode("cp1252"), "text/html; charset=utf-8", "detected"),
        (TEXT.encode(), "text/html; charset=no-such-thing", "detected"),
        (TEXT.encode(), None, "detected"),
        (b'<meta charset="utf-8">' + TEXT.encode("cp1252"), None, "detected"),
    ],
)
def test_where_the_charset_comes_from(html: bytes, content_type: str | None, source: str) -> None:
    text, _, found = decode_html(html, content_type)
    assert found == source
    assert text.endswith(TEXT)


def test_a_stray_byte_does_not_overrule_the_declared_charset() -> None:
    html = TEXT.encode() + b"\xff" + TEXT.encode()
    text, charset, source = decode_html(html, "text/html; charset=utf-8")
    assert (charset, source) == ("utf-8", "header")
    assert text == TEXT + "\ufffd" + TEXT


@pytest.mark.parametrize("html", [b"", b"\xff", bytes(range(256)), b"\x00" * 50])
def test_any_bytes_give_text(html: bytes) -> None:
    assert isinstance(decode_html(html, "text/html; charset=utf-8")[0], str)
