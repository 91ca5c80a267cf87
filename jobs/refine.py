"""Refine WARC files into cleaned shards.

    spark-submit jobs/refine.py --recipe gopher_only --input crawl/ --output out/run
    spark-submit jobs/refine.py --recipe raw --input 'crawl/**/*.warc.gz' --output out/raw --dry-run
    spark-submit --master yarn --num-executors 64 jobs/refine.py --input @warc.paths --output /lake/run

A run that was killed goes on where it was when started again with the same words.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from werp.dedup.belt import SeatBeltError
from werp.errors import WerpError
from werp.inputs import list_inputs
from werp.progress import say
from werp.recipe import load_recipe
from werp.refine import Options, Plan, make_plan, refine
from werp.session import session


def main(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            help="a WARC, ARC, WET, JSONL, Parquet or Arrow file, a folder, a quoted glob, or @list.txt;"
            " may be repeated",
        ),
    ],
    output: Annotated[Path, typer.Option(help="the run directory; made, or gone on with after a kill")],
    more: Annotated[
        list[str] | None, typer.Argument(help="further inputs (what a shell makes of a glob)")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="a recipe's name (see `werp recipe`) or a YAML file")
    ] = "gopher_only",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a key: gopher_quality.min_words=30"),
    ] = None,
    shard_format: Annotated[
        str | None, typer.Option("--format", help="parquet or arrow; default by recipe")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="cores to use on this machine; on a cluster spark-submit says it"),
    ] = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="tasks; default one an input file")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="read this many pages of each file, for a look")
    ] = None,
    documents: Annotated[
        list[Path] | None,
        typer.Option(help="another run directory: use its documents where inputs and extraction agree"),
    ] = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="documents or signals: redo what follows, in a finished run")
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            help="a finished run of the same recipe: deduplicate against its documents, may be repeated"
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="go on after an alarm of deduplication: source-loss, cluster-size or convergence"),
    ] = None,
    force: Annotated[bool, typer.Option(help="do all of it again, replacing a finished run")] = False,
    dry_run: Annotated[bool, typer.Option(help="say what would be done, and stop")] = False,
) -> None:
    """Refine WARC files into cleaned shards, with a ledger row for every record."""
    if start_from not in (None, "documents", "signals"):
        raise WerpError(f"--from {start_from}: expected documents or signals")
    settings = list(overrides or [])
    if shard_format:
        settings.append(f"shards.format={shard_format}")
    chosen = load_recipe(recipe, settings)
    files = list_inputs([*inputs, *(more or [])])
    options = Options(
        limit=limit, partitions=partitions, force=force, documents=tuple(documents or ()),
        earlier=tuple(earlier or ()), accept=tuple(accept or ()),
        start_from=cast(Literal["documents", "signals"] | None, start_from),
    )  # fmt: skip
    plan = make_plan(chosen, files, output, options)
    _announce(plan)
    if dry_run:
        return
    started = time.perf_counter()
    spark = session(workers)
    try:
        manifest = refine(spark, plan)
    finally:
        spark.stop()
    records = manifest["records"]
    say(
        f"{records['in']:,} records = {records['kept']:,} kept + {records['dropped']:,} dropped"
        f" + {records['failed']:,} failed; content hash {manifest['content_hash']}\n"
        f"{manifest['pages']:,} pages in {time.perf_counter() - started:.1f} s; {output}/run.json"
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


def _cause(error: BaseException) -> str:
    """The line of a failed task's Python traceback that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b.*:", line)]
    python = [line for line in raised if not line.startswith(("org.", "java.", "py4j."))]
    return (python or raised or lines or [type(error).__name__])[-1]


if __name__ == "__main__":
    from py4j.protocol import Py4JError

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    try:
        app()
    except SeatBeltError as error:
        print(f"refine: {error}", file=sys.stderr)
        sys.exit(3)
    except WerpError as error:
        print(f"refine: {error}", file=sys.stderr)
        sys.exit(2)
    except Py4JError as error:
        print(
            f"{error}\nrefine: a task failed four times: {_cause(error)}\n"
            "Nothing was committed; what is finished is kept. Remove the cause and start again.",
            file=sys.stderr,
        )
        sys.exit(1)
