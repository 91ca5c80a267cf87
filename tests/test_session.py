"""What a failed task comes to for the person at the terminal."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import Any

import pytest

from werp.errors import WerpError
from werp.failure import SparkError
from werp.session import session
from werp.spread import spread


def mistaken(_: int) -> int:
    raise WerpError("rule own:fn: first line\nsecond line, a.b: c")


def broken(_: int) -> int:
    raise RuntimeError("boom at home")


def fail(work: Any) -> None:
    with session(1) as spark:
        spark.sparkContext.parallelize([1], 1).map(work).collect()


@pytest.fixture(autouse=True)
def this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(sys.path)
    )  # the workers unpickle this module's functions
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


def test_a_mistake_found_in_a_task_is_its_text_alone() -> None:
    with pytest.raises(WerpError) as caught:
        fail(mistaken)
    assert str(caught.value) == "rule own:fn: first line\nsecond line, a.b: c"
    assert caught.value.status == 2


def test_any_other_failure_ends_with_its_cause() -> None:
    with pytest.raises(SparkError) as caught:
        fail(broken)
    assert str(caught.value) == "a task failed in all its tries: RuntimeError: boom at home"
    assert "in broken" in caught.value.trace
    assert caught.value.status == 1


def seconds_to_collect(_: int) -> float:
    """What PySpark's worker does after every task."""
    started = time.process_time()
    gc.collect()
    return time.process_time() - started


def test_tasks_do_not_pay_for_the_libraries_of_their_worker() -> None:
    with session(1) as spark:
        first, *later = spread(spark, [import_much, seconds_to_collect], 2, lambda work: work(0)) + spread(
            spark, range(4), 4, seconds_to_collect
        )
    assert first > 0.01  # a worker with the libraries, not frozen yet
    assert max(later[1:]) < first / 5


def test_what_tasks_leave_behind_is_collected() -> None:
    held = [[k] for k in range(1000)]

    def work(n: int) -> int:
        """Names itself, so that only a collection can free it and what it holds."""
        return work(n - 100) if n > 100 else gc.get_freeze_count() + 0 * len(held)

    with session(1) as spark:
        frozen = spread(spark, range(8), 8, work)
    assert frozen[2] == frozen[-1] > 0


def import_much(_: int) -> float:
    import numba  # noqa: F401, PLC0415
    import pydantic  # noqa: F401, PLC0415

    return seconds_to_collect(0)
