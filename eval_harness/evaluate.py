"""One task: items to prompts, prompts to scores, scores to a result."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval_harness.data import sample
from eval_harness.errors import EvalError
from eval_harness.metrics import (
    PROBABILITIES,
    Scored,
    chance,
    mean_and_error,
    same_text_same_score,
)
from eval_harness.model import Model, TokenModel
from eval_harness.results import SCHEMA, Accuracy, Estimate, TaskResult, digest
from eval_harness.scorer import Answer, Ask, Scorer
from eval_harness.task import BETWEEN, UNCONDITIONAL, Form, Item, Prompt, Task, TaskData

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Settings:
    """How tasks are asked.

    limit: a sample of so many items, drawn as OLMES draws its thousand; None: all.
    """

    form: Form = "cloze"
    shots: int = 5
    limit: int | None = None


@dataclass(frozen=True)
class Questions:
    """A task ready to be asked: the items, their prompts, and what the scorer is given.

    unconditional: the same continuations after "Answer:" alone; empty where the form has none.
    """

    task: Task
    settings: Settings
    source: str
    items: tuple[Item, ...]
    prompts: tuple[Prompt, ...]
    asks: tuple[Ask, ...]
    unconditional: tuple[Ask, ...]

    @property
    def sha256(self) -> str:
        """Over every context and continuation in order."""
        hashed = hashlib.sha256()
        for ask in (*self.asks, *self.unconditional):
            hashed.update(json.dumps([ask.head, *ask.shots, *ask.contexts, *ask.continuations]).encode())
            hashed.update(b"\n")
        return hashed.hexdigest()

    def key(self, model: Mapping[str, Any]) -> str:
        """What the result depends on."""
        settings = self.settings
        return digest(
            SCHEMA,
            json.dumps(model, sort_keys=True, default=str),
            self.task.name,
            self.task.version,
            settings.form,
            settings.shots,
            settings.limit,
            self.sha256,
            json.dumps([(item.id, item.gold, item.subject) for item in self.items]),
        )


def questions(task: Task, data: TaskData, settings: Settings) -> Questions:
    """Render a task's items; EvalError when there are fewer demonstrations than shots."""
    items = sample(data.items, settings.limit)
    shots: dict[str | None, tuple[str, ...]] = {}
    for subject in dict.fromkeys(item.subject for item in items):
        demonstrations = data.demonstrations.get(subject, ())
        if len(demonstrations) < settings.shots:
            raise EvalError(
                f"--shots {settings.shots}: {task.name} has {len(demonstrations)} demonstrations"
                + (f" for {subject}" if subject else "")
            )
        shots[subject] = tuple(
            task.prompt(item, settings.form).answered(item.gold) + BETWEEN
            for item in demonstrations[: settings.shots]
        )
    heads = {subject: task.shots(subject, (), settings.form) for subject in shots}
    prompts = tuple(task.prompt(item, settings.form) for item in items)
    asks = tuple(
        Ask(prompt.contexts, prompt.continuations, shots[item.subject], heads[item.subject])
        for item, prompt in zip(items, prompts, strict=True)
    )
    bare: tuple[Ask, ...] = ()
    if settings.form == "cloze" and task.unconditional:
        bare = tuple(Ask((UNCONDITIONAL,) * len(p.continuations), p.continuations) for p in prompts)
    return Questions(task, settings, data.source, items, prompts, asks, bare)


def evaluate(
    asked: Questions, model: Model | TokenModel, progress: Progress | None = None
) -> tuple[TaskResult, list[dict[str, Any]]]:
    """Score a task; returns its result and one row an item for the per-item table."""
    begin = time.perf_counter()
    if isinstance(model, TokenModel):
        scorer = Scorer(model)
        answers = scorer.score(asked.asks, progress)
        bare = scorer.score(asked.unconditional, progress)
        counts, window = scorer.counts, model.window
    else:
        answers = [one_by_one(model, ask, progress) for ask in asked.asks]
        bare = [one_by_one(model, ask, progress) for ask in asked.unconditional]
        counts, window = None, None
    seconds = time.perf_counter() - begin
    scored = [
        gather(item, prompt, answer, bare[i] if bare else None)
        for i, (item, prompt, answer) in enumerate(zip(asked.items, asked.prompts, answers, strict=True))
    ]
    result = TaskResult(
        **summarise(asked, scored),
        shots_dropped=sum(answer.shots < asked.settings.shots for answer in answers),
        beyond_window=sum(window is not None and answer.length - 1 > window for answer in answers),
        longest=max(answer.length for answer in answers) if counts else None,
        tokens=counts.tokens if counts else None,
        tokens_naive=counts.naive if counts else None,
        seconds=seconds,
        key=asked.key(model.about()),
    )
    return result, [row(asked, i, scored[i], answers[i]) for i in range(len(scored))]


def one_by_one(model: Model, ask: Ask, progress: Progress | None) -> Answer:
    """Score an ask with a model that only has `score`; choices of one context go together."""
    lead = ask.head + "".join(ask.shots)
    log_p: dict[int, float] = {}
    for context in dict.fromkeys(ask.contexts):
        places = [i for i, other in enumerate(ask.contexts) if other == context]
        values = model.score(lead + context, [ask.continuations[i] for i in places])
        if len(values) != len(places) or not all(map(math.isfinite, values)):
            raise EvalError(f"model {model.name}: score gave {values!r} for {len(places)} continuations")
        log_p.update(zip(places, values, strict=True))
    if progress:
        progress(1)
    tokens = tuple(model.count(ask.continuations))
    n = len(ask.continuations)
    return Answer(tuple(log_p[i] for i in range(n)), tokens, (False,) * n, len(ask.shots), 0)


def gather(item: Item, prompt: Prompt, answer: Answer, bare: Answer | None) -> Scored:
    """An item's scores with the lengths they are divided by."""
    pairs = list(zip(prompt.contexts, prompt.continuations, strict=True))
    return Scored(
        gold=item.gold,
        log_p=same_text_same_score(answer.log_p, pairs),
        tokens=answer.tokens,
        characters=tuple(map(len, prompt.continuations)),
        bytes=tuple(len(text.encode()) for text in prompt.continuations),
        unconditional=same_text_same_score(bare.log_p, prompt.continuations) if bare else None,
    )


def summarise(asked: Questions, scored: Sequence[Scored]) -> dict[str, Any]:
    """The fields of a TaskResult that follow from the items' scores alone."""
    task, settings = asked.task, asked.settings
    clusters = [item.subject for item in asked.items]
    scores = {}
    for name in task.normalisations(settings.form):
        credits, ties = zip(*(one.credit(name) for one in scored), strict=True)
        value, error = mean_and_error(credits, clusters)
        scores[name] = Accuracy(accuracy=value, standard_error=error, ties=sum(ties))
    probabilities: dict[str, dict[str, Estimate]] = {}
    for name in PROBABILITIES:
        each = [one.probabilities(name) for one in scored]
        for metric in each[0]:
            value, error = mean_and_error([one[metric] for one in each], clusters)
            probabilities.setdefault(metric, {})[name] = Estimate(value=value, standard_error=error)
    bits, bits_error = mean_and_error([one.bits_per_byte for one in scored], clusters)
    primary = task.primary_of(settings.form)
    guess = chance([len(item.choices) for item in asked.items], clusters)
    by_subject: dict[str, list[float]] = {}
    for item, one in zip(asked.items, scored, strict=True):
        if item.subject is not None:
            by_subject.setdefault(item.subject, []).append(one.credit(primary)[0])
    return {
        "task": task.name,
        "version": task.version,
        "category": task.category,
        "split": task.split,
        "source": asked.source,
        "form": settings.form,
        "shots": settings.shots,
        "limit": settings.limit,
        "n": len(scored),
        "requests": sum(len(ask.continuations) for ask in (*asked.asks, *asked.unconditional)),
        "chance": guess,
        "primary": primary,
        "scores": scores,
        "probabilities": probabilities,
        "bits_per_byte": Estimate(value=bits, standard_error=bits_error),
        "subjects": {name: sum(c) / len(c) for name, c in by_subject.items()} or None,
        "near_chance": near_chance(scores[primary].accuracy, guess, len(scored)),
        "prompt_sha256": asked.sha256,
    }


def near_chance(accuracy: float, guess: float, n: int) -> bool:
    """Whether the accuracy lies within two standard errors of guessing (about 19 of 20 guesses do)."""
    return abs(accuracy - guess) < 2 * math.sqrt(guess * (1 - guess) / n)


def row(asked: Questions, i: int, one: Scored, answer: Answer) -> dict[str, Any]:
    """An item's row in the per-item table."""
    item, ask = asked.items[i], asked.asks[i]
    return {
        "item": item.id,
        "subject": item.subject,
        "gold": item.gold,
        "log_p": one.log_p,
        "log_p_unconditional": one.unconditional,
        "tokens": one.tokens,
        "characters": one.characters,
        "bytes": one.bytes,
        "shots": answer.shots,
        "length": answer.length,
        "credit": one.credit(asked.task.primary_of(asked.settings.form))[0],
        "prompt_sha256": digest(ask.head, *ask.shots[: answer.shots], *ask.contexts, *ask.continuations),
    }
