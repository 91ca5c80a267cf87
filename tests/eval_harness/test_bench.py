"""What the bench says beside the peer's own figures; the peer itself is not needed."""

from __future__ import annotations

import pytest
import torch

from eval_harness.bench import attempted, off
from eval_harness.scorer import Ask


def test_memory_that_runs_out_is_an_answer_and_other_errors_are_not() -> None:
    def too_much() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert attempted(too_much) is None
    done = attempted(lambda: 7)
    assert done is not None
    assert done[1] == 7
    with pytest.raises(ZeroDivisionError):
        attempted(lambda: 1 / 0)


def test_distances_and_choices() -> None:
    asks = {"task": [Ask(("a", "a"), (" b", " cccc")), Ask(("a", "a"), (" b", " c"))]}
    reference = [-2.0, -4.0, -1.0, -2.0]  # per character: the second choice, the first
    found = off([-2.0, -6.0, -1.5, -2.0], reference, asks)
    assert found == {
        "requests": 4,
        "mean": 0.625,
        "percentile_99": pytest.approx(1.955),
        "largest": 2.0,
        "same_choice": 0.5,
    }
    assert "same_choice" not in off([-2.0], [-2.5])
