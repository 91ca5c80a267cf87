"""What torch decoders share as models that score; a subclass says how hidden states and head run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eval_harness.adapters import shared_prefix
from eval_harness.model import Rows
from eval_harness.scorer import score_apart

#: Tokens a batch, B x T: on two CPU cores larger ones were slower, a GPU needs them to be busy.
BUDGET = {"cpu": 4096, "cuda": 65_536}
#: Largest difference of a logit to the plain forward pass, in spreads of the logits.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}


class TorchModel:
    """Base of the adapters; a subclass sets the attributes and has `_forward` and `_head`."""

    _forward: Any
    _head: Any
    name: str
    window: int
    hard_window: bool
    budget: int
    tokenizer: Any
    device: torch.device
    shares_prefix: bool

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text."""
        return [e.ids for e in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def prefix(self, tokens: Sequence[int]) -> Any:
        """Keys and values of a prefix."""
        return shared_prefix.run_prefix(self._forward, tokens, self.device)

    def rows(self, prefix: Any, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Log-probabilities of a batch's targets."""
        return shared_prefix.run_rows(
            self._forward, self._head, prefix, rows, self.device, self.shares_prefix
        )

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """The log-probability in nats of each continuation after the context."""
        return score_apart(self, context, continuations)

    def about(self) -> dict[str, Any]:
        """Name, hash of the weights, and how it was run."""
        raise NotImplementedError
