"""The `werp` command."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
import yaml

from werp.errors import WerpError
from werp.tokens.command import command as tokenize

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Refine web archives into training text.")
app.command("tokenize")(tokenize)


@app.command("fetch-models")
def fetch_models() -> None:
    """Fetch the language model (938 kB) into the cache; does nothing when it is there."""
    from werp.language import fetch_model  # noqa: PLC0415

    print(fetch_model())


@app.command()
def recipe(
    name: Annotated[str | None, typer.Argument(help="a recipe's name or file; without it, the list")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
) -> None:
    """Print a recipe with every default written out, or list the recipes there are."""
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


def main() -> None:
    """Entry point; a mistake of the user's is one clear message and exit status 2."""
    try:
        app()
    except WerpError as error:
        print(f"werp: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
