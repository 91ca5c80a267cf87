"""A run over tasks: progress, one finished task after another on disk, resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from eval_harness.data import Source, load
from eval_harness.evaluate import Questions, Settings, evaluate, questions
from eval_harness.model import Model, TokenModel
from eval_harness.picture import draw_scores
from eval_harness.progress import shown
from eval_harness.results import (
    Scores,
    TaskResult,
    averages,
    beside,
    digest,
    items_folder,
    write_items,
    write_text,
)
from eval_harness.task import Task


def run_tasks(
    model: Model | TokenModel,
    tasks: Sequence[Task],
    source: Source,
    settings: Settings,
    output: Path,
    version: str,
    console: Console,
    force: bool = False,
) -> Scores:
    """Score tasks one by one; what an earlier run at `output` finished with the same key is taken."""
    folder = items_folder(output)
    results: dict[str, TaskResult] = {}
    with shown("reading the tasks", len(tasks), "tasks") as advance:
        everything = []  # or says what is missing
        for task in tasks:
            everything.append(questions(task, load(task, source), settings))
            advance(1)
    for asked in everything:
        task = asked.task
        known = None if force else finished(folder, asked, asked.key(model.about()))
        if known is not None:
            console.print(f"{task.name}: taken from the run before ({folder.name}/{task.name}.json)")
            results[task.name] = known
            continue
        with shown(task.name, len(asked.asks) + len(asked.unconditional), "items asked") as advance:
            result, rows = evaluate(asked, model, advance)
        (folder / f"{task.name}.json").unlink(missing_ok=True)  # never beside another run's items
        write_items(folder / f"{task.name}.parquet", rows)
        write_text(folder / f"{task.name}.json", result.model_dump_json(indent=2) + "\n")
        results[task.name] = result
        console.print(describe(result))
    return Scores(version=version, model=model.about(), tasks=results, averages=averages(results))


def finished(folder: Path, asked: Questions, key: str) -> TaskResult | None:
    """A task's result from before, when it and its items are there and depend on the same things."""
    name = asked.task.name
    try:
        result = TaskResult.model_validate_json((folder / f"{name}.json").read_text("utf-8"))
    except (OSError, ValidationError):
        return None
    return result if result.key == key and (folder / f"{name}.parquet").is_file() else None


def describe(result: TaskResult) -> str:
    """One line: accuracy ± standard error beside chance, and whether the two can be told apart."""
    headline = result.accuracy
    error = "unknown" if headline.standard_error is None else f"{headline.standard_error:.1%}"
    verdict = ": not to be told from guessing" if result.near_chance else ""
    rate = result.requests / result.seconds if result.seconds else 0.0
    return (
        f"{result.task}: accuracy {headline.accuracy:.1%} ± {error} (standard error, {result.primary}, "
        f"{result.n} items, {result.shots}-shot), chance {result.chance:.1%}{verdict}; {rate:,.0f} requests/s"
    )


def plan_table(tasks: Sequence[Task], source: Source, settings: Settings) -> Table:
    """What a run would ask, without a model."""
    table = Table(title=f"{settings.form}, {settings.shots} shots, data from {source.name}")
    for name in ("task", "split", "items", "requests", "characters apart", "prompts"):
        table.add_column(name, justify="left" if name in {"task", "split", "prompts"} else "right")
    for task in tasks:
        asked = questions(task, load(task, source), settings)
        everything = (*asked.asks, *asked.unconditional)
        apart = sum(
            len(ask.head) + sum(map(len, ask.shots)) + len(context) + len(continuation)
            for ask in everything
            for context, continuation in zip(ask.contexts, ask.continuations, strict=True)
        )
        requests = sum(len(ask.continuations) for ask in everything)
        table.add_row(
            task.name, task.split, f"{len(asked.items):,}", f"{requests:,}", f"{apart:,}", asked.sha256[:12]
        )
    return table


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores.json whole, and the picture beside it."""
    write_text(path, scores.model_dump_json(indent=2, by_alias=True) + "\n")
    draw_scores(scores, beside(path, ".png"))


def run_digest(scores: Scores) -> str:
    """What two runs must share to be compared item by item: tasks, versions, forms and prompts."""
    return digest(*(f"{t.task} {t.version} {t.form} {t.prompt_sha256}" for t in scores.tasks.values()))
