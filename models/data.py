"""Token folders as training windows: which tokens a step sees is a function of (seed, step) alone.

A folder as `werp.tokens` writes it: `tokens.arrow`, `offsets.arrow`, `tokenizer.json`.
The last hundredth of the documents is held out; the others are cut into fixed windows,
whose order is drawn anew each epoch from (seed, epoch).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from models.errors import ModelError

IGNORED = -100  # target of a position whose next token is another document's


@dataclass(frozen=True)
class Batch:
    """int64 (B, T) each: ids, the ids that follow them (or IGNORED), and each position's document."""

    tokens: Tensor
    targets: Tensor
    documents: Tensor


@dataclass(frozen=True)
class Tokens:
    """A mapped token folder; `metadata` is what its writer put into the schema."""

    folder: Path
    tokens: NDArray[Any]
    offsets: NDArray[np.int64]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Tokens:
        """Map the two tables; ModelError when a file is missing, malformed or the two disagree."""
        tokens, metadata = _map(folder / "tokens.arrow")
        offsets, _ = _map(folder / "offsets.arrow")
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(tokens):
            raise ModelError(f"{folder}: offsets.arrow does not belong to tokens.arrow; tokenize again")
        return cls(folder, tokens, offsets, metadata)

    @property
    def held_out_from(self) -> int:
        """The first held-out document: the last 1 % are, at least one."""
        documents = len(self.offsets) - 1
        if documents < 2:
            raise ModelError(f"{self.folder}: one document can't be both trained on and held out; add text")
        return documents - max(1, documents // 100)

    def batch(self, starts: NDArray[np.int64], window: int) -> Batch:
        """The windows of `window` positions that begin at the token positions `starts`."""
        where = starts[:, None] + np.arange(window + 1)
        ids = torch.from_numpy(self.tokens[where].astype(np.int64))
        documents = torch.from_numpy(np.searchsorted(self.offsets, where, side="right"))
        targets = ids[:, 1:].masked_fill(documents[:, 1:] != documents[:, :-1], IGNORED)
        return Batch(ids[:, :-1], targets, documents[:, :-1])


def _map(path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            column = reader.get_batch(0).column(0)
            metadata = json.loads((reader.schema.metadata or {})[b"werp.tokens"])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ModelError(
            f"{path}: not a token table ({error}); write it with python -m werp.tokens"
        ) from error
    return column.to_numpy(zero_copy_only=True), metadata


class TrainingWindows:
    """The training part as fixed windows in a seeded order.

    count: windows an epoch. uncovered: tokens at the end that fill no window (fewer than one
        window; they are trained on in no epoch).
    """

    def __init__(self, tokens: Tokens, window: int, batch_size: int, seed: int) -> None:
        self.tokens, self.window, self.batch_size, self.seed = tokens, window, batch_size, seed
        self.total = int(tokens.offsets[tokens.held_out_from])
        self.count = (self.total - 1) // window
        self.uncovered = self.total - self.count * window
        if self.count < 1:
            raise ModelError(
                f"{tokens.folder}: {self.total} training tokens do not fill one window of {window}; "
                "choose a smaller --window or more text"
            )
        self._order = lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        return np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(self.count)

    def starts(self, step: int) -> NDArray[np.int64]:
        """Token positions at which the windows of a step begin; a step may span two epochs."""
        first = step * self.batch_size
        drawn = [divmod(first + i, self.count) for i in range(self.batch_size)]
        return np.array([self._order(epoch)[place] * self.window for epoch, place in drawn], dtype=np.int64)

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        return self.tokens.batch(self.starts(step), self.window)

    def epochs(self, steps: int) -> float:
        """How often the windows have been gone through after so many steps."""
        return steps * self.batch_size / self.count


def held_out_batches(tokens: Tokens, window: int, limit: int) -> Iterator[Batch]:
    """The held-out documents in order, one window at a time, the last one short; at most `limit` tokens."""
    begin, end = int(tokens.offsets[tokens.held_out_from]), len(tokens.tokens)
    end = min(end, begin + limit)
    for start in range(begin, end - 1, window):
        yield tokens.batch(np.array([start]), min(window, end - 1 - start))


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Bytes of text each id of a byte-level vocabulary stands for; 0 for special tokens.

    In the byte-level alphabet every character is one byte; added tokens hold their text as it is.
    """
    lengths = np.zeros(max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1, dtype=np.int64)
    for text, number in tokenizer.get_vocab(with_added_tokens=False).items():
        lengths[number] = len(text)
    for number, added in tokenizer.get_added_tokens_decoder().items():
        lengths[number] = 0 if added.special else len(added.content.encode())
    return lengths
