"""What a failed task comes to for the person at the terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from werp.errors import WerpError
from werp.session import TaskError, session


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
    with pytest.raises(TaskError, match="in broken") as caught:
        fail(broken)
    assert "\na task failed four times: RuntimeError: boom at home\nNothing was committed" in str(
        caught.value
    )
    assert caught.value.status == 1
