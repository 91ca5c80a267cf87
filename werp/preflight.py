"""What a recipe's types can't say, asked of its models and functions before hours of work are spent.

A label that the language model doesn't have keeps nothing; a classifier's file or a benchmark's row that is
none, and a signal that no rule measures, end the run when all is extracted. All are known at once.
"""

from __future__ import annotations

import pyarrow as pa

from werp.errors import WerpError, nearest
from werp.extract.prefilters import LanguagePrefilter
from werp.language import labels
from werp.lists import read_list
from werp.recipe import Recipe
from werp.signals.c4 import C4
from werp.signals.chain import signals_schema
from werp.signals.decontaminate import Decontaminate
from werp.signals.exact import Exact
from werp.signals.language import Language
from werp.signals.minhash import MinHash
from werp.signals.own import Own
from werp.signals.quality import check_models
from werp.signals.url import UrlLists


def check_recipe(recipe: Recipe) -> None:
    """Raise `WerpError` naming a language, model, benchmark or signal that there is not."""
    _check_languages(recipe)
    if recipe.quality:
        check_models(recipe.quality)
    for rule in recipe.rules:
        if isinstance(rule, Decontaminate):
            rule.check_benchmarks()
    _check_signals(recipe)


def lists_read(recipe: Recipe) -> dict[str, dict[str, int]]:
    """Of each list file that the recipe names, `rule.field file`, the number of entries of each kind.

    Reads them; `WerpError` names file, line and remedy where that can't be done.
    """
    found: dict[str, dict[str, int]] = {}
    for rule in (*recipe.prefilters, *recipe.rules):
        if isinstance(rule, UrlLists):
            found |= {
                f"{rule.rule}.{name} {getattr(rule, name)}": kinds
                for name, kinds in rule.lists_read().items()
            }
        if isinstance(rule, C4) and rule.bad_words is not None:
            words = read_list("c4.v1.bad_words", rule.bad_words, str)
            found[f"c4.v1.bad_words {rule.bad_words}"] = {"words": len(words)}
    return found


def _check_languages(recipe: Recipe) -> None:
    rules = [rule for rule in recipe.rules if isinstance(rule, Language)]
    for prefilter in recipe.prefilters:
        if isinstance(prefilter, LanguagePrefilter):
            _known(f"{prefilter.rule}.languages", prefilter.languages, labels(prefilter.model))
    for rule in rules:
        there = labels(rule.model)
        for label in (None, *rule.languages_tuned):
            _known(f"{rule.rule}.languages", rule.for_language(label).languages or (), there)
        for other in recipe.rules:
            _known(f"{other.rule}.per_language", other.languages_tuned, there)


def _known(field: str, wanted: tuple[str, ...], there: frozenset[str]) -> None:
    for label in wanted:
        if label not in there:
            hint = nearest(label.lower()[:2], there) if len(there) < 1000 else ""
            raise WerpError(f"recipe field {field}: the language model has no label {label!r}{hint}")


def _check_signals(recipe: Recipe) -> None:
    own = [rule for rule in recipe.rules if isinstance(rule, Own)]
    best = [
        stage for stage in recipe.dedup if isinstance(stage, Exact | MinHash) and stage.survivor == "best"
    ]
    if not own and not best:
        return  # the package's own rules measure what they check
    schema = signals_schema(recipe.measured())
    for rule in own:
        for check in rule.checks():
            if check.signal not in schema.names:
                family = f"{rule.family}."
                there = [name.removeprefix(family) for name in schema.names if name.startswith(family)]
                missing = check.signal.removeprefix(family)
                raise WerpError(
                    f"recipe field {family}{check.key}: {rule.rule} returns no signal"
                    f" {missing!r}{nearest(missing, there)}"
                )
    numbers = [field.name for field in schema if _is_number(field.type)]
    for stage in best:
        if stage.score not in numbers:
            raise WerpError(
                f"recipe field {stage.family}.score: no rule of the recipe measures a number"
                f" {stage.score!r}{nearest(stage.score, numbers)}"
            )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))
