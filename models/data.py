"""Token folders as training windows: which tokens a step sees is a function of (seed, step) alone.

A folder as `werp tokenize` writes it: `tokens.arrow`, `offsets.arrow`, `tokenizer.json`. A hundredth of its
documents is held out, spread over the folder (see `Tokens.stretches`); the others are cut into fixed windows,
whose order is drawn anew each epoch from (seed, source, epoch). Several folders are mixed by weights: of
every 1,024 windows each source gives a fixed number, in an order drawn from (seed, cycle). Nothing here
depends on the number of processes or of micro-batches, and a step is found without walking through those
before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
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
STRETCHES = 16  # at most, see Tokens.stretches
CYCLE = 1024  # windows over which the mixture is exact
END = "<|endoftext|>"
BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Batch:
    """int64 (B, T) each: ids, the ids that follow them (or IGNORED), and each position's document."""

    tokens: Tensor
    targets: Tensor
    documents: Tensor


@dataclass(frozen=True)
class Stretch:
    """Token positions: trained on from `begin` to `cut`, held out from `cut` to `end`."""

    begin: int
    cut: int
    end: int


@dataclass(frozen=True)
class Tokens:
    """A mapped token folder; `metadata` is what its writer put into the schema.

    offsets, text_bytes: where each document begins, in tokens and in UTF-8 bytes of text.
    """

    folder: Path
    tokens: NDArray[Any]
    offsets: NDArray[np.int64]
    text_bytes: NDArray[np.int64]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Tokens:
        """Map the two tables; ModelError when a file is missing, malformed or the two disagree."""
        (tokens,), metadata = _map(folder / "tokens.arrow", "token")
        (offsets, text_bytes), _ = _map(folder / "offsets.arrow", "offset", "byte")
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(tokens):
            raise ModelError(f"{folder}: offsets.arrow does not belong to tokens.arrow; tokenize again")
        return cls(folder, tokens, offsets, text_bytes, metadata)

    @property
    def stretches(self) -> list[Stretch]:
        """Up to 16 runs of documents, the last hundredth of each (at least one document) held out.

        Documents of one origin stand together, and the last of a folder may be of one that training never
        sees: held out from the end alone, Wikipedia after 150 M characters of books read 7.2 nats where
        training read 5.5.
        """
        documents = len(self.offsets) - 1
        if documents < 2:
            raise ModelError(f"{self.folder}: one document can't be both trained on and held out; add text")
        count = min(STRETCHES, max(1, documents // 100))
        found = []
        for i in range(count):
            first, last = documents * i // count, documents * (i + 1) // count
            cut = last - max(1, (last - first) // 100)
            found.append(Stretch(*(int(self.offsets[document]) for document in (first, cut, last))))
        return found

    def tokenizer_bytes(self) -> bytes:
        """The folder's tokenizer.json; ModelError when it is gone or not what the tokens were made with."""
        path = self.folder / "tokenizer.json"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}; tokenize again") from error
        if hashlib.sha256(data).hexdigest() != self.metadata["tokenizer_sha256"]:
            raise ModelError(f"{path}: not the tokenizer that these tokens were made with; tokenize again")
        return data

    def batch(self, starts: NDArray[np.int64], window: int) -> Batch:
        """The windows of `window` positions that begin at the token positions `starts`."""
        where = starts[:, None] + np.arange(window + 1)
        ids = torch.from_numpy(self.tokens[where].astype(np.int64))
        if int(ids.max()) >= self.metadata["vocabulary"]:
            raise ModelError(
                f"{self.folder}: id {int(ids.max())} is not of its {self.metadata['vocabulary']} entries; "
                "the tokens are damaged, tokenize again"
            )
        documents = torch.from_numpy(np.searchsorted(self.offsets, where, side="right"))
        targets = ids[:, 1:].masked_fill(documents[:, 1:] != documents[:, :-1], IGNORED)
        return Batch(ids[:, :-1], targets, documents[:, :-1])

    def bytes_of(self, targets: Tensor, documents: Tensor, lengths: NDArray[np.int64]) -> Tensor:
        """Bytes of text (B, T), float64, that targets stand for; a document's add up to its text's.

        What a tokenizer's normalizer took from a text or put into it is shared out over the document's tokens
        by the lengths of what they spell, one byte at least.

        documents: of the positions, as `batch` gives them. lengths: by id, see `token_bytes`.
        """
        weights = np.maximum(lengths, 1)
        weights[self.metadata["end_token"]] = 0
        # A window's last target is ignored where it is another document's.
        owners = torch.cat((documents[:, 1:], documents[:, -1:]), dim=1).numpy() - 1
        scale = np.zeros(owners.max() + 1)
        for document in np.unique(owners):
            begin, end = self.offsets[document : document + 2]
            spelled = int(weights[self.tokens[begin:end]].sum())
            if spelled:
                scale[document] = np.diff(self.text_bytes[document : document + 2])[0] / spelled
        sizes = weights[targets.clamp(min=0).numpy()] * scale[owners]
        return torch.from_numpy(sizes * (targets != IGNORED).numpy())


def _map(path: Path, *columns: str) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            batch = reader.get_batch(0)
            metadata = json.loads((reader.schema.metadata or {})[b"werp.tokens"])
            for key in ("vocabulary", "end_token", "tokens_sha256", "tokenizer_sha256"):
                metadata[key]
            arrays = [batch.column(column).to_numpy(zero_copy_only=True) for column in columns]
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; write it with werp tokenize") from error
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a token table ({error}); write it with werp tokenize") from error
    return arrays, metadata


class TrainingWindows:
    """The training part of one folder as fixed windows in a seeded order.

    count: windows an epoch. uncovered: tokens at the ends of stretches that fill no window (fewer than one
    window
        each; they are trained on in no epoch). total: tokens of the training part.
    """

    def __init__(self, tokens: Tokens, window: int, seed: int, source: int = 0) -> None:
        self.tokens, self.window, self.seed, self.source = tokens, window, seed, source
        stretches = tokens.stretches
        self.total = sum(s.cut - s.begin for s in stretches)
        # A window's last target lies one beyond it.
        counts = np.array([max(0, (s.cut - s.begin - 1) // window) for s in stretches])
        self._begins = np.array([s.begin for s in stretches])
        self._before = np.concatenate(([0], np.cumsum(counts)))
        self.count = int(self._before[-1])
        self.uncovered = self.total - self.count * window
        if self.count < 1:
            raise ModelError(
                f"{tokens.folder}: {self.total} training tokens do not fill one window of {window}; "
                "choose a smaller --window or more text"
            )
        self._order = lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        key = [self.seed, epoch] + ([self.source] if self.source else [])
        return np.random.Generator(np.random.PCG64(key)).permutation(self.count)

    def start(self, index: int) -> int:
        """The token position at which the `index`-th window of the order begins."""
        epoch, place = divmod(index, self.count)
        number = int(self._order(epoch)[place])
        stretch = int(np.searchsorted(self._before, number, side="right")) - 1
        return int(self._begins[stretch]) + (number - int(self._before[stretch])) * self.window


@dataclass(frozen=True)
class Row:
    """A window of a batch: which source, and its first token there."""

    source: int
    start: int


class DataOrder:
    """The windows of every step.

    weights: each source's share of the windows, in any unit; None shares them by size. Shares are rounded to
    1/1,024;
        a share above a source's size is up-sampling: it is gone through more often (see `epochs`).
    """

    def __init__(
        self,
        folders: Sequence[Tokens],
        window: int,
        batch_size: int,
        seed: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.window, self.batch_size, self.seed = window, batch_size, seed
        self.sources = [TrainingWindows(tokens, window, seed, i) for i, tokens in enumerate(folders)]
        first = folders[0].metadata
        for tokens in folders[1:]:
            if tokens.metadata["tokenizer_sha256"] != first["tokenizer_sha256"]:
                raise ModelError(
                    f"sources: {tokens.folder} was made with another tokenizer than {folders[0].folder}; "
                    "tokenize both with one"
                )
        self.quotas = quotas(list(weights) if weights else [source.count for source in self.sources])
        self._cycle = lru_cache(maxsize=4)(self._draw_cycle)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what the tokens are, their mixture and the window: equal ones mean equal batches by
        seed.
        """
        facts = [
            [source.tokens.metadata["tokens_sha256"], source.tokens.metadata["tokenizer_sha256"], quota]
            for source, quota in zip(self.sources, self.quotas, strict=True)
        ]
        return hashlib.sha256(json.dumps([facts, self.window]).encode()).hexdigest()

    def _draw_cycle(self, cycle: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The source of each window of a cycle, and its rank among those of its source."""
        generator = np.random.Generator(np.random.PCG64([self.seed, cycle, len(self.quotas), CYCLE]))
        chosen = generator.permutation(np.repeat(np.arange(len(self.quotas)), self.quotas))
        ranks = np.empty(CYCLE, dtype=np.int64)
        for source in range(len(self.quotas)):
            here = chosen == source
            ranks[here] = np.arange(here.sum())
        return chosen, ranks

    def row(self, index: int) -> Row:
        """The `index`-th window of the run."""
        if len(self.sources) == 1:
            return Row(0, self.sources[0].start(index))
        cycle, place = divmod(index, CYCLE)
        chosen, ranks = self._cycle(cycle)
        source = int(chosen[place])
        return Row(source, self.sources[source].start(cycle * self.quotas[source] + int(ranks[place])))

    def rows(self, step: int) -> list[Row]:
        """The windows of a step, counted from 0."""
        return [self.row(step * self.batch_size + i) for i in range(self.batch_size)]

    def batch(self, rows: Sequence[Row]) -> Batch:
        """The windows' tokens, in the order given. Documents are told apart across sources, too."""
        parts = [self.sources[row.source].tokens.batch(np.array([row.start]), self.window) for row in rows]
        return Batch(
            *(torch.cat([getattr(p, name) for p in parts]) for name in ("tokens", "targets", "documents"))
        )

    def consumed(self, steps: int) -> list[int]:
        """Windows taken from each source by the first `steps` steps."""
        windows = steps * self.batch_size
        if len(self.sources) == 1:
            return [windows]
        cycles, rest = divmod(windows, CYCLE)
        chosen = self._cycle(cycles)[0][:rest]
        return [cycles * quota + int((chosen == i).sum()) for i, quota in enumerate(self.quotas)]

    def epochs(self, steps: int) -> list[float]:
        """How often each source has been gone through after so many steps."""
        return [n / source.count for n, source in zip(self.consumed(steps), self.sources, strict=True)]

    def describe(self, rows: Sequence[Row]) -> str:
        """Where windows lie, for an error: folder, token positions, documents."""
        lines = []
        for row in rows:
            tokens = self.sources[row.source].tokens
            first, last = (
                np.searchsorted(tokens.offsets, [row.start, row.start + self.window], side="right") - 1
            )
            lines.append(
                f"{tokens.folder} tokens {row.start}-{row.start + self.window}, documents {first}-{last}"
            )
        return "\n".join(lines)


def quotas(weights: Sequence[float]) -> list[int]:
    """Windows of each source in a cycle of 1,024, by largest remainder, at least one each.

    >>> quotas([3, 1])
    [768, 256]
    """
    if any(weight <= 0 for weight in weights):
        raise ModelError(f"sources: weights must be positive, not {list(weights)}")
    if len(weights) > CYCLE:
        raise ModelError(f"sources: at most {CYCLE} can be mixed; join some")
    shares = np.array(weights, dtype=np.float64) / sum(weights) * CYCLE
    counts = np.maximum(np.floor(shares).astype(int), 1)
    while counts.sum() < CYCLE:
        counts[np.argmax(shares - counts)] += 1
    while counts.sum() > CYCLE:  # made room for those below one
        counts[np.argmax(counts)] -= 1
    return [int(n) for n in counts]


def held_out_batches(tokens: Tokens, window: int, limit: int, rows: int = 1) -> Iterator[Batch]:
    """The held-out documents in order, up to `rows` windows at a time, each stretch's last one short.

    At most `limit` tokens, an equal part from each stretch.
    """
    stretches = tokens.stretches
    for stretch in stretches:
        end = min(stretch.end, stretch.cut + max(2, limit // len(stretches)))
        whole = np.arange(stretch.cut, end - window, window)
        for i in range(0, len(whole), rows):
            yield tokens.batch(whole[i : i + rows], window)
        rest = stretch.cut + len(whole) * window
        if rest < end - 1:
            yield tokens.batch(np.array([rest]), end - 1 - rest)


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Bytes of text that each id stands for; 0 for special tokens and the one that ends documents.

    In a byte-level vocabulary every character is one byte. In SentencePiece's a "▁" is a blank and <0x0A> a
    byte. Of other kinds (WordPiece) nobody can tell: all zeros. Added tokens hold their text as it is.
    """
    size = bytes_in(tokenizer)
    lengths = np.zeros(max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1, dtype=np.int64)
    for text, number in tokenizer.get_vocab(with_added_tokens=False).items():
        lengths[number] = size(text)
    for number, added in tokenizer.get_added_tokens_decoder().items():
        lengths[number] = 0 if added.special else len(added.content.encode())
    end = tokenizer.token_to_id(END)
    if end is not None:
        lengths[end] = 0
    return lengths


def bytes_in(tokenizer: Tokenizer) -> Callable[[str], int]:
    """The bytes of text in an entry, by the kind of the tokenizer."""
    facts = json.loads(tokenizer.to_str())
    steps = json.dumps([facts["pre_tokenizer"], facts["decoder"]], ensure_ascii=False)
    if '"ByteLevel"' in steps:
        return len
    if "▁" in steps or facts["model"].get("byte_fallback"):
        return lambda text: 1 if BYTE.fullmatch(text) else len(text.replace("▁", " ").encode())
    return lambda text: 0
