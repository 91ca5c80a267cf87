"""How often intervals hold the truth, over simulated runs whose difference and noise are known.

    python -m eval_harness.bench_statistics --simulations 2000 --output statistics.json

A run answers item i of a task rightly when mu_f + b_i + u_fi + g_fs + e > 0, every term normal: how good the
filter is, how hard the item, the item's leaning to the filter, the seed's luck, and chance. So the true
accuracy is Phi(mu_f / sqrt(1 + the variances)) exactly, and so is the true difference. Seeds of a pair are
correlated, as those of runs with one data order are. Four tasks stand for nine: three of independent items,
one of subjects.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy import stats

from eval_harness.errors import EvalError
from eval_harness.local import refuse_remote
from eval_harness.statistics import Matrix, bootstrap, crossed_t

TASKS = (500, 1000, 1200)  # items of the tasks without subjects
SUBJECTS, PER_SUBJECT = 57, 20


@dataclass(frozen=True)
class World:
    """Standard deviations on the scale of e, which has 1, and the filters' quality.

    seed: of a run's luck. leaning: of items to a filter. pairing: correlation of a pair's luck.
    """

    name: str
    better: float
    seed: float = 0.03
    leaning: float = 0.35
    hard: float = 1.0
    subject: float = 0.3
    pairing: float = 0.3

    def truth(self) -> float:
        """The difference in accuracy over all items and seeds, mean over the tasks."""
        base = 1 + self.hard**2 + self.leaning**2 + self.seed**2
        differences = []
        for variance in [base] * len(TASKS) + [base + self.subject**2]:
            scale = math.sqrt(variance)
            high, low = stats.norm.cdf(self.better / scale), stats.norm.cdf(0.0)
            differences.append(float(high - low))
        return float(np.mean(differences))


WORLDS = (
    World("no difference", 0.0),
    World("a point", 0.036),
    World("no difference, seeds rule", 0.0, seed=0.12, leaning=0.1),
    World("no difference, items rule", 0.0, seed=0.003, leaning=0.6),
)


def simulate(world: World, seeds: int, rng: np.random.Generator) -> list[Matrix]:
    """One experiment: the difference matrix of each task."""
    shared = rng.normal(size=seeds) * math.sqrt(world.pairing)
    luck = shared + rng.normal(size=(2, seeds)) * math.sqrt(1 - world.pairing)
    quality = np.array([world.better, 0.0])[:, None, None]
    matrices = []
    for m in (*TASKS, SUBJECTS * PER_SUBJECT):
        hard = rng.normal(size=m) * world.hard
        leaning = rng.normal(size=(2, m)) * world.leaning
        if m == SUBJECTS * PER_SUBJECT:  # a subject leans as a whole
            leaning = leaning + np.repeat(rng.normal(size=(2, SUBJECTS)), PER_SUBJECT, axis=1) * world.subject
        z = (
            quality
            + hard
            + leaning[:, None, :]
            + world.seed * luck[:, :, None]
            + rng.normal(size=(2, seeds, m))
        )
        right = (z > 0).astype(float)
        difference = right[0] - right[1]
        if m == SUBJECTS * PER_SUBJECT:
            difference = difference.reshape(seeds, SUBJECTS, PER_SUBJECT).mean(axis=2)
        matrices.append(difference)
    return matrices


def experiment(world: World, seeds: int, simulations: int, draws: int) -> dict[str, Any]:
    """Coverage of the named interval and of the bootstrap's; how often each calls A better, and B."""
    truth, held, boot_held = world.truth(), 0, 0
    better, worse, boot_better, halves = 0, 0, 0, []
    for i in range(simulations):
        matrices = simulate(world, seeds, np.random.default_rng([seeds, i]))
        named = crossed_t(matrices)
        held += named.low <= truth <= named.high
        better += named.low > 0
        worse += named.high < 0
        halves.append((named.high - named.low) / 2)
        if draws:
            low, high = np.quantile(bootstrap(matrices, draws, seed=i), (0.025, 0.975))
            boot_held += low <= truth <= high
            boot_better += low > 0
    return {
        "world": asdict(replace(world)),
        "seeds": seeds,
        "simulations": simulations,
        "true_difference": truth,
        "coverage": held / simulations,
        "better": better / simulations,
        "worse": worse / simulations,
        "half_width_points": 100 * float(np.mean(halves)),
        "bootstrap_coverage": boot_held / simulations if draws else None,
        "bootstrap_better": boot_better / simulations if draws else None,
    }


def experiments(simulations: int, draws: int) -> Iterator[dict[str, Any]]:
    """Every world at 3, 5 and 10 seeds."""
    for world in WORLDS:
        for seeds in (3, 5, 10):
            yield experiment(world, seeds, simulations, draws)


def main(
    output: Annotated[Path, typer.Option(help="JSON file to write.")],
    simulations: Annotated[int, typer.Option(help="Simulated experiments a row.")] = 2000,
    draws: Annotated[int, typer.Option(help="Bootstrap resamples an experiment.")] = 300,
) -> None:
    """Simulate, print a Markdown table, write JSON."""
    try:
        refuse_remote("--output", output)
    except EvalError as error:
        sys.exit(f"error: {error}")
    print(
        "| world | seeds | coverage | says better | says worse | ± points | bootstrap covers | says better |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for row in experiments(simulations, draws):
        rows.append(row)
        boot = (
            "| - | - |"
            if not draws
            else f"| {row['bootstrap_coverage']:.1%} | {row['bootstrap_better']:.1%} |"
        )
        print(
            f"| {row['world']['name']} | {row['seeds']} | {row['coverage']:.1%} | {row['better']:.1%} "
            f"| {row['worse']:.1%} | {row['half_width_points']:.2f} {boot}",
            flush=True,
        )
    output.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
