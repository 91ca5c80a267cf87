"""What a run makes of pages as servers and crawlers leave them: heads, bodies, charsets, types.

All cases lie in one archive that one run refines. A case is what the record holds and what must come of it:
the whole article for pages that a browser shows whole, and the cause in the ledger wherever it can't.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import brotli
import pytest
import zstandard

from tests.job import table
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.sample.archive import chunked, warc_record

FIRST, LAST = "The lighthouse keeper counts the ships.", "At dawn the lamp is put out again."
MIDDLE = "<p>Each of them is written into the book with its hour and its course.</p>" * 6
ARTICLE = f"<article><p>{FIRST}</p>{MIDDLE}<p>{LAST}</p></article>"
HTML = f"<html><head><title>Light</title></head><body>{ARTICLE}</body></html>".encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"


class Case(NamedTuple):
    """What a record holds, and what must come of it.

    ends: `page`, or the ledger's rule. holds: what the text must have; charset: of the documents table.
    casualty: what the ledger must say; "" where it must say nothing.
    """

    block: bytes
    ends: str = "page"
    holds: Sequence[str] = (FIRST, LAST)
    charset: str | None = None
    casualty: str = ""
    headers: Sequence[tuple[str, str]] = ()


# --- heads ----------------------------------------------------------------------------------------


def heads() -> Iterator[tuple[str, Case]]:
    lines = (b"HTTP/1.1 200 OK", b"Server: x", b"Content-Type: text/html; charset=utf-8", b"X-Last: y")
    yield "lf-before-crlf-blank", Case(b"\n".join(lines) + b"\n\r\n" + HTML)
    yield "crlf-before-lf-blank", Case(b"\r\n".join(lines) + b"\r\n\n" + HTML)
    yield "lf", Case(b"\n".join(lines) + b"\n\n" + HTML)
    yield (
        "mixed",
        Case(lines[0] + b"\r\n" + lines[1] + b"\n" + lines[2] + b"\r\n" + lines[3] + b"\n\n" + HTML),
    )
    yield "two-cr", Case(b"\r\r\n".join(lines) + b"\r\r\n\r\r\n" + HTML)
    yield "bare-cr", Case(b"\r".join(lines) + b"\r\r" + HTML)
    blank = HTML.replace(b"<article>", b"\r\n\r\n<article>")
    yield "blank-line-in-the-page", Case(b"\n".join(lines) + b"\n\n" + blank)
    for char in ("\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\u2028"):
        value = f"X-Odd: a{char}Content-Type: image/gif{char}Content-Encoding: gzip".encode(
            "latin-1" if char < "\xff" else "utf-8"
        )
        name = f"no-line-end-{ord(char):x}"
        yield name, Case(b"\r\n".join((lines[0], lines[2], value)) + b"\r\n\r\n" + HTML)
    folded = b"HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html;\r\n\tcharset=windows-1251\r\n\r\n"
    russian = HTML.decode().replace(FIRST, f"{FIRST} Маяк стоит на берегу.").encode("cp1251")
    yield "folded", Case(folded + russian, holds=("Маяк стоит", LAST), charset="windows-1251")
    yield "folded-first", Case(b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Type: text/html\r\n\r\n" + HTML)
    yield "no-colon", Case(b"HTTP/1.1 200 OK\r\nserver\r\nContent-Type : text/html\r\n: z\r\n\r\n" + HTML)
    yield "twice", Case(OK + b"Content-Type: text/html\r\nVary: a\r\nVary: b\r\n\r\n" + HTML)
    yield "last-type-counts", Case(OK + b"Content-Type: image/png\r\n\r\n" + HTML, "mime")
    for status in (
        "HTTP/2 200",
        "HTTP/1.1 200",
        "HTTP/1.0  200  OK",
        "http/1.1 200 ok",
        "ICY 200 OK",
        "HTTP 200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200OK",
        "HTTP/3 200 ",
        "\r\n\r\nHTTP/1.1 200 OK",
        "\ufeffHTTP/1.1 200 OK",
    ):
        yield f"status {status!r}", Case(f"{status}\r\nContent-Type: text/html\r\n\r\n".encode() + HTML)
    yield "no-status", Case(b"HTTP/1.1 OK\r\nContent-Type: text/html\r\n\r\n" + HTML, casualty="no status")
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    yield "interim", Case(interim + OK + b"\r\n" + HTML)
    yield "not-found", Case(b"HTTP/2 404\r\nContent-Type: text/html\r\n\r\n" + HTML, "http_status")
    for status, ends in ((299, "page"), (300, "http_status"), (199, "http_status")):
        yield (
            f"status-{status}",
            Case(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n".encode() + HTML, ends),
        )
    yield "no-blank-line", Case(OK + HTML, casualty="no blank line")
    yield "head-alone", Case(OK[:-2], "empty_body", casualty="no blank line")
    yield "no-head", Case(b"<!DOCTYPE html>\n" + HTML, casualty="head: none")
    yield "no-status-line", Case(OK.partition(b"\n")[2] + b"\r\n" + HTML, casualty="no status line")
    cgi = b"Status: 404 Not Found\r\nContent-Type: text/html\r\n\r\n"
    yield "cgi-status", Case(cgi + HTML, "http_status", casualty="taken for 404")
    link = b"HTTP/1.1 200 OK\r\nLink: <https://a.org/1>;\r\n<https://a.org/2>\r\n"
    yield "broken-link", Case(link + b"Content-Type: text/html\r\n\r\n" + HTML)
    yield "no-http", Case(b"HTTP is a protocol.\r\n\r\n" + HTML, "http_malformed")


# --- bodies ---------------------------------------------------------------------------------------


def coded(body: bytes, coding: str, more: bytes = b"") -> bytes:
    return OK + f"Content-Encoding: {coding}\r\n".encode() + more + b"\r\n" + body


def raw_deflate(body: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(body) + coder.flush()


def bodies() -> Iterator[tuple[str, Case]]:
    half, gz, zst = len(HTML) // 2, gzip.compress, zstandard.compress
    one, two = HTML[:half], HTML[half:]
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    chunks = chunked(HTML, 200)
    for name, body, coding in (
        ("gzip-members", gz(one) + gz(two), "gzip"),
        ("gzip-many-members", b"".join(gz(HTML[i : i + 1]) for i in range(len(HTML))), "gzip"),
        ("gzip-empty-member", gz(b"") + gz(HTML) + gz(b""), "x-gzip"),
        ("gzip-padded", gz(HTML) + bytes(512), "gzip"),
        ("zstd-frames", zst(one) + zst(two), "zstd"),
        ("zstd-skippable", skippable + zst(one) + skippable + zst(two), "zstd"),
        ("deflate-raw", raw_deflate(HTML), "deflate"),
        ("deflate-zlib", zlib.compress(HTML), "deflate"),
        ("br", brotli.compress(HTML), "BR"),
        ("gzip-gzip", gz(gz(HTML)), "gzip, gzip"),
        ("gzip-br", brotli.compress(gz(HTML)), "gzip,br"),
    ):
        yield name, Case(coded(body, coding))
    for more, ends in ((0, "page"), (1, "too_large")):
        padded = HTML + b" " * ((1 << 20) + more - len(HTML))
        yield f"cap-and-{more}", Case(OK + b"\r\n" + padded, ends)
    wrong_sum = bytearray(gz(HTML))
    wrong_sum[-5] ^= 1
    for name, body, coding, said in (
        ("gzip-trailing", gz(HTML) + b"garbage", "gzip", "7 bytes behind its end"),
        ("br-trailing", brotli.compress(HTML) + b"garbage", "br", "7 bytes behind its end"),
        ("zstd-trailing", zst(HTML) + b"garbage", "zstd", "7 bytes behind its end"),
        ("gzip-wrong-sum", bytes(wrong_sum), "gzip", "incorrect data check"),
        ("second-member-broken", gz(HTML) + gz(b"x" * 99)[:10] + b"\xff" * 30, "gzip", "gzip:"),
        ("decoded", HTML, "gzip", "taken as it is"),
        ("line-end-before", b"\r\n" + gz(HTML), "gzip", "2 bytes before its beginning"),
        ("mark-before", codecs.BOM_UTF8 + gz(HTML), "gzip", "3 bytes before its beginning"),
        ("decoded-after-bom", codecs.BOM_UTF8 + HTML, "gzip", "taken as it is"),
        ("decoded-deflate", HTML, "deflate", "taken as it is"),
        ("decoded-br", b"\r\n " + HTML, "br", "taken as it is"),
        ("decoded-zstd", b"Words first." + HTML, "zstd", "taken as it is"),
        ("gzip-said-twice", gz(HTML), "gzip, gzip", "taken as it is"),
        ("gzip-as-br", gz(HTML), "br", "br stated, gzip found"),
        ("gzip-as-deflate", gz(HTML), "deflate", "deflate stated, gzip found"),
        ("zlib-as-gzip", zlib.compress(HTML), "gzip", "gzip stated, zlib found"),
        ("zstd-as-gzip", zst(HTML), "gzip", "gzip stated, zstd found"),
        ("unknown-coding", HTML, "utf-8", "unknown coding 'utf-8'"),
    ):
        yield name, Case(coded(body, coding), casualty=said)
    for name, body, coding in (
        ("gzip-cut", gz(HTML)[:-60], "gzip"),
        ("zlib-cut", zlib.compress(HTML)[:-60], "deflate"),
        ("zstd-cut", zst(HTML * 2000)[:-60], "zstd"),
        ("br-cut", brotli.compress(HTML * 2000, quality=1)[:-60], "br"),
    ):
        yield name, Case(coded(body, coding), holds=(FIRST,), casualty="cut short")
    broken = bytearray(gz(HTML + bytes(range(256)) * 90, 0))
    yield (
        "gzip-damaged",
        Case(coded(bytes(broken[: len(HTML) + 99]) + b"\xff" * 70_000, "gzip"), casualty="gzip"),
    )
    yield "binary", Case(coded(b"\x1f\x8b\x08\0" + b"\xff" * 99, "gzip"), "content_encoding")
    yield "binary-unknown", Case(coded(bytes(range(256)), "pack200"), "content_encoding")
    yield "six-codings", Case(coded(HTML, "gzip, br, gzip, br, gzip, br"), "content_encoding")
    yield "bomb", Case(coded(gz(gz(bytes(40 << 20))), "gzip, gzip"), "too_large")
    chunky = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    for name, body in (
        ("chunked", chunks),
        ("blank-line-before-a-size", chunks.replace(b"\r\nc8\r\n", b"\r\n\r\nc8\r\n")),
        ("no-line-end-behind-a-chunk", chunks.replace(b"\r\nc8\r\n", b"c8\r\n")),
        ("lf-chunks", b"".join(b"%x\n%s\n" % (len(p), p) for p in (one, two)) + b"0\n\n"),
        ("extensions", chunks.replace(b"c8\r\n", b'c8;name="a;b" \r\n')),
        ("padded-size", chunks.replace(b"c8\r\n", b"000000000000000000c8  \r\n")),
        ("trailer", chunks[:-2] + b"X-Sum: 1\r\nX: 2\r\n\r\n"),
    ):
        yield name, Case(chunky + body)
    for name, body, said in (
        ("not-chunked", HTML, "taken as it is"),
        ("no-last-chunk", chunks[:-5], "no last chunk"),
        ("size-is-no-number", chunks.replace(b"\r\nc8\r\n", b"\r\nzz\r\n", 1), "no size of a chunk"),
        ("behind-the-last-chunk", chunks + HTML, f"{len(HTML)} bytes behind the last chunk"),
    ):
        yield name, Case(chunky + body, casualty=said)
    yield "chunk-cut", Case(chunky + b"ffff\r\n" + HTML, casualty="cut short")
    both = OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    yield "transfer-gzip", Case(both + chunked(gz(HTML)))
    yield (
        "chunked-gzip",
        Case(coded(chunked(gz(one) + gz(two), 50), "gzip", b"Transfer-Encoding: Chunked\r\n")),
    )


# --- charsets -------------------------------------------------------------------------------------

SAMPLES = {
    "ja": "髙島屋の㈱は①番で、はしごだかと半角ｶﾅが並びます。",
    "lamp-ko": "등대지기는 새벽에 불을 끄고 배의 수를 장부에 적는다.",
    "lamp": "灯台は海岸に立って船を照らしています。とても明るい光です。",
    "ko": "똠방각하와 펲시콜라, 햏자는 완성형에 없는 글자입니다.",
    "zh": "朱镕基与囍字，价格是€五十，喆和堃也在其中。",
    "tw": "裏恒碁銹粧嫺，着峯群的字都能讀出來。",
    "ru": "Маяк стоит на берегу и светит кораблям.",
    "de": "Der Leuchtturmwärter zählt die Schiffe — „schöne Grüße“ für 5 €.",
    "he": "המגדלור עומד על החוף ומאיר לאוניות.",
    "el": "Ο φάρος στέκεται στην ακτή και φωτίζει.",
    "th": "ประภาคารตั้งอยู่บนชายฝั่งทะเล",
    "uk": "Маяк стоїть на узбережжі, ґанок і ўвесь.",
}


def page_of(language: str, head: str = "") -> str:
    body = f"<p>{FIRST}</p><p>{SAMPLES[language]}</p>{MIDDLE}<p>{LAST}</p>"
    return f"<html><head>{head}</head><body><article>{body}</article></body></html>"


def charsets() -> Iterator[tuple[str, Case]]:
    def case(
        language: str, codec: str, name: str, header: str | None, head: str = "", before: str = ""
    ) -> Case:
        kind = "text/html" if header is None else f"text/html; charset={header}"
        html = (before + page_of(language, head)).encode(codec)
        return Case(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + html,
            holds=(FIRST, SAMPLES[language], LAST), charset=name,
        )  # fmt: skip

    for language, codec, name, labels in (
        ("ja", "cp932", "shift_jis", ("Shift_JIS", "x-sjis", "ms_kanji", "windows-31j")),
        ("ko", "cp949", "euc-kr", ("EUC-KR", "ks_c_5601-1987", "korean", "windows-949")),
        ("zh", "gb18030", "gbk", ("gb2312", "GBK", "chinese", "x-gbk")),
        ("zh", "gb18030", "gb18030", ("gb18030",)),
        ("tw", "big5hkscs", "big5", ("Big5", "big5-hkscs", "x-x-big5")),
        ("ru", "cp1251", "windows-1251", ("cp1251", "x-cp1251")),
        ("de", "cp1252", "windows-1252", ("ISO-8859-1", "us-ascii", "latin1", "l1", "cp819")),
        ("he", "iso8859_8", "iso-8859-8-i", ("iso-8859-8-i", "logical")),
        ("th", "cp874", "windows-874", ("tis-620", "iso-8859-11")),
        ("ru", "mac_cyrillic", "x-mac-cyrillic", ("x-mac-cyrillic",)),
        ("ru", "utf-16-le", "utf-16le", ("utf-16", "unicode")),
    ):
        for label in labels:
            yield f"header {label}", case(language, codec, name, label)
            if not name.startswith("utf-16"):
                meta = f'<meta charset="{label}">'
                yield f"meta {label}", case(language, codec, name, None, meta)
    euc_jp = b"\xad\xa1\xfc\xe2\xa1\xc1".join((page_of("ru", "").encode("euc_jp", "ignore"), b""))
    rows = euc_jp.replace(b"</article>", b"<p>NEC \xad\xa1 \xad\xea \xfc\xe2 \xa1\xc1.</p></article>")
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=euc-jp\r\n\r\n"
    yield "euc-jp", Case(kind + rows, holds=("NEC ① ㈱ 髙 ～.", LAST), charset="euc-jp")
    jis = page_of("ja").replace("㈱は①番で", "").replace("髙", "").replace("ｶﾅ", "").encode("iso2022_jp")
    jis = jis.replace(b"</article>", b"<p>\x1b$B-!-j\x1b(B and \x1b(I6E\x1b(B.</p></article>")
    kind = kind.replace(b"euc-jp", b"iso-2022-jp")
    yield "iso-2022-jp", Case(kind + jis, holds=("①㈱ and ｶﾅ.", LAST), charset="iso-2022-jp")
    comment = "<!-- <meta charset='koi8-r'> -->"
    yield "comment", case("ru", "cp1251", "windows-1251", None, comment + "<meta charset=windows-1251>")
    yield "comment alone", case("de", "cp1252", "windows-1252", None, comment)
    attribute = "<base data-x='<meta charset=koi8-r>'>"
    yield "attribute", case("ru", "cp1251", "windows-1251", None, attribute + "<meta charset=windows-1251>")
    content = "<meta content='text/html; charset=windows-1251' http-equiv=Content-Type>"
    yield "http-equiv", case("ru", "cp1251", "windows-1251", None, content)
    other = "<meta http-equiv=refresh content='9;charset=koi8-r'><meta name=x content='charset=koi8-r'>"
    yield "no http-equiv", case("ru", "cp1251", "windows-1251", None, other + "<meta charset=cp1251>")
    yield "meta utf-16", case("ru", "utf-8", "utf-8", None, "<meta charset=utf-16>")
    yield "meta x-user-defined", case("de", "cp1252", "windows-1252", None, "<meta charset=x-user-defined>")
    fake = "<title><meta charset=koi8-r></title><script>'<meta charset=koi8-r>'</script>"
    yield "meta in a title", case("ru", "cp1251", "windows-1251", None, fake + "<meta charset=cp1251>")
    late = "<script>" + "x = 1;" * 300 + "'<meta charset=koi8-r>'</script><meta charset=windows-1251>"
    yield "late meta", case("ru", "cp1251", "windows-1251", None, late)
    xml = "<?xml version='1.0' encoding='windows-1251'?>"
    yield "xml", case("ru", "cp1251", "windows-1251", None, "", xml)
    wrong_xml = "<?xml version='1.0' encoding=\"koi8-r\"?>"
    yield (
        "meta over xml",
        case("ru", "cp1251", "windows-1251", None, "<meta charset=windows-1251>", wrong_xml),
    )
    yield "header over meta", case("ru", "cp1251", "windows-1251", "windows-1251", "<meta charset=koi8-r>")
    yield "bom over header", case("ru", "utf-8", "utf-8", "windows-1251", "", "\ufeff")
    yield "quotes", case("ru", "cp1251", "windows-1251", '"windows-1251"')
    for language, label in (
        ("de", "iso-8859-1"), ("ru", "windows-1251"), ("el", "windows-1253"), ("he", "windows-1255"),
        ("th", "windows-874"), ("ja", "shift_jis"), ("zh", "gbk"), ("ko", "euc-kr"), ("tw", "big5"),
    ):  # fmt: skip
        yield f"utf-8 as {label}", case(language, "utf-8", "utf-8", label)
        yield f"utf-8 as {label} in meta", case(language, "utf-8", "utf-8", None, f"<meta charset={label}>")
    cut = page_of("de").encode().replace("Grüße".encode(), b"Gr\xc3")
    cut = cut[: cut.index(b"Gr\xc3") + 3]
    kind = kind.replace(b"iso-2022-jp", b"iso-8859-1")
    yield (
        "utf-8 cut in a character",
        Case(kind + cut, holds=(FIRST, "Leuchtturmwärter zählt"), charset="utf-8"),
    )
    kind = kind.replace(b"iso-8859-1", b"iso-2022-jp")
    yield "utf-16 stated", case("ru", "utf-8", "utf-8", "utf-16")
    for name, sign in (
        ("c", "© 2024 us"),
        ("nbsp", "a\xa0b"),
        ("quote", "It’s “fine”…"),
        ("coffee", "NESCAFÉ™"),
    ):
        html = HTML.replace(b"</article>", f"<p>{sign}</p></article>".encode("cp1252"))
        found = Case(
            OK.replace(b"; charset=utf-8", b"") + b"\r\n" + html, holds=(FIRST, LAST), charset="windows-1252"
        )
        yield f"nearly ascii {name}", found._replace(holds=(sign, LAST))
    for language, codec, name in (
        ("ru", "koi8_r", "koi8-r"), ("ru", "cp1251", "windows-1251"), ("lamp-ko", "cp949", "euc-kr"),
        ("ru", "utf-16-le", "utf-16le"), ("ru", "utf-16-be", "utf-16be"),
    ):  # fmt: skip
        yield f"undeclared {name}", case(language, codec, name, None)
    yield "unknown label of euc-kr", case("lamp-ko", "cp949", "euc-kr", "x-unknown")
    yield "utf-16be under utf-16", case("ru", "utf-16-be", "utf-16be", "utf-16")
    smile = HTML.replace(b"</article>", "<p>Hi 😀</p></article>".encode())
    latin = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
    yield "one emoji as iso-8859-1", Case(latin + smile, holds=(FIRST, "Hi 😀", LAST), charset="utf-8")
    surrogates = smile.replace("😀".encode(), b"\xed\xa0\xbd\xed\xb8\x80").replace(
        b"Hi", "Grüße, süße".encode()
    )
    surrogates = surrogates.replace(b"</article>", "<p>Öl, Äpfel</p></article>".encode())
    yield (
        "an emoji as surrogates",
        Case(OK + b"\r\n" + surrogates, holds=("Grüße, süße", "Öl, Äpfel"), charset="utf-8"),
    )
    japanese = f"<p>{SAMPLES['lamp']}</p>" * 5
    lamp = HTML.replace(b"</article>", japanese.encode("cp932") + b"</article>")
    html = OK.replace(b"; charset=utf-8", b"") + b"\r\n" + lamp
    yield "undeclared shift_jis", Case(html, holds=(FIRST, SAMPLES["lamp"]), charset="shift_jis")
    stray = page_of("ja").encode("cp932").replace("半角".encode("cp932"), "半角".encode("cp932")[:3])
    kind = kind.replace(b"iso-2022-jp", b"shift_jis")
    yield "half a character", Case(kind + stray, holds=(FIRST, "はしごだかと半", LAST), charset="shift_jis")


# --- types ----------------------------------------------------------------------------------------


def types() -> Iterator[tuple[str, Case]]:
    def message(kind: str | None, body: bytes) -> bytes:
        line = b"" if kind is None else f"Content-Type: {kind}\r\n".encode()
        return b"HTTP/1.1 200 OK\r\n" + line + b"\r\n" + body

    for kind in (
        "TEXT/HTML",
        "text/html charset=utf-8",
        "text/html,charset=utf-8",
        '"text/html"',
        "'text/html'",
        "text/html, text/html",
        "text/plain, text/html",
        "text/html; charset=utf-8, text/html",
        " text/html ;",
        "text/html(x)",
        "text/html:",
        "text/html;charset",
        "application/xhtml+xml; q=1",
    ):
        yield f"type {kind}", Case(message(kind, HTML))
    for vague in (None, "", "html", "text", "unknown/unknown", "application/unknown", "*/*", "charset=utf-8"):
        yield f"vague {vague}", Case(message(vague, HTML))
    for kind in (
        "text/plain",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "application/xml",
        "text/html, text/plain",
        "image/png",
        "application/json",
    ):
        yield f"other {kind}", Case(message(kind, HTML), "mime")
    for start in (
        "<!DOCTYPE HTML>",
        "<!doctype html PUBLIC 'x'>",
        "<HTML lang=en>",
        "<head>",
        "<script>x</script>",
        "<iframe></iframe>",
        "<h1>A</h1>",
        "<div>",
        "<font size=2>",
        "<table></table>",
        "<a href=x>y</a>",
        "<style>a{}</style>",
        "<title>A</title>",
        "<b>A</b>",
        "<BODY >",
        "<br>",
        "<p >",
        "<!-- x -->",
        "\r\n\t <p>",
        "<!--x--><html>",
        "\ufeff<!doctype html>",
        "<?xml version='1.0'?>\n<!doctype html>",
        "<!--" + "-" * 40 + "--><body>",
        "<!--x--> " * 40 + "<p>",
    ):
        yield f"sniffed {start[:30]!r}", Case(message(None, start.encode() + ARTICLE.encode()))
    for start in (
        "<pre>",
        "<para>",
        "<htmlx>",
        "<span>",
        "words <p>",
        "<!--x",
        "<?xml version='1.0'?><a >",
        "<p",
        "{}",
        "<!--x-->" * 600 + "<p>",
        "%PDF-1.4",
    ):
        yield f"not sniffed {start[:30]!r}", Case(message(None, start.encode() + ARTICLE.encode()), "mime")
    identified = "WARC-Identified-Payload-Type"
    for stated, found, ends in (
        ("text/plain", "text/html", "page"),
        (None, "text/html", "page"),
        ("application/octet-stream", "application/xhtml+xml", "page"),
        ("text/html", "TEXT/HTML; x=y", "page"),
        ("text/html", "application/octet-stream", "page"),
        ("text/html", " ", "page"),
        ("text/html", "application/pdf", "mime"),
        ("text/html", "text/plain", "mime"),
        ("text/html", "application/rss+xml", "mime"),
    ):
        held = Case(message(stated, HTML), ends, headers=((identified, found),))
        yield f"identified {stated} {found}", held


CASES: dict[str, Case] = {}
for group in (heads, bodies, charsets, types):
    for key, case in group():
        assert f"{group.__name__} {key}" not in CASES
        CASES[f"{group.__name__} {key}"] = case


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case's row of the ledger, and of documents where it has one, after one run."""
    folder = tmp_path_factory.mktemp("pages")
    records = [
        warc_record("response", f"https://a.org/{number}", "2026-01-02T03:04:05Z", case.block, case.headers)
        for number, case in enumerate(CASES.values())
    ]
    (folder / "a.warc").write_bytes(b"".join(records))
    (folder / "recipe.yaml").write_text(
        "name: t\nread: {max_page_mb: 1}\nextract: {extractors: [resiliparse]}"
    )
    plan = make_plan(
        load_recipe(str(folder / "recipe.yaml")),
        list_inputs([str(folder / "a.warc")]),
        folder / "out",
        Options(),
    )
    refine(None, plan)
    documents = {row["id"]: row for row in table(folder / "out", "documents")}
    ledger = table(folder / "out", "ledger")
    assert [row["url"] for row in ledger] == [f"https://a.org/{number}" for number in range(len(CASES))]
    return {name: {**documents.get(row["id"], {}), **row} for name, row in zip(CASES, ledger, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_a_page(name: str, outcome: dict[str, dict[str, Any]]) -> None:
    case, row = CASES[name], outcome[name]
    assert (row["rule"] or "page") == case.ends, row
    if case.ends == "page":
        assert [part for part in case.holds if part not in row["text"]] == [], row["text"]
    if case.charset is not None:
        assert row["charset"] == case.charset
    said = row["casualty"] or ""
    assert case.casualty in said if case.casualty else not said, said
