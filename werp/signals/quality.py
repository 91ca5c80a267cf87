"""Section `quality` of a recipe: scores of classifiers as signals, and the rule that accepts by them.

    quality:
      rule: quality.v1
      models:
        - {name: dclm, model: dclm}                     # the package's own, or a path to .bin or .ftz
        - {name: betr, model: betr}
        - {name: mine, model: my_models:score, parameters: {path: m.joblib}}   # module:function
      accept: {by: any_of, min: {dclm: 0.025119, betr: 0.76}}                  # FLUX's rule and numbers

A `module:function` gets an Arrow batch with columns id, url, text, and the parameters, and returns one number
a row (null: no score). What depends on the whole run (shares, buckets) is settled by `werp.quality.cuts`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from werp.errors import WerpError, nearest
from werp.local import refuse_remote
from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch
from werp.signals.own import find_function

#: Best keep fraction, percent = a * C^b of training FLOPs C (BETR, arXiv 2507.12466): its fits on two pools.
_FITS = {"nemotron_cc": (4e-5, 0.25), "dclm_refinedweb": (6e-3, 0.14)}

Shares = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(_Section):
    """A scorer: a fastText classifier, or a function of the user's."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the signal is quality.<name>")
    model: str = Field(description="a model of the package, a path to .bin or .ftz, or module:function")
    positive: str | None = Field(None, description="label whose probability is the score; default hq")
    parameters: dict[str, Any] = Field({}, description="keyword arguments of a function")


class AnyOf(_Section):
    """Keep a document that reaches the threshold of at least one model."""

    by: Literal["any_of"] = "any_of"
    min: dict[str, float] = Field(min_length=1, description="model: least score")


class KeepShare(_Section):
    """Keep the best-scored share of the documents that are left, or of their tokens; exact over the run.

    Order: score, highest first, then id; the document that reaches the share is the last one kept.
    """

    by: Literal["keep_documents", "keep_tokens"]
    score: str = Field(description="the model whose score orders")
    share: Shares | None = None
    compute_flops: float | None = Field(
        None, gt=0, description="planned training compute, 6 x parameters x tokens; gives the share by `fit`"
    )
    fit: Literal["nemotron_cc", "dclm_refinedweb"] = Field(
        "dclm_refinedweb", description="whose pool's best keep fraction (BETR, section on compute)"
    )

    @model_validator(mode="after")
    def _one_share(self) -> Self:
        if (self.share is None) == (self.compute_flops is None):
            raise ValueError("give share or compute_flops")
        return self

    def fraction(self) -> Fraction:
        """The share to keep, exactly as written."""
        if self.share is not None:
            return Fraction(str(self.share))
        assert self.compute_flops is not None
        factor, power = _FITS[self.fit]
        return min(Fraction(1), Fraction(f"{factor * self.compute_flops**power / 100:.6f}"))


class Buckets(_Section):
    """Nemotron-CC's ensemble: each score cut into 20 buckets of equal tokens, 0-19; the best one decides."""

    by: Literal["buckets"] = "buckets"
    scores: tuple[str, ...] = Field(min_length=1)
    min_bucket: int = Field(ge=0, le=19, description="keep where one score's bucket is at least this")


Accept = Annotated[AnyOf | KeepShare | Buckets, Field(discriminator="by")]


class Quality(Rule):
    """Signals quality.<name> (float64, null for a blank text) and quality.words (int64, words.v1)."""

    stage: ClassVar[str] = "quality"

    rule: Literal["quality.v1"] = "quality.v1"
    models: tuple[Model, ...] = Field(min_length=1)
    accept: Accept | None = Field(None, description="null: scores are measured and nothing is dropped")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names) or "words" in names:
            raise ValueError(f"names of models must differ, and none be `words`: {', '.join(names)}")
        for name in self.compared():
            if name not in names:
                raise ValueError(f"accept: no model {name!r}{nearest(name, names)}")
        return self

    def compared(self) -> tuple[str, ...]:
        """The models that `accept` looks at."""
        if isinstance(self.accept, AnyOf):
            return tuple(self.accept.min)
        if isinstance(self.accept, KeepShare):
            return (self.accept.score,)
        return self.accept.scores if self.accept else ()

    def signals(self) -> tuple[str, ...]:
        """The score columns, in the order of the models."""
        return tuple(f"quality.{model.name}" for model in self.models)

    def measure_parameters(self) -> dict[str, Any]:
        """Each model's bytes, or its function's module and parameters."""
        return {model.name: _identity(model) for model in self.models}

    @property
    def calls_own_functions(self) -> bool:
        """See `Rule.calls_own_functions`."""
        return not all(is_file(model.model) for model in self.models)

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Score each text with each model."""
        split = batch.split
        columns = {f"quality.{model.name}": _score(model, batch) for model in self.models}
        return {**columns, "quality.words": pa.array(np.diff(split.word_offsets), pa.int64())}

    def checks(self) -> list[Check]:
        """None: what is accepted is settled after deduplication, by `werp.quality.cuts`."""
        return []


def model_path(model: str) -> Path:
    """The file of a model given by name or path; `WerpError` names what there is."""
    refuse_remote("recipe field quality.models:", model)
    if model.endswith((".bin", ".ftz")):
        if not Path(model).is_file():
            raise WerpError(
                f"recipe field quality.models: no such file: {model}; jobs/train_classifier.py makes one"
            )
        return Path(model)
    folder = Path(str(files("werp.quality.models")))
    path = folder / f"{model}.ftz"
    if not path.is_file():
        known = [found.stem for found in folder.glob("*.ftz")]
        raise WerpError(
            f"recipe field quality.models: the package has no model {model!r}{nearest(model, known)}"
        )
    return path


def is_file(model: str) -> bool:
    """Whether a model is a file, or one of the package's; else it is `module:function`."""
    return ":" not in model or "://" in model or model.endswith((".bin", ".ftz"))


def check_models(quality: Quality) -> None:
    """Load each model; `WerpError` for a file that is none, or has no such label."""
    from werp.quality.classifier import loaded  # noqa: PLC0415

    for model in quality.models:
        if is_file(model.model):
            loaded(str(model_path(model.model)), model.positive)


def _identity(model: Model) -> Any:
    if is_file(model.model):
        return [hashlib.sha256(model_path(model.model).read_bytes()).hexdigest(), model.positive]
    source = inspect.getsourcefile(_function(model.model))
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None
    return [model.model, model.parameters, digest]


def _score(model: Model, batch: TextBatch) -> pa.Array:
    if is_file(model.model):
        from werp.quality.classifier import loaded  # noqa: PLC0415

        scores = loaded(str(model_path(model.model)), model.positive).scores(batch.texts)
        return pa.array(scores, pa.float64())
    columns = [pa.array(values, pa.string()) for values in (batch.ids, batch.urls, batch.texts)]
    rows = pa.RecordBatch.from_arrays(columns, names=["id", "url", "text"])
    found = _function(model.model)(rows, **model.parameters)
    try:
        scores = found if isinstance(found, pa.Array) else pa.array(found)
        scores = scores.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise ValueError(f"quality model {model.model}: expected one number a row: {error}") from error
    if len(scores) != len(batch):
        raise WerpError(f"quality model {model.model}: {len(scores)} scores for {len(batch)} documents")
    if any(score is not None and not math.isfinite(score) for score in scores.to_pylist()):
        raise ValueError(
            f"quality model {model.model}: a score is no finite number; return null for no score"
        )
    return scores


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    return find_function("quality model", name)
