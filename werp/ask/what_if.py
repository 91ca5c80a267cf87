"""`werp what-if`: a finished run settled again under another recipe, from what it has stored.

The job's own functions do it, in a temporary folder: `refine.prepare` takes the stored signals, or measures
the stored documents where a key changes what is measured or the text itself; `refine.settle` decides,
deduplicates and writes the ledger, which is then compared with the run's. No archive is opened; a key that
changes reading or extraction is refused. Earlier runs that it was deduplicated against are taken under the
changed recipe too, as `--earlier` asks of a real one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from werp.dedup.alarms import ALARMS
from werp.dedup.context import Source
from werp.dedup.earlier import EarlierRun
from werp.errors import WerpError
from werp.finished import FinishedRun, Tables, earlier_runs, signal_names
from werp.inputs import InputFile
from werp.progress import say, watched
from werp.recipe import Recipe, overridden
from werp.refine import Options, Plan, make_plan, prepare, settle
from werp.rundir import RunDirectory
from werp.stages.unit import Unit, units_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: So many documents are measured, or deduplicated, again in this process; more are worth a Spark session.
_MEASURED_HERE, _DEDUPLICATED_HERE = 20_000, 200_000
#: Sections of the recipe that say what is read and extracted.
_EXTRACTION = ("read", "extract", "prefilters", "page_seconds")


@dataclass(frozen=True)
class Replay:
    """The run's tables under another recipe; they are gone with the block of `replayed`.

    measured_again: whether stored signals did not do.
    """

    recipe: Recipe
    tables: tuple[Tables, ...]
    measured_again: bool


@contextmanager
def replayed(
    run: FinishedRun, changes: Sequence[str], session: Callable[[], AbstractContextManager[SparkSession]]
) -> Iterator[Replay]:
    """Settle a run again with `key=value` changes to its recipe.

    session: gives a Spark session for a block; called only where one is needed.
    Raises `WerpError` for a key that is unknown, or that only a new run can answer.
    """
    recipe = overridden(run.recipe, changes, f"{run.path / 'run.json'}: recipe")
    _refuse_extraction(run.recipe, recipe, changes)
    earlier = earlier_runs(run) if recipe.dedup else []
    documents = sum(each.manifest["documents"] for each in (run, *earlier))
    with tempfile.TemporaryDirectory(prefix="werp-what-if-") as folder, ExitStack() as opened:
        plan, again = _plan(run, recipe, Path(folder) / "run")
        if again:
            say(f"this changes what is measured or edited: {documents:,} stored documents are measured again")
        spark = None
        if (recipe.dedup and documents > _DEDUPLICATED_HERE) or (again and documents > _MEASURED_HERE):
            opened.enter_context(watched())
            spark = opened.enter_context(session())
        prepare(spark, plan)
        for number, each in enumerate(earlier):
            plan.earlier.append(_as_earlier(spark, each, run.recipe, recipe, Path(folder) / f"{number}"))
        settle(spark, plan, {})
        yield Replay(recipe, tuple(_tables(plan, unit) for unit in plan.units), again)


def _as_earlier(
    spark: SparkSession | None, run: FinishedRun, before: Recipe, after: Recipe, folder: Path
) -> EarlierRun:
    """An earlier run as it would take part had it been made by the changed recipe too."""
    plan, _ = _plan(run, after, folder)
    prepare(spark, plan)
    earlier = EarlierRun(run.path, before)
    earlier.sources = [
        Source(unit.name, unit.records, unit.documents, unit.signals, earlier=True)
        for unit in (_tables(plan, unit) for unit in plan.units)
    ]
    return earlier


def _refuse_extraction(before: Recipe, after: Recipe, changes: Sequence[str]) -> None:
    sections = [name for name in _EXTRACTION if getattr(before, name) != getattr(after, name)]
    if sections:
        words = " ".join(f"--set {change}" for change in changes)
        raise WerpError(
            f"what-if {' '.join(changes)}: `{'` and `'.join(sections)}` says what is read or extracted, and"
            f" only a new run can answer that: spark-submit jobs/refine.py {words} ..., then werp diff"
        )


def _plan(run: FinishedRun, recipe: Recipe, folder: Path) -> tuple[Plan, bool]:
    """The job's plan over links to the run's tables, and whether any has to be made anew.

    Tables are found by keys that cover library versions; those of the run answer to the keys that its
    recipe has now, so that an upgrade since then does not hide them.
    """
    files = [InputFile(item["name"], "", item["size"], item["identity"]) for item in run.manifest["inputs"]]
    limit = run.manifest["limit"]
    before, after = units_of(files, run.recipe, limit), units_of(files, recipe, limit)
    work = RunDirectory(folder, "").work
    work.mkdir(parents=True)
    again = False
    for unit, old, new in zip(run.tables, before, after, strict=True):
        for table, old_name, new_name in (
            ("records", old.documents, new.documents),
            ("documents", old.documents, new.documents),
            ("signals", old.signals, new.signals),
        ):
            target: Path = getattr(unit, table)
            _link(folder / table / old_name, target)
            if old_name == new_name:
                _link(work / table / new_name, target)
            else:
                again = True
    if not again:
        _refuse_other_benchmarks(run, recipe)
    options = Options(limit=limit, start_from="documents", accept=ALARMS)
    return make_plan(recipe, files, folder, options), again


def _refuse_other_benchmarks(run: FinishedRun, recipe: Recipe) -> None:
    """Stored hits are of the benchmarks that were searched for then; others can't be asked about."""
    names = signal_names(run)
    for rule in recipe.rules:
        if names and rule.checks_on(names) != rule.checks():
            then, now = (", ".join(check.key for check in c) for c in (rule.checks_on(names), rule.checks()))
            raise WerpError(
                f"what-if on {run.path}: {rule.rule} was decided with {then}, here are {now}: give it the"
                " benchmarks of the run (decontaminate.benchmarks, WERP_BENCHMARKS), or refine again"
            )


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target.absolute())


def _tables(plan: Plan, unit: Unit) -> Tables:
    staged = plan.run.staged
    return Tables(
        unit.file.name, staged("records") / unit.documents, staged("documents") / unit.documents,
        staged("signals") / unit.signals, staged("ledger") / unit.documents,
        staged("dedup") / unit.documents if plan.recipe.dedup else None,
    )  # fmt: skip
