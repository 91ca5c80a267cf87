"""What torch decoders share as models that score; a subclass says how hidden states and head run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer

from eval_harness.adapters import shared_prefix
from eval_harness.encode import splits_at_blanks
from eval_harness.errors import EvalError
from eval_harness.model import Found, Rows
from eval_harness.scorer import score_apart
from werp.tokens.plain import end_of, plain

#: Tokens a batch, B x T: on two CPU cores larger ones were slower, a GPU needs them to be busy.
BUDGET = {"cpu": 4096, "cuda": 131_072}
#: Tokens that a pass costs whatever it holds: a GPU of today runs thousands while the host starts one (on an
#: H100 3,200 requests of the 150M shape took 1.55 s at 256, 1.01 at 1,024, 0.72 at 4,096, 0.70 at 8,192).
CALL = {"cpu": 16, "cuda": 4096}
#: Largest difference of a logit to the plain forward pass, in spreads of the logits.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}


class TorchModel:
    """Base of the adapters; a subclass sets the attributes and has `_forward` and `_head`.

    tokenizer: reads special tokens that a text spells as text, as `werp tokenize` does.
    start: ids that stand before every text; end: the one that ends documents, where there is one.
    """

    _forward: Any
    _head: Any
    name: str
    window: int
    hard_window: bool
    budget: int
    call: int
    tokenizer: Tokenizer
    cuts: bool
    start: tuple[int, ...] = ()
    end: int | None
    device: torch.device
    dtype: torch.dtype
    shares_prefix: bool
    vocabulary: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text; EvalError for one that the model has no embedding for."""
        ids = [e.ids for e in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        largest = max((max(row) for row in ids if row), default=0)
        if largest >= self.vocabulary:
            raise EvalError(
                f"{self.name}: its tokenizer.json gives the id {largest}, where the model has "
                f"{self.vocabulary} entries; it is another model's"
            )
        return ids

    def prefixes(self, tokens: Sequence[Sequence[int]]) -> Any:
        """Keys and values of prefixes."""
        return shared_prefix.run_prefixes(self._forward, tokens, self.device)

    def rows(self, kept: Any, rows: Rows) -> Found:
        """Start a batch."""
        return shared_prefix.run_rows(
            self._forward, self._head, kept, rows, self.device, self.dtype, self.shares_prefix
        )

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """The log-probability in nats of each continuation after the context."""
        return score_apart(self, context, continuations)

    def _set_up(self, vocabulary: int) -> None:
        """What follows from device, dtype, forward pass and tokenizer."""
        self.vocabulary = vocabulary
        self.tokenizer = plain(self.tokenizer)
        self.cuts, self.end = splits_at_blanks(self.tokenizer), end_of(self.tokenizer)
        self.budget, self.call = BUDGET[self.device.type], CALL[self.device.type]
        self.shares_prefix = shared_prefix.agrees(
            self._forward, self._head, vocabulary, self.device, self.dtype, TOLERANCE[self.dtype]
        )

    def about(self) -> dict[str, Any]:
        """Name, hash of the weights, and how it was run."""
        raise NotImplementedError
