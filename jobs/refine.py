"""Refine WARC files into cleaned shards.

    spark-submit jobs/refine.py --recipe gopher_only --input crawl/ --output out/run
    spark-submit jobs/refine.py --recipe raw --input 'crawl/**/*.warc.gz' --output out/raw --dry-run
    spark-submit --master yarn --num-executors 64 jobs/refine.py --input @warc.paths --output /lake/run

A run that was killed goes on where it was when started again with the same words.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from werp.command import run
from werp.dedup.belt import ALARMS
from werp.inputs import list_inputs
from werp.progress import say
from werp.recipe import load_recipe
from werp.refine import Options, Plan, make_plan, refine
from werp.session import session

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        help="a WARC, ARC, WET, JSONL, Parquet or Arrow file, folder, quoted glob or @list.txt; repeatable",
    ),
]
More = Annotated[list[str] | None, typer.Argument(help="further inputs (what a shell makes of a glob)")]
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
    settings = [*(overrides or []), *([f"shards.format={shard_format}"] if shard_format else [])]
    options = Options(
        limit=limit, partitions=partitions, force=force, documents=tuple(documents or ()),
        earlier=tuple(earlier or ()), accept=tuple(accept or ()), start_from=start_from,
    )  # fmt: skip
    plan = make_plan(load_recipe(recipe, settings), list_inputs([*inputs, *(more or [])]), output, options)
    _announce(plan)
    if dry_run:
        return
    started = time.perf_counter()
    with session(workers) as spark:
        manifest = refine(spark, plan)
    _conclude(manifest, output, time.perf_counter() - started)


def _conclude(manifest: dict[str, Any], output: Path, seconds: float) -> None:
    records = manifest["records"]
    say(
        f"{records['in']:,} records = {records['kept']:,} kept + {records['dropped']:,} dropped"
        f" + {records['failed']:,} failed; content hash {manifest['content_hash']}\n"
        f"{manifest['pages']:,} pages in {seconds:.1f} s; {output}/report.html, run.json"
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


if __name__ == "__main__":
    run("refine", main)
