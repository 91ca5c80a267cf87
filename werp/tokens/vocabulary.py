"""The tokenizer: any Hugging Face `tokenizers` file, or a byte-level BPE trained on the text itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from werp.errors import WerpError
from werp.tokens.plain import END
from werp.tokens.sources import Band, texts

#: A vocabulary is trained on at most this many characters, from the first document on: the
#: trainer holds every distinct word in memory.
TRAINED_ON = 50_000_000


def train_bpe(files: Sequence[Path], field: str, vocab_size: int, band: Band | None = None) -> Tokenizer:
    """A byte-level BPE whose first entry is the end token; ties are broken by id, so the result is fixed."""
    smallest = len(pre_tokenizers.ByteLevel.alphabet()) + 1
    if vocab_size < smallest:
        raise WerpError(
            f"--vocab-size {vocab_size}: too small, a byte-level vocabulary has at least {smallest}"
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
    tokenizer.train_from_iterator(_first_characters(files, field, band, TRAINED_ON), trainer)
    return tokenizer


def _first_characters(
    files: Sequence[Path], field: str, band: Band | None, limit: int
) -> Iterator[list[str]]:
    """Up to the document that reaches the limit, wherever files and batches end."""
    seen = 0
    for file in files:
        for batch in texts(file, field, band):
            for number, text in enumerate(batch, 1):
                seen += len(text)
                if seen >= limit:
                    yield batch[:number]
                    return
            yield batch


def load(path: Path) -> Tokenizer:
    """Read a tokenizer file; WerpError when it is none, or has no token that ends documents."""
    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WerpError(f"--tokenizer {path}: can't be read: {error}") from error
    except Exception as error:  # the binding raises bare Exception for a malformed file
        raise WerpError(
            f"--tokenizer {path}: not a tokenizer.json of Hugging Face tokenizers: {error}"
        ) from error
    if tokenizer.token_to_id(END) is None:
        raise WerpError(f"--tokenizer {path}: has no token {END}, which ends every document")
    return tokenizer


def entries(tokenizer: Tokenizer) -> int:
    """One more than the largest id; ids may have gaps."""
    return int(max(tokenizer.get_vocab(with_added_tokens=True).values())) + 1
