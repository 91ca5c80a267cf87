"""A plain second reading of archives and rules, to hold the sample's verdicts against.

Nothing here is shared with the refinery: warcio reads, trafilatura extracts, fastText names
the language, and the Gopher rules are written down once more as they are told in words.
"""

from __future__ import annotations

import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import brotli
from warcio.archiveiterator import ArchiveIterator

_PAGE_LIMIT = 16 << 20
_STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
#: Thresholds of the two Gopher families; which side drops follows from min or max in the key.
QUALITY = {
    "min_words": 50, "max_words": 100_000, "min_mean_word_length": 3, "max_mean_word_length": 10,
    "max_hash_ratio": 0.1, "max_ellipsis_ratio": 0.1, "max_bullet_line_ratio": 0.9,
    "max_ellipsis_line_ratio": 0.3, "min_alpha_word_ratio": 0.8, "min_stop_words": 2,
}  # fmt: skip
REPETITION = {
    "max_dup_line_ratio": 0.3, "max_dup_paragraph_ratio": 0.3, "max_dup_line_char_ratio": 0.2,
    "max_dup_paragraph_char_ratio": 0.2, "max_top_2_gram_char_ratio": 0.2, "max_top_3_gram_char_ratio": 0.18,
    "max_top_4_gram_char_ratio": 0.16, "max_dup_5_gram_char_ratio": 0.15, "max_dup_6_gram_char_ratio": 0.14,
    "max_dup_7_gram_char_ratio": 0.13, "max_dup_8_gram_char_ratio": 0.12, "max_dup_9_gram_char_ratio": 0.11,
    "max_dup_10_gram_char_ratio": 0.1,
}  # fmt: skip


@dataclass
class Reading:
    """A record as read; `settled` is (outcome, stage, rule) where reading ends it."""

    url: str | None
    record_type: str | None
    body: bytes = b""
    settled: tuple[str, str | None, str | None] | None = None


class Measured(NamedTuple):
    rule: str
    value: float
    threshold: float
    drops: bool


@dataclass
class Judged:
    """What the rules say of one text, and every comparison made on the way."""

    verdict: tuple[str, str | None, str | None]
    measured: list[Measured] = field(default_factory=list)


def read_archive(path: Path) -> Iterator[Reading]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        yield from _gzip_records(data)
    elif data[:5] == b"WARC/":
        yield from _records(data)
    else:
        yield Reading(None, None, settled=("failed", "read", "not_an_archive"))


def _gzip_records(data: bytes) -> Iterator[Reading]:
    while data:
        stream = zlib.decompressobj(wbits=31)
        try:
            plain = stream.decompress(data)
        except zlib.error:
            yield Reading(None, None, settled=("failed", "read", "damaged_record"))
            data = data[data.index(b"\x1f\x8b\x08", 10) :]
            continue
        yield from _records(plain)
        if not stream.eof:
            return
        data = stream.unused_data


def _records(data: bytes) -> Iterator[Reading]:
    for record in ArchiveIterator(io.BytesIO(data), no_record_parse=True):
        url = record.rec_headers.get_header("WARC-Target-URI") or record.rec_headers.get_header("uri")
        block = record.raw_stream.read()
        if len(block) < (record.length or 0):
            yield Reading(url, record.rec_type, settled=("failed", "read", "truncated"))
            return
        yield _read(url, record.rec_type, block, record.rec_headers.get_header("Content-Type") or "")


def _read(url: str | None, record_type: str, block: bytes, content_type: str) -> Reading:
    dropped = Reading(url, record_type)
    if record_type not in {"response", "resource"}:
        dropped.settled = ("dropped", "read", "record_type")
        return dropped
    body = block
    if record_type == "response":
        head, _, body = re.split(rb"(\r?\n\r?\n)", block, maxsplit=1)
        lines = head.decode("latin-1").splitlines()
        status = re.fullmatch(r"HTTP/\d\.\d (\d{3})( .*)?", lines[0])
        if not status:
            dropped.settled = ("failed", "read", "http_malformed")
            return dropped
        if status[1][0] != "2":
            dropped.settled = ("dropped", "read", "http_status")
            return dropped
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        content_type = headers.get("content-type", "")
        if headers.get("transfer-encoding") == "chunked":
            body = _unchunked(body)
        try:
            body = _decoded(body, headers.get("content-encoding", ""))
        except (zlib.error, brotli.error):
            dropped.settled = ("failed", "read", "content_encoding")
            return dropped
    if not body.strip():
        dropped.settled = ("dropped", "read", "empty_body")
    elif not (
        content_type.startswith(("text/html", "application/xhtml+xml")) or _looks_html(content_type, body)
    ):
        dropped.settled = ("dropped", "read", "mime")
    elif len(body) > _PAGE_LIMIT:
        dropped.settled = ("failed", "read", "too_large")
    dropped.body = body
    return dropped


def _looks_html(content_type: str, body: bytes) -> bool:
    return not content_type and body.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _unchunked(body: bytes) -> bytes:
    parts = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(rest[:length])
        body = rest[length + 2 :]


def _decoded(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return zlib.decompress(body, wbits=31)
    if coding == "deflate":
        return zlib.decompress(body)
    return bytes(brotli.decompress(body)) if coding == "br" else body


def judge(text: str, language: str, score: float) -> Judged:
    """The verdict of recipe `gopher_only` before deduplication."""
    if not text.strip():
        return Judged(("dropped", "extract", "empty"))
    found = [Measured("language.v1.min_score", score, 0.65, score < 0.65)]
    if language != "en":
        return Judged(("dropped", "language", "language.v1.languages"))
    if found[0].drops:
        return Judged(("dropped", "language", "language.v1.min_score"), found)
    for family, thresholds, values in (
        ("gopher_quality.v1", QUALITY, quality(text)),
        ("gopher_repetition.v1", REPETITION, repetition(text)),
    ):
        for key, threshold in thresholds.items():
            value = values[key]
            drops = value < threshold if key.startswith("min") else value > threshold
            found.append(Measured(f"{family}.{key}", value, threshold, drops))
            if drops:
                return Judged(("dropped", "filter", f"{family}.{key}"), found)
    return Judged(("kept", None, None), found)


def words_of(text: str) -> list[str]:
    """Runs of letters and digits with inner apostrophes, ellipses, and single other signs."""
    return re.findall(r"\w+(?:['’]\w+)*|\.{2,}|[^\w\s]", text)


def quality(text: str) -> dict[str, float]:
    words = words_of(text)
    real = [word for word in words if any(c.isalnum() for c in word)]
    lines = text.splitlines()
    ellipses = text.count("...") + text.count("…")
    return {
        "min_words": len(real),
        "max_words": len(real),
        "min_mean_word_length": sum(map(len, real)) / max(1, len(real)),
        "max_mean_word_length": sum(map(len, real)) / max(1, len(real)),
        "max_hash_ratio": text.count("#") / len(words),
        "max_ellipsis_ratio": ellipses / len(words),
        "max_bullet_line_ratio": sum(line.lstrip().startswith(("-", "•")) for line in lines) / len(lines),
        "max_ellipsis_line_ratio": sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines),
        "min_alpha_word_ratio": sum(any(c.isalpha() for c in word) for word in words) / len(words),
        "min_stop_words": len(_STOP_WORDS & set(words)),
    }


def repetition(text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, parts in (
        ("paragraph", re.split(r"\n{2,}", text.strip())),
        ("line", re.split(r"\n+", text)),
    ):
        again = [part for i, part in enumerate(parts) if part in set(parts[:i])] if len(parts) < 2000 else []
        values[f"max_dup_{name}_ratio"] = len(again) / len(parts)
        values[f"max_dup_{name}_char_ratio"] = sum(map(len, again)) / len(text)
    words = words_of(text)
    for n in (2, 3, 4):
        grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        most = grams.most_common(1)[0][1]
        longest = max(len(gram) for gram, count in grams.items() if count == most)
        values[f"max_top_{n}_gram_char_ratio"] = longest * most / len(text)
    for n in range(5, 11):
        values[f"max_dup_{n}_gram_char_ratio"] = _repeated_characters(words, n) / len(text)
    return values


def _repeated_characters(words: list[str], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    total = i = 0
    while i <= len(words) - n:
        gram = tuple(words[i : i + n])
        if gram in seen:
            total += sum(map(len, gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return total


def levelled(text: str) -> str:
    """What exact deduplication compares."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def verdict_of(row: dict[str, Any]) -> tuple[str, str | None, str | None]:
    return row["outcome"], row["stage"], row["rule"]
