"""The training configuration: one model gives the YAML keys, the flags and their help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import ModelError
from models.ladder import LADDER
from models.local import LocalPath, local_path
from models.schedule import DECAY


class Source(BaseModel):
    """One token folder of a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    tokens: LocalPath = Field(description="token folder")
    weight: float = Field(
        1.0, gt=0, description="share of the windows, in any unit; above its size is up-sampling"
    )


class TrainConfig(BaseModel):
    """What a training run is. With `steps` and `deterministic`, equal configs give the same bits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    tokens: LocalPath | None = Field(None, description="token folder, as werp tokenize writes it")
    sources: tuple[Source, ...] = Field(
        (), description="several folders mixed instead: [{tokens: A, weight: 3}, {tokens: B, weight: 1}]"
    )
    output: LocalPath = Field(
        description="checkpoint folder to write; an unfinished run in it is gone on with"
    )
    force: bool = Field(False, description="do a finished run again, or replace another one in OUTPUT")
    rung: str = Field("demo-4M", description=f"shape of the model: {', '.join(LADDER)}")
    window: int = Field(2048, ge=2, description="tokens a sequence")
    documents: Literal["apart", "joined"] = Field(
        "apart", description="whether attention stays inside each document packed into a window"
    )
    batch_size: int | None = Field(
        None, ge=1, description="sequences a step, over all processes; left out, the rung's"
    )
    micro_batch: int = Field(
        16,
        ge=1,
        description="sequences computed on at once, more are accumulated; 80 GB hold 64 of 150M, 16 of 1B",
    )
    steps: int | None = Field(None, ge=1, description="length of the run")
    seconds: float | None = Field(None, gt=0, description="train for a time instead, validation not counted")
    per_parameter: float = Field(
        20.0,
        gt=0,
        description="length of the run without steps or seconds: tokens a parameter (DataDecide: 100)",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: on the blocks' matrices, AdamW elsewhere"
    )
    learning_rate: float | None = Field(None, gt=0, description="peak; left out, the rung's")
    schedule: Literal["cosine", "wsd"] = Field(
        "cosine", description="wsd: constant, then down over the last fifth"
    )
    warmup: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the run in which the rate rises from 0; left out, N tokens, a tenth at most",
    )
    weight_decay: float | None = Field(None, ge=0, description="on every parameter; left out, the rung's")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    z_loss: float | None = Field(None, ge=0, description="weight of log(Z) squared; left out, the rung's")
    spike: float = Field(
        6.0,
        ge=0,
        description="skip a step whose loss or gradient norm lies so many sd above the last 128; 0 never",
    )
    seed: int = Field(6198, ge=0, lt=1 << 63, description="of the initial weights and of the data order")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto",
        description="of weights and activations; masters and sums are float32. auto: bfloat16 on a GPU",
    )
    backend: Literal["auto", "fused", "plain"] = Field(
        "auto", description="fused: kernels/ in Triton; plain: PyTorch. auto: fused on a GPU"
    )
    compile: bool = Field(False, description="torch.compile the plain backend")
    attention: Literal["auto", "flash4", "cudnn", "flash", "flex", "math"] = Field(
        "auto", description="see models/attention.py"
    )
    parallel: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="under torchrun: whole copies, or parameters and optimizer in shards (plain backend)",
    )
    deterministic: bool = Field(False, description="the same bits every time, slower on a GPU")
    checkpoint_minutes: float = Field(
        15.0,
        ge=0,
        description="minutes between checkpoints; 0 none by the clock. SIGTERM and Ctrl-C also write one",
    )
    checkpoint_every: int = Field(
        0, ge=0, description="steps between checkpoints, beside those by the clock; 0 only at the end"
    )
    keep: int = Field(2, ge=1, description="checkpoints kept beside the final one")
    evaluate_every: int = Field(
        0, ge=0, description="steps between validations, each after a checkpoint; 0 only at the end"
    )
    validation_tokens: int = Field(
        16_384, ge=2, description="most held-out tokens of each source that are measured"
    )
    accept_changed_data: bool = Field(False, description="go on with other tokens than the run began with")
    tensorboard: bool = Field(False, description="also write events for TensorBoard into OUTPUT/tensorboard")

    @model_validator(mode="after")
    def _one_of(self) -> TrainConfig:
        if (self.tokens is None) == (not self.sources):
            raise ValueError("give tokens (one folder) or sources (several), and not both")
        if self.steps and self.seconds:
            raise ValueError("give steps or seconds, not both")
        if self.schedule == "wsd" and self.warmup is not None and self.warmup > 1 - DECAY:
            raise ValueError(
                f"warmup: {self.warmup} of the run reaches into the last {DECAY}, where wsd comes down; give "
                f"{1 - DECAY} at most, or schedule: cosine"
            )
        if len({folder.resolve() for folder in self.folders}) < len(self.folders):
            raise ValueError("sources: a folder stands there twice; give it the sum of the weights")
        return self

    @property
    def folders(self) -> list[Path]:
        """The token folders."""
        return [source.tokens for source in self.sources] or [self.tokens or Path()]

    @property
    def weights(self) -> list[float] | None:
        """The sources' weights; None for one folder."""
        return [source.weight for source in self.sources] or None


#: Keys that may differ between a run and what goes on with it: they change no weight.
FREE = frozenset(
    ("tokens", "sources", "output", "force", "micro_batch", "checkpoint_minutes", "checkpoint_every", "keep",
     "evaluate_every", "validation_tokens", "device", "accept_changed_data", "tensorboard", "parallel",
     "attention", "backend", "compile", "deterministic")
)  # fmt: skip


def read_config(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The config of a command line: `--config FILE` (YAML), each key also a flag, flags first.

    Raises ModelError for a file that is no YAML mapping, an unknown key (the nearest one is
    named), a missing or bad value.
    """
    parser = argparse.ArgumentParser(
        prog="python -m models.train",
        description="Train a decoder of the ladder; under torchrun on several devices.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", type=local_path, metavar="FILE", help="YAML file with any of the keys below"
    )
    for name, field in TrainConfig.model_fields.items():
        default = "" if field.is_required() or field.default in (None, ()) else f" (default {field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        switch: dict[str, Any] = {"nargs": "?", "const": True} if field.annotation is bool else {}
        parser.add_argument(flag, dest=name, default=argparse.SUPPRESS, metavar="VALUE", help=text, **switch)
    flags = vars(parser.parse_args(arguments))
    file = flags.pop("config")
    if "sources" in flags:
        flags["sources"] = _parse(flags["sources"])
    written = _read_yaml(file) if file else {}
    for pair in (("steps", "seconds"), ("tokens", "sources")):  # a flag also replaces the file's other choice
        if any(key in flags for key in pair):
            written = {key: value for key, value in written.items() if key not in pair}
    values = {**written, **flags}
    try:
        config = TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ModelError("\n".join(_explain(detail, flags, file) for detail in error.errors())) from error
    if config.rung not in LADDER:
        raise ModelError(f"rung: {config.rung!r} is unknown{nearest(config.rung, LADDER)}")
    return config


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ModelError(f"--sources {text}: can't be read as YAML: {error}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        values, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise ModelError(
            f"--config {path}: {error.strerror}; give a YAML file with any of the keys of --help"
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"--config {path}: not UTF-8 text ({error}); save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ModelError(f"--config {path}: can't be read as YAML: {error}") from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise ModelError(f"--config {path}: a mapping of keys to values is needed")
    keys = [key.value for key, _ in node.value]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:  # YAML lets the last one win
        raise ModelError(f"--config {path}: the key {twice} is given twice")
    for key in values:
        if key not in TrainConfig.model_fields:
            raise ModelError(
                f"--config {path}: unknown key {key!r}{nearest(str(key), TrainConfig.model_fields)}"
            )
    return values


def _explain(detail: Any, flags: dict[str, Any], file: Path | None) -> str:
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    key = str(detail["loc"][0])
    if detail["type"] == "missing":
        return f"{key}: missing; give --{key} or put it into the --config file"
    where = f"--{key.replace('_', '-')}" if key in flags else f"{file}: {key}"
    where += "".join(f" {part}" for part in detail["loc"][1:])  # of a source: its number and key
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key{nearest(str(detail['loc'][-1]), Source.model_fields)}"
    return f"{where}: {detail['input']!r} is not valid: {detail['msg']}"


def nearest(key: str, known: Sequence[str] | dict[str, Any]) -> str:
    """A hint naming the closest known key, or all of them."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"
