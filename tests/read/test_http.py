"""HTTP messages as archives hold them: codings, chunks, damage, bombs."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard

from werp.read import HttpError, parse_http

BODY = "<html><body>Grüße von der Küste</body></html>".encode() * 20
CAP = 1 << 20


def message(body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


def raw_deflate(body: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(body) + coder.flush()


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("identity", bytes),
        ("GZIP", gzip.compress),
    ],
)
def test_content_codings(coding: str, encode: object) -> None:
    assert callable(encode)
    parsed = parse_http(message(encode(BODY), Content_Encoding=coding), max_body_bytes=CAP)
    assert (parsed.status, parsed.body) == (200, BODY)


def test_codings_are_undone_in_reverse() -> None:
    body = brotli.compress(gzip.compress(BODY))
    parsed = parse_http(message(body, Content_Encoding="gzip, br"), max_body_bytes=CAP)
    assert parsed.body == BODY


def test_a_body_that_was_decoded_before_it_was_stored() -> None:
    assert parse_http(message(BODY, Content_Encoding="gzip"), max_body_bytes=CAP).body == BODY


def test_a_body_that_is_cut_short_gives_what_there_is() -> None:
    half = gzip.compress(BODY * 9)[:-30]
    body = parse_http(message(half, Content_Encoding="gzip"), max_body_bytes=CAP).body
    assert body
    assert (BODY * 9).startswith(body)


@pytest.mark.parametrize(
    ("chunks", "whole"),
    [
        (b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5\nhello\n0\n\n", b"hello"),
        (b"<html>joined already</html>\n", b"<html>joined already</html>\n"),
        (b"5\r\nhello\r\nff\r\nshort", b"helloshort"),
        (b"-5\r\nhello\r\n", b"-5\r\nhello\r\n"),
        (b"5\r\nhello\r\n-9\r\nhello\r\n", b"hello-9\r\nhello\r\n"),
    ],
)
def test_chunks(chunks: bytes, whole: bytes) -> None:
    assert parse_http(message(chunks, Transfer_Encoding="chunked"), max_body_bytes=CAP).body == whole


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        (b"", "http_malformed"),
        (b"no status line\r\n\r\nbody", "http_malformed"),
        (b"HTTP abc\r\n\r\n", "http_malformed"),
        (message(b"\x1f\x8b\x08broken", Content_Encoding="gzip"), "content_encoding"),
        (message(b"\xff\xff\0", Content_Encoding="br"), "content_encoding"),
        (message(b"\0\1\2", Content_Encoding="zstd"), "content_encoding"),
        (message(bytes(99), Content_Encoding="pack200"), "content_encoding"),
        (message(bytes(CAP + 1)), "too_large"),
    ],
)
def test_what_cannot_be_decoded_says_why(block: bytes, rule: str) -> None:
    with pytest.raises(HttpError) as raised:
        parse_http(block, max_body_bytes=CAP)
    assert raised.value.rule == rule
    assert raised.value.cause


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(200 << 20))),
        ("br", brotli.compress(bytes(64 << 20), quality=1)),
        ("zstd", zstandard.compress(bytes(200 << 20))),
    ],
    ids=["gzip", "br", "zstd"],
)
def test_a_bomb_stops_at_the_cap(coding: str, bomb: bytes) -> None:
    with pytest.raises(HttpError) as raised:
        parse_http(message(bomb, Content_Encoding=coding), max_body_bytes=CAP)
    assert raised.value.rule == "too_large"
