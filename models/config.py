"""The training configuration: one model gives the YAML keys, the flags and their help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import ModelError
from models.ladder import LADDER


class TrainConfig(BaseModel):
    """What a training run is; equal configs with `steps` give equal losses on one machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: Path = Field(description="token folder, as python -m werp.tokens writes it")
    output: Path = Field(description="checkpoint folder to write")
    rung: str = Field("demo-4M", description=f"shape of the model: {', '.join(LADDER)}")
    window: int = Field(256, ge=2, description="tokens a sequence")
    batch_size: int = Field(2, ge=1, description="sequences a step")
    seconds: float = Field(60.0, gt=0, description="time to train for, validation not counted")
    steps: int | None = Field(None, ge=1, description="train this many steps instead of a given time")
    learning_rate: float | None = Field(
        None, gt=0, description="peak; left out, DataDecide's rule for its far larger batches"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the run in which the rate rises from 0")
    weight_decay: float = Field(0.05, ge=0, description="AdamW's, on every parameter")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    seed: int = Field(6198, ge=0, description="of the initial weights and of the data order")
    validation_tokens: int = Field(16_384, ge=2, description="most held-out tokens that are measured")


def read_config(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The config of a command line: `--config FILE` (YAML), each key also a flag, flags first.

    Raises ModelError for a file that is no YAML mapping, an unknown key (the nearest one is
    named), a missing or bad value.
    """
    parser = argparse.ArgumentParser(
        prog="python -m models.train", description="Train a small decoder on the CPU.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with any of the keys below")
    for name, field in TrainConfig.model_fields.items():
        default = "" if field.is_required() or field.default is None else f" (default {field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, dest=name, default=argparse.SUPPRESS, metavar="VALUE", help=text)
    flags = vars(parser.parse_args(arguments))
    file = flags.pop("config")
    values = {**(_read_yaml(file) if file else {}), **flags}
    try:
        config = TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ModelError("\n".join(_explain(detail, flags, file) for detail in error.errors())) from error
    if config.rung not in LADDER:
        raise ModelError(f"rung: {config.rung!r} is unknown{nearest(config.rung, LADDER)}")
    return config


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"--config {path}: can't be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"--config {path}: a mapping of keys to values is needed")
    for key in values:
        if key not in TrainConfig.model_fields:
            raise ModelError(
                f"--config {path}: unknown key {key!r}{nearest(str(key), TrainConfig.model_fields)}"
            )
    return values


def _explain(detail: Any, flags: dict[str, Any], file: Path | None) -> str:
    key = str(detail["loc"][0])
    if detail["type"] == "missing":
        return f"{key}: missing; give --{key} or put it into the --config file"
    where = f"--{key.replace('_', '-')}" if key in flags else f"{file}: {key}"
    return f"{where}: {detail['input']!r} is not valid: {detail['msg']}"


def nearest(key: str, known: Sequence[str] | dict[str, Any]) -> str:
    """A hint naming the closest known key, or all of them."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"
