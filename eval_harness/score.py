"""Score a multiple-choice task: one log-probability a choice, accuracy raw and per character."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from typing import Any, Protocol

from eval_harness.errors import EvalError
from eval_harness.task import Normalisation, Prompt, Task, TaskData

SAMPLE_SEED = 1234  # OLMES draws with Random(1234).sample


class Model(Protocol):
    """Anything that gives the log-probability in nats of each continuation after a context."""

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """One log-probability a continuation, in order."""
        ...


def evaluate(task: Task, data: TaskData, model: Model, limit: int | None, shots: int) -> dict[str, Any]:
    """Score a task; returns what scores.json holds for it.

    limit: score a sample of that many items, drawn as OLMES draws its thousand; None: all.
    shots: how many of the task's fixed demonstrations stand before each question.
    Raises EvalError when there are fewer demonstrations than `shots`.
    """
    if shots > len(data.demonstrations):
        raise EvalError(f"--shots {shots}: the data at hand holds {len(data.demonstrations)} demonstrations")
    items = list(data.items)
    if limit is not None and limit < len(items):
        items = random.Random(SAMPLE_SEED).sample(items, limit)
    prompts = [task.prompt(item, data.demonstrations[:shots]) for item in items]
    right: dict[Normalisation, list[bool]] = {"raw": [], "per_character": []}
    for item, prompt in zip(items, prompts, strict=True):
        log_p = model.score(prompt.context, prompt.continuations)
        for name, hits in right.items():
            hits.append(choose(log_p, prompt.continuations, name) == item.gold)
    chance = sum(1 / len(item.choices) for item in items) / len(items)
    accuracy = {
        name: {"accuracy": mean(hits), "standard_error": standard_error(hits)} for name, hits in right.items()
    }
    return {
        "version": task.version,
        "split": task.split,
        "limit": limit,
        "n": len(items),
        "shots": shots,
        "primary": task.primary,
        "scores": accuracy,
        "chance": chance,
        "near_chance": near_chance(mean(right[task.primary]), chance, len(items)),
        "prompt_sha256": prompt_hash(prompts),
    }


def choose(log_p: Sequence[float], continuations: Sequence[str], normalisation: Normalisation) -> int:
    """The index of the likeliest continuation, the first of equals.

    `per_character` divides by the characters of the continuation, its leading space counted, as in OLMES.
    """
    lengths = [len(text) if normalisation == "per_character" else 1 for text in continuations]
    values = [p / length for p, length in zip(log_p, lengths, strict=True)]
    return max(range(len(values)), key=values.__getitem__)


def mean(hits: Sequence[bool]) -> float:
    """The share that is true."""
    return sum(hits) / len(hits)


def standard_error(hits: Sequence[bool]) -> float | None:
    """Of the share that is true, from the sample's own variance (n - 1); None for a single item."""
    share, n = mean(hits), len(hits)
    return math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else None


def near_chance(accuracy: float, chance: float, n: int) -> bool:
    """Whether the accuracy lies within two standard errors of guessing (about 19 of 20 guesses do)."""
    return abs(accuracy - chance) < 2 * math.sqrt(chance * (1 - chance) / n)


def prompt_hash(prompts: Sequence[Prompt]) -> str:
    """SHA-256 over every context and continuation in order: equal hashes, equal questions asked."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps([prompt.context, *prompt.continuations]).encode() + b"\n")
    return digest.hexdigest()


def describe(name: str, result: dict[str, Any]) -> str:
    """One line: accuracy ± standard error beside chance, and whether the two can be told apart."""
    score = result["scores"][result["primary"]]
    error = "unknown" if score["standard_error"] is None else f"{score['standard_error']:.1%}"
    verdict = ": not to be told from guessing" if result["near_chance"] else ""
    return (
        f"{name}: accuracy {score['accuracy']:.1%} ± {error} (standard error, {result['primary']}, "
        f"{result['n']} items, {result['shots']}-shot), chance {result['chance']:.1%}{verdict}"
    )
