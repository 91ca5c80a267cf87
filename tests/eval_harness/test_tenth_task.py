"""The tenth task that CONTRIBUTING.md shows is a task, word for word as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from eval_harness.adapters.double import Double
from eval_harness.data import FolderSource, load
from eval_harness.evaluate import Settings, evaluate, questions
from eval_harness.task import Task


def test_the_task_in_contributing_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    section = text.split("## A new benchmark task")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    task = names["TASK"]
    assert isinstance(task, Task)
    row = {"split": "test", "id": "a", "question": "What is water?", "choices": ["wet", "dry"], "gold": 0}
    (tmp_path / "sciq.jsonl").write_text(json.dumps(row) + "\n")
    asked = questions(task, load(task, FolderSource(tmp_path)), Settings(shots=2))
    result, _ = evaluate(asked, Double(lambda context, choice: -1.0 if choice == " wet" else -9.0))
    assert (result.task, result.scores["per_character"].accuracy) == ("sciq", 1.0)
    assert "".join(asked.asks[0].shots) + asked.asks[0].contexts[0] == (
        "Question: What do plants take in from the air?\nAnswer: carbon dioxide\n\n"
        "Question: Which planet is closest to the sun?\nAnswer: Mercury\n\n"
        "Question: What is water?\nAnswer:"
    )
