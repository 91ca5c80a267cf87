"""Batches against every way of cutting; what a tree shares."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from eval_harness.trees import Tree, batches


def cheapest(sizes: list[int], budget: int, call: int, kept: int) -> int:
    """The least cost over all cuts of the sorted sizes."""
    ordered = sorted(sizes, reverse=True)
    costs = []
    for n in range(len(ordered)):
        for inner in combinations(range(1, len(ordered)), n):
            pieces = [ordered[a:b] for a, b in pairwise((0, *inner, len(ordered)))]
            if all(len(p) == 1 or len(p) * (p[0] + kept) <= budget for p in pieces):
                costs.append(sum(len(p) * p[0] + call for p in pieces))
    return min(costs)


@pytest.mark.parametrize("seed", range(20))
def test_batches_are_the_cheapest_that_fit(seed: int) -> None:
    draw = random.Random(seed)
    sizes = [draw.choice((0, draw.randint(1, 12), draw.randint(1, 120))) for _ in range(draw.randint(1, 9))]
    budget, call, kept = draw.choice((1, 60, 300)), draw.choice((0, 8, 100)), draw.choice((0, 10))
    found = list(batches(sizes, int, budget, call, kept))
    assert sorted(size for batch in found for size in batch) == sorted(sizes)
    assert all(len(batch) == 1 or len(batch) * (max(batch) + kept) <= budget for batch in found)
    cost = sum(len(batch) * max(batch) + call for batch in found)
    assert cost == cheapest(sizes, budget, call, kept)


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], len, 10, 1)) == []


def test_the_trunk_ends_before_the_last_token_of_the_shortest() -> None:
    assert Tree(0, 0, 0, [[5, 6, 7], [5, 6, 8]], [2, 2]).trunk == 2  # letters: one trunk predicts both
    assert Tree(0, 0, 0, [[5, 6, 7], [5, 6, 7, 8]], [1, 1]).trunk == 2
    assert Tree(0, 0, 0, [[5, 6, 7], [9, 6, 7]], [1, 1]).trunk == 0
