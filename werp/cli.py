"""The `werp` command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from werp.command import run as run_command
from werp.tokens.command import command as tokenize

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Recipes, and questions to the runs that they made.",
    epilog="A run is made by `spark-submit jobs/refine.py`, a classifier by `jobs/train_classifier.py`.",
)  # fmt: skip


@app.command()
def recipe(
    name: Annotated[str | None, typer.Argument(help="a recipe's name or file; without it, the list")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key; repeatable")
    ] = None,
) -> None:
    """Print a recipe with every default written out, or list the recipes there are.

    werp recipe fineweb --set gopher_quality.min_words=30 > mine.yaml
    """
    from werp.recipe import load_recipe, recipe_names  # noqa: PLC0415

    if name is None:
        for known in recipe_names():
            print(f"{known:16} {load_recipe(known).description}")
        return
    content = load_recipe(name, overrides or []).model_dump(mode="json")
    print(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), end="")


@app.command()
def schema() -> None:
    """Print the recipe's JSON Schema, for editors and checkers."""
    from werp.recipe import Recipe  # noqa: PLC0415

    print(json.dumps(Recipe.model_json_schema(), indent=2))


RunOption = Annotated[Path, typer.Option("--run", metavar="DIR", help="a finished run's directory")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for scripts")]


@app.command()
def report(run: RunOption) -> None:
    """Write a run's `report.html` anew: funnel, histograms, domains, languages, samples, costs.

    werp report --run out/run
    """
    from werp.report.build import write_report  # noqa: PLC0415

    print(write_report(run))


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run's directory, finished or not")],
    as_json: JsonOption = False,
) -> None:
    """Say where a run stands: its stage, how much is done, how long it will take; or what went wrong.

    werp status out/run
    """
    from werp.status import status_of  # noqa: PLC0415

    found = status_of(run)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        print("\n".join([f"{run}: {found.summary}", *(f"  {line}" for line in found.lines)]))


@app.command()
def why(
    url: Annotated[str, typer.Argument(help="an address as the ledger has it, or a document's id")],
    run: RunOption,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a page, every comparison on its way, and what it is a copy of.

    werp why https://example.org/ --run out/run
    """
    from werp.ask.show import console, show_why  # noqa: PLC0415
    from werp.ask.why import explain  # noqa: PLC0415
    from werp.finished import open_run  # noqa: PLC0415

    found = explain(open_run(run), url)
    if as_json:
        print(json.dumps([explanation.to_json() for explanation in found], indent=2))
    else:
        show_why(found, console())


@app.command("what-if")
def what_if(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="keys of the run's recipe, changed together")
    ],
    run: RunOption,
    samples: Annotated[int, typer.Option(min=0, help="pages shown for each rule")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Say which pages a run would gain and lose under other thresholds; nothing is extracted again.

    werp what-if gopher_quality.min_words=30 language.min_score=0.5 --run out/run
    """
    from werp.ask.compare import compare  # noqa: PLC0415
    from werp.ask.show import console, show_comparison  # noqa: PLC0415
    from werp.ask.what_if import replayed  # noqa: PLC0415
    from werp.finished import open_run  # noqa: PLC0415
    from werp.session import session  # noqa: PLC0415

    finished = open_run(run)
    with replayed(finished, changes, session) as replay:
        result = compare(finished.tables, replay.tables, samples)
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        show_comparison(result, (str(run), " ".join(changes)), console())


@app.command()
def diff(
    run_a: Annotated[Path, typer.Argument(help="a finished run's directory")],
    run_b: Annotated[Path, typer.Argument(help="another one, over the same inputs")],
    samples: Annotated[int, typer.Option(min=0, help="pages shown for each rule")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Say which pages the second run keeps that the first does not, which it loses, and by what rule.

    werp diff out/before out/after
    """
    from werp.ask.compare import compare  # noqa: PLC0415
    from werp.ask.show import console, show_comparison  # noqa: PLC0415
    from werp.finished import open_run  # noqa: PLC0415

    result = compare(open_run(run_a).tables, open_run(run_b).tables, samples)
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        show_comparison(result, (str(run_a), str(run_b)), console())


app.command("tokenize")(tokenize)


@app.command("fetch-models")
def fetch_models() -> None:
    """Fetch the language model (938 kB) into the cache; does nothing when it is there."""
    from werp.language import fetch_model  # noqa: PLC0415

    print(fetch_model())


def main() -> None:
    """Entry point."""
    run_command("werp", app)


if __name__ == "__main__":
    main()
