"""From a folder of runs: which tasks tell recipes apart, and how well a small size predicts a large one.

    FOLDER/RECIPE/SIZE/SEED/scores.json

The folder names are the recipe's, the size's and the seed's. Sizes are ordered by their models' parameters;
the largest is the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from eval_harness.errors import EvalError
from eval_harness.results import Scores, read_scores
from eval_harness.statistics import decision_accuracy, signal_to_noise

MEAN = "mean"
ByRecipe = dict[str, list[float]]


class Task(BaseModel):
    """A task at a size; None where there are too few seeds or recipes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signal: float | None
    noise: float | None
    signal_to_noise: float | None
    decision_accuracy: float | None
    decision_accuracy_sd: float | None


class Decisions(BaseModel):
    """Tasks by size, smallest first; `mean` is the mean over the tasks all runs share."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["eval_harness.decisions.v1"] = Field("eval_harness.decisions.v1", alias="schema")
    recipes: list[str]
    target: str
    sizes: dict[str, dict[str, Task]]


def decide(folder: Path) -> Decisions:
    """Read the runs; EvalError when there are none, or a recipe lacks a size or a task."""
    runs: dict[str, dict[str, list[Scores]]] = {}
    for path in sorted(folder.glob("*/*/*/scores.json")):
        recipe, size = path.parts[-4], path.parts[-3]
        runs.setdefault(size, {}).setdefault(recipe, []).append(read_scores(path))
    if not runs:
        raise EvalError(f"{folder}: no RECIPE/SIZE/SEED/scores.json in it")
    recipes = sorted({recipe for by in runs.values() for recipe in by})
    for size, by in runs.items():
        if set(by) != set(recipes):
            raise EvalError(f"{folder}: size {size} lacks {', '.join(sorted(set(recipes) - set(by)))}")
    if len(recipes) < 2:
        raise EvalError(f"{folder}: one recipe alone can't be ranked; give two at least")
    order = sorted(runs, key=lambda size: runs[size][recipes[0]][0].model.get("parameters") or 0)
    everyone = [scores for by in runs.values() for group in by.values() for scores in group]
    names = [name for name in everyone[0].tasks if all(name in scores.tasks for scores in everyone)]
    if not names:
        raise EvalError(f"{folder}: no task was scored in all of its runs; score them on the same --tasks")
    for name in names:
        if len({(s.tasks[name].version, s.tasks[name].prompt_sha256) for s in everyone}) > 1:
            raise EvalError(
                f"{folder}: {name} was not asked the same questions in all runs; score them alike"
            )
    for by in runs.values():
        for recipe, group in by.items():
            known = [s.model["sha256"] for s in group if s.model.get("sha256")]
            if len(set(known)) < len(known):
                raise EvalError(f"{folder}: two seeds of {recipe} score the same weights; keep one of them")
    values = {size: task_values(by, names) for size, by in runs.items()}
    target = order[-1]
    sizes = {
        size: {
            name: task(values[size][name], values[target][name], size == target) for name in (*names, MEAN)
        }
        for size in order
    }
    return Decisions(recipes=recipes, target=target, sizes=sizes)


def task_values(by: Mapping[str, list[Scores]], names: list[str]) -> dict[str, ByRecipe]:
    """A recipe's accuracies by task, one a seed, and their mean."""
    found: dict[str, ByRecipe] = {name: {} for name in (*names, MEAN)}
    for recipe, group in by.items():
        for name in names:
            found[name][recipe] = [scores.tasks[name].accuracy.accuracy for scores in group]
        found[MEAN][recipe] = [
            sum(found[name][recipe][s] for name in names) / len(names) for s in range(len(group))
        ]
    return found


def task(own: ByRecipe, target: ByRecipe, is_target: bool) -> Task:
    """One task at one size."""
    enough = all(len(values) > 1 for values in own.values()) and any(map(any, own.values()))
    signal, noise, ratio = signal_to_noise(own) if enough else (None, None, None)
    share, spread = (None, None) if is_target else decision_accuracy(own, target)
    return Task(
        signal=signal,
        noise=noise,
        signal_to_noise=ratio,
        decision_accuracy=share,
        decision_accuracy_sd=spread,
    )


def decision_tables(decisions: Decisions) -> list[Table]:
    """A table a size."""
    tables = []
    for size, tasks in decisions.sizes.items():
        title = f"{size}, {len(decisions.recipes)} recipes, decisions against {decisions.target}"
        table = Table(title=title, title_justify="left")
        for name in ("task", "signal", "noise", "signal / noise", "decision accuracy"):
            table.add_column(name, justify="left" if name == "task" else "right")
        for name, one in tasks.items():
            numbers = (one.signal, one.noise, one.signal_to_noise)
            cells = ["-" if number is None else f"{number:.3f}" for number in numbers]
            share = "-" if one.decision_accuracy is None else f"{one.decision_accuracy:.1%}"
            spread = "" if one.decision_accuracy_sd is None else f" (sd {one.decision_accuracy_sd:.1%})"
            table.add_row(name, *cells, share + spread)
        tables.append(table)
    return tables
