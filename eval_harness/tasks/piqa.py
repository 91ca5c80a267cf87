"""PIQA (Bisk et al. 2020): physical commonsense, validation split, 1,838 items of 2 choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval_harness.task import Hub, Task, Wheel
from eval_harness.tasks.demonstrations import olmes


def goal_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A goal, two solutions and a label; the hub's rows have no id of their own."""
    return {
        "id": row.get("index"),
        "question": row["goal"],
        "choices": [row["sol1"], row["sol2"]],
        "gold": row["label"],
    }


TASK = Task(
    name="piqa",
    version=1,
    category="commonsense_reasoning",
    split="validation",
    primary="per_character",
    wheel=Wheel("piqa", "val_rc_5shot", goal_row),
    hub=Hub("baber/piqa", None, "validation", goal_row),
    chosen=olmes("piqa"),
    lead="Goal: ",
)
