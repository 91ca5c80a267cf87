"""The reader beside warcio on real files, and on damage made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator
from warcio.warcwriter import WARCWriter

from werp.read import Damage, Record, read_records

Seen = tuple[str, str | None, str]
#: Files that warcio reads to their end with another count than ours, and why; docs/reading.md tells more.
EXCEPTIONS = {
    # warcio gives nothing for a header without a block; the ledger says that the file ends there.
    "richardlehane+webarchive/invalid-warcheaderfieldpolicy-13.warc": (0, 1),
}

#: A gzip member of nothing.
EMPTY = "internetarchive+gowarc/empty.warc.gz.open"


def digest(block: bytes) -> str:
    """SHA-1; of a block above the reader's cap only the length (one file has a record of 431 MB)."""
    return f"{len(block)} bytes" if len(block) > 256 << 20 else hashlib.sha1(block).hexdigest()


def by_warcio(path: Path, *, parse_http: bool) -> tuple[list[Seen], bool]:
    """What warcio reads (type, URL, SHA-1 of the block), and whether it came to the file's end."""
    seen: list[Seen] = []
    try:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, no_record_parse=not parse_http):
                block = digest(record.raw_stream.read())
                url = record.rec_headers.get_header("WARC-Target-URI" if record.format == "warc" else "uri")
                seen.append((record.rec_type or "", url, block))
    except Exception:  # warcio raises many kinds
        return seen, False
    return seen, True


def by_us(path: Path) -> tuple[list[Seen], list[Damage]]:
    records, damages = [], []
    for item in read_records(path):
        if isinstance(item, Damage):
            damages.append(item)
        else:
            found = digest(item.block) if item.block is not None else f"{item.block_length} bytes"
            records.append((item.record_type, item.url, found))
    return records, damages


def archives(werp_data: Path) -> Iterator[Path]:
    folder = werp_data / "warc"
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and p.parent != folder)


@pytest.mark.filterwarnings("ignore")
def test_real_files_give_what_warcio_gives(werp_data: Path) -> None:
    wrong, whole, exceptions = [], 0, {}
    for path in archives(werp_data):
        name = path.relative_to(werp_data / "warc").as_posix()
        theirs, to_the_end = by_warcio(path, parse_http=False)
        parsed, parsed_to_the_end = by_warcio(path, parse_http=True)
        ours, damages = by_us(path)
        rows = len(ours) + len(damages)
        whole += parsed_to_the_end
        if parsed_to_the_end and rows != len(parsed):
            exceptions[name] = (len(parsed), rows)
        if to_the_end and ours != theirs and name not in EXCEPTIONS:
            wrong.append(f"{name}: other content")
        if rows < max(len(theirs), len(parsed)) or (not rows and name != EMPTY):
            wrong.append(f"{name}: {rows} rows, warcio gave {len(theirs)} before it stopped")
    assert whole > 190
    assert exceptions == EXCEPTIONS
    assert wrong == [], "\n".join(wrong)


def warc(pages: int, seed: int = 1) -> list[bytes]:
    """Records of a made-up crawl, each as warcio writes it, uncompressed."""
    dice = random.Random(seed)
    records = []
    for number in range(pages):
        out = io.BytesIO()
        writer = WARCWriter(out, gzip=False)
        body = bytes(dice.choices(b"abcdefgh <>\n", k=dice.randrange(10, 3000)))
        payload = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        record = writer.create_warc_record(
            f"https://example.org/{number}", "response", payload=io.BytesIO(payload), length=len(payload)
        )
        writer.write_record(record)
        records.append(out.getvalue())
    return records


def pack(records: list[bytes], packing: str) -> bytes:
    zstd = zstandard.ZstdCompressor()
    return {
        "none": lambda: b"".join(records),
        "gzip by record": lambda: b"".join(map(gzip.compress, records)),
        "gzip whole": lambda: gzip.compress(b"".join(records)),
        "gzip in pieces": lambda: b"".join(
            gzip.compress(b"".join(records)[i : i + 997]) for i in range(0, sum(map(len, records)), 997)
        ),
        "gzip cut in a block": lambda: (
            gzip.compress(records[0][:-30]) + gzip.compress(records[0][-30:] + b"".join(records[1:]))
        ),
        "zstd by record": lambda: b"".join(map(zstd.compress, records)),
        "zstd whole": lambda: zstd.compress(b"".join(records)),
    }[packing]()


PACKINGS = ["none", "gzip by record", "gzip whole", "gzip in pieces", "zstd by record", "zstd whole"]


def read(path: Path, **options: Any) -> tuple[list[Record], list[Damage]]:
    items = list(read_records(path, **options))
    offsets = [item.offset for item in items]
    assert offsets == sorted(set(offsets)), "offsets must grow: they make the ids"
    return (
        [item for item in items if isinstance(item, Record)],
        [item for item in items if isinstance(item, Damage)],
    )


@pytest.mark.parametrize("packing", [*PACKINGS, "gzip cut in a block"])
def test_every_packing_gives_the_same_records(tmp_path: Path, packing: str) -> None:
    records = warc(40)
    (tmp_path / "a.warc").write_bytes(pack(records, packing))
    found, damages = read(tmp_path / "a.warc")
    assert damages == []
    assert [r.url for r in found] == [f"https://example.org/{n}" for n in range(40)]
    assert all(r.block and r.block in whole for r, whole in zip(found, records, strict=True))
    assert all(r.damage is None for r in found)


def test_a_dictionary_for_zstd_frames_is_found(tmp_path: Path) -> None:
    records = warc(300)
    samples = zstandard.train_dictionary(4096, records)
    compress = zstandard.ZstdCompressor(dict_data=samples).compress
    dictionary = samples.as_bytes()
    frame = b"\x5d\x2a\x4d\x18" + len(dictionary).to_bytes(4, "little") + dictionary
    (tmp_path / "a.warc.zst").write_bytes(frame + b"".join(map(compress, records)))
    found, damages = read(tmp_path / "a.warc.zst")
    assert (len(found), damages) == (300, [])


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_cut_file_keeps_all_before_the_cut(tmp_path: Path, packing: str) -> None:
    records = warc(12)
    data = pack(records, packing)
    dice = random.Random(packing)
    for _ in range(40):
        cut = dice.randrange(len(data) // 3, len(data))
        (tmp_path / "a.warc").write_bytes(data[:cut])
        found, damages = read(tmp_path / "a.warc")
        sound = [r for r in found if r.damage is None]
        assert [r.url for r in sound] == [f"https://example.org/{n}" for n in range(len(sound))]
        assert all(r.block and r.block in whole for r, whole in zip(sound, records, strict=False))
        if packing == "none":
            whole_before = sum(len(b"".join(records[: n + 1])) <= cut for n in range(12))
            assert len(sound) >= whole_before
        at_a_border = len(damages) + len(found) - len(sound) == 0
        assert at_a_border is (cut in _borders(records, packing, len(sound)))


def _borders(records: list[bytes], packing: str, sound: int) -> set[int]:
    """Where a cut after `sound` records leaves a file that nothing is missing from, as far as one sees."""
    if packing == "none":  # the two line ends behind a block may be missing too
        end = len(b"".join(records[:sound]))
        return set(range(end - 4, end + 1))
    if packing.endswith("by record"):
        return {len(pack(records[:sound], packing))}
    if packing == "gzip in pieces":  # a member may end inside the line ends
        data = b"".join(records)
        end, borders, at = len(b"".join(records[:sound])), set[int](), 0
        for i in range(0, len(data), 997):
            at += len(gzip.compress(data[i : i + 997]))
            if end - 4 <= min(i + 997, len(data)) <= end:
                borders.add(at)
        return borders
    return set()


@pytest.mark.parametrize("packing", ["none", "gzip by record", "zstd by record"])
def test_damage_in_the_middle_costs_what_it_hits(tmp_path: Path, packing: str) -> None:
    records = warc(30)
    parts = [pack([record], packing) for record in records]
    parts[10] = parts[10][: len(parts[10]) // 2]
    parts[20] = b"\0garbage\xff" * 500
    (tmp_path / "a.warc").write_bytes(b"".join(parts))
    found, damages = read(tmp_path / "a.warc")
    urls = [r.url for r in found if r.damage is None]
    lost = {f"https://example.org/{n}" for n in range(30)} - set(urls)
    assert lost <= {"https://example.org/10", "https://example.org/20"}
    assert len(damages) + sum(r.damage is not None for r in found) >= 2
    assert all(damage.cause and damage.rule == "damaged_record" for damage in damages)


def test_random_flips_never_raise_and_lose_little(tmp_path: Path) -> None:
    data = pack(warc(40), "gzip by record")
    dice = random.Random(7)
    for _ in range(60):
        broken = bytearray(data)
        broken[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        (tmp_path / "a.warc.gz").write_bytes(broken)
        found, damages = read(tmp_path / "a.warc.gz")
        assert len(found) >= 38
        assert len(found) + len(damages) >= 40


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x04\x22\x4d\x18" + bytes(60), "lz4"),
        (b"BZh91AY&SY" + bytes(60), "bunzip2"),
        (b"\xfd7zXZ\0" + bytes(60), "xz"),
        (b"PK\x03\x04" + bytes(60), "zip"),
        (b"<html><body>no archive</body></html>", "neither WARC nor ARC"),
        (gzip.compress(b"just text\n" * 40), "neither WARC nor ARC"),
    ],
    ids=["lz4", "bzip2", "xz", "zip", "html", "packed text"],
)
def test_what_is_no_archive_is_one_row(tmp_path: Path, data: bytes, cause: str) -> None:
    (tmp_path / "a.warc.gz").write_bytes(data)
    found, damages = read(tmp_path / "a.warc.gz")
    assert found == []
    assert [damage.rule for damage in damages] == ["not_an_archive"]
    assert cause in damages[0].cause


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"")
    assert read(tmp_path / "a.warc") == ([], [])


def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    records = warc(400)
    peaks = []
    for times in (1, 10):
        (tmp_path / "a.warc.gz").write_bytes(pack(records, "gzip by record") * times)
        tracemalloc.start()
        count = sum(isinstance(item, Record) for item in read_records(tmp_path / "a.warc.gz"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == 400 * times
    assert peaks[1] < 1.1 * peaks[0]


def test_a_record_above_the_cap_streams_by(tmp_path: Path) -> None:
    payload = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64 << 20)
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
    bomb = gzip.compress(head + payload + b"\r\n\r\n", 1)
    (tmp_path / "a.warc.gz").write_bytes(bomb + gzip.compress(warc(1)[0]))
    tracemalloc.start()
    found, damages = read(tmp_path / "a.warc.gz", max_block_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(r.block is None, r.block_length) for r in found][:1] == [(True, len(payload))]
    assert found[1].url == "https://example.org/0"
    assert damages == []
    assert peak < 16 << 20
    length = found[1].block_length
    for cap, whole in ((length, True), (length - 1, False)):
        found, _ = read(tmp_path / "a.warc.gz", max_block_bytes=cap)
        assert (found[1].block is not None) == whole
