"""Items as trees of tokens, and trees laid out in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from eval_harness.model import Rows

Thing = TypeVar("Thing")


@dataclass
class Tree:
    """Requests that share their beginning; of each all tokens but the last go in.

    ask, part: whose requests they are; shots: the demonstrations in them.
    wholes: tokens of each request; starts: where each continuation begins.
    trunk: tokens that go in and that all requests share. skip: of those, how many are in a kept prefix,
        the one numbered `prefix`.
    """

    ask: int
    part: int
    shots: int
    wholes: list[list[int]]
    starts: list[int]
    trunk: int = 0
    skip: int = 0
    prefix: int = 0

    def __post_init__(self) -> None:
        self.trunk = min(common(self.wholes), min(map(len, self.wholes)) - 1)

    def length(self) -> int:
        """Tokens of its row."""
        return self.trunk - self.skip + sum(len(whole) - 1 - self.trunk for whole in self.wholes)


def common(sequences: Sequence[list[int]]) -> int:
    """Length of the longest common prefix: that of the smallest and the largest in order."""
    low, high = min(sequences), max(sequences)
    for i, (a, b) in enumerate(zip(low, high, strict=False)):
        if a != b:
            return i
    return min(len(low), len(high))


def batches(
    things: Sequence[Thing], length: Callable[[Thing], int], budget: int, call: int, kept: int = 0
) -> Iterator[list[Thing]]:
    """Things of like length together, longest first, so that padding and calls cost least.

    A batch of B things, the longest of T tokens, costs B x T tokens and `call`. B x (T + kept) is at most
    `budget`, or B is one. The cheapest cuts of the sorted list, found by dynamic programming.
    """
    ordered = sorted(things, key=length, reverse=True)
    sizes_n = np.array([length(thing) for thing in ordered], np.int64)
    cost = np.zeros(len(ordered) + 1, np.int64)  # of the first n things
    begin = np.zeros(len(ordered) + 1, np.int64)  # where the last batch of the first n things begins
    low = 0
    for end in range(1, len(ordered) + 1):
        while low < end - 1 and (end - low) * (sizes_n[low] + kept) > budget:
            low += 1
        costs = cost[low:end] + np.arange(end - low, 0, -1) * sizes_n[low:end] + call
        best = costs.argmin()
        begin[end], cost[end] = low + best, costs[best]
    cuts = [len(ordered)]
    while cuts[-1] > 0:
        cuts.append(int(begin[cuts[-1]]))
    for start, end in pairwise(reversed(cuts)):
        yield ordered[start:end]


def arrange(batch: Sequence[Tree]) -> tuple[Rows, list[int]]:
    """A batch as arrays, and of each request in order how many tokens are predicted."""
    shape = (len(batch), max(tree.length() for tree in batch))
    tokens_BT, positions_BT = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    branches_BT = np.full(shape, -1, np.int64)
    columns: list[int] = []
    targets: list[int] = []
    sizes: list[int] = []
    predicted = []
    for b, tree in enumerate(batch):
        trunk, skip = tree.trunk, tree.skip
        tokens = tree.wholes[0][skip:trunk]
        positions = list(range(skip, trunk))
        branches = [0] * (trunk - skip)
        before = len(targets)
        for j, (whole, start) in enumerate(zip(tree.wholes, tree.starts, strict=True)):
            at = len(tokens) - trunk  # a branch's token t is in column at + t, the trunk's in t - skip
            tokens += whole[trunk:-1]
            positions += range(trunk, len(whole) - 1)
            branches += [j + 1] * (len(whole) - 1 - trunk)
            columns += range(start - 1 - skip, trunk - skip)  # token t is predicted at t - 1
            columns += range(at + max(start - 1, trunk), at + len(whole) - 1)
            targets += whole[start:]
            sizes.append(len(whole) - start)
        tokens_BT[b, : len(tokens)] = tokens
        positions_BT[b, : len(tokens)] = positions
        branches_BT[b, : len(tokens)] = branches
        predicted.append(len(targets) - before)
    rows = Rows(
        tokens_BT,
        positions_BT,
        branches_BT,
        np.array([tree.prefix for tree in batch], np.int64),
        np.repeat(np.arange(len(batch)), predicted),
        np.array(columns, np.int64),
        np.array(targets, np.int64),
    )
    return rows, sizes
