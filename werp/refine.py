"""One run, end to end: the driver of `jobs/refine.py`.

    input files ─► records + documents ─► signals ─► dedup ─► ledger ─► shards ─► run.json

Spark hands out input files and shuffles hashes; every table is written by plain Python in
the tasks. What a killed run had finished is found again by its key.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pyarrow.parquet as pq

from werp.dedup.alarms import ALARMS
from werp.dedup.belt import check as check_limits
from werp.dedup.context import Context, Source
from werp.dedup.earlier import (
    EarlierRun,
    merged_sources,
    open_earlier,
    refuse_same_names,
    write_retractions,
)
from werp.dedup.run import deduplicate
from werp.errors import WerpError, nearest
from werp.inputs import InputFile
from werp.keys import hash_of, source_hash
from werp.manifest import manifest_of
from werp.preflight import check_recipe, lists_read
from werp.progress import Heartbeat, Work, counted, say, stage
from werp.quality.cuts import cuts_of
from werp.read.rows import check_columns
from werp.recipe import Recipe
from werp.rundir import LOG, REPORT, RunDirectory, refuse_unwritable, write_atomically
from werp.spread import spread
from werp.stages.documents import Meta, ensure_documents
from werp.stages.shards import Sources, plan_shards, write_group
from werp.stages.signals import write_signals
from werp.stages.unit import Unit, same_extraction, stored, units_of
from werp.stages.verdicts import Verdicts, read_verdicts, write_ledger
from werp.tables import FAILED, SCHEMA_VERSION
from werp.watch import Watch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: The ledger's stages of records that did not become documents; all others are rules'.
_BEFORE_RULES = ("read", "prefilter", "extract")

_R = TypeVar("_R")
_T = TypeVar("_T")
_TASK_BYTES = 64 << 20  # of input files, that a task of a round of messages holds at least


@dataclass
class Options:
    """What a run is told beside recipe, inputs and output.

    limit: HTML pages read of each input file; None reads all.
    partitions: Spark tasks that the files are spread over; default one a file, 20,000 at most, in rounds of
        deduplication one for 64 MiB of small files.
    force: replace a finished run of another key, use nothing that is stored.
    start_from: `documents` or `signals` of the finished run in the output directory are used
        whatever package sources made them.
    documents: other run directories whose documents may be used where their keys match.
    earlier: finished runs whose documents take part in deduplication.
    accept: names of alarms of the seat-belt to go on after (`werp.dedup.belt.ALARMS`).
    """

    limit: int | None = None
    partitions: int | None = None
    force: bool = False
    start_from: Literal["documents", "signals"] | None = None
    documents: tuple[Path, ...] = ()
    earlier: tuple[Path, ...] = ()
    accept: tuple[str, ...] = ()


@dataclass
class Plan:
    """All that follows from recipe, inputs and options before anything is done."""

    recipe: Recipe
    units: list[Unit]
    run: RunDirectory
    options: Options
    earlier: list[EarlierRun] = field(default_factory=list)
    found_documents: dict[int, tuple[Path, Path]] = field(default_factory=dict)
    found_signals: dict[int, Path] = field(default_factory=dict)
    lists: dict[str, dict[str, int]] = field(default_factory=dict)  # see `werp.preflight.lists_read`
    peak_rss_mb: float = 0.0  # of any task's process so far

    @property
    def bytes(self) -> int:
        """Bytes of all input files."""
        return sum(unit.file.size for unit in self.units)


def make_plan(recipe: Recipe, files: list[InputFile], output: Path, options: Options) -> Plan:
    """Resolve keys and find what is stored already.

    Raises `WerpError` where the output directory is in the way, an input table has no column of text, the
    recipe asks for what there is not, an earlier run holds an input of the same name, or `start_from` finds
    nothing.
    """
    _check_options(output, options)
    for file in files:
        check_columns(file.path, recipe.read.fields, file.name)
    check_recipe(recipe)
    units = units_of(files, recipe, options.limit)
    if options.earlier and not recipe.dedup:
        raise WerpError(f"--earlier {options.earlier[0]}: recipe {recipe.name} has no stage of deduplication")
    earlier = open_earlier(options.earlier, recipe)
    refuse_same_names([file.name for file in files], earlier)
    run_key = hash_of(
        [[unit.documents, unit.signals] for unit in units]
        + [recipe.model_dump(mode="json"), options.limit, source_hash(), SCHEMA_VERSION]
        + [run.key for run in earlier]
    )
    run = RunDirectory(output, run_key)
    manifest = run.manifest()
    foreign = output.is_dir() and manifest is None and not run.work.is_dir() and any(output.iterdir())
    if foreign:
        raise WerpError(f"--output {output}: the folder holds other files; choose an empty or a new one")
    if manifest and manifest.get("key") != run_key and not (options.force or options.start_from):
        raise WerpError(
            f"--output {output}: holds a finished run of recipe {manifest.get('recipe', {}).get('name')} over"
            " other inputs, settings or package sources; choose another --output, or --force to replace it"
        )
    plan = Plan(recipe, units, run, options, earlier, lists=lists_read(recipe))
    if not (options.force and options.start_from is None):
        _find_stored(plan)
    return plan


def _check_options(output: Path, options: Options) -> None:
    """What can be known to be wrong before any input is opened."""
    refuse_unwritable(output, "--output")
    for name in options.accept:
        if name not in ALARMS:
            raise WerpError(f"--accept {name}: no such alarm{nearest(name, ALARMS)}")
    for folder in options.documents:
        if not (folder / "documents").is_dir():
            raise WerpError(f"--documents {folder}: no run, for it has no folder documents; name a run")


def _find_stored(plan: Plan) -> None:
    start_from, own = plan.options.start_from, plan.run.output
    folders = [own, *plan.options.documents]
    for unit in plan.units:
        any_sources = start_from is not None
        records, documents = (
            stored(unit.documents, [folder / table for folder in folders], any_sources=any_sources)
            or same_extraction(
                unit.documents, [folder / table for folder in folders], any_sources=any_sources
            )
            for table in ("records", "documents")
        )
        if records and documents:
            plan.found_documents[unit.index] = (records, documents)
        elif start_from:
            raise WerpError(
                f"--from {start_from}: {own / 'documents'} holds no documents of {unit.file.name} for this"
                " input and `extract` section; run without --from"
            )
        signals = stored(unit.signals, [own / "signals"], any_sources=start_from == "signals")
        if signals:
            plan.found_signals[unit.index] = signals
        elif start_from == "signals":
            raise WerpError(
                f"--from signals: {own / 'signals'} holds no signals of {unit.file.name} for these rules;"
                " use --from documents"
            )


def finished(plan: Plan) -> dict[str, Any] | None:
    """The manifest of a run that is finished and not to be done again; its report is made where it lacks."""
    manifest = plan.run.manifest()
    again = plan.options.force or plan.options.start_from
    if manifest is None or manifest.get("key") != plan.run.run_key or again:
        return None
    if not (plan.run.output / REPORT).is_file():  # a kill came between the commit and the report
        _report(plan)
    return manifest


def refine(spark: SparkSession | None, plan: Plan) -> dict[str, Any]:
    """Do what the plan leaves to do and commit the run; returns the manifest.

    Without a session all of it is done in this process.

    Raises `WerpError` when the ledger does not balance, when rules failed on every document, or when a task
    fails four times. Nothing is committed then, and the next start goes on from there.
    """
    return refine_with(lambda: contextlib.nullcontext(spark), plan)


def refine_with(
    session: Callable[[], AbstractContextManager[SparkSession | None]], plan: Plan
) -> dict[str, Any]:
    """As `refine`; the session is opened when the run directory is held, and not for a finished run."""
    manifest = finished(plan)
    if manifest is not None:
        say(f"{plan.run.output}: this run is finished already; --force does it again")
        return manifest
    with plan.run.lock(), _logged(plan):
        _clear(plan)
        with session() as spark:
            started = time.perf_counter()
            timings: dict[str, float] = {}
            metas = _timed(timings, "documents_and_signals", lambda: prepare(spark, plan))
            verdicts, dedup, settled = settle(spark, plan, timings)
            _check_balance(plan, metas, verdicts)
            _check_rules(plan, metas, verdicts)
            with stage("writing shards"):
                shards = _timed(timings, "shards", lambda: _shards(spark, plan, verdicts))
            timings["total"] = time.perf_counter() - started
        with stage("committing"):
            manifest = manifest_of(plan, metas, verdicts, shards, dedup, settled, timings)
            plan.run.commit(manifest, manifest["files"])
        _report(plan)
    return manifest


def _logged(plan: Plan) -> AbstractContextManager[None]:
    """The run's log, where somebody watches the run."""
    return Watch.current.logged(plan.run.output / LOG) if Watch.current else contextlib.nullcontext()


def _clear(plan: Plan) -> None:
    """Take away what killed attempts left half-written; with --force all that is staged."""
    if plan.options.force:
        for stale in plan.run.work.iterdir():
            if stale.name != "lock":
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    plan.run.clean_temporary()


def settle(
    spark: SparkSession | None, plan: Plan, timings: dict[str, float]
) -> tuple[list[Verdicts], dict[str, Any], dict[str, Any]]:
    """From stored signals to the ledger: deduplication, quality, then every record's verdict.

    Returns the verdicts, dedup's figures and the quality cuts. `werp what-if` replays a run by this very
    function. Without a session all is done in this process.
    """
    dedup: dict[str, Any] = {}
    if plan.recipe.dedup:
        dedup = _timed(timings, "dedup", lambda: _dedup(spark, plan))
    settled: dict[str, Any] = {}
    if plan.recipe.quality:
        with stage("settling the classifiers' cuts over the run"):
            settled = _timed(timings, "quality", lambda: _quality(spark, plan))
    with stage("writing the ledger"):
        return _timed(timings, "ledger", lambda: _ledgers(spark, plan, settled)), dedup, settled


def _report(plan: Plan) -> None:
    # Imported at need: the workers import this module and draw nothing.
    from werp.report.build import write_report  # noqa: PLC0415

    with stage("writing the report"):
        write_report(plan.run.output)


def _timed(timings: dict[str, float], name: str, work: Callable[[], _R]) -> _R:
    started = time.perf_counter()
    result = work()
    timings[name] = time.perf_counter() - started
    return result


def _slices(plan: Plan) -> int:
    return plan.options.partitions or min(len(plan.units), 20_000)


def _stage(spark: SparkSession | None, plan: Plan, items: Sequence[_T], work: Callable[[_T], _R]) -> list[_R]:
    """`spread`, which also notes the most memory that a task's process has ever held.

    Spark keeps its Python workers from stage to stage, so the last stage's figure covers deduplication too.
    """
    done = spread(spark, items, _slices(plan), lambda item: (work(item), _peak_rss_mb()))
    plan.peak_rss_mb = max([plan.peak_rss_mb, *(peak for _, peak in done)])
    return [result for result, _ in done]


def _peak_rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def prepare(spark: SparkSession | None, plan: Plan) -> list[tuple[Meta, float]]:
    """Have every unit's documents and signals staged, stored ones or new; its meta and seconds measuring."""
    work, recipe, limit = plan.run.work, plan.recipe, plan.options.limit
    progress = plan.run.run_work / "progress"
    documents_found, signals_found = plan.found_documents, plan.found_signals
    rules = recipe.measured()

    def prepare(unit: Unit) -> tuple[Meta, float]:
        heartbeat = Heartbeat(progress, str(unit.index), unit.file.size)
        found = documents_found.get(unit.index)
        meta = ensure_documents(unit, recipe, limit, work, heartbeat, found)
        heartbeat.done(meta.records, meta.pages)
        signals, seconds = work / "signals" / unit.signals, 0.0
        if not signals.is_file():
            stored_signals = signals_found.get(unit.index)
            if stored_signals is not None:
                signals.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(signals, stored_signals.read_bytes(), work / "tmp")
            else:
                seconds = write_signals(
                    work / "documents" / unit.documents, signals, rules, recipe.segmenter, work / "tmp",
                    recipe.page_seconds,
                )  # fmt: skip
        return meta, seconds

    # The longest files first, so that none of them starts when the others are done.
    order = sorted(plan.units, key=lambda unit: (-unit.file.size, unit.index))
    work_of = Work("reading and extracting", len(order), plan.bytes)
    with stage(work_of.label, counted(progress, work_of)):
        done = _stage(spark, plan, order, prepare)
    by_index = {unit.index: result for unit, result in zip(order, done, strict=True)}
    return [by_index[unit.index] for unit in plan.units]


def _dedup(spark: SparkSession | None, plan: Plan) -> dict[str, Any]:
    """Run the recipe's stages over this run's files and those of earlier runs; returns their figures."""
    staged, temporary = plan.run.staged, plan.run.work / "tmp"
    own = [
        Source(
            unit.file.name, staged("records") / unit.documents, staged("documents") / unit.documents,
            staged("signals") / unit.signals,
        )
        for unit in plan.units
    ]  # fmt: skip
    sources = merged_sources(own, plan.earlier)
    final = {unit.file.name: staged("dedup") / unit.documents for unit in plan.units}
    folder = plan.run.run_work / "dedup-phases"
    targets = [
        final.get(source.name, folder / "earlier" / f"{n}.parquet") for n, source in enumerate(sources)
    ]
    slices, shards = _dedup_tasks(spark, plan, len(sources) - len(own))
    context = Context(
        tuple(sources), plan.recipe.rules, (), folder, temporary, slices, shards,
        plan.recipe.segmenter, frozenset(plan.options.accept),
    )  # fmt: skip
    figures = deduplicate(spark, context, plan.recipe.dedup, targets)
    check_limits(figures, plan.recipe.dedup_limits, plan.options.accept)
    earlier, runs = [n for n, source in enumerate(sources) if source.earlier], plan.earlier
    retractions = plan.run.staged("retractions")

    def retract(number: int) -> int:
        target = retractions / f"{number:05d}.parquet"
        return write_retractions(sources[number], runs, targets[number], target, temporary)

    figures["retractions"] = sum(spread(spark, earlier, slices, retract))
    figures["retraction_files"] = [f"{number:05d}.parquet" for number in earlier]
    return figures


def _dedup_tasks(spark: SparkSession | None, plan: Plan, earlier: int) -> tuple[int, int]:
    """Tasks over the files, and parts of the key space, for rounds of messages: they decide time and memory,
    never a result.

    A file a task where files are as large as a crawl's; small ones share a task, which takes longer to begin
    than to hash a few pages. An earlier run's files count as large.
    """
    files = len(plan.units) + earlier
    large = min(files, -(-plan.bytes // _TASK_BYTES) + earlier, 20_000)
    cores = spark.sparkContext.defaultParallelism if spark is not None else 1
    slices = plan.options.partitions or max(large, min(files, cores))
    return slices, max(slices, large // 4)


def _quality(spark: SparkSession | None, plan: Plan) -> dict[str, Any]:
    """Settle what `quality.accept` leaves to the whole run; found again when a killed run goes on."""
    staged, recipe, folder = plan.run.staged, plan.recipe, plan.run.run_work / "quality"
    assert recipe.quality is not None
    done = folder / "cuts.json"
    if done.is_file():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    sources = [
        (staged("signals") / unit.signals, staged("dedup") / unit.documents if recipe.dedup else None)
        for unit in plan.units
    ]
    temporary = plan.run.work / "tmp"
    settled = cuts_of(spark, recipe.quality, sources, recipe.rules, folder, temporary, _slices(plan))
    write_atomically(done, json.dumps(settled).encode(), temporary)
    return settled


def _ledgers(spark: SparkSession | None, plan: Plan, settled: dict[str, Any]) -> list[Verdicts]:
    staged, recipe, work = plan.run.staged, plan.recipe, plan.run.work

    def settle(unit: Unit) -> Verdicts:
        ledger = staged("ledger") / unit.documents
        if ledger.is_file():
            return read_verdicts(ledger)
        return write_ledger(
            staged("records") / unit.documents, staged("documents") / unit.documents,
            staged("signals") / unit.signals, staged("dedup") / unit.documents if recipe.dedup else None,
            ledger, recipe, settled, work / "tmp",
        )  # fmt: skip

    return _stage(spark, plan, plan.units, settle)


def _shards(spark: SparkSession | None, plan: Plan, verdicts: list[Verdicts]) -> list[str]:
    staged, options, work = plan.run.staged, plan.recipe.shards, plan.run.work
    groups = plan_shards([verdict.kept_bytes for verdict in verdicts], options.target_mb << 20)
    units, deduplicated = plan.units, bool(plan.recipe.dedup)
    scores = plan.recipe.quality.signals() if plan.recipe.quality else ()

    def write(item: tuple[int, list[int]]) -> list[str]:
        number, members = item
        sources = [
            Sources(
                staged("records") / units[i].documents, staged("documents") / units[i].documents,
                staged("signals") / units[i].signals, staged("ledger") / units[i].documents,
                staged("dedup") / units[i].documents if deduplicated else None, verdicts[i].kept_bytes,
            )
            for i in members
        ]  # fmt: skip
        return write_group(number, sources, staged("shards"), options, scores, work / "tmp")

    names = _stage(spark, plan, list(enumerate(groups)), write)
    return [name for group in names for name in group]


def _check_balance(plan: Plan, metas: list[tuple[Meta, float]], verdicts: list[Verdicts]) -> None:
    """Rule: every record read has one ledger row. A run that does not balance fails."""
    for unit, (meta, _), verdict in zip(plan.units, metas, verdicts, strict=True):
        settled = sum(verdict.outcomes.values())
        if not meta.records == verdict.rows == settled:
            raise WerpError(
                f"{unit.file.name}: {meta.records} records were read, the ledger has {verdict.rows} rows with"
                f" {settled} outcomes; nothing was committed. This is a bug: please report it"
            )


def _check_rules(plan: Plan, metas: list[tuple[Meta, float]], verdicts: list[Verdicts]) -> None:
    """A rule that fails on every document of a run is at fault itself, not the pages."""
    documents = sum(meta.documents for meta, _ in metas)
    failed = 0
    for key, count in (item for verdict in verdicts for item in verdict.outcomes.items()):
        outcome, stage, _ = key.split("\t")
        failed += count if outcome == FAILED and stage not in _BEFORE_RULES else 0
    if documents < 2 or failed < documents:
        return
    first = next(unit for unit, (meta, _) in zip(plan.units, metas, strict=True) if meta.documents)
    table = pq.read_table(plan.run.staged("signals") / first.signals, columns=["failure"])
    raise WerpError(
        f"rules failed on all {documents:,} documents, on the first: {table.column(0)[0].as_py()['value']};"
        " nothing was committed"
    )
