"""WinoGrande (Sakaguchi et al. 2020): who or what a blank stands for, validation split, 1,267 items.

The cloze form is evaluated in part (Trinh and Le 2018): each choice is put into the blank and the
*same* rest of the sentence is scored after it. Contexts differ, continuations do not, so every
normalisation picks the same choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval_harness.task import Hub, Item, Prompt, Task, Wheel, lettered
from eval_harness.tasks.demonstrations import olmes

BLANK = "_"


@dataclass(frozen=True, kw_only=True)
class WinoGrande(Task):
    """The question is a sentence whose blank is `_`."""

    def row(self, row: Mapping[str, Any]) -> Item:
        """A sentence has one blank."""
        if str(row["question"]).count(BLANK) != 1:
            raise ValueError(f"the question needs one {BLANK!r}: {row['question']!r}")
        return super().row(row)

    def cloze(self, item: Item) -> Prompt:
        """The sentence up to the blank with a choice in it; the rest is the continuation."""
        before, after = item.question.split(BLANK)
        return Prompt(
            tuple(before + choice for choice in item.choices), (f" {after.strip()}",) * len(item.choices)
        )

    def multiple_choice(self, item: Item) -> Prompt:
        """The sentence with a longer blank above the choices."""
        return lettered(f"Fill in the blank: {item.question.replace(BLANK, '___')}", item.choices)


def sentence_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The answer counts from 1 and is a string; the hub's rows have no id of their own."""
    return {
        "id": row.get("index"),
        "question": row["sentence"],
        "choices": [row["option1"], row["option2"]],
        "gold": int(row["answer"]) - 1,
    }


TASK = WinoGrande(
    name="winogrande",
    version=1,
    category="language_understanding",
    split="validation",
    primary="raw",
    wheel=Wheel("winogrande", "val_rc_5shot", sentence_row),
    hub=Hub("allenai/winogrande", "winogrande_xl", "validation", sentence_row),
    chosen=olmes("winogrande"),
    unconditional=False,
)
