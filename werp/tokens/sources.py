"""What can be tokenized: a run's shards, or files of text, and how each is read."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from werp.errors import WerpError
from werp.local import refuse_remote
from werp.read.records import Damage
from werp.read.rows import PACKED, is_rows, is_rows_in_folder, refusal, rows, schema_of, text_of, value_of

TEXT = re.compile(r"\.txt" + PACKED, re.IGNORECASE)
KINDS = ".jsonl, .ndjson, .json, .parquet, .arrow, .txt; lines and text also .gz, .zst, .xz, .bz2"
BATCH = 64  # documents handed on at once, at most
CHARACTERS = 8_000_000  # or fewer: the tokenizer takes some 30 bytes a character of a batch


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

    A folder is searched to its depth, hidden ones aside: a data set that was cloned or saved has its tables
    there. Raises WerpError for one that gives none.
    """
    files: dict[Path, Path] = {}  # by where they are
    for pattern in patterns:
        refuse_remote("--input", pattern)
        path = Path(pattern)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if is_in_folder(p.relative_to(path), p) and p.is_file())
        else:
            found = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
        if not found:
            raise WerpError(f"--input {pattern}: no file; give a file, a folder or a quoted glob")
        for file in found:
            if not (is_rows(file) or TEXT.search(file.name)):
                raise WerpError(f"--input {file}: not a kind that is read ({KINDS})")
            files.setdefault(file.resolve(), file)
    return list(files.values())


def is_in_folder(inside: Path, path: Path) -> bool:
    """Whether a file in a folder is text or rows, by its name; `inside`: its way from the folder."""
    hidden = any(part.startswith(".") for part in inside.parts)
    return not hidden and (is_rows_in_folder(path) or TEXT.search(path.name) is not None)


@dataclass(frozen=True)
class Band:
    """Documents with `low` <= `column` < `high`; those without a number there are in no band."""

    column: str
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Band:
        """`COLUMN:LOW:HIGH`, either bound may be empty.

        >>> Band.parse("quality_dclm:0.5:")
        Band(column='quality_dclm', low=0.5, high=inf)
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
    Tables and JSON lines: the string in `field`, `a.b` being field b of the object in a; what is no character
    (half of a surrogate pair) becomes "?". A .txt file is one document, line ends as they are.
    band: only its documents; a .txt file has no number to go by.
    Raises WerpError naming the file, and the line or column, for what can't be read.
    """
    held: list[str] = []
    size = 0
    for text in _text(file, band) if TEXT.search(file.name) else _rows(file, field, band):
        held.append(text)
        size += len(text)
        if len(held) == BATCH or size >= CHARACTERS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _text(file: Path, band: Band | None) -> Iterator[str]:
    if band is not None:
        raise WerpError(f"{file}: a text file has no {band.column!r}; --band is for tables and JSON lines")
    if text := text_of(file):
        yield text


def _rows(file: Path, field: str, band: Band | None) -> Iterator[str]:
    _require(file, field, band)
    named = [field] if band is None else [field, band.column]
    wanted = {top for name in named for top in (name, name.partition(".")[0])}
    known = number = 0
    for _, number, row in rows(file, wanted):
        if isinstance(row, Damage):
            raise WerpError(refusal(file, f"{file}, line {number}", row))
        text = value_of(row, [field])
        if text is None and field.partition(".")[0] not in row:
            raise WerpError(
                f"{file}, line {number}: no key {field!r} (it has {', '.join(row)}); name it with --field"
            )
        if isinstance(text, bytes):
            text = _decoded(file, number, text)
        if not isinstance(text, str | None):
            kind = type(text).__name__
            raise WerpError(f"{file}, line {number}: {field!r} is {kind}, a string is needed; name another")
        score = value_of(row, [band.column]) if band else None
        known += is_number(score) or (band is not None and band.column in row and score is None)
        if text and (band is None or band.holds(score)):
            # Only an escape can bring half a pair in.
            yield text if text.isascii() else text.encode("utf-8", "replace").decode()
    if band is not None and number and not known:
        raise WerpError(f"{file}: no line has a key {band.column!r} with a number (--band)")


def _decoded(file: Path, number: int, text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WerpError(f"{file}, row {number}: the text is not UTF-8 ({error}); mend the row") from error


def _require(file: Path, field: str, band: Band | None) -> None:
    """See to it that a table has the columns, and what is needed in them."""
    try:
        schema = schema_of(file)
    except (pa.ArrowException, OSError) as error:
        raise WerpError(f"{file}: can't be read ({error}); write or fetch it again") from error
    if schema is None:
        return
    for name in [field] if band is None else [field, band.column]:
        if not {name, name.partition(".")[0]} & set(schema.names):
            raise WerpError(f"{file}: no column `{name}`; it has {', '.join(schema.names)} (--field, --band)")
    if field in schema.names and not _holds_text(schema.field(field).type):
        raise WerpError(
            f"{file}: column `{field}` is {schema.field(field).type}, a string is needed; name another by "
            "--field"
        )
    if band is not None and band.column in schema.names:
        kind = schema.field(band.column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise WerpError(f"{file}: column `{band.column}` is {kind}, numbers are needed (--band)")


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind in (
        pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(),
        pa.null(),
    )  # fmt: skip
