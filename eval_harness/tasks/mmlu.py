"""MMLU (Hendrycks et al. 2021): 57 subjects, test split, 14,042 items of 4 choices.

OLMES's rule: one description line at the top, the first five of the subject's own dev split as
demonstrations, per-character accuracy, and a plain mean over the subjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eval_harness.task import Hub, Item, Task


@dataclass(frozen=True, kw_only=True)
class MMLU(Task):
    """Each subject has its own description and demonstrations."""

    def description(self, subject: str | None) -> str:
        """The line that names the subject."""
        name = str(subject).replace("_", " ")
        return f"The following are multiple choice questions (with answers) about {name}."

    def row(self, row: Mapping[str, Any]) -> Item:
        """The subject is the cluster that demonstrations and standard errors go by."""
        return replace(super().row(row), subject=str(row["subject"]))


def answer_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The original fields; rows have no id of their own."""
    return {
        "id": row.get("id"),
        "subject": row["subject"],
        "question": row["question"],
        "choices": row["choices"],
        "gold": row["answer"],
    }


TASK = MMLU(
    name="mmlu",
    version=1,
    category="world_knowledge",
    split="test",
    primary="per_character",
    wheel=None,  # bundled as Arrow tables: see data.py
    hub=Hub("cais/mmlu", "all", "test", answer_row),
)
