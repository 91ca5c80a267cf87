"""SocialIQA (Sap et al. 2019): social situations, validation split, 1,954 items of 3 choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval_harness.task import Hub, Item, Task, Wheel
from eval_harness.tasks.demonstrations import olmes


@dataclass(frozen=True, kw_only=True)
class SocialIQA(Task):
    """Situation and question are one text in the prompt."""

    def row(self, row: Mapping[str, Any]) -> Item:
        """The situation, a space, the question."""
        joined = f"{row['context']} {row['question']}" if row.get("context") else row["question"]
        return super().row({**row, "question": joined})


def answers_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The label counts from 1 and is a string."""
    return {
        "id": row.get("index"),
        "context": row["context"],
        "question": row["question"],
        "choices": [row["answerA"], row["answerB"], row["answerC"]],
        "gold": int(row["label"]) - 1,
    }


TASK = SocialIQA(
    name="socialiqa",
    version=1,
    category="commonsense_reasoning",
    split="validation",
    primary="per_character",
    wheel=Wheel("socialiqa", "val_rc_5shot", answers_row),
    hub=Hub("lighteval/siqa", None, "validation", answers_row),
    chosen=olmes("socialiqa"),
)
