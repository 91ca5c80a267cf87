"""Models seen as `score(context, continuations)`; nothing else here knows what a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from eval_harness.errors import EvalError
from eval_harness.local import refuse_remote

if TYPE_CHECKING:
    from eval_harness.adapters.torch_model import TorchModel

DTYPES = ("auto", "float32", "bfloat16")


def load_model(folder: str, device: str = "auto", dtype: str = "auto") -> TorchModel:
    """A checkpoint of models.train or a Hugging Face folder, told apart by config.json.

    device: cpu, cuda or auto. dtype: float32, bfloat16 or auto, bfloat16 on a GPU.
    Raises EvalError for a folder that is neither, a device that is not there, an unknown name.
    """
    refuse_remote("--model", folder)
    if dtype not in DTYPES:
        raise EvalError(f"--dtype: {dtype!r} is none of {', '.join(DTYPES)}")
    if device not in {"cpu", "cuda", "auto"}:
        raise EvalError(f"--device: {device!r} is none of cpu, cuda, auto")
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise EvalError(
            f"--model {folder}: {path}: no such file; name a finished checkpoint or a Hugging Face folder"
        ) from error
    except OSError as error:
        raise EvalError(
            f"--model {folder}: {path}: {error.strerror}; name a checkpoint or Hugging Face folder"
        ) from error
    except ValueError as error:
        raise EvalError(f"--model {folder}: {path} is no JSON: {error}") from error
    import torch  # noqa: PLC0415

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise EvalError("--device cuda: torch sees no GPU here; use cpu")
    chosen = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(
        dtype, torch.bfloat16 if device == "cuda" else torch.float32
    )
    if isinstance(config, dict) and "model_type" in config:
        from eval_harness.adapters.huggingface import HuggingFaceModel  # noqa: PLC0415

        return HuggingFaceModel(Path(folder), device, chosen)
    from eval_harness.adapters.checkpoint import CheckpointModel  # noqa: PLC0415

    return CheckpointModel(Path(folder), device, chosen)
