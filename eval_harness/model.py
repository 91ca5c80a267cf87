"""What a model is to the evaluator.

`Model` is the whole contract: `score(context, continuations)`. A `TokenModel` also shows its tokens, which
lets `eval_harness.scorer` compute what requests share only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Model(Protocol):
    """Anything that gives the log-probability in nats of each continuation after a context."""

    name: str

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """One log-probability a continuation, in order."""
        ...

    def count(self, continuations: Sequence[str]) -> list[int]:
        """Tokens of each continuation, by which `per_token` divides."""
        ...

    def about(self) -> dict[str, Any]:
        """What identifies the model in the results: at least `name`, and the hash of its weights."""
        ...


@dataclass(frozen=True)
class Rows:
    """A batch of token rows, each a tree: a trunk, and branches that all go on from the trunk's end.

    tokens_BT: int64 ids; 0 where a row has ended.
    positions_BT: int64, each token's position in its own sequence, the shared prefix counted.
    branches_BT: int64; 0 on the trunk, 1, 2, ... on the branches, -1 where a row has ended. A token sees the
        prefix, the trunk before it and its own branch before it.
    prefixes_B: int64, which of the kept prefixes each row goes on from.
    rows_N, columns_N: where the N predictions are read; targets_N: the ids whose log-probability is wanted.
    """

    tokens_BT: NDArray[np.int64]
    positions_BT: NDArray[np.int64]
    branches_BT: NDArray[np.int64]
    prefixes_B: NDArray[np.int64]
    rows_N: NDArray[np.int64]
    columns_N: NDArray[np.int64]
    targets_N: NDArray[np.int64]


#: Waits for a batch and gives the log-probability (N,) of each target in nats, and whether it was the
#: likeliest token.
Found = Callable[[], tuple[NDArray[np.float64], NDArray[np.bool_]]]


@runtime_checkable
class TokenModel(Protocol):
    """A model whose forward pass the scorer may arrange.

    window: tokens a sequence may have; a longer prompt loses demonstrations.
    hard_window: whether the model can't run past it at all (learned positions).
    shares_prefix: whether `rows` takes prefixes and branches; else every row is a trunk of its own.
    budget: tokens a batch may hold, B x T with the padding.
    call: tokens that a batch costs whatever it holds: what starting it takes.

    Two more it may have: `cuts`, whether its tokenizer lets texts be cut before blanks (left out: every
    request is encoded whole, see `eval_harness.encode`), and `start`, the ids that stand before every text.
    """

    name: str
    window: int
    hard_window: bool
    shares_prefix: bool
    budget: int
    call: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without special tokens around it or in it: one that is spelled is text."""
        ...

    def prefixes(self, tokens: Sequence[Sequence[int]]) -> Any:
        """Run prefixes once, in one batch; what comes back is handed to `rows`."""
        ...

    def rows(self, kept: Any, rows: Rows) -> Found:
        """Start a batch after the kept prefixes (None: there are none)."""
        ...

    def about(self) -> dict[str, Any]:
        """What identifies the model in the results."""
        ...
