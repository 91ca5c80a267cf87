"""A tiny checkpoint with random weights and a byte-level tokenizer; a scorer written from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from models.checkpoint import load_checkpoint, save_checkpoint
from models.decoder import Decoder
from models.ladder import Rung


def tokenizer(texts: Sequence[str], size: int = 600) -> Tokenizer:
    """Byte-level BPE trained on the texts."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def checkpoint(folder: Path, texts: Sequence[str], window: int = 2048, seed: int = 0) -> Path:
    """Write a checkpoint whose weights are large enough for its scores to differ."""
    torch.manual_seed(seed)
    words = tokenizer(texts)
    model = Decoder(Rung("tiny", width=32, heads=4, layers=2), words.get_vocab_size())
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_checkpoint(folder, model, words.to_str().encode(), {"train": {"window": window}})
    return folder


class FromScratch:
    """One request at a time, whole, nothing shared: the definition the scorer is held against."""

    def __init__(self, folder: Path) -> None:
        loaded = load_checkpoint(folder)
        self.model, self.tokenizer = loaded.model.double(), loaded.tokenizer

    def score(self, context: str, continuation: str) -> tuple[float, int]:
        """Log-probability in nats, and tokens, of a continuation."""
        whole = self.tokenizer.encode(context + continuation, add_special_tokens=False).ids
        start = len(self.tokenizer.encode(context, add_special_tokens=False).ids)
        with torch.inference_mode():
            logits = self.model(torch.tensor([whole[:-1]]))[0]
        total = 0.0
        for t in range(start, len(whole)):
            row = logits[t - 1]
            total += (row[whole[t]] - row.exp().sum().log()).item()
        return total, len(whole) - start
