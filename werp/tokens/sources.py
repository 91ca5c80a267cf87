"""What can be tokenized: a run's shards, or files of text, and how each is read."""

from __future__ import annotations

import glob
import gzip
import io
import json
import lzma
import math
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.errors import WerpError
from werp.packed import refuse_cut_zstd

KINDS = (".parquet", ".arrow", ".jsonl", ".txt")
PACKED = (".gz", ".xz", ".zst")
BATCH = 64  # documents handed on at once, at most
CHARACTERS = 8_000_000  # or fewer: the tokenizer takes some 30 bytes a character of a batch


def kind_of(path: Path) -> str | None:
    """The kind of a file by its name, compression aside; None for one that is not read.

    >>> kind_of(Path("a.jsonl.gz"))
    '.jsonl'
    """
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in PACKED:
        suffixes = suffixes[:-1]
    return suffixes[-1] if suffixes and suffixes[-1] in KINDS else None


def shard_files(run: Path) -> list[Path]:
    """The shard files of a run directory or of a plain folder, by name; WerpError when there are none."""
    folder = run / "shards" if (run / "shards").is_dir() else run
    files = sorted(p for p in folder.glob("*") if p.suffix in (".parquet", ".arrow") and p.is_file())
    if not files:
        raise WerpError(
            f"--run {folder}: no *.parquet or *.arrow shard; name a finished run or a folder of shards"
        )
    return files


def input_files(patterns: list[str]) -> list[Path]:
    """The files that names, globs and folders stand for, sorted within each, each file once.

    Raises WerpError for one that gives none.
    """
    files: dict[Path, Path] = {}  # by where they are
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.is_file() and kind_of(p))
        else:
            found = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
        if not found:
            raise WerpError(f"--input {pattern}: no file; give a file, a folder or a quoted glob")
        for file in found:
            if kind_of(file) is None:
                raise WerpError(
                    f"--input {file}: not a kind that is read ({', '.join(KINDS)}; also {', '.join(PACKED)})"
                )
            files.setdefault(file.resolve(), file)
    return list(files.values())


@dataclass(frozen=True)
class Band:
    """Documents with `low` <= `column` < `high`; those without a number there are in no band."""

    column: str
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Band:
        """`COLUMN:LOW:HIGH`, either bound may be empty.

        >>> Band.parse("quality.dclm:0.5:")
        Band(column='quality.dclm', low=0.5, high=inf)
        """
        parts = text.rsplit(":", 2)
        try:
            column, low, high = parts
            band = cls(column, float(low or -math.inf), float(high or math.inf))
        except ValueError as error:
            raise WerpError(f"--band {text}: expected COLUMN:LOW:HIGH, as in language_score:0.8:") from error
        if not column or not band.low < band.high:
            raise WerpError(f"--band {text}: a column and LOW < HIGH are needed")
        return band

    def holds(self, value: Any) -> bool:
        """Whether a document with this value is in the band."""
        return is_number(value) and self.low <= value < self.high


def is_number(value: Any) -> bool:
    """Whether a value can be held against bounds; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(file: Path, field: str = "text", band: Band | None = None) -> Iterator[list[str]]:
    """A file's documents in batches, in their order; null and empty texts are left out.

    A batch ends with its 64th document, or the one with its eight millionth character.
    Parquet and Arrow: the string column `field`. JSONL: that key of each line; what is no character (half of
    a surrogate pair) becomes "?". A .txt file is one document, line ends as they are.
    band: only its documents; a .txt file has no number to go by.
    Raises WerpError naming the file, and the line or column, for what can't be read.
    """
    read = {".parquet": _parquet, ".arrow": _arrow, ".jsonl": _jsonl}.get(kind_of(file) or "", _text)
    held: list[str] = []
    size = 0
    try:
        for text in read(file, field, band):
            held.append(text)
            size += len(text)
            if len(held) == BATCH or size >= CHARACTERS:
                yield held
                held, size = [], 0
        if held:
            yield held
    except _damage() as error:
        raise WerpError(f"{file}: can't be read ({error}); write or fetch it again") from error


def _damage() -> tuple[type[Exception], ...]:
    """What a file that is no such file, or ends early, raises."""
    kinds: list[type[Exception]] = [pa.ArrowInvalid, OSError, EOFError, UnicodeDecodeError]
    packing = sys.modules.get("zstandard")  # imported by then, where it was needed
    return (*kinds, lzma.LZMAError, zlib.error, *([packing.ZstdError] if packing else []))


def _text(file: Path, field: str, band: Band | None) -> Iterator[str]:
    if band is not None:
        raise WerpError(f"{file}: a text file has no {band.column!r}; --band is for tables and JSONL")
    with _open(file) as stream:
        text = stream.read()
    if text:
        yield text


def _parquet(file: Path, field: str, band: Band | None) -> Iterator[str]:
    with pq.ParquetFile(file) as parquet:
        _require(file, parquet.schema_arrow, field, band)
        columns = [field] if band is None else [field, band.column]
        for batch in parquet.iter_batches(BATCH, columns=columns):
            yield from _chosen(batch, field, band)


def _arrow(file: Path, field: str, band: Band | None) -> Iterator[str]:
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        _require(file, reader.schema, field, band)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for start in range(0, batch.num_rows, BATCH):
                yield from _chosen(batch.slice(start, BATCH), field, band)


def _chosen(batch: pa.RecordBatch, field: str, band: Band | None) -> list[str]:
    found = batch.column(field).to_pylist()
    if band is None:
        return [text for text in found if text]
    scores = batch.column(band.column).to_pylist()
    return [text for text, score in zip(found, scores, strict=True) if text and band.holds(score)]


def _jsonl(file: Path, field: str, band: Band | None) -> Iterator[str]:
    known = number = 0
    with _open(file) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise WerpError(
                    f"{file}, line {number}: not JSON ({error}); mend or remove the line"
                ) from error
            if not isinstance(row, dict) or field not in row:
                keys = ", ".join(row) if isinstance(row, dict) else type(row).__name__
                raise WerpError(
                    f"{file}, line {number}: no key {field!r} (it has {keys}); name it with --field"
                )
            if not isinstance(row[field], str | None):
                raise WerpError(
                    f"{file}, line {number}: {field!r} is {type(row[field]).__name__}, a string is needed"
                )
            if band is not None and band.column in row:
                known += row[band.column] is None or is_number(row[band.column])
            if row[field] and (band is None or band.holds(row.get(band.column))):
                # Only an escape can bring half a pair in.
                yield row[field].encode("utf-8", "replace").decode() if "\\u" in line else row[field]
    if band is not None and number and not known:
        raise WerpError(f"{file}: no line has a key {band.column!r} with a number (--band)")


def _open(file: Path) -> IO[str]:
    """A text stream, unpacked by the name's last suffix; its line ends are left as they are."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    if file.suffix == ".xz":
        return lzma.open(file, "rt", encoding="utf-8", newline="")
    if file.suffix == ".zst":
        import zstandard  # noqa: PLC0415 - part of the refinery's packages only

        refuse_cut_zstd(file)
        raw = zstandard.ZstdDecompressor().stream_reader(
            file.open("rb"), read_across_frames=True, closefd=True
        )
        return io.TextIOWrapper(raw, encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def _require(file: Path, schema: pa.Schema, field: str, band: Band | None) -> None:
    for name in [field] if band is None else [field, band.column]:
        if name not in schema.names:
            raise WerpError(f"{file}: no column `{name}`; it has {', '.join(schema.names)} (--field, --band)")
    kind = schema.field(field).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise WerpError(f"{file}: column `{field}` is {kind}, a string is needed")
    if band is not None:
        kind = schema.field(band.column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise WerpError(f"{file}: column `{band.column}` is {kind}, numbers are needed (--band)")
