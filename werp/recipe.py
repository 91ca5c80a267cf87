"""The typed recipe: one pydantic model gives the YAML schema, the overrides and their help.

A recipe is a YAML file; those the package carries are named (`--recipe gopher_only`),
others are given by path. `--set key=value` changes one key, where a rule is meant by its
family's name: `--set gopher_quality.min_words=30`. Unknown keys are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from werp.clock import PAGE_SECONDS
from werp.dedup.limits import Limits
from werp.dedup.stages import OldBoth, Substring
from werp.errors import WerpError, nearest
from werp.extract.extractors import EXTRACTORS, AnyExtractor, Resiliparse, Trafilatura
from werp.extract.guard import Caps
from werp.extract.prefilters import AnyPrefilter
from werp.pages import ReadOptions
from werp.settings import Location, carried, explained, read_settings, setting
from werp.signals.base import EditRule, Rule
from werp.signals.boilerplate_lines import BoilerplateLines
from werp.signals.c4 import C4
from werp.signals.decontaminate import Decontaminate
from werp.signals.exact import Exact
from werp.signals.fineweb_quality import FineWebQuality
from werp.signals.gopher_quality import GopherQuality
from werp.signals.gopher_repetition import GopherRepetition
from werp.signals.language import Language
from werp.signals.length import Length
from werp.signals.minhash import MinHash
from werp.signals.own import Own
from werp.signals.pii import Pii
from werp.signals.quality import AnyOf, Buckets, KeepShare, Model, Quality
from werp.signals.refinedweb_lines import RefinedWebLines
from werp.signals.truncated import Truncated
from werp.signals.url import Url


def rule_tag(value: Any) -> str | None:
    """A rule of the package goes by its name; anything with a colon is the user's own `module:function`."""
    name = value.get("rule") if isinstance(value, dict) else getattr(value, "rule", None)
    return "module:function" if isinstance(name, str) and ":" in name else name


AnyRule = Annotated[
    Annotated[Language, Tag("language.v1")]
    | Annotated[Length, Tag("length.v1")]
    | Annotated[Truncated, Tag("truncated.v1")]
    | Annotated[GopherQuality, Tag("gopher_quality.v1")]
    | Annotated[GopherRepetition, Tag("gopher_repetition.v1")]
    | Annotated[Url, Tag("url.v1")]
    | Annotated[C4, Tag("c4.v1")]
    | Annotated[FineWebQuality, Tag("fineweb_quality.v1")]
    | Annotated[RefinedWebLines, Tag("refinedweb_lines.v1")]
    | Annotated[Pii, Tag("pii.v1")]
    | Annotated[BoilerplateLines, Tag("boilerplate_lines.v1")]
    | Annotated[Decontaminate, Tag("decontaminate.v1")]
    | Annotated[Own, Tag("module:function")],
    Discriminator(rule_tag),
]
AnyDedup = Annotated[Exact | MinHash | OldBoth | Substring, Field(discriminator="rule")]
RULES: dict[str, type[Rule]] = {
    get_args(member)[1].tag: get_args(member)[0] for member in get_args(get_args(AnyRule)[0])
}
DEDUP: dict[str, type[Rule]] = {
    str(kind.model_fields["rule"].default): kind for kind in get_args(get_args(AnyDedup)[0])
}
PREFILTERS: dict[str, type[BaseModel]] = {
    str(kind.model_fields["rule"].default): kind for kind in get_args(get_args(AnyPrefilter)[0])
}


def _names_too(schema: dict[str, Any]) -> None:
    """To the schema of the extractors: a name alone is enough, and so is one that stands in no list."""
    names = {"enum": list(EXTRACTORS)}
    several = {key: schema.pop(key) for key in ("type", "items", "minItems")}
    schema["anyOf"] = [names, several | {"items": {"anyOf": [names, several["items"]]}}]


class ExtractOptions(BaseModel):
    """The recipe's `extract` section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extractors: tuple[AnyExtractor, ...] = Field(
        (Trafilatura(), Resiliparse()), min_length=1,
        description="tried in this order until one gives more than almost nothing, within the caps",
        json_schema_extra=_names_too,
    )  # fmt: skip
    caps: Caps = Caps()

    @field_validator("extractors", mode="before")
    @classmethod
    def _names_are_enough(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list | tuple):
            return tuple({"name": item} if isinstance(item, str) else item for item in value)
        return value


class ShardOptions(BaseModel):
    """The recipe's `shards` section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["parquet", "arrow"] = Field(
        "parquet", description="Parquet or Arrow IPC files, zstd in both"
    )
    target_mb: Annotated[int, Field(ge=1)] = Field(
        256,
        description="text per shard in MiB before compression; a shard is closed at the page that reaches it",
    )


class Recipe(BaseModel):
    """What is done to a crawl, from reading to shards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    read: ReadOptions = ReadOptions()
    extract: ExtractOptions = ExtractOptions()
    page_seconds: float = Field(
        PAGE_SECONDS, gt=0,
        description="wall-clock time that a page may take in each step outside extraction: reading,"
        " prefilters, line rules and masking, signals",
    )  # fmt: skip
    prefilters: tuple[AnyPrefilter, ...] = Field(
        (), description="pages they skip are not extracted; a changed one means extraction anew"
    )
    segmenter: Literal["icu"] | None = Field(
        "icu", description="finds the words of scripts without spaces; null takes what stands between spaces"
    )
    rules: tuple[AnyRule, ...] = Field((), description="in the order in which they edit, measure and decide")
    dedup: tuple[AnyDedup, ...] = Field(
        (), description="stages of deduplication across the whole run, each on what those before it left"
    )
    dedup_limits: Limits = Limits()
    quality: Quality | None = Field(
        None, description="classifiers, on what deduplication left; null for none"
    )
    shards: ShardOptions = ShardOptions()

    @field_validator("rules", "dedup")
    @classmethod
    def _each_once(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.name for rule in rules]
        families = [rule.family for rule in rules]
        for name, family in zip(names, families, strict=True):
            if families.count(family) > 1:
                raise ValueError(f"rule {name} is listed twice; its ledger rows could not be told apart")
        return rules

    @model_validator(mode="after")
    def _tuned_rules_know_the_language(self) -> Self:
        tuned = [rule.name for rule in self.rules if rule.languages_tuned]
        if tuned and not any(isinstance(rule, Language) for rule in self.rules):
            raise ValueError(f"{tuned[0]} has per_language thresholds, but the recipe lists no language.v1")
        return self

    def edits(self) -> list[EditRule]:
        """The rules that take out characters, in order."""
        return [rule for rule in self.rules if isinstance(rule, EditRule)]

    def measured(self) -> list[Rule]:
        """Every rule whose signals are measured, in order."""
        last = [self.quality] if self.quality else []
        return [*self.rules, *(stage for stage in self.dedup if stage.measures), *last]


def recipe_names() -> list[str]:
    """Names of the recipes the package carries."""
    return carried("werp.recipes")


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by name or path, with `key=value` overrides applied.

    Raises `WerpError` for an unknown recipe, bad YAML, an unknown key or a bad value, naming
    the file, the key and the nearest right key.
    """
    content, where = read_settings(name_or_path, "werp.recipes", "recipe")
    return overridden(_validate(content, where), overrides, where)


def overridden(recipe: Recipe, overrides: Sequence[str], where: str) -> Recipe:
    """A recipe with `key=value` overrides applied; raises `WerpError` as `load_recipe` does."""
    if not overrides:
        return recipe
    content = recipe.model_dump(mode="json")
    for override in overrides:
        _override(content, override)
    return _validate(content, where)


def _validate(content: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise explained(error, where, _keys_at) from error


def _keys_at(location: Location) -> list[str]:
    """The keys a model has at a place of the recipe; union members appear there by their tag."""
    tagged: dict[str, type[BaseModel]] = {**RULES, **DEDUP, **PREFILTERS}
    tagged.update(EXTRACTORS)
    sections: dict[str, type[BaseModel]] = {
        "read": ReadOptions, "extract": ExtractOptions, "caps": Caps, "shards": ShardOptions,
        "dedup_limits": Limits, "quality": Quality, "models": Model, "any_of": AnyOf,
        "keep_documents": KeepShare, "keep_tokens": KeepShare, "buckets": Buckets,
    }  # fmt: skip
    for part in reversed(location):
        if part in tagged:
            return list(tagged[str(part)].model_fields)
        if part in sections:
            return list(sections[str(part)].model_fields)
    return list(Recipe.model_fields)


def _override(content: dict[str, Any], override: str) -> None:
    parts, value = setting(override, "gopher_quality.min_words=30")
    key = ".".join(parts)
    place: Any = content
    # `pkg.module:function` goes by the function's name, `family.v1` by the family's.
    families = {
        rule["rule"].rpartition(":")[2].partition(".")[0]: rule
        for section in ("prefilters", "rules", "dedup")
        for rule in content[section] or ()
    }
    if parts[0] in families:
        place, parts = families[parts[0]], parts[1:]
        if parts and parts[0] == place["rule"].partition(".")[2]:  # the version may be written out
            parts = parts[1:]
    for number, part in enumerate(parts or [""]):
        if not isinstance(place, dict):
            whole = ".".join(parts[:number])
            raise WerpError(
                f"--set {key}: {whole} is {place!r:.80} here; set it whole, --set '{whole}={{...}}'"
            )
        if part not in place:
            known = [*place, *(families if place is content else [])]
            raise WerpError(f"--set {key}: unknown key {part}{nearest(part or key, known)}")
        if number < len(parts) - 1:
            place = place[part]
    place[parts[-1]] = value
