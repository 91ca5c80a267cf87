"""Refine WARC files into cleaned shards.

    spark-submit jobs/refine.py --recipe gopher_only --input crawl/ --output out/run
    spark-submit jobs/refine.py --recipe raw --input 'crawl/**/*.warc.gz' --output out/raw --dry-run
    spark-submit --master yarn --num-executors 64 jobs/refine.py --input @warc.paths --output /lake/run

A run that was killed goes on where it was when started again with the same words.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from werp.command import run
from werp.dedup.alarms import ALARMS
from werp.progress import say, stage, watched
from werp.watch import Watch

if TYPE_CHECKING:
    from werp.refine import Plan

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        help="a WARC, ARC, WET, JSONL, Parquet or Arrow file, folder, glob, @list or *.paths; repeatable",
    ),
]
More = Annotated[list[str] | None, typer.Argument(help="further inputs (what a shell makes of a glob)")]
Root = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="where the entries of list files are; default the list's folder"),
]
Output = Annotated[
    Path, typer.Option(metavar="DIR", help="the run directory; made, or gone on with after a kill")
]
RecipeName = Annotated[str, typer.Option(help="a recipe's name (see `werp recipe`) or a YAML file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change a key, e.g. exact.survivor=best; repeatable"),
]
ShardFormat = Annotated[
    Literal["parquet", "arrow"] | None, typer.Option("--format", help="of the shards; default by recipe")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="cores to use on this machine; on a cluster spark-submit says it")
]
Partitions = Annotated[int | None, typer.Option(min=1, help="tasks; default one an input file")]
Limit = Annotated[int | None, typer.Option(min=1, help="read this many pages of each file, for a look")]
Documents = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RUN", help="another run: use its documents where inputs and extraction agree; repeatable"
    ),
]
StartFrom = Annotated[
    Literal["documents", "signals"] | None,
    typer.Option("--from", help="redo what follows from these tables of a finished run"),
]
Earlier = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RUN", help="a finished run of the same recipe: deduplicate against it too; repeatable"
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help=f"go on after this alarm of deduplication: {', '.join(ALARMS)}; repeatable"
    ),
]
Force = Annotated[bool, typer.Option("--force", help="do all of it again, replacing a finished run")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and stop")]


def main(
    inputs: Inputs,
    output: Output,
    more: More = None,
    root: Root = None,
    recipe: RecipeName = "gopher_only",
    overrides: Overrides = None,
    shard_format: ShardFormat = None,
    workers: Workers = None,
    partitions: Partitions = None,
    limit: Limit = None,
    documents: Documents = None,
    start_from: StartFrom = None,
    earlier: Earlier = None,
    accept: Accept = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Refine WARC files into cleaned shards, with a ledger row for every record.

    spark-submit jobs/refine.py --recipe fineweb --input 'crawl/*.warc.gz' --output out/run
    """
    with watched() as watch:
        with stage("refine: reading the recipe and looking at the inputs"):
            # Imported here: the libraries take a second or two, and the first line should not wait for them.
            from werp.inputs import list_inputs  # noqa: PLC0415
            from werp.recipe import load_recipe  # noqa: PLC0415
            from werp.refine import Options, make_plan  # noqa: PLC0415

            settings = [*(overrides or []), *([f"shards.format={shard_format}"] if shard_format else [])]
            options = Options(
                limit=limit, partitions=partitions, force=force, documents=tuple(documents or ()),
                earlier=tuple(earlier or ()), accept=tuple(accept or ()), start_from=start_from,
            )  # fmt: skip
            chosen = load_recipe(recipe, settings)
            plan = make_plan(chosen, list_inputs([*inputs, *(more or [])], root), output, options)
            _announce(plan)
        if not dry_run:
            _refine(plan, workers, watch)


def _refine(plan: Plan, workers: int | None, watch: Watch) -> None:
    from werp.refine import finished, refine_with  # noqa: PLC0415
    from werp.session import session  # noqa: PLC0415

    started, was_finished = time.perf_counter(), finished(plan) is not None
    try:
        manifest = refine_with(lambda: session(workers, plan.run.work / "spark.log"), plan)
    except BaseException as error:
        _add_remedy(error, plan, watch)
        raise
    _conclude(manifest, plan.run.output, None if was_finished else time.perf_counter() - started)


def _add_remedy(error: BaseException, plan: Plan, watch: Watch) -> None:
    """Say how to go on, and where all that Spark said is to be read."""
    if getattr(error, "trace", "") and watch.log:
        error.add_note(f"All that Spark said of it is in {watch.log}.")
    if plan.run.work.is_dir():
        error.add_note("What is done is kept: start again with the same words, and it goes on.")
    elif plan.run.manifest() is not None:
        error.add_note(f"The run itself is finished: werp report --run {plan.run.output} writes its report.")


def _conclude(manifest: dict[str, Any], output: Path, seconds: float | None) -> None:
    """What came of the run; seconds: None where it was finished before."""
    records = manifest["records"]
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    say(
        f"{records['in']:,} records = {records['kept']:,} kept + {records['dropped']:,} dropped"
        f" + {records['failed']:,} failed; content hash {manifest['content_hash']}\n"
        f"{manifest['pages']:,} pages{took}; {output}/report.html, run.json"
    )


def _announce(plan: Plan) -> None:
    stored = len(plan.found_documents)
    staged = sum((plan.run.staged("records") / unit.documents).is_file() for unit in plan.units)
    say(
        f"recipe {plan.recipe.name}: {len(plan.units):,} input files, {plan.bytes / 1e6:,.1f} MB"
        f" ({staged} extracted by an earlier attempt, {stored} taken from finished runs);"
        f" extractors {', '.join(e.version for e in plan.recipe.extract.extractors)};"
        f" rules {', '.join(rule.rule for rule in plan.recipe.measured()) or 'none'};"
        f" run key {plan.run.run_key[:16]}, output {plan.run.output}"
    )
    for named, kinds in plan.lists.items():
        say(f"list {named}: {', '.join(f'{count:,} {kind}' for kind, count in kinds.items()) or 'no entry'}")


if __name__ == "__main__":
    run("refine", main)
