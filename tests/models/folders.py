"""Token folders for the tests, written as werp.tokens writes them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.data import Tokens
from werp.tokens import tokenize


def token_folder(folder: Path, texts: list[str], vocab_size: int = 300) -> Path:
    """Tokenize the texts into folder/tokens."""
    (folder / "shards").mkdir(parents=True)
    pq.write_table(pa.table({"text": texts}), folder / "shards/a.parquet")
    tokenize(folder, folder / "tokens", vocab_size=vocab_size)
    return folder / "tokens"


def same_tokenizer(tokens: Tokens, folder: Path, texts: list[str]) -> Path:
    """Other texts with the tokenizer of a token folder."""
    (folder / "shards").mkdir(parents=True)
    pq.write_table(pa.table({"text": texts}), folder / "shards/a.parquet")
    tokenize(folder, folder / "tokens", tokens.folder / "tokenizer.json")
    return folder / "tokens"
