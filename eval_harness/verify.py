"""Prompts against the requests that AI2 bundles: every context and continuation byte for byte.

The prompts are rendered from raw fields; the bundled request is only the expected value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_harness.data import read_lines
from eval_harness.task import UNCONDITIONAL, Form, Item, Task

FIRST_UNCONDITIONAL = 1_000_000


@dataclass
class Verdict:
    """How many requests of a file equal ours; `examples` are the first few (item, expected, ours) that don't."""

    equal: int = 0
    different: int = 0
    unconditional: int = 0
    examples: list[tuple[str, Any, Any]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Every request equal, and there were some."""
        return self.equal > 0 and not self.different


def verify_file(task: Task, items: Mapping[int, Item], path: Path, form: Form, shots: int) -> Verdict:
    """Compare a bundled request file with our rendering of the items, keyed by document number.

    Also checks the gold label, that each item has exactly its choices as requests, and that the
    unconditional requests are "Answer:" with our continuations.
    """
    verdict, seen = Verdict(), Counter[int]()
    prefix = task.shots(None, task.chosen[:shots], form)
    for row in read_lines(path):
        number, index, request = row["doc_id"], row["idx"], row["request"]
        bare = number >= FIRST_UNCONDITIONAL
        item = items[number % FIRST_UNCONDITIONAL]
        prompt = task.prompt(item, form)
        context = UNCONDITIONAL if bare else prefix + prompt.contexts[index]
        ours = (context, prompt.continuations[index], item.gold)
        stored = (request["context"], request["continuation"], row["label"])
        seen[number] += 1
        verdict.unconditional += bare
        if ours == stored:
            verdict.equal += 1
            continue
        verdict.different += 1
        if len(verdict.examples) < 5:
            verdict.examples.append((item.id, stored, ours))
    whole = {number for number, item in items.items() if seen[number] == len(item.choices)}
    if whole != set(items):
        verdict.different += len(items) - len(whole)
        verdict.examples.append(("requests missing", sorted(set(items) - whole)[:5], None))
    return verdict
