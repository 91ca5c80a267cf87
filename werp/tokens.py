"""Shards to tokens: one flat memory-mapped buffer, its document offsets and its tokenizer.

    OUTPUT/tokenizer.json   Hugging Face `tokenizers` form
    OUTPUT/tokens.arrow     column `token`: uint16, or uint32 from 65,536 entries on
    OUTPUT/offsets.arrow    column `offset`: int64, documents + 1 of them, the first 0

Document i is tokens[offsets[i]:offsets[i + 1]] and ends with `<|endoftext|>`. Both tables
are uncompressed Arrow IPC of a single batch, so that a reader maps them and sees one NumPy
array each. `tokens.arrow` carries metadata (see `Metadata`) under the schema key `werp.tokens`.

    python -m werp.tokens --run RUN --output TOKENS
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pydantic import BaseModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from werp.errors import WerpError
from werp.rundir import sync

END = "<|endoftext|>"
#: A vocabulary is trained on at most this many characters, from the first document on: the
#: trainer holds every distinct word in memory.
TRAINED_ON = 50_000_000
#: Documents encoded at once, one thread each; bounds what is held beside the reader's page.
BATCH = 64


class Metadata(BaseModel):
    """What the tokens are, in full; equal metadata means equal bytes."""

    format: Literal["werp.tokens.v1"] = "werp.tokens.v1"
    documents: int
    tokens: int
    tokens_sha256: str
    vocabulary: int
    end_token: int
    tokenizer: str
    tokenizer_sha256: str
    run_content_hash: str | None


def tokenize(run: Path, output: Path, tokenizer: Path | None = None, vocab_size: int = 4096) -> Metadata:
    """Turn the shards of a run into a token folder at `output` and return its metadata.

    run: a run directory, or a folder of `*.parquet` / `*.arrow` files with a string column
        `text`. Files are read in the order of their names.
    tokenizer: a `tokenizer.json` with the token `<|endoftext|>`. None trains a byte-level BPE
        of at most `vocab_size` entries on the first 50 M characters.

    The folder appears whole, through one rename, and replaces an earlier token folder.
    Raises WerpError for missing shards or columns, a bad tokenizer, or an `output` that
    holds something else.
    """
    files = shard_files(run)
    _refuse_foreign(output)
    partial = output.absolute().parent / f".{output.name}.partial-{uuid.uuid4().hex[:8]}"
    partial.mkdir(parents=True)
    try:
        if tokenizer is None:
            bpe, origin = (
                _train(files, vocab_size),
                f"byte-level BPE trained on this text, {vocab_size} asked for",
            )
            bpe.save(str(partial / "tokenizer.json"))
        else:
            bpe, origin = _load(tokenizer), f"given: {tokenizer.name}"
            shutil.copyfile(tokenizer, partial / "tokenizer.json")
        metadata = _write(files, bpe, origin, _content_hash(run), partial)
        _put(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return metadata


def shard_files(run: Path) -> list[Path]:
    """The shard files of a run directory or of a plain folder, by name; WerpError when there are none."""
    folder = run / "shards" if (run / "shards").is_dir() else run
    files = sorted(p for p in folder.glob("*") if p.suffix in (".parquet", ".arrow") and p.is_file())
    if not files:
        raise WerpError(f"{folder}: no *.parquet or *.arrow shard; name a finished run or a folder of shards")
    return files


def texts(files: list[Path]) -> Iterator[list[str]]:
    """The documents' texts in batches of at most 64, in file and row order; null texts are left out.

    Raises WerpError for an unreadable file or one without a string column `text`.
    """
    for file in files:
        try:
            if file.suffix == ".parquet":
                with pq.ParquetFile(file) as parquet:
                    _require_text(file, parquet.schema_arrow)
                    for batch in parquet.iter_batches(BATCH, columns=["text"]):
                        yield [text for text in batch.column(0).to_pylist() if text is not None]
            else:
                with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
                    _require_text(file, reader.schema)
                    for number in range(reader.num_record_batches):
                        column = reader.get_batch(number).column("text")
                        for start in range(0, len(column), BATCH):
                            rows = column.slice(start, BATCH).to_pylist()
                            yield [text for text in rows if text is not None]
        except (pa.ArrowInvalid, OSError) as error:
            raise WerpError(f"{file}: not a readable shard ({error}); write the run again") from error


def _require_text(file: Path, schema: pa.Schema) -> None:
    if "text" not in schema.names:
        raise WerpError(f"{file}: no column `text`; it has {', '.join(schema.names)}")
    kind = schema.field("text").type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise WerpError(f"{file}: column `text` is {kind}, a string is needed")


def _train(files: list[Path], vocab_size: int) -> Tokenizer:
    """A byte-level BPE whose first entry is the end token; ties are broken by id, so the result is fixed."""
    smallest = len(pre_tokenizers.ByteLevel.alphabet()) + 1
    if vocab_size < smallest:
        raise WerpError(
            f"vocab_size: {vocab_size} is too small, a byte-level vocabulary has at least {smallest}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first_characters(files, TRAINED_ON), trainer)
    return tokenizer


def _first_characters(files: list[Path], limit: int) -> Iterator[list[str]]:
    seen = 0
    for batch in texts(files):
        yield batch
        seen += sum(map(len, batch))
        if seen >= limit:
            return


def _load(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except OSError as error:
        raise WerpError(f"--tokenizer {path}: can't be read: {error.strerror}") from error
    except Exception as error:  # the binding raises bare Exception for a malformed file
        raise WerpError(
            f"--tokenizer {path}: not a tokenizer.json of Hugging Face tokenizers: {error}"
        ) from error
    if tokenizer.token_to_id(END) is None:
        raise WerpError(f"--tokenizer {path}: has no token {END}, which ends every document")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _write(
    files: list[Path], tokenizer: Tokenizer, origin: str, content_hash: str | None, folder: Path
) -> Metadata:
    """Encode every document into raw buffers, then wrap these into Arrow files without loading them."""
    vocabulary = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1  # ids may have gaps
    end = tokenizer.token_to_id(END)
    tokenizer.encode_special_tokens = True  # a text that spells the end token must not end its document
    dtype = np.dtype("<u2" if vocabulary < 1 << 16 else "<u4")
    digest, tokens, documents = hashlib.sha256(), 0, 0
    with (folder / "tokens.raw").open("wb") as buffer, (folder / "offsets.raw").open("wb") as offsets:
        offsets.write(np.zeros(1, "<i8").tobytes())
        for batch in texts(files):
            for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                ids = np.array([*encoding.ids, end], dtype=dtype)
                tokens, documents = tokens + len(ids), documents + 1
                digest.update(ids.tobytes())
                buffer.write(ids.tobytes())
                offsets.write(np.array([tokens], "<i8").tobytes())
    if not documents:
        raise WerpError(f"{files[0].parent}: the shards hold no document")
    metadata = Metadata(
        documents=documents,
        tokens=tokens,
        tokens_sha256=digest.hexdigest(),
        vocabulary=vocabulary,
        end_token=end,
        tokenizer=origin,
        tokenizer_sha256=hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        run_content_hash=content_hash,
    )
    kind = pa.uint16() if dtype.itemsize == 2 else pa.uint32()
    _wrap(folder, "tokens", pa.field("token", kind, nullable=False), tokens, metadata)
    _wrap(folder, "offsets", pa.field("offset", pa.int64(), nullable=False), documents + 1, metadata)
    return metadata


def _wrap(folder: Path, name: str, field: pa.Field, length: int, metadata: Metadata) -> None:
    """Copy NAME.raw into NAME.arrow as one batch; the raw file is mapped, so memory stays flat."""
    schema = pa.schema([field], metadata={"werp.tokens": metadata.model_dump_json()})
    with pa.memory_map(str(folder / f"{name}.raw")) as raw:
        column = pa.Array.from_buffers(field.type, length, [None, raw.read_buffer()])
        with (folder / f"{name}.arrow").open("wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                writer.write_batch(pa.record_batch([column], schema=schema))
            sync(file)
    (folder / f"{name}.raw").unlink()


def _content_hash(run: Path) -> str | None:
    path = run / "run.json"
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text("utf-8")).get("content_hash")
    except (ValueError, AttributeError) as error:
        raise WerpError(
            f"{path}: not a run manifest ({error}); the run is damaged, refine it again"
        ) from error
    return None if value is None else str(value)


def _refuse_foreign(output: Path) -> None:
    """Only a token folder or an empty one is replaced."""
    if not output.exists():
        return
    if not output.is_dir() or (any(output.iterdir()) and not (output / "tokens.arrow").is_file()):
        raise WerpError(f"--output {output}: exists and is no token folder; name another or remove it")


def _put(partial: Path, output: Path) -> None:
    """Rename the finished folder into place, an earlier one out of the way first."""
    if output.exists():
        old = partial.with_name(partial.name + ".old")
        os.rename(output, old)
        os.rename(partial, output)
        shutil.rmtree(old)
    else:
        os.rename(partial, output)


def command(
    run: Annotated[Path, typer.Option(help="A finished run directory, or a folder of shards.")],
    output: Annotated[Path, typer.Option(help="The token folder to write.")],
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json; left out, one is trained on the text.")
    ] = None,
    vocab_size: Annotated[int, typer.Option(help="Entries of the tokenizer that is trained.")] = 4096,
) -> None:
    """Tokenize the shards of a run."""
    metadata = tokenize(run, output, tokenizer, vocab_size)
    typer.echo(
        f"{output}: {metadata.tokens:,} tokens of {metadata.documents:,} documents, "
        f"{metadata.vocabulary:,} entries ({metadata.tokenizer})"
    )


def main() -> None:
    """The command line; a WerpError ends it with its text alone."""
    try:
        typer.run(command)
    except WerpError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
