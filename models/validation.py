"""Held-out loss and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.data import IGNORED, Tokens, held_out_batches
from models.prefetch import StepBatch, join_documents, to_device


@dataclass(frozen=True)
class Validation:
    """Held-out measures. loss: nats a predicted token, document ends among them.

    bits_per_byte: over the tokens of text alone, and the bytes of text as it was given. None when no
        held-out token could be predicted.
    """

    loss: float | None
    bits_per_byte: float | None
    tokens: int


def validate(
    losses_of: Callable[[StepBatch], Tensor],
    folders: Sequence[Tokens],
    window: int,
    limit: int,
    lengths: NDArray[np.int64],
    device: torch.device,
    apart: bool = True,
    rows: int = 1,
) -> Validation:
    """Loss and bits per byte on the held-out documents of every folder, at most `limit` tokens of each.

    losses_of: the loss of each position of a batch, flat, 0 without a target. lengths: bytes that each token
    id spells, see `token_bytes`; what is counted are the text's own (`Tokens.bytes_of`). The first token of
    a document or window is given, not predicted, and counts in neither.
    """
    totals = torch.zeros(4, dtype=torch.float64, device=device)  # nats, text nats, tokens, text bytes
    for tokens in folders:
        for batch in held_out_batches(tokens, window, limit, rows):
            asked = batch if apart else join_documents(batch)
            there = to_device(asked, device, apart)
            targets = there.targets.flatten()
            losses = losses_of(there).double()
            sizes = tokens.bytes_of(asked.targets, batch.documents, lengths).to(device).flatten()
            counted = (losses.sum(), (losses * (sizes > 0)).sum(), (targets != IGNORED).sum(), sizes.sum())
            totals += torch.stack([x.double() for x in counted])
    nats, text_nats, count, text_bytes = totals.tolist()
    return Validation(
        loss=nats / count if count else None,
        bits_per_byte=text_nats / math.log(2) / text_bytes if text_bytes else None,
        tokens=int(count),
    )
