"""A checkpoint folder: `model.safetensors`, `tokenizer.json` and, written last, `config.json`.

    checkpoint = load_checkpoint(Path("out/model"))                       # on the CPU, in float32
    checkpoint = load_checkpoint(folder, "cuda", torch.bfloat16)
    checkpoint.model(ids_BT)                                              # logits (B, T, V)
    checkpoint.tokenizer, checkpoint.config["train"]["window"]

A folder without `config.json` is no checkpoint: the run that was to write it did not finish. What a trainer
needs beyond this to go on lies beside it, see `models.state`.
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
from torch import Tensor

from models.decoder import Decoder
from models.errors import ModelError
from models.ladder import Rung

FORMAT = "models.checkpoint.v2"  # 1: the rows of gate, then those of up


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
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    write_checkpoint(folder, weights, tokenizer, {**shape_of(model.rung, model.vocabulary), **about})


def shape_of(rung: Rung, vocabulary: int) -> dict[str, Any]:
    """What config.json says of the architecture."""
    shape = {
        "name": rung.name, "width": rung.width, "heads": rung.heads, "layers": rung.layers,
        "hidden": rung.hidden, "kv_heads": rung.kv_heads, "qk_norm": rung.qk_norm,
    }  # fmt: skip
    return {"format": FORMAT, "rung": shape, "vocabulary": vocabulary}


def write_checkpoint(
    folder: Path, weights: dict[str, Tensor], tokenizer: bytes, config: dict[str, Any]
) -> None:
    """Write the three files from their contents, config.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(
        folder / "model.safetensors", save({name: x.cpu().contiguous() for name, x in weights.items()})
    )
    write_whole(folder / "tokenizer.json", tokenizer)
    write_whole(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def check_format(config: dict[str, Any], path: Path) -> None:
    """ModelError for a config.json of another version: its weights may lie in another order."""
    if config.get("format") != FORMAT:
        raise ModelError(
            f"{path}: format {config.get('format')!r} is not {FORMAT}; train the model again, elsewhere"
        )


def load_checkpoint(
    folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> Checkpoint:
    """Read a checkpoint; ModelError names the file at fault and the remedy.

    dtype: of the weights; None is float32 on a CPU and what was saved elsewhere.
    """
    device = torch.device(device)
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        check_format(config, path)
        with torch.device("meta"):
            model = Decoder(Rung(**config["rung"]), config["vocabulary"])
        path = folder / "model.safetensors"
        weights = load_file(path)
        kind = dtype or (torch.float32 if device.type == "cpu" else next(iter(weights.values())).dtype)
        model.load_state_dict({name: x.to(device, kind) for name, x in weights.items()}, assign=True)
        path = folder / "tokenizer.json"
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; a finished python -m models.train writes it") from error
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged or of another model ({error}); train the model again") from error
    return Checkpoint(model.eval(), tokenizer, config)


def make_folder(output: Path) -> None:
    """The output folder; ModelError where it can't be made or written to."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"output: {output} can't be made ({error.strerror}); name another place") from error
    if not os.access(output, os.W_OK | os.X_OK):
        raise ModelError(f"output: {output} can't be written to; name another place, or mend its rights")


def write_whole(path: Path, data: bytes) -> None:
    """Write under another name, have it on disk, rename."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def count_parameters(model: torch.nn.Module) -> int:
    """Every parameter of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
