"""ARC-Challenge (Clark et al. 2018): the harder school science questions, test split, 1,172 items."""

from __future__ import annotations

from eval_harness.task import Hub, Task, Wheel
from eval_harness.tasks.arc_easy import hub_row
from eval_harness.tasks.demonstrations import olmes
from eval_harness.tasks.rows import question_row

TASK = Task(
    name="arc_challenge",
    version=1,
    category="world_knowledge",
    split="test",
    primary="pmi",
    wheel=Wheel("arc_challenge", "test_rc_5shot", question_row),
    hub=Hub("allenai/ai2_arc", "ARC-Challenge", "test", hub_row),
    chosen=olmes("arc_challenge"),
)
