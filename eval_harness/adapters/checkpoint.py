"""A checkpoint of `models.train` as a model that scores; torch and `models` are imported only here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eval_harness.adapters.torch_model import TorchModel
from eval_harness.errors import EvalError


class CheckpointModel(TorchModel):
    """A checkpoint folder on a device.

    window: tokens a training sequence had. sha256: of the weights, so that a score names its model.
    shares_prefix: found out at loading; a model of layers that do not attend is scored row by row.
    Raises EvalError when the folder is no checkpoint.
    """

    hard_window = False  # rotary positions go on past the window; the results tell how far

    def __init__(self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        from models.checkpoint import load_checkpoint  # noqa: PLC0415
        from models.errors import ModelError  # noqa: PLC0415

        try:
            checkpoint = load_checkpoint(folder)
        except ModelError as error:
            raise EvalError(f"--model {folder}: {error}") from error
        self.device = torch.device(device)
        self.dtype = dtype
        self.model = checkpoint.model.to(self.device, dtype).eval()
        self.tokenizer = checkpoint.tokenizer
        self.window: int = checkpoint.config["train"]["window"]
        self.seed: int | None = checkpoint.config["train"].get("seed")
        self.name = f"{checkpoint.config['rung']['name']} at {folder.name}"
        self.sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        self._set_up(self.model.embedding.num_embeddings)

    def about(self) -> dict[str, Any]:
        """Name, hash of the weights, and how it was run."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "window": self.window,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seed": self.seed,
            "device": self.device.type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "shares_prefix": self.shares_prefix,
            "start_tokens": [],
        }

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """The normed hidden states of every position; the mask is given to the blocks too."""
        from models.decoder import rotations  # noqa: PLC0415

        rung = self.model.rung
        # A place is no larger than what its row sees: known without asking the device.
        length = tokens_BT.shape[1] if mask_B1TS is None else mask_B1TS.shape[3]
        cos_TK, sin_TK = rotations(length, rung.width // rung.heads, self.device)
        cos_B1TK, sin_B1TK = cos_TK[positions_BT][:, None], sin_TK[positions_BT][:, None]
        x_BTD: Tensor = self.model.embedding(tokens_BT)
        for block in self.model.blocks:
            x_BTD = block(x_BTD, cos_B1TK, sin_B1TK, mask_B1TS)
        h_BTD: Tensor = self.model.norm(x_BTD)
        return h_BTD

    def _head(self, h_ND: Tensor) -> Tensor:
        logits_NV: Tensor = self.model.head(h_ND)
        return logits_NV
