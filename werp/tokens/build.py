"""Build a token folder: tokenizer, one part a file, then the whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from werp.errors import WerpError
from werp.progress import Work, say, shown
from werp.tokens.encode import encode_named
from werp.tokens.folder import FILES, PROGRESS, Metadata, Part, assemble, put, refuse_foreign, staging
from werp.tokens.plain import END, plain
from werp.tokens.sources import Band, shard_files
from werp.tokens.vocabulary import TRAINED_ON, entries, load, train_bpe

#: A file, its field, the band, then the files of tokenizer, ids and lengths.
Task = tuple[str, str, Band | None, str, str, str]
#: Runs tasks in any order and place.
Runner = Callable[[Sequence[Task]], None]


def run_here(tasks: Sequence[Task]) -> None:
    """One file after the other in this process, each with all the tokenizer's threads."""
    for task in tasks:
        encode_named(*task)


def tokenize(
    run: Path | None,
    output: Path,
    tokenizer: Path | None = None,
    vocab_size: int = 4096,
    *,
    files: Sequence[Path] = (),
    field: str = "text",
    band: Band | None = None,
    runner: Runner = run_here,
) -> Metadata:
    """Turn a run's shards, or `files`, into a token folder at `output` and return its metadata.

    run: a run directory, or a folder of `*.parquet` / `*.arrow` files with a string column `text`; None with
        `files`. Files are read in the order of their names, or as given.
    tokenizer: a `tokenizer.json` with the token `<|endoftext|>`. None trains a byte-level BPE of at most
        `vocab_size` entries on the first 50 M characters.
    band: only documents with a score in it, so that a mixture can up-sample by quality.

    The result is the same for any `runner`. The folder appears whole, through one rename, and replaces an
    earlier token folder. Raises WerpError for missing input or columns, a bad tokenizer, or an `output` that
    holds something else.
    """
    manifest = read_manifest(run) if run else {}
    chosen = list(files) or shard_files(run or Path())
    output = output.absolute()
    refuse_foreign(output)
    with staging(output) as partial:
        copied = partial / "tokenizer.json"
        if tokenizer is None:
            say(f"training a tokenizer of {vocab_size:,} entries on the first {TRAINED_ON:,} characters")
            bpe = train_bpe(chosen, field, vocab_size, band)
            bpe.save(str(copied))
        else:
            bpe = load(tokenizer)
            shutil.copyfile(tokenizer, copied)
        reader = partial / "plain.json"
        plain(bpe).save(str(reader))
        parts = [Part(partial / f"{i:06d}.ids", partial / f"{i:06d}.lengths") for i in range(len(chosen))]
        size = sum(file.stat().st_size for file in chosen)
        with shown(partial / PROGRESS, Work("tokenizing", len(chosen), size, "documents", "tokens")):
            runner([
                (str(file.absolute()), field, band, str(reader), str(part.ids), str(part.lengths))
                for file, part in zip(chosen, parts, strict=True)
            ])  # fmt: skip
        shutil.rmtree(partial / PROGRESS, ignore_errors=True)
        facts = Metadata(
            documents=0,
            tokens=0,
            text_bytes=0,
            tokens_sha256="",
            vocabulary=entries(bpe),
            end_token=bpe.token_to_id(END),
            tokenizer=f"given: {tokenizer.name}"
            if tokenizer
            else f"byte-level BPE trained on this text, {vocab_size} asked for",
            tokenizer_sha256=hashlib.sha256(copied.read_bytes()).hexdigest(),
            recipe=manifest.get("recipe"),
            band=f"{band.low:g} <= {band.column} < {band.high:g}" if band else None,
            run_key=manifest.get("run_key"),
            run_content_hash=manifest.get("content_hash"),
        )
        metadata = assemble(parts, partial, facts)
        for stray in set(partial.iterdir()) - {partial / name for name in FILES}:
            stray.unlink()  # the lock, the tokenizer as it read, and what a killed task left
        put(partial, output)
    return metadata


def read_manifest(run: Path) -> dict[str, Any]:
    """Recipe name, run key and content hash of a finished run; nothing for a plain folder of shards."""
    path = run / "run.json"
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text("utf-8"))
        recipe = manifest.get("recipe")
        name = recipe.get("name") if isinstance(recipe, dict) else recipe
        values = {
            "recipe": name,
            "run_key": manifest.get("key"),
            "content_hash": manifest.get("content_hash"),
        }
    except (ValueError, AttributeError) as error:
        raise WerpError(
            f"{path}: not a run manifest ({error}); the run is damaged, refine it again"
        ) from error
    return {key: None if value is None else str(value) for key, value in values.items()}
