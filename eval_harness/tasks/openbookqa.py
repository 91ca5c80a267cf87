"""OpenBookQA (Mihaylov et al. 2018): elementary science facts, test split, 500 items of 4 choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval_harness.task import Hub, Task, Wheel
from eval_harness.tasks.arc_easy import hub_row
from eval_harness.tasks.demonstrations import olmes
from eval_harness.tasks.rows import question_row


def stem_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The hub calls the question `question_stem`."""
    return hub_row({**row, "question": row["question_stem"]})


TASK = Task(
    name="openbookqa",
    version=1,
    category="commonsense_reasoning",
    split="test",
    primary="pmi",
    wheel=Wheel("openbookqa", "test_rc_5shot", question_row),
    hub=Hub("allenai/openbookqa", "main", "test", stem_row),
    chosen=olmes("openbookqa"),
)
