"""Is A better than B? Runs of two filters, paired by seed, item by item.

    python -m eval_harness compare a_seed1.json a_seed2.json a_seed3.json -- b_seed1.json b_seed2.json
    b_seed3.json

Runs of several sizes may stand on each side; they are told apart by their models' parameter counts. The
verdict:

- *better* (or *worse*): 3 seeds at least, the crossed t interval of `eval_harness.statistics` leaves zero
out, the
  gap exceeds the A-against-A noise floor, and at every size that ran the sign is the same. With one size it
  says "at this size only".
- *undecided*: everything else, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from eval_harness.contamination import contaminated
from eval_harness.errors import EvalError
from eval_harness.metrics import mean_and_error
from eval_harness.results import Scores, TaskResult, items_folder, read_items, read_scores
from eval_harness.statistics import Interval, Matrix, bootstrap, crossed_t, noise_floor

SCHEMA = "eval_harness.comparison.v1"
METRICS = ("accuracy", "bits_per_byte", "correct_prob")
FEWEST_SEEDS = 3
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Run:
    """One scored model: its scores file and, by task, a value an item or subject.

    answers: by task the items' ids, in order, each with the index of its right choice.
    """

    path: Path
    scores: Scores
    values: dict[str, Matrix]
    answers: dict[str, list[tuple[str, int]]]

    @property
    def size(self) -> int | None:
        """Parameters of the model, where the results tell."""
        count = self.scores.model.get("parameters")
        return int(count) if count is not None else None


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Typed):
    """A difference A - B with its named interval and the bootstrap's beside it."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    from_seeds: float | None
    from_items: float
    bootstrap_low: float
    bootstrap_high: float
    probability: float


class Size(_Typed):
    """What one size says: the mean over tasks, each task, and the noise floor.

    seeds: different ones of a side; where the results do not tell them, its runs.
    """

    parameters: int | None
    seeds: int
    paired_by: Literal["seed", "order"]
    macro: Row
    tasks: dict[str, Row]
    noise_floor: float | None


class Comparison(_Typed):
    """compare's JSON: one size or more, the verdict and why.

    remarks: what else the sides differ in than their weights, and what was left out of both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["eval_harness.comparison.v1"] = Field("eval_harness.comparison.v1", alias="schema")
    metric: str
    verdict: Verdict
    scope: str
    reasons: list[str]
    remarks: list[str] = []
    sizes: list[Size]


def read_run(path: Path, metric: str, reports: Sequence[Mapping[str, set[str]]] = ()) -> Run:
    """A scores file and its per-item tables, less the items that contamination reports name by task."""
    scores = read_scores(path)
    values, answers = {}, {}
    for name, result in scores.tasks.items():
        rows = read_items(items_folder(path) / f"{name}.parquet").to_pylist()
        if len(rows) != result.n:
            raise EvalError(f"{path}: {name} has {len(rows)} items in its table, {result.n} in the scores")
        refuse_others_items(rows, result, path)
        answers[name] = [(row["item"], row["gold"]) for row in rows]
        left_out = set[str]().union(*(report.get(name, ()) for report in reports))
        by: dict[str, list[float]] = {}
        for i, row in enumerate(rows):
            if row["item"] not in left_out:
                by.setdefault(row["subject"] or f"item {i}", []).append(value(row, metric))
        if not by:
            raise EvalError(f"{path}: every item of {name} is contaminated: nothing is left to compare")
        values[name] = np.array([np.mean(group) for group in by.values()])
    return Run(path, scores, values, answers)


def refuse_others_items(rows: Sequence[Mapping[str, Any]], result: TaskResult, path: Path) -> None:
    """EvalError when a table is not what the scores were made of: a later run was stopped before its end."""
    try:
        bits = [-value(row, "bits_per_byte") for row in rows]
        mean = mean_and_error(bits, [row["subject"] for row in rows])[0]
    except (IndexError, TypeError, ZeroDivisionError) as error:
        raise EvalError(
            f"{path}: {result.task}'s table of items lacks values ({error}); score the model again"
        ) from error
    if not math.isclose(mean, result.bits_per_byte.value, rel_tol=1e-9):
        raise EvalError(
            f"{path}: {result.task}'s table of items is another run's ({mean:.6f} bits per byte, "
            f"{result.bits_per_byte.value:.6f} in the scores); score the model again"
        )


def value(row: Mapping[str, Any], metric: str) -> float:
    """An item's value, larger being better: bits per byte are negated."""
    if metric == "accuracy":
        return float(row["credit"])
    gold = int(row["gold"])
    log_p = float(row["log_p"][gold])
    if metric == "bits_per_byte":
        return log_p / float(row["bytes"][gold]) / math.log(2)
    return math.exp(log_p / float(row["characters"][gold]))


def compare(
    a: Sequence[Path],
    b: Sequence[Path],
    metric: str = "accuracy",
    draws: int = 10_000,
    without: Sequence[Path] = (),
) -> Comparison:
    """Compare two sets of runs.

    without: contamination reports; items that any of them names are left out of both sides.

    Raises EvalError when a side is empty, the sides differ in number or sizes, or any two runs were not
    asked the same questions.
    """
    if metric not in METRICS:
        raise EvalError(f"--metric: {metric!r} is none of {', '.join(METRICS)}")
    if not a or not b:
        raise EvalError("compare needs runs on both sides: compare A.json ... -- B.json ...")
    splits = {name: result.split for name, result in read_scores(a[0]).tasks.items()} if without else {}
    reports = [contaminated(report, splits) for report in without]
    runs = [[read_run(path, metric, reports) for path in side] for side in (a, b)]
    same_questions([*runs[0], *runs[1]])
    for side in runs:
        refuse_twice(side)
    sizes, notes = [], []
    if reports:
        for name, asked in runs[0][0].answers.items():
            named = set[str]().union(*(report.get(name, ()) for report in reports))
            gone = sum(item in named for item, _ in asked)
            notes.append(f"{name}: {gone} of {len(asked)} items left out as contaminated")
    for size in sorted({run.size for run in runs[0]}, key=lambda count: count or 0):
        pair = [[run for run in side if run.size == size] for side in runs]
        sizes.append(compare_size(pair[0], pair[1], size, draws))
        notes += remarks(pair[0], pair[1])
    others = {run.size for run in runs[1]} - {run.size for run in runs[0]}
    if others:
        raise EvalError(
            f"the sides differ in sizes: only B has models of {sorted(map(str, others))} parameters"
        )
    verdict, scope, reasons = decide(sizes)
    return Comparison(
        metric=metric,
        verdict=verdict,
        scope=scope,
        reasons=reasons,
        remarks=list(dict.fromkeys(notes)),
        sizes=sizes,
    )


def same_questions(runs: Sequence[Run]) -> None:
    """Refuse runs that differ in tasks, versions or prompts."""
    first = runs[0]
    for run in runs[1:]:
        if set(run.scores.tasks) != set(first.scores.tasks):
            odd = sorted(set(run.scores.tasks) ^ set(first.scores.tasks))
            raise EvalError(
                f"{run.path} and {first.path} were not scored on the same tasks: {', '.join(odd)}"
            )
        for name, result in run.scores.tasks.items():
            other = first.scores.tasks[name]
            if (result.version, result.prompt_sha256) != (other.version, other.prompt_sha256):
                raise EvalError(
                    f"{run.path} and {first.path}: {name} was not asked the same questions "
                    f"(prompts {result.prompt_sha256[:8]} and {other.prompt_sha256[:8]}); score both alike"
                )
            if run.answers[name] != first.answers[name]:
                raise EvalError(
                    f"{run.path} and {first.path}: {name}'s items have other ids or other right answers; "
                    "score both on the same data"
                )


def refuse_twice(side: Sequence[Run]) -> None:
    """Refuse one model given twice on a side: it would count as another seed."""
    seen: dict[object, Path] = {}
    for run in side:
        model = run.scores.model.get("sha256") or run.path.resolve()
        if model in seen:
            raise EvalError(
                f"{seen[model]} and {run.path} score the same weights; give each seed of a side once"
            )
        seen[model] = run.path


def remarks(a: Sequence[Run], b: Sequence[Run]) -> list[str]:
    """What the sides of one size were asked or run with differently."""
    notes = []
    for key in ("dtype", "window"):
        told = [sorted({str(run.scores.model.get(key)) for run in side}) for side in (a, b)]
        if told[0] != told[1]:
            notes.append(f"{key} of A {', '.join(told[0])}, of B {', '.join(told[1])}")
    for name in a[0].scores.tasks:
        fewer = [sum(run.scores.tasks[name].shots_dropped for run in side) for side in (a, b)]
        if fewer[0] != fewer[1]:
            notes.append(
                f"{name}: {fewer[0]} items of A and {fewer[1]} of B had fewer shots, window too small"
            )
    return notes


def compare_size(a: list[Run], b: list[Run], size: int | None, draws: int) -> Size:
    """Pair the runs of one size by their seeds, or by their order where seeds are not told."""
    if len(a) != len(b):
        raise EvalError(
            f"{len(a)} runs of A and {len(b)} of B at {size} parameters: a difference is taken pair by pair, "
            "give as many of each"
        )
    seeds = [[run.scores.model.get("seed") for run in side] for side in (a, b)]
    told = None not in seeds[0] and len(set(map(str, seeds[0]))) == len(a)
    by_seed = told and sorted(map(str, seeds[0])) == sorted(map(str, seeds[1]))
    if by_seed:
        a, b = (sorted(side, key=lambda run: str(run.scores.model["seed"])) for side in (a, b))
    names = list(a[0].scores.tasks)
    sides = [{name: np.array([run.values[name] for run in side]) for name in names} for side in (a, b)]
    matrices = {name: sides[0][name] - sides[1][name] for name in names}
    macros = [np.mean([side[name].mean(axis=1) for name in names], axis=0) for side in sides]
    return Size(
        parameters=size,
        seeds=len(a) if None in seeds[0] + seeds[1] else min(len(set(map(str, side))) for side in seeds),
        paired_by="seed" if by_seed else "order",
        macro=row(list(matrices.values()), float(macros[0].mean()), float(macros[1].mean()), draws),
        tasks={
            name: row([matrices[name]], float(sides[0][name].mean()), float(sides[1][name].mean()), draws)
            for name in names
        },
        noise_floor=noise_floor(macros),
    )


def row(matrices: list[Matrix], a: float, b: float, draws: int) -> Row:
    """Both intervals of one difference."""
    named: Interval = crossed_t(matrices)
    means = bootstrap(matrices, draws)
    low, high = np.quantile(means, (0.025, 0.975))
    return Row(
        a=a,
        b=b,
        difference=named.difference,
        low=named.low,
        high=named.high,
        from_seeds=named.from_seeds,
        from_items=named.from_items,
        bootstrap_low=float(low),
        bootstrap_high=float(high),
        probability=float((means > 0).mean() + 0.5 * (means == 0).mean()),
    )


def decide(sizes: Sequence[Size]) -> tuple[Verdict, str, list[str]]:
    """The rule: interval, noise floor, sign at every size. Returns verdict, scope and reasons."""
    largest = sizes[-1]
    sign = np.sign(largest.macro.difference)
    reasons = []
    for size in sizes:
        where = f"{size.parameters:,} parameters" if size.parameters else "this size"
        if size.seeds < FEWEST_SEEDS:
            reasons.append(f"{size.seeds} seeds at {where}, {FEWEST_SEEDS} are needed")
        if np.sign(size.macro.difference) != sign:
            reasons.append(f"the sign is another at {where}")
    if largest.macro.low <= 0 <= largest.macro.high:
        reasons.append("the interval holds zero")
    if largest.noise_floor is not None and abs(largest.macro.difference) <= largest.noise_floor:
        reasons.append("the gap does not exceed what seeds alone make (noise floor)")
    scope = "at this size only" if len(sizes) == 1 else f"with one sign at {len(sizes)} sizes"
    if reasons:
        return "undecided", scope, reasons
    return ("better" if sign > 0 else "worse"), scope, ["the interval leaves zero out"]


def comparison_tables(comparison: Comparison) -> list[Table]:
    """A table a size: each task and the mean, in points."""
    scale = 100.0 if comparison.metric != "bits_per_byte" else 1.0
    tables = []
    for size in comparison.sizes:
        title = f"A - B, {comparison.metric.replace('_', ' ')}, {size.seeds} seeds paired by {size.paired_by}"
        if size.parameters:
            title += f", {size.parameters:,} parameters"
        floor = "unknown" if size.noise_floor is None else f"{scale * size.noise_floor:.2f}"
        table = Table(
            title=title, title_justify="left", caption=f"noise floor {floor}", caption_justify="left"
        )
        for name in ("task", "A", "B", "A - B", "crossed t 95 %", "boot 95 %", "P(A>B)"):
            words = name == "task"  # on a narrow terminal names are folded, so that no figure is cut
            table.add_column(name, justify="left" if words else "right", no_wrap=not words)
        for name, one in {**size.tasks, "mean": size.macro}.items():
            if name == "mean":
                table.add_section()
            table.add_row(
                name,
                f"{scale * one.a:.2f}",
                f"{scale * one.b:.2f}",
                f"{scale * one.difference:+.2f}",
                f"{scale * one.low:+.2f} {scale * one.high:+.2f}",
                f"{scale * one.bootstrap_low:+.2f} {scale * one.bootstrap_high:+.2f}",
                f"{one.probability:.3f}",
            )
        tables.append(table)
    return tables


def verdict_line(comparison: Comparison) -> str:
    """The verdict in a sentence."""
    if comparison.verdict == "undecided":
        return f"undecided: {'; '.join(comparison.reasons)}"
    return f"A is {comparison.verdict} than B, {comparison.scope}"
