"""Scores requests at the cost of what they do not share.

A five-shot benchmark asks the same demonstrations before every item and the same item before every choice.
Here each is computed once. Requests with the same demonstrations form a group whose longest common token
prefix is run once and kept (its keys and values). An item is one row after it: the rest of its context as
the trunk, each choice as a branch that sees the trunk and itself. Letters of the multiple-choice form need
no branch: one trunk predicts all.

Prefixes of like length make a batch, and so do the rows that go on from them, whatever group they are of. A
batch is started and not waited for: all are read at the end, so that a GPU has work while the host prepares
more.

A request's score depends on its neighbours only through the rounding of differently shaped matrix products;
see docs/evaluation.md for the bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval_harness.encode import Encoder
from eval_harness.errors import EvalError
from eval_harness.model import Found, TokenModel
from eval_harness.trees import Tree, arrange, batches, common

#: What a kept token takes of a batch's memory, for each row, against one of its own: keys and values of one
#: layer against all that a layer computes.
KEPT = 4
#: Prefixes run and kept at once, against a batch: keys and values of every layer stay.
KEEP = 8


@dataclass(frozen=True)
class Ask:
    """Continuations after contexts that belong to one item.

    shots: demonstrations before the contexts, from which later ones are dropped when the window is too
        small; each ends with a blank line. head: a description above them that is never dropped.
    """

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    shots: tuple[str, ...] = ()
    head: str = ""


@dataclass(frozen=True)
class Answer:
    """Log-probability in nats, token count and greediness of each continuation; shots that fitted."""

    log_p: tuple[float, ...]
    tokens: tuple[int, ...]
    greedy: tuple[bool, ...]
    shots: int
    length: int


@dataclass
class Counts:
    """Tokens through the model, padding among them, and what the requests apart would take."""

    tokens: int = 0
    padding: int = 0
    naive: int = 0
    requests: int = 0

    def add(self, other: Counts) -> None:
        """Sum up."""
        self.tokens += other.tokens
        self.padding += other.padding
        self.naive += other.naive
        self.requests += other.requests


@dataclass
class Scorer:
    """Scores asks with a TokenModel; `counts` and the encoder's caches grow over its life."""

    model: TokenModel
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.encoder = Encoder(self.model.encode, getattr(self.model, "cuts", False))
        self.start: list[int] = list(getattr(self.model, "start", ()))

    def score(self, asks: Sequence[Ask], progress: Callable[[int], None] | None = None) -> list[Answer]:
        """The answer to each ask, in order. `progress` is told how many more are done.

        Raises EvalError when an ask is empty, or does not fit a model that can't run past its window.
        """
        groups: dict[tuple[str, tuple[str, ...]], list[Tree]] = {}
        for tree in self._grown(asks):
            ask = asks[tree.ask]
            groups.setdefault((ask.head, ask.shots[: tree.shots]), []).append(tree)
        return self._answers(list(groups.values()), progress)

    def score_tokens(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Answer]:
        """Answers to (context, continuation) pairs of token ids; neither may be empty."""
        trees = [
            Tree(i, 0, 0, [[*context, *continuation]], [len(context)])
            for i, (context, continuation) in enumerate(pairs)
        ]
        return self._answers([trees] if trees else [])

    def _grown(self, asks: Sequence[Ask]) -> list[Tree]:
        """Every ask as a tree, with as many shots as fit the window."""
        trees: dict[int, Tree] = {}
        waiting = {i: len(ask.shots) for i, ask in enumerate(asks)}
        while waiting:
            trees.update(self._tokens(asks, waiting))
            longer = {}
            for i, shots in waiting.items():
                longest = max(map(len, trees[i].wholes)) - 1
                if longest <= self.model.window:
                    continue
                if shots:
                    longer[i] = shots - 1
                elif self.model.hard_window:
                    raise EvalError(
                        f"a prompt of {longest} tokens without demonstrations does not fit the model's "
                        f"window of {self.model.window}, which it can't run past: "
                        f"...{asks[i].contexts[0][-80:]!r}; leave this task out by --tasks"
                    )
            waiting = longer
        return [trees[i] for i in range(len(asks))]

    def _tokens(self, asks: Sequence[Ask], wanted: dict[int, int]) -> dict[int, Tree]:
        """Encode asks with the given numbers of shots: prefix, item and continuation each once."""
        triples: list[tuple[str, str, str]] = []
        owners: list[tuple[int, str, str]] = []
        for i, shots in wanted.items():
            ask = asks[i]
            if not ask.continuations or len(ask.contexts) != len(ask.continuations):
                raise EvalError(f"an item needs a context for each continuation, and one at least: {ask!r}")
            lead = ask.head + "".join(ask.shots[:shots])
            stem = lead.rstrip()
            for context, continuation in zip(ask.contexts, ask.continuations, strict=True):
                item = lead[len(stem) :] + context
                bare = item.rstrip(" ")  # a blank before the seam belongs to what follows
                if not continuation or not stem + bare:
                    raise EvalError(f"an empty text has no log-probability: {context!r}, {continuation!r}")
                triples.append((stem, bare, item[len(bare) :] + continuation))
                owners.append((i, context, continuation))
        found: dict[int, list[tuple[list[int], int]]] = {}
        for (i, context, continuation), triple, joined in zip(
            owners, triples, self.encoder.join(triples), strict=True
        ):
            whole, begin = [*self.start, *joined[0]], len(self.start) + joined[1]
            if not 1 <= begin < len(whole):  # would follow nothing, or be certain
                raise EvalError(self._unscorable(context, continuation, triple, joined[1]))
            found.setdefault(i, []).append((whole, begin))
        return {
            i: Tree(i, 0, shots, [whole for whole, _ in found[i]], [start for _, start in found[i]])
            for i, shots in wanted.items()
        }

    def _unscorable(self, context: str, continuation: str, triple: tuple[str, str, str], begin: int) -> str:
        """Why a continuation has no log-probability, in words."""
        gone = continuation
        if begin == 0:
            if self.encoder.encode(["".join(triple[:2])])[0]:
                return (
                    f"the continuation {continuation[:80]!r} begins inside the only token that the model's "
                    f"tokenizer makes of {''.join(triple)[-80:]!r}: no token stands before it that it could "
                    "be predicted from; begin it with a blank, or give the context more text"
                )
            gone = context
        return f"the model's tokenizer makes no token of {gone[-80:]!r}: it can't be scored"

    def _answers(
        self, groups: list[list[Tree]], progress: Callable[[int], None] | None = None
    ) -> list[Answer]:
        """The asks' answers in order; the trees of a group have their shots in common."""
        started = []
        for batch, kept in self._planned(groups):
            rows, sizes = arrange(batch)
            started.append((batch, sizes, self.model.rows(kept, rows)))
            self.counts.add(
                Counts(
                    tokens=rows.tokens_BT.size,
                    padding=int((rows.branches_BT < 0).sum()),
                    naive=sum(len(whole) - 1 for tree in batch for whole in tree.wholes),
                    requests=len(sizes),
                )
            )
            if progress:
                progress(sum(tree.part == 0 for tree in batch))
        parts: dict[int, dict[int, Answer]] = {}
        for batch, sizes, found in started:
            for tree, answer in zip(batch, read(batch, sizes, found), strict=True):
                if not all(map(math.isfinite, answer.log_p)):
                    raise EvalError(
                        f"the model gave the log-probabilities {list(answer.log_p)}: its weights are damaged "
                        "or its training diverged; if --dtype float32 gives numbers, bfloat16 is too coarse"
                    )
                parts.setdefault(tree.ask, {})[tree.part] = answer
        return [joined([of[part] for part in sorted(of)]) for _, of in sorted(parts.items())]

    def _planned(self, groups: list[list[Tree]]) -> Iterator[tuple[list[Tree], Any]]:
        """Batches of trees, each with the kept prefixes that it goes on from."""
        budget, call = self.model.budget, self.model.call
        if not self.model.shares_prefix:
            single = [part for group in groups for tree in group for part in apart(tree)]
            for batch in batches(single, Tree.length, budget, call):
                yield batch, None
            return
        for group in groups:
            # Every row keeps the places it predicts from, and one token at least.
            ends = [min(tree.trunk, *tree.starts) for tree in group]
            skip = max(0, min(common([tree.wholes[0] for tree in group]), *ends) - 1)
            for tree in group:
                tree.skip = skip
        for wave in batches(groups, lambda group: group[0].skip, budget // KEEP, call):
            prefixes = [group[0].wholes[0][: group[0].skip] for group in wave]
            longest, used = len(prefixes[0]), sum(map(len, prefixes))
            kept = self.model.prefixes(prefixes) if longest else None
            self.counts.add(Counts(tokens=longest * len(wave), padding=longest * len(wave) - used))
            for number, group in enumerate(wave):
                for tree in group:
                    tree.prefix = number
            trees = [tree for group in wave for tree in group]
            for batch in batches(trees, Tree.length, budget, call, longest // KEPT):
                yield batch, kept


def read(batch: Sequence[Tree], sizes: Sequence[int], found: Found) -> Iterator[Answer]:
    """Each tree's answer out of a batch's predictions, of which `sizes` belong to each request."""
    log_p, top = found()
    owners = np.repeat(np.arange(len(sizes)), sizes)
    sums = np.bincount(owners, log_p, len(sizes)).tolist()
    greedy = (np.bincount(owners, ~top, len(sizes)) == 0).tolist()
    at = 0
    for tree in batch:
        own = slice(at, at + len(tree.wholes))
        longest = max(map(len, tree.wholes))
        yield Answer(tuple(sums[own]), tuple(sizes[own]), tuple(greedy[own]), tree.shots, longest)
        at = own.stop


def apart(tree: Tree) -> list[Tree]:
    """Its requests as trees of their own, for a model without shared prefixes."""
    pairs = zip(tree.wholes, tree.starts, strict=True)
    return [Tree(tree.ask, part, tree.shots, [whole], [start]) for part, (whole, start) in enumerate(pairs)]


def joined(parts: Sequence[Answer]) -> Answer:
    """One answer out of those of an ask's parts."""
    return Answer(
        tuple(log_p for part in parts for log_p in part.log_p),
        tuple(tokens for part in parts for tokens in part.tokens),
        tuple(greedy for part in parts for greedy in part.greedy),
        parts[0].shots,
        max(part.length for part in parts),
    )


def score_apart(model: TokenModel, context: str, continuations: Sequence[str]) -> list[float]:
    """The plain contract of a model: continuations of one context, nothing shared with other calls."""
    if not continuations:
        return []
    ask = Ask((context,) * len(continuations), tuple(continuations))
    return list(Scorer(model).score([ask])[0].log_p)
