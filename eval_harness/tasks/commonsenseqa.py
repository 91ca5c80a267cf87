"""CommonsenseQA (Talmor et al. 2019): validation split, 1,221 items of 5 choices."""

from __future__ import annotations

from eval_harness.task import Hub, Task, Wheel
from eval_harness.tasks.arc_easy import hub_row
from eval_harness.tasks.demonstrations import olmes
from eval_harness.tasks.rows import question_row

TASK = Task(
    name="commonsenseqa",
    version=1,
    category="commonsense_reasoning",
    split="validation",
    primary="pmi",
    wheel=Wheel("csqa", "val_rc_5shot", question_row),
    hub=Hub("tau/commonsense_qa", None, "validation", hub_row),
    chosen=olmes("commonsenseqa"),
)
