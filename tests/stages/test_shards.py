"""Shards are cut by the data alone: every kept row once, in order."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from werp.stages.shards import _cut, plan_shards


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 40))
def test_every_unit_with_text_is_in_one_group_in_order(sizes: list[int], target: int) -> None:
    groups = plan_shards(sizes, target)
    flat = [unit for group in groups for unit in group]
    assert flat == sorted(set(flat))
    assert {unit for unit, size in enumerate(sizes) if size} <= set(flat)
    for group in groups[:-1]:
        assert sum(sizes[unit] for unit in group) >= target or sizes[group[-1] + 1] >= target
    for group in groups:  # closed at the unit with which it reaches the target
        assert sum(sizes[unit] for unit in group[:-1]) < target


@settings(deadline=None)  # the first call loads pyarrow's kernels
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), max_size=8), st.integers(1, 25))
def test_cutting_keeps_rows_and_closes_at_the_target(lengths: list[list[int]], target: int) -> None:
    texts = [["x" * length for length in batch] for batch in lengths]
    batches = (pa.RecordBatch.from_pydict({"text": pa.array(batch, pa.string())}) for batch in texts)
    shards = [
        [text for batch in shard for text in batch.column("text").to_pylist()]
        for shard in _cut(batches, target)
    ]
    assert [text for shard in shards for text in shard] == [text for batch in texts for text in batch]
    for shard in shards[:-1]:
        assert sum(map(len, shard)) >= target > sum(map(len, shard[:-1]))
    assert all(shards)


def test_plan_of_nothing() -> None:
    assert plan_shards([], 10) == []
    assert plan_shards([0, 0], 10) == []
    assert plan_shards([5, 0, 6, 30, 1], 10) == [[0, 1, 2], [3], [4]]


@pytest.mark.parametrize("target", [1, 7, 10**9])
def test_one_row_of_any_size_is_one_shard(target: int) -> None:
    batch = pa.RecordBatch.from_pydict({"text": ["words " * 50]})
    assert [[b.num_rows for b in shard] for shard in _cut(iter([batch]), target)] == [[1]]
