"""Rows of text: the same rows and offsets whatever the packing, and every bad one named."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from werp.errors import WerpError
from werp.pages import ReadOptions
from werp.read import Damage, Given, read_rows
from werp.read.rows import check_columns, is_rows

FIELDS = ReadOptions().fields


def rows(path: Path, most: int = 1 << 20, **fields: list[str]) -> list[Given | Damage]:
    return list(read_rows(path, {**FIELDS, **fields}, max_row_bytes=most))


def texts(path: Path) -> list[str]:
    return [row.text for row in rows(path) if isinstance(row, Given)]


def damages(path: Path, most: int = 1 << 20) -> list[tuple[int, str]]:
    return [(row.offset, row.rule) for row in rows(path, most) if isinstance(row, Damage)]


def members(data: bytes, cuts: list[int], pack: Any) -> bytes:
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return b"".join(pack(data[a:b]) for a, b in itertools.pairwise(ends))


_LINE = st.one_of(
    st.fixed_dictionaries({"text": st.text(max_size=40)}).map(
        lambda row: json.dumps(row, ensure_ascii=False)
    ),
    st.sampled_from(["", "  ", "{", "[1]", "null", '{"text": 3}', '{"txt": "a"}']),
)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(_LINE, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=4),
)
def test_packing_changes_nothing_and_offsets_find_the_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, last: bool, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    data = (end.join(lines) + (end if last else "")).encode("utf-8", "replace")
    packed = {
        "a.jsonl": data,
        "a.jsonl.gz": members(data, cuts, gzip.compress),
        "a.jsonl.zst": members(data, cuts, zstandard.compress),
    }
    found = []
    for name, content in packed.items():
        (folder / name).write_bytes(content)
        found.append(rows(folder / name))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == sum(bool(line.strip()) for line in data.split(b"\n"))
    for row in found[0]:
        line = data[row.offset :].split(b"\n")[0]
        if isinstance(row, Given):
            assert json.loads(line)["text"] == row.text


def test_the_real_sample_is_read_as_pandas_reads_it(werp_data: Path, tmp_path: Path) -> None:
    data = lzma.decompress((werp_data / "corpora" / "c4-sample.jsonl.xz").read_bytes())
    path = tmp_path / "c4.jsonl.gz"
    path.write_bytes(gzip.compress(data))
    frame = pd.read_json(path, lines=True)
    assert len(frame) == 300
    assert texts(path) == frame["text"].tolist()
    frame.to_parquet(tmp_path / "c4.parquet", row_group_size=70)
    assert texts(tmp_path / "c4.parquet") == frame["text"].tolist()
    assert [row.offset for row in rows(tmp_path / "c4.parquet")] == list(range(300))


def test_fields_of_known_data_sets_are_found(tmp_path: Path) -> None:
    lines = [
        {"text": "fineweb", "dump": "CC-MAIN-2024-10", "url": "http://a/", "date": "2024-02-20T00:00:00Z"},
        {"text": "dolma", "metadata": {"url": "http://b/"}, "created": "2020-01-01"},
        {"text": "c4", "timestamp": "2019-04-25T12:57:54Z", "url": "http://c/"},
        {"text": "bare"},
    ]
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert [(r.url, r.date, r.crawl) for r in rows(path) if isinstance(r, Given)] == [
        ("http://a/", "2024-02-20T00:00:00Z", "CC-MAIN-2024-10"),
        ("http://b/", "2020-01-01", None),
        ("http://c/", "2019-04-25T12:57:54Z", None),
        (None, None, None),
    ]
    path.write_text('{"doc": {"body": "deep"}}')
    assert [r.text for r in rows(path, text=["doc.body"]) if isinstance(r, Given)] == ["deep"]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    good = b'{"text": "good"}\n'
    bad = {
        b"{broken\n": "bad_row", b'{"text": "\xff"}\n': "bad_row", b'"a string"\n': "bad_row",
        b"[" * 100_000 + b"\n": "bad_row", b'{"text": null}\n': "no_text", b'{"text": ["a"]}\n': "no_text",
        b'{"body": "x"}\n': "no_text", b'{"text": "' + b"x" * 200_000 + b'"}\n': "too_large",
    }  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_bytes(good.join(bad) + good)
    assert [rule for _, rule in damages(path, most=150_000)] == list(bad.values())
    assert texts(path).count("good") == len(bad)
    cause = next(r.cause for r in rows(path) if isinstance(r, Damage) and "body" in r.cause)
    assert "read.text_fields" in cause


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, "gz"), (zstandard.compress, "zst")])
def test_a_cut_or_damaged_file_gives_what_can_be_had_and_one_row_for_the_rest(
    tmp_path: Path, pack: Any, suffix: str
) -> None:
    lines = "".join(
        json.dumps({"text": hashlib.sha512(b"%d" % i).hexdigest() * 4}) + "\n" for i in range(900)
    )
    data = pack(lines.encode())
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    cut = rows(path)
    assert 100 < len(cut) < 900
    assert [type(row) for row in cut] == [Given] * (len(cut) - 1) + [Damage]
    assert isinstance(cut[-1], Damage)
    assert cut[-1].rule == "truncated"
    assert lines[cut[-1].offset - 1] == "\n"  # the row names the line with which the loss begins
    path.write_bytes(b"not packed at all, and no JSON\n")
    assert damages(path) == [(0, "bad_row")]
    path.write_bytes(lzma.compress(lines.encode()))
    assert damages(path) == [(0, "damaged_record")]
    path.write_bytes(b"")
    assert rows(path) == []


def test_a_damaged_row_group_costs_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    wanted = ["".join(hashlib.sha256(f"{i} {j}".encode()).hexdigest() for j in range(20)) for i in range(90)]
    table = pa.table({"text": wanted, "n": range(90)})
    pq.write_table(table, path, row_group_size=30, compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    middle = chunk.data_page_offset + chunk.total_compressed_size * 3 // 4
    data[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(data)
    assert damages(path) == [(row, "damaged_record") for row in range(30, 60)]
    assert texts(path) == wanted[:30] + wanted[60:]
    path.write_bytes(bytes(data[:-8]))
    assert damages(path) == [(0, "damaged_record")]


def test_text_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"\xff\xfe", b"fine"])
    forged = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": forged}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": raw}), tmp_path / "b.parquet")  # a binary column
    for name in ("a.parquet", "b.parquet"):
        assert damages(tmp_path / name) == [(1, "bad_row")]
        assert texts(tmp_path / name) == ["good", "fine"]


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_the_streams_of_saved_data_sets(tmp_path: Path, kind: str) -> None:
    table = pa.table({
        "text": [f"row {i}" for i in range(150)],
        "date": pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 150, pa.timestamp("us", "UTC")),
        "image": [b"\xff"] * 150,
    })  # fmt: skip
    path = tmp_path / "data-00000-of-00001.arrow"
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=40)
    found = rows(path)
    assert [(r.offset, r.text, r.date) for r in found if isinstance(r, Given)] == [
        (i, f"row {i}", "2024-01-01T00:00:00Z") for i in range(150)
    ]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert isinstance(rows(path)[-1], Damage)


def test_a_table_without_text_is_refused_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"content": ["x"], "id": [1]}), path)
    with pytest.raises(WerpError, match=r"a\.parquet: no column text; it has content, id.*read\.text_fields"):
        check_columns(path, FIELDS, "a.parquet")
    check_columns(path, {**FIELDS, "text": ("text", "content")}, "a.parquet")
    assert texts(path) == []
    path.write_bytes(b"garbage")
    check_columns(path, FIELDS, "a.parquet")  # reading it gives the ledger row


def test_kinds_are_told_by_name() -> None:
    assert all(
        map(is_rows, ["a.jsonl", "a.JSONL.GZ", "c4-train.00000-of-01024.json.gz", "x.parquet", "x.arrow"])
    )
    assert not any(map(is_rows, ["a.warc.gz", "a.warc.wet.gz", "a.arc", "jsonl", "a.jsonl.warc"]))
