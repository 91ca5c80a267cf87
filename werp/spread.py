"""The one way in which work is spread over a cluster: a function on each of many items."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from werp.errors import WerpError, from_os

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_T = TypeVar("_T")
_R = TypeVar("_R")


_modules = 0  # how many there were when the collector last lost sight of them


def spread(
    spark: SparkSession | None, items: Sequence[_T], slices: int, work: Callable[[_T], _R]
) -> list[_R]:
    """`work` on each item in at most `slices` Spark tasks, or here when there is no session.

    Results come back in the items' order, whichever task ends first, and must be small.
    """
    if spark is None or not items:
        return [work(item) for item in items]

    def part(pairs: Iterator[tuple[int, _T]]) -> Iterator[tuple[int, _R]]:
        with task():
            for index, item in pairs:
                yield index, work(item)

    data = spark.sparkContext.parallelize(list(enumerate(items)), max(1, min(slices, len(items))))
    done = data.mapPartitions(part).collect()
    return [result for _, result in sorted(done, key=lambda pair: pair[0])]


@contextmanager
def task() -> Iterator[None]:
    """What a task does in a worker; what the operating system refuses becomes a message, as in the driver.

    PySpark collects garbage after every task, and with the libraries loaded (200,000 objects) that is a tenth
    of a second: for small files many times the task's work. So a worker's libraries are taken out of the
    collector's sight; only after an import, for what else is frozen, a task's own function for one, is never
    collected.
    """
    global _modules  # noqa: PLW0603 - of the process
    if len(sys.modules) > _modules:
        _modules = len(sys.modules)
        gc.freeze()
    try:
        yield
    except ConnectionError:  # Spark's own socket
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise from_os(error) from error
    except MemoryError as error:
        raise WerpError("a task is out of memory; use fewer --workers, or a machine with more") from error
