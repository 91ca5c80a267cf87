"""The token folder: what is in it, and how it is put together.

    OUTPUT/tokenizer.json   Hugging Face `tokenizers` form
    OUTPUT/tokens.arrow     column `token`: uint16, or uint32 from 65,536 entries on
    OUTPUT/offsets.arrow    columns `offset`, `byte`: int64, documents + 1 of them, the first 0

Document i is tokens[offsets[i]:offsets[i + 1]] and ends with `<|endoftext|>`. `byte` counts the UTF-8 bytes
of the texts as they were given; what a tokenizer's normalizer makes of them may be shorter or longer. Both
tables are uncompressed Arrow IPC of a single batch, so that a reader maps them and sees one NumPy array a
column. Both carry metadata (see `Metadata`) under the schema key `werp.tokens`.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from werp.errors import WerpError
from werp.rundir import refuse_unwritable, sync

FILES = ("tokenizer.json", "tokens.arrow", "offsets.arrow")
PROGRESS = "progress"  # folder of the tasks' heartbeats while the parts are made
BUFFER = 1 << 22  # bytes copied at once


class Metadata(BaseModel):
    """What the tokens are, in full; equal metadata means equal bytes."""

    format: Literal["werp.tokens.v1"] = "werp.tokens.v1"
    documents: int
    tokens: int
    text_bytes: int
    tokens_sha256: str
    vocabulary: int
    end_token: int
    tokenizer: str
    tokenizer_sha256: str
    recipe: str | None = None
    band: str | None = None
    run_key: str | None = None
    run_content_hash: str | None = None


@dataclass(frozen=True)
class Part:
    """One input file encoded: raw ids with end tokens; of each document, tokens and bytes of text (int64)."""

    ids: Path
    lengths: Path


def token_type(vocabulary: int) -> np.dtype[np.generic]:
    """uint16 below 65,536 entries, else uint32; little-endian."""
    return np.dtype("<u2" if vocabulary < 1 << 16 else "<u4")


def assemble(parts: Iterable[Part], folder: Path, facts: Metadata) -> Metadata:
    """Join the parts, in their order, into the two tables; the parts are removed on the way.

    facts: with counts and hash still to be filled in. Memory stays flat: bytes are copied through, then
    mapped.
    """
    kind = token_type(facts.vocabulary)
    digest = hashlib.sha256()
    total, documents = np.zeros(2, "<i8"), 0  # tokens and bytes of text
    raw = {name: (folder / f"{name}.raw").open("wb") for name in ("token", "offset", "byte")}
    with raw["token"] as buffer, raw["offset"] as offsets, raw["byte"] as text_bytes:
        for file in (offsets, text_bytes):
            file.write(np.zeros(1, "<i8").tobytes())
        for part in parts:
            lengths = np.fromfile(part.lengths, "<i8").reshape(-1, 2)
            ends = total + np.cumsum(lengths, axis=0)
            for file, column in ((offsets, 0), (text_bytes, 1)):
                file.write(ends[:, column].astype("<i8").tobytes())
            total, documents = total + lengths.sum(axis=0), documents + len(lengths)
            with part.ids.open("rb") as source:
                while block := source.read(BUFFER):
                    digest.update(block)
                    buffer.write(block)
            part.ids.unlink()
            part.lengths.unlink()
    if not documents:
        band = f" with {facts.band}" if facts.band else ""
        raise WerpError(f"the input holds no document{band}")
    counts = {"documents": documents, "tokens": int(total[0]), "text_bytes": int(total[1])}
    done = facts.model_copy(update={**counts, "tokens_sha256": digest.hexdigest()})
    arrow = pa.uint16() if kind.itemsize == 2 else pa.uint32()
    _wrap(folder, "tokens", {"token": arrow}, done.tokens, done)
    _wrap(folder, "offsets", {"offset": pa.int64(), "byte": pa.int64()}, documents + 1, done)
    return done


def _wrap(folder: Path, name: str, columns: dict[str, pa.DataType], length: int, metadata: Metadata) -> None:
    """Copy COLUMN.raw of each column into NAME.arrow as one batch; they are mapped, so memory stays flat."""
    schema = pa.schema(
        [pa.field(column, kind, nullable=False) for column, kind in columns.items()],
        metadata={"werp.tokens": metadata.model_dump_json()},
    )
    files = [folder / f"{column}.raw" for column in columns]
    with contextlib.ExitStack() as maps:
        buffers = [maps.enter_context(pa.memory_map(str(file))).read_buffer() for file in files]
        arrays = [
            pa.Array.from_buffers(kind, length, [None, buffer])
            for kind, buffer in zip(columns.values(), buffers, strict=True)
        ]
        with (folder / f"{name}.arrow").open("wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                writer.write_batch(pa.record_batch(arrays, schema=schema))
            sync(file)
    for raw in files:
        raw.unlink()


def refuse_foreign(output: Path) -> None:
    """Only a token folder or an empty one is replaced: what else lies in it would go with it."""
    refuse_unwritable(output, "--output")
    there = {path.name for path in output.iterdir()} if output.exists() else set()
    if there and not (output / "tokens.arrow").is_file():
        raise WerpError(f"--output {output}: exists and is no token folder; name another or remove it")
    if strange := there - set(FILES):
        raise WerpError(
            f"--output {output}: beside the tokens it holds {min(strange)}, which would be removed with "
            "them; move that, or name another folder"
        )


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """A folder beside `output` to build in, gone at the end; those that killed processes left go, too.

    Its file `lock` is held while its process lives.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    for left in output.parent.glob(f".{glob.escape(output.name)}.partial-*"):
        if abandoned(left) or (left.suffix == ".old" and output.exists()):
            shutil.rmtree(left, ignore_errors=True)
    partial = output.parent / f".{output.name}.partial-{uuid.uuid4().hex[:8]}"
    partial.mkdir()
    try:
        with (partial / "lock.new").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.rename(partial / "lock.new", partial / "lock")  # never there without being held
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def abandoned(partial: Path) -> bool:
    """Whether the process that built here has ended: the kernel let go of its lock."""
    try:
        with (partial / "lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def put(partial: Path, output: Path) -> None:
    """Rename the finished folder into place, an earlier one out of the way first."""
    if output.exists():
        old = partial.with_name(partial.name + ".old")
        os.rename(output, old)
        os.rename(partial, output)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(partial, output)
