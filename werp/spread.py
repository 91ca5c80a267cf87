"""The one way in which work is spread over a cluster: a function on each of many items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_T = TypeVar("_T")
_R = TypeVar("_R")


def spread(
    spark: SparkSession | None, items: Sequence[_T], slices: int, work: Callable[[_T], _R]
) -> list[_R]:
    """`work` on each item in at most `slices` Spark tasks, or here when there is no session.

    Results come back in the items' order, whichever task ends first, and must be small.
    """
    if spark is None or not items:
        return [work(item) for item in items]
    data = spark.sparkContext.parallelize(list(enumerate(items)), max(1, min(slices, len(items))))
    done = data.map(lambda pair: (pair[0], work(pair[1]))).collect()
    return [result for _, result in sorted(done, key=lambda pair: pair[0])]
