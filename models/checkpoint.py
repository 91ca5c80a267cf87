"""A checkpoint folder: `model.safetensors`, `tokenizer.json` and, written last, `config.json`.

A folder without `config.json` is no checkpoint: the run that was to write it did not finish.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from tokenizers import Tokenizer

from models.decoder import Decoder
from models.errors import ModelError
from models.ladder import Rung

FORMAT = "models.checkpoint.v1"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model in evaluation mode, its tokenizer and the content of config.json."""

    model: Decoder
    tokenizer: Tokenizer
    config: dict[str, Any]


def save_checkpoint(folder: Path, model: Decoder, tokenizer: bytes, about: dict[str, Any]) -> None:
    """Write the three files, each whole, config.json last; `about` is added to the shape in it.

    tokenizer: the bytes of a tokenizer.json.
    """
    rung = model.rung
    shape = {"name": rung.name, "width": rung.width, "heads": rung.heads, "layers": rung.layers}
    config = {"format": FORMAT, "rung": shape, "vocabulary": model.vocabulary, **about}
    weights = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "model.safetensors", save(weights))
    write_whole(folder / "tokenizer.json", tokenizer)
    write_whole(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU; ModelError names the file at fault and the remedy."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        if config.get("format") != FORMAT:
            raise ModelError(
                f"{path}: format {config.get('format')!r} is not {FORMAT}; train the model again"
            )
        model = Decoder(Rung(**config["rung"]), config["vocabulary"])
        path = folder / "model.safetensors"
        model.load_state_dict(load_file(path))
        path = folder / "tokenizer.json"
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; a finished python -m models.train writes it") from error
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged or of another model ({error}); train the model again") from error
    return Checkpoint(model.eval(), tokenizer, config)


def write_whole(path: Path, data: bytes) -> None:
    """Write under another name, have it on disk, rename."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def count_parameters(model: torch.nn.Module) -> int:
    """Every parameter of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
