"""Reading text that somebody has extracted already: JSON lines, Parquet and Arrow files, row by row.

The refinery, `werp tokenize` and the sources of classifiers read through `rows`. A row's offset is its place
in its file and nothing else: for JSON lines the byte at which the line begins in the unpacked stream, for
tables the number of the row. Every line or row that gives no text is a Damage; memory is bounded by one row
of the cap's size and one batch.
"""

from __future__ import annotations

import bz2
import datetime
import json
import lzma
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from werp.errors import WerpError
from werp.read.packing import (
    GZIP,
    ZSTD,
    RawUnit,
    Source,
    UnitError,
    foreign_packing,
    is_skippable,
    open_unit,
    skippable_end,
)
from werp.read.records import Damage

#: What the name of a packed file ends with; gzip and zstd are judged by the bytes all the same.
PACKED = r"(\.(gz|gzip|zst|zstd|xz|bz2))?$"
_LINES = re.compile(r"\.(jsonl|ndjson|json)" + PACKED, re.IGNORECASE)
_PACKED_NAME = re.compile(r"\.(gz|gzip|zst|zstd|xz|bz2)$", re.IGNORECASE)
#: Packings that Python's library reads, told by the name alone.
_WHOLE: dict[str, tuple[Callable[..., Any], str]] = {".xz": (lzma.open, "xz"), ".bz2": (bz2.open, "bzip2")}
_XZ = b"\xfd7zX"
#: What a folder is searched for: a plain x.json there is its description more often than its rows.
_FOLDER = re.compile(
    rf"\.(jsonl|ndjson){PACKED}|\.json\.(gz|zst|xz|bz2)$|\.(parquet|parq|arrow)$", re.IGNORECASE
)
#: Tables that `datasets` keeps of a saved data set that somebody mapped or filtered.
_CACHE = re.compile(r"(cache|tmp)[-\w]*\.arrow$")
_PARQUET = re.compile(r"\.(parquet|parq)$", re.IGNORECASE)
_ARROW = re.compile(r"\.(arrow|feather)$", re.IGNORECASE)
_BATCH_ROWS = 64
_BLANK = b" \t\r\n"

#: A line above it is refused where the caller names no bound of its own.
MOST = 1 << 30

Fields = Mapping[str, Sequence[str]]
Kind = Literal["lines", "parquet", "arrow"]


class Found(NamedTuple):
    """A row, or why there is none. number: of the line or row, from 1 on, as a message names it."""

    offset: int
    number: int
    row: dict[str, Any] | Damage


@dataclass(frozen=True, slots=True)
class Given:
    """One row that holds a text. date: as written, or ISO 8601 where the column is a time."""

    offset: int
    text: str
    url: str | None
    date: str | None
    crawl: str | None


def is_rows(path: str | Path) -> bool:
    """Whether a file is read row by row, by its name; everything else is read as an archive."""
    name = Path(path).name
    return any(kind.search(name) for kind in (_LINES, _PARQUET, _ARROW))


def is_rows_in_folder(path: Path) -> bool:
    """Whether a file that a folder holds is read row by row: no description, no cache of a saved data set."""
    if _CACHE.match(path.name) and (path.parent / "state.json").is_file():
        return False
    return _FOLDER.search(path.name) is not None


def kind_of(path: str | Path) -> Kind:
    """How a file is read, by its name: what is no table, as JSON lines."""
    name = Path(path).name
    return "parquet" if _PARQUET.search(name) else "arrow" if _ARROW.search(name) else "lines"


def rows(
    path: str | Path, wanted: Collection[str] | None = None, *, most: int = MOST, kind: Kind | None = None
) -> Iterator[Found]:
    """Every row of a file in order, or a `Damage` in its place.

    wanted: the columns of tables that are read; None reads all. most: bytes of a line. kind: how to read it,
        in place of what its name says. Rules of the damages: see `read_rows`. Only opening the file raises.
    """
    kind = kind or kind_of(path)
    if kind == "lines":
        yield from _json_lines(Path(path), most)
        return
    for offset, row in (_parquet if kind == "parquet" else _arrow)(Path(path), wanted):
        yield Found(offset, offset + 1, row)


def schema_of(path: str | Path) -> pa.Schema | None:
    """The columns of a table; None for JSON lines. Raises ArrowException or OSError for one that is none."""
    kind = kind_of(path)
    if kind == "lines":
        return None
    return pq.read_schema(path) if kind == "parquet" else _open_arrow(Path(path)).schema


def text_of(path: Path) -> str:
    """A text file whole, unpacked, its line ends as they are; `WerpError` names one that can't be read."""
    try:
        return b"".join(_pieces(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WerpError(f"{path}: can't be read: not UTF-8 text: {error}; write it anew") from error
    except (UnitError, OSError) as error:
        raise WerpError(f"{path}: can't be read: {_early(error)}; write or fetch it again") from error


def refusal(path: Path, where: str, damage: Damage) -> str:
    """What to tell of a file that may hold no damage; `where`: the file with the place in it."""
    if damage.rule in ("bad_row", "too_large"):
        with path.open("rb") as file:
            head = file.read(4)
        if damage.offset or not _PACKED_NAME.search(path.name) or head.startswith((GZIP, ZSTD, b"BZh", _XZ)):
            return f"{where}: not JSON lines: {damage.cause}; mend or remove the line"
        return f"{path}: can't be read: not packed as its name says; rename it, or fetch it again"
    kind = {"parquet": " as Parquet", "arrow": " as Arrow"}.get(kind_of(path), "")
    return f"{path}: can't be read{kind}: {_early(damage.cause)}; write or fetch it again"


def _early(cause: object) -> str:
    return f"it ended before its packed data did ({cause})" if "ends inside" in str(cause) else str(cause)


def read_rows(path: str | Path, fields: Fields, *, max_row_bytes: int) -> Iterator[Given | Damage]:
    """Read every row of a file in order: a `Given`, or a `Damage` that says why there is none.

    fields: for `text`, `url`, `date` and `crawl` the names tried in turn; `a.b` is field b of the
        object in field a, unless a field is called `a.b`.
    Rules of the damages: `bad_row` (no JSON object, not UTF-8), `no_text` (no such field, or it
    holds no string), `too_large`, `truncated`, `damaged_record`. Only opening the file raises.
    """
    for offset, _, row in rows(path, _tops(fields), most=max_row_bytes):
        yield row if isinstance(row, Damage) else _given(offset, row, fields, max_row_bytes)


def check_columns(path: str | Path, fields: Fields, shown: str) -> None:
    """See to it that a Parquet or Arrow file has a text column; JSON lines say so row by row.

    Raises `WerpError` naming file, columns and remedy. A file that can't be opened passes: reading
    it gives its ledger row.
    """
    try:
        schema = schema_of(path)
    except (pa.ArrowException, OSError):
        return
    if schema is None:
        return
    columns = schema.names
    if not set(columns) & {top for wanted in fields["text"] for top in (wanted, wanted.partition(".")[0])}:
        raise WerpError(
            f"--input {shown}: no column {' or '.join(fields['text'])}; it has {', '.join(columns[:12])}."
            " Name the one that holds the text: --set 'read.text_fields=[COLUMN]'"
        )


# --- JSON lines ---------------------------------------------------------------------------------


def _json_lines(path: Path, most: int) -> Iterator[Found]:
    for offset, number, line in _lines(path, most):
        if isinstance(line, Damage):
            yield Found(offset, number, line)
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if offset == 0 else "utf-8"))
        except UnicodeDecodeError as error:
            yield Found(
                offset, number, Damage(offset, "bad_row", f"not UTF-8 text (byte {error.start} of the line)")
            )
        except (ValueError, RecursionError) as error:
            yield Found(offset, number, Damage(offset, "bad_row", _no_json(line, error)))
        else:
            if not isinstance(row, dict):
                row = Damage(offset, "bad_row", _no_json(line, type(row).__name__))
            yield Found(offset, number, row)


def _no_json(line: bytes, reason: object) -> str:
    if line.lstrip(_BLANK).startswith(b"["):
        return "a JSON array; one object a line is read: jq -c '.[]' FILE > FILE.jsonl"
    return f"no JSON object on the line ({reason})"


def _lines(path: Path, most: int) -> Iterator[tuple[int, int, bytes | Damage]]:
    """Lines that are not blank: offset in the unpacked stream, number, bytes (above `most` a Damage)."""
    held: list[bytes] = []
    length = start = 0  # of the line that is being read
    number = 1

    def finish() -> Iterator[tuple[int, int, bytes | Damage]]:
        if length > most:
            yield start, number, Damage(start, "too_large", f"a line of {length} bytes")
        elif (line := b"".join(held)).strip(_BLANK):
            yield start, number, line

    try:
        for piece in _pieces(path):
            begin = 0
            while begin < len(piece):
                end = piece.find(b"\n", begin) + 1
                part = piece[begin : end or len(piece)]
                begin += len(part)
                length += len(part)
                if length <= most:
                    held.append(part)
                else:
                    held.clear()
                if end:
                    yield from finish()
                    held.clear()
                    start, length, number = start + length, 0, number + 1
        yield from finish()
    except UnitError as error:
        rule = "truncated" if "ends inside" in str(error) else "damaged_record"
        yield start, number, Damage(start, rule, f"{error}; what follows this line is lost")


def _pieces(path: Path) -> Iterator[bytes]:
    """The file's bytes unpacked, whatever its packing, all gzip members and zstd frames as one stream."""
    with path.open("rb", buffering=0) as file:
        source = Source(file)
        if (whole := path.suffix.lower()) in _WHOLE:
            yield from _unpacked(path, *_WHOLE[whole])
            return
        if cause := foreign_packing(source.peek(0, 8)):
            raise UnitError(cause)
        offset = 0
        while offset < source.size:
            while is_skippable(head := source.peek(offset, 8)):
                offset = skippable_end(head, offset)
            unit = open_unit(source, offset, None)
            if isinstance(unit, RawUnit) and 0 < offset < source.size:
                raise UnitError(f"bytes that are not packed stand behind the packed ones (offset {offset})")
            while piece := unit.more():
                yield piece
            if unit.cut and not isinstance(unit, RawUnit):
                raise UnitError(f"the file ends inside a {unit.packing} member")
            offset = unit.end


def _unpacked(path: Path, opened: Callable[..., Any], name: str) -> Iterator[bytes]:
    try:
        with opened(path) as stream:
            while piece := stream.read(1 << 18):
                yield piece
    except EOFError as error:
        raise UnitError(f"the file ends inside a {name} stream") from error
    except (lzma.LZMAError, OSError) as error:
        raise UnitError(f"{name} data cannot be decompressed: {error}") from error


# --- tables -------------------------------------------------------------------------------------


def _parquet(path: Path, wanted: Collection[str] | None) -> Iterator[tuple[int, dict[str, Any] | Damage]]:
    try:
        # Buffered, not pre-read: a row group may hold gigabytes.
        file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        yield 0, Damage(0, "damaged_record", f"no Parquet file: {_first_line(error)}")
        return
    with file:
        columns = [name for name in file.schema_arrow.names if wanted is None or name in wanted]
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            at = first
            try:
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                    yield from _batch_rows(batch, at)
                    at += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                for lost in range(at, first + rows):
                    yield lost, Damage(lost, "damaged_record", f"row group {group}: {_first_line(error)}")
            first += rows


def _open_arrow(path: Path) -> Any:
    """An Arrow IPC file or stream (what `save_to_disk` of Hugging Face datasets writes)."""
    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _arrow(path: Path, wanted: Collection[str] | None) -> Iterator[tuple[int, dict[str, Any] | Damage]]:
    at = 0
    try:
        reader = _open_arrow(path)
        batches = (
            (reader.get_batch(i) for i in range(reader.num_record_batches))
            if hasattr(reader, "num_record_batches")
            else reader
        )
        for batch in batches:
            names = [name for name in batch.schema.names if wanted is None or name in wanted]
            columns = batch.select(names)
            for begin in range(0, batch.num_rows, _BATCH_ROWS):
                yield from _batch_rows(columns.slice(begin, _BATCH_ROWS), at + begin)
            at += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield at, Damage(at, "damaged_record", f"Arrow data: {_first_line(error)}; what follows is lost")


def _batch_rows(batch: pa.RecordBatch, at: int) -> Iterator[tuple[int, dict[str, Any] | Damage]]:
    try:
        rows = batch.to_pylist()
    except (UnicodeDecodeError, OverflowError, ValueError):
        # Arrow checks neither strings nor times: find the rows to blame one by one.
        for index in range(batch.num_rows):
            try:
                yield at + index, batch.slice(index, 1).to_pylist()[0]
            except (UnicodeDecodeError, OverflowError, ValueError) as error:
                yield at + index, Damage(at + index, "bad_row", _first_line(error))
        return
    yield from ((at + index, row) for index, row in enumerate(rows))


def _tops(fields: Fields) -> set[str]:
    return {top for names in fields.values() for name in names for top in (name, name.partition(".")[0])}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


# --- one row ------------------------------------------------------------------------------------


def _given(offset: int, row: dict[str, Any], fields: Fields, most: int) -> Given | Damage:
    text = value_of(row, fields["text"])
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            return Damage(offset, "bad_row", f"the text is not UTF-8 (byte {error.start})")
    if not isinstance(text, str):
        return Damage(offset, "no_text", _no_text(row, text, fields["text"]))
    if len(text) > most:
        return Damage(offset, "too_large", f"a text of {len(text)} characters")
    url, date, crawl = (_string(value_of(row, fields[name])) for name in ("url", "date", "crawl"))
    return Given(offset, text, url, date, crawl)


def _no_text(row: dict[str, Any], found: Any, names: Sequence[str]) -> str:
    field = " or ".join(names)
    if found is not None:
        return f"field {field} holds {type(found).__name__}, not a string"
    return f"no string in field {field}; the row has {', '.join(sorted(row)[:12])}; see read.text_fields"


def value_of(row: dict[str, Any], names: Sequence[str]) -> Any:
    """The first of the fields that holds something; `a.b` is field b of the object in field a."""
    for name in names:
        value: Any = row.get(name)
        if value is None and "." in name:
            value = row
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _string(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        return f"{value.isoformat(timespec='seconds')}Z"
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
