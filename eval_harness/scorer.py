"""Scores requests at the cost of what they do not share.

A five-shot benchmark asks the same demonstrations before every item and the same item before every choice.
Here each is computed once. Requests with the same demonstrations form a group whose longest common token
prefix is run once and kept (its keys and values). An item is one row after it: the rest of its context as
the trunk, each choice as a branch that sees the trunk and itself. Rows of like length make a batch,
so that little is padding. Letters of the multiple-choice form need no branch: one trunk predicts all.

A request's score depends on its neighbours only through the rounding of differently shaped matrix products;
see docs/evaluation.md for the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval_harness.encode import Encoder
from eval_harness.errors import EvalError
from eval_harness.model import Rows, TokenModel


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
class _Row:
    """An item as a tree of tokens: paths from the sequence's first token to the last that predicts."""

    ask: int
    paths: list[list[int]]  # inputs of each request: all its tokens but the last
    wholes: list[list[int]]
    starts: list[int]  # where each continuation begins
    shots: int
    trunk: int = 0  # tokens that all paths share

    def __post_init__(self) -> None:
        self.trunk = common(self.paths)

    def length(self, skip: int) -> int:
        """Tokens of the row when the first `skip` are in the shared prefix."""
        return self.trunk - skip + sum(len(path) - self.trunk for path in self.paths)


@dataclass
class Scorer:
    """Scores asks with a TokenModel; `counts` and the encoder's caches grow over its life."""

    model: TokenModel
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.encoder = Encoder(self.model.encode)

    def score(self, asks: Sequence[Ask], progress: Callable[[int], None] | None = None) -> list[Answer]:
        """The answer to each ask, in order. `progress` is told how many more are done.

        Raises EvalError when an ask is empty, or does not fit a model that can't run past its window.
        """
        rows = self._rows(asks)
        answers: list[Answer | None] = [None] * len(asks)
        groups: dict[tuple[str, tuple[str, ...]], list[_Row]] = {}
        for row in rows:
            ask = asks[row.ask]
            groups.setdefault((ask.head, ask.shots[: row.shots]), []).append(row)
        for group in groups.values():
            for row, answer in self._group(group):
                answers[row.ask] = answer
                if progress:
                    progress(1)
        return [answer for answer in answers if answer is not None]

    def score_tokens(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Answer]:
        """Answers to (context, continuation) pairs of token ids; neither may be empty."""
        rows = [
            _Row(i, [[*context, *continuation][:-1]], [[*context, *continuation]], [len(context)], 0)
            for i, (context, continuation) in enumerate(pairs)
        ]
        answers = {row.ask: answer for row, answer in self._group(rows)} if rows else {}
        return [answers[i] for i in range(len(pairs))]

    def _rows(self, asks: Sequence[Ask]) -> list[_Row]:
        """Tokens of every ask, with as many shots as fit the window."""
        rows: list[_Row | None] = [None] * len(asks)
        waiting = {i: len(ask.shots) for i, ask in enumerate(asks)}
        while waiting:
            for i, made in zip(waiting, self._tokens(asks, waiting), strict=True):
                rows[i] = made
            longer = {}
            for i, shots in waiting.items():
                row = rows[i]
                assert row is not None
                longest = max(map(len, row.paths))
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
        return [row for row in rows if row is not None]

    def _tokens(self, asks: Sequence[Ask], wanted: dict[int, int]) -> Iterator[_Row]:
        """Encode asks with the given numbers of shots: prefix, item and continuation each once."""
        triples: list[tuple[str, str, str]] = []
        owners: list[int] = []
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
                owners.append(i)
        found: dict[int, list[tuple[list[int], int]]] = {}
        for i, joined in zip(owners, self.encoder.join(triples), strict=True):
            found.setdefault(i, []).append(joined)
        for i, shots in wanted.items():
            wholes = [whole for whole, _ in found[i]]
            yield _Row(i, [w[:-1] for w in wholes], wholes, [start for _, start in found[i]], shots)

    def _group(self, rows: list[_Row]) -> Iterator[tuple[_Row, Answer]]:
        """Score the rows that have their shots in common."""
        if not self.model.shares_prefix:
            yield from self._apart(rows)
            return
        # Every row keeps the places it predicts from, and one token at least.
        first = min(start for row in rows for start in row.starts)
        skip = max(0, min(common([path for row in rows for path in row.paths]), first) - 1)
        prefix = self.model.prefix(rows[0].paths[0][:skip]) if skip else None
        self.counts.tokens += skip
        for batch in batches(rows, lambda row: row.length(skip), self.model.budget):
            yield from zip(batch, self._run(batch, prefix, skip), strict=True)

    def _apart(self, rows: list[_Row]) -> Iterator[tuple[_Row, Answer]]:
        """For a model without shared prefixes: every request is a row, in batches of like length."""
        single, places = [], {}
        for n, row in enumerate(rows):
            for j, path in enumerate(row.paths):
                part = _Row(n, [path], [row.wholes[j]], [row.starts[j]], row.shots)
                places[id(part)] = j
                single.append(part)
        found: list[dict[int, Answer]] = [{} for _ in rows]
        for batch in batches(single, lambda row: row.length(0), self.model.budget):
            for part, answer in zip(batch, self._run(batch, None, 0), strict=True):
                found[part.ask][places[id(part)]] = answer
        for row, parts in zip(rows, found, strict=True):
            of = [parts[j] for j in range(len(row.paths))]
            log_p, tokens = tuple(a.log_p[0] for a in of), tuple(a.tokens[0] for a in of)
            length = max(a.length for a in of)
            yield row, Answer(log_p, tokens, tuple(a.greedy[0] for a in of), row.shots, length)

    def _run(self, batch: list[_Row], prefix: object, skip: int) -> list[Answer]:
        """One forward pass."""
        T = max(row.length(skip) for row in batch)
        shape = (len(batch), T)
        tokens, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        branches = np.full(shape, -1, np.int64)
        rows, columns, targets, owners = [], [], [], []
        for b, row in enumerate(batch):
            stem = row.trunk - skip
            tokens[b, :stem] = row.paths[0][skip : row.trunk]
            positions[b, :stem] = np.arange(skip, row.trunk)
            branches[b, :stem] = 0
            at = stem
            for j, (path, whole, start) in enumerate(zip(row.paths, row.wholes, row.starts, strict=True)):
                own = len(path) - row.trunk
                tokens[b, at : at + own] = path[row.trunk :]
                positions[b, at : at + own] = np.arange(row.trunk, len(path))
                branches[b, at : at + own] = j + 1
                for t in range(start, len(whole)):  # token t is predicted at t - 1
                    rows.append(b)
                    columns.append(t - 1 - skip if t - 1 < row.trunk else at + t - 1 - row.trunk)
                    targets.append(whole[t])
                    owners.append((b, j))
                at += own
        log_p, top = self.model.rows(
            prefix,
            Rows(tokens, positions, branches, np.array(rows), np.array(columns), np.array(targets)),
        )
        sums = [[0.0] * len(row.paths) for row in batch]
        greedy = [[True] * len(row.paths) for row in batch]
        for (b, j), value, likeliest in zip(owners, log_p.tolist(), top.tolist(), strict=True):
            sums[b][j] += value
            greedy[b][j] &= likeliest
        used = int((branches >= 0).sum())
        self.counts.add(
            Counts(
                tokens=branches.size,
                padding=branches.size - used,
                naive=sum(len(path) for row in batch for path in row.paths),
                requests=sum(len(row.paths) for row in batch),
            )
        )
        return [
            Answer(
                tuple(sums[b]),
                tuple(len(w) - s for w, s in zip(row.wholes, row.starts, strict=True)),
                tuple(greedy[b]),
                row.shots,
                max(map(len, row.wholes)),
            )
            for b, row in enumerate(batch)
        ]


def score_apart(model: TokenModel, context: str, continuations: Sequence[str]) -> list[float]:
    """The plain contract of a model: continuations of one context, nothing shared with other calls."""
    if not continuations:
        return []
    ask = Ask((context,) * len(continuations), tuple(continuations))
    return list(Scorer(model).score([ask])[0].log_p)


def common(sequences: Sequence[list[int]]) -> int:
    """Length of the longest common prefix: that of the smallest and the largest in order."""
    low, high = min(sequences), max(sequences)
    for i, (a, b) in enumerate(zip(low, high, strict=False)):
        if a != b:
            return i
    return min(len(low), len(high))


def batches(rows: Sequence[_Row], length: Callable[[_Row], int], budget: int) -> Iterator[list[_Row]]:
    """Rows of like length together, longest first; B x T at most `budget`, one row at least.

    A batch that is not tiny also ends where rows get a seventh shorter than its first: padding costs more
    there than another call.
    """
    ordered = sorted(rows, key=lambda row: (-length(row), row.ask))
    batch: list[_Row] = []
    for row in ordered:
        size = length(batch[0]) if batch else 0
        short = len(batch) * size > budget / 64 and length(row) < 0.85 * size
        if batch and (short or (len(batch) + 1) * size > budget):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
