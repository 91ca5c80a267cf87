"""The typed spec of a classifier: what it learns from, how, and what is kept aside to prove it.

A spec is a YAML file; `dclm` and `betr` come with the package. `${WERP_DATA}` and other variables in paths
are filled in from the environment. Unknown keys are errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from werp.errors import WerpError, nearest
from werp.local import refuse_remote
from werp.settings import Location, carried, explained, read_settings, setting

_PRESETS = "werp.quality.presets"
_LABEL = re.compile(r"[A-Za-z0-9_.-]+")


class Section(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Where rows come from: files of one kind, or a run directory.

    Kinds: `jsonl` (also .gz, .xz, .zst), `parquet`, `text` (a document a file), `run` (the shards of a
    finished run), `dropped` (the documents that a finished run's heuristics dropped), `benchmark` (items
    in the row form of the nine tasks, dev and train parts alone).
    """

    path: str = Field(min_length=1, description="a file, a folder or a glob; ${VARIABLES} are filled in")
    kind: Literal["jsonl", "parquet", "text", "run", "dropped", "benchmark"]
    text: tuple[str, ...] = Field(("text",), min_length=1, description="fields, joined by a blank line")
    group: str | None = Field(
        None,
        description="field that names the book, repository or site, which no split may cut; `url` means its"
        " host; null: `repo`, `source`, the host of `url`, or the file, the first there is",
    )
    group_parts: int | None = Field(None, ge=1, description="only so many parts of the group, cut at /")
    where: dict[str, tuple[str, ...]] = Field({}, description="field: values of the rows to take")
    limit: int | None = Field(None, ge=1, description="at most so many rows, chosen by hash of their text")
    max_chars: int | None = Field(
        None, ge=1, description="a row's first characters, to the end of a paragraph where there is one"
    )


_Natural = Annotated[int, Field(ge=0, lt=2**31)]  # what fastText's own integers hold
_Count = Annotated[int, Field(ge=1, lt=2**31)]


class FastText(Section):
    """fastText's own parameters, under their own names."""

    lr: float = Field(0.1, gt=0)
    dim: _Count = 100
    ws: _Count = 5
    epoch: _Count = 5
    minCount: _Count = 1  # noqa: N815
    wordNgrams: _Count = 2  # noqa: N815
    minn: _Natural = 0
    maxn: _Natural = 0
    bucket: _Count = 2_000_000
    loss: Literal["softmax", "hs", "ns", "ova"] = "softmax"
    thread: _Count = Field(1, description="more than one thread: no two trainings are the same")
    seed: _Natural = 0


class Quantize(Section):
    """fastText's product quantisation: a small `.ftz` beside the full model."""

    cutoff: _Natural = Field(20_000, description="features kept, 0 keeps all")
    retrain: bool = True
    qnorm: bool = True
    qout: bool = False
    dsub: _Count = 2


class Lsa(Section):
    """TF-IDF and truncated SVD (scikit-learn): the light embedder that needs no model file."""

    kind: Literal["lsa"] = "lsa"
    dim: int = Field(256, ge=2)
    min_df: int = Field(2, ge=1)
    max_features: int = Field(50_000, ge=2)


class Sentence(Section):
    """A sentence-transformers model in a folder (the `embed` extra); nothing is downloaded."""

    kind: Literal["sentence"] = "sentence"
    path: str
    max_tokens: int | None = Field(None, ge=8, description="default: the model's own")
    batch: int = Field(32, ge=1)


class Betr(Section):
    """Benchmark-targeted ranking (arXiv 2507.12466, section 2 and its appendix's fastText settings)."""

    pool: tuple[Source, ...] = Field(min_length=1, description="the sample of documents that is ranked")
    targets: tuple[Source, ...] = Field(min_length=1, description="benchmark items; dev and train rows alone")
    min_targets: int = Field(200, ge=1, description="a benchmark with fewer rows at hand is left out")
    top: float = Field(0.1, gt=0, lt=1, description="share of the pool that is positive")
    embedder: Annotated[Lsa | Sentence, Field(discriminator="kind")] = Lsa()


class Spec(Section):
    """What `train_classifier` does."""

    name: str
    description: str = ""
    positive: str = Field("hq", description="label of what is kept")
    negative: str = Field("cc", description="label of the rest")
    positives: tuple[Source, ...] = ()
    negatives: tuple[Source, ...] = ()
    betr: Betr | None = Field(None, description="rank a pool against benchmarks in place of given classes")
    evaluate: dict[str, Source] = Field({}, description="named sets that are scored and never trained on")
    contrasts: tuple[tuple[str, str], ...] = Field(
        (), description="pairs of sets, (better, worse), whose ROC-AUC the card states"
    )
    held_out: float = Field(0.2, gt=0, lt=1, description="share of rows of whole groups that is kept aside")
    balance: bool = Field(True, description="the larger class is sampled down to the smaller")
    seed: _Natural = 0
    fasttext: FastText = FastText()
    quantize: Quantize | None = None

    @field_validator("positive", "negative")
    @classmethod
    def _labels_are_words(cls, value: str) -> str:
        if not _LABEL.fullmatch(value):
            raise ValueError("a label is letters, digits and _ . - alone")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = bool(self.positives or self.negatives)
        if given == (self.betr is not None):
            raise ValueError("give positives and negatives, or betr")
        if given and not (self.positives and self.negatives):
            raise ValueError("both positives and negatives are needed")
        if self.positive == self.negative:
            raise ValueError("positive and negative are one label")
        for name in {"positive", "negative"} & self.evaluate.keys():
            raise ValueError(f"evaluate: {name!r} is the name of the held-out rows; call the set otherwise")
        known = {*self.evaluate, "positive", "negative"}
        for name in (name for pair in self.contrasts for name in pair):
            if name not in known:
                raise ValueError(f"contrasts: no set {name!r}{nearest(name, known)}")
        return self


_SECTIONS: dict[str, type[Section]] = {
    "positives": Source, "negatives": Source, "pool": Source, "targets": Source, "evaluate": Source,
    "betr": Betr, "lsa": Lsa, "sentence": Sentence, "fasttext": FastText, "quantize": Quantize,
}  # fmt: skip


def preset_names() -> list[str]:
    """The specs the package carries."""
    return carried(_PRESETS)


def load_spec(name_or_path: str, overrides: Sequence[str] = ()) -> Spec:
    """A spec by preset name or path, with `key=value` overrides; `WerpError` names file, key and remedy."""
    kind = "spec" if name_or_path.endswith((".yaml", ".yml")) else "preset"
    content, where = read_settings(name_or_path, _PRESETS, kind)
    for override in overrides:
        _override(content, override)
    return validated(content, where)


def validated(content: dict[str, Any], where: str) -> Spec:
    """The spec of a mapping; `WerpError` with one line a problem."""
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise explained(error, where, _keys_at) from error


def _keys_at(location: Location) -> list[str]:
    """The keys a section has, whichever part of the spec it stands in."""
    for part in reversed(location):
        if part in _SECTIONS:
            return list(_SECTIONS[str(part)].model_fields)
    return list(Spec.model_fields)


def filled_in(path: str) -> str:
    """A path with ${VARIABLES} from the environment; an unset one is an error."""
    filled = os.path.expandvars(path)
    refuse_remote("path", filled)
    unset = re.search(r"\$\{?(\w+)\}?", filled)
    if unset:
        raise WerpError(
            f"path {path}: the environment variable {unset[1]} is not set; export it, or write the path"
            " into a spec of your own (--dry-run prints one to start from)"
        )
    return filled


def _override(content: dict[str, Any], override: str) -> None:
    (*parents, last), value = setting(override, "fasttext.epoch=10")
    place = content
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise WerpError(f"--set {override}: {parent} is no mapping")
    place[last] = value
