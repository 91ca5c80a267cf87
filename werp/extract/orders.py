"""What each recipe's order of extractors gives, on pages with gold text.

    python -m werp.extract.orders $WERP_DATA/extraction [--limit 200]

Word F1 as in `werp.extract.bench`: of the first extractor alone, and with the next where the guard asks it.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from werp.command import run
from werp.errors import WerpError
from werp.extract.bench import gold_pages, word_f1
from werp.extract.extractors import Extractor, JsonLd
from werp.extract.sparse import gave_up
from werp.recipe import Recipe, load_recipe, recipe_names


def chain_f1(chain: Sequence[Extractor], pages: list[tuple[str, str]]) -> tuple[float, float, Counter[str]]:
    """Mean F1 of the first extractor alone and of all in their order; how many pages each gave the text of.

    The longest text counts where each was too short, as in `werp.extract.guard.Guard.result`.
    """
    alone = together = 0.0
    taken: Counter[str] = Counter()
    for html, gold in pages:
        best, name = "", chain[0].name
        for index, extractor in enumerate((*chain, JsonLd())):
            text = _text(extractor, html)
            alone += word_f1(text, gold) if index == 0 else 0.0
            if len(text) > len(best):
                best, name = text, extractor.name
            if index < len(chain) and gave_up(text, html) is None:
                break
        together += word_f1(best, gold)
        taken[name] += 1
    return alone / len(pages), together / len(pages), taken


@functools.cache  # orders of extractors share most of them
def _text(extractor: Extractor, html: str) -> str:
    try:
        return extractor.extract(html, None)
    except Exception:  # as the guard takes it
        return ""


def main(
    folder: Path, limit: Annotated[int | None, typer.Option(min=1, help="first pages only")] = None
) -> None:
    """Print a table: each order of extractors that a recipe has, with its F1."""
    pages = list(gold_pages(folder))[:limit]
    if not pages:
        raise WerpError(f"{folder}: no page with a gold text in *.jsonl.xz there; name the folder extraction")
    print("| recipe | extractors | F1 of the first | F1 | pages by extractor |\n|---|---|---|---|---|")
    chains: dict[tuple[Extractor, ...], list[str]] = {}
    for recipe in (Recipe(name="default"), *map(load_recipe, recipe_names())):
        chains.setdefault(recipe.extract.extractors, []).append(recipe.name)
    for chain, names in chains.items():
        first, all_of_them, taken = chain_f1(chain, pages)
        order = ", ".join(extractor.name for extractor in chain)
        by = ", ".join(f"{count} {name}" for name, count in taken.most_common())
        print(f"| {', '.join(names)} | {order} | {first:.4f} | {all_of_them:.4f} | {by} |")


if __name__ == "__main__":
    run("werp.extract.orders", main)
