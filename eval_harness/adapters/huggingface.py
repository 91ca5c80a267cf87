"""A Hugging Face folder (`config.json`, `model.safetensors`, `tokenizer.json`) as a model that scores.

Needs the package `transformers`, which is loaded here alone. No code of the folder is run, and weights
are read from safetensors only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from eval_harness.adapters.torch_model import TorchModel
from eval_harness.errors import EvalError

#: Positions are looked up in a table of fixed length: the model can't run past its window.
LEARNED_POSITIONS = {"gpt2", "opt", "gpt_neo", "gpt_bigcode", "xglm"}


class HuggingFaceModel(TorchModel):
    """A decoder of `transformers`, run through scaled_dot_product_attention.

    A model with sliding windows is scored row by row: a tree's mask would overrule them.
    Raises EvalError when the package is missing or the folder can't be loaded.
    """

    def __init__(self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        try:
            from transformers import AutoModelForCausalLM  # noqa: PLC0415
        except ImportError as error:
            raise EvalError(
                f"--model {folder}: a Hugging Face folder needs transformers: pip install transformers"
            ) from error
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                attn_implementation="sdpa",
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
            self.model = model
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise EvalError(f"--model {folder}: can't be loaded by transformers: {error}") from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.device, self.dtype = torch.device(device), dtype
        self.model.to(self.device).eval()
        config = self.model.config
        self.window = int(getattr(config, "max_position_embeddings", 0) or 2048)
        self.hard_window = config.model_type in LEARNED_POSITIONS
        self.name = f"{config.model_type} at {folder.name}"
        weights = sorted(folder.glob("*.safetensors"))
        self.sha256 = hashlib.sha256(b"".join(digest_file(path) for path in weights)).hexdigest()
        sliding = getattr(config, "sliding_window", None) or "sliding_attention" in (
            getattr(config, "layer_types", None) or ()
        )
        self._apart = self._head_comes_apart()
        self._set_up(config.vocab_size)
        self.shares_prefix &= not sliding

    def about(self) -> dict[str, Any]:
        """Name, hash of the weights, and how it was run."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "window": self.window,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "device": self.device.type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "shares_prefix": self.shares_prefix,
        }

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """Hidden states of every position, or their logits where the head can't be taken off.

        The mask is set where attention is called; it is passed on so that the library makes none of its own,
        for which it would wait for the device.
        """
        inputs = {
            "input_ids": tokens_BT,
            "position_ids": positions_BT,
            "attention_mask": mask_B1TS,
            "use_cache": False,
        }
        if self._apart:
            h_BTD: Tensor = self.model.base_model(**inputs).last_hidden_state
            return h_BTD
        logits_BTV: Tensor = self.model(**inputs).logits
        return logits_BTV

    def _head(self, h_ND: Tensor) -> Tensor:
        if not self._apart:
            return h_ND
        logits_NV: Tensor = self.model.get_output_embeddings()(h_ND)
        return logits_NV

    def _head_comes_apart(self) -> bool:
        """Whether base model and output matrix give the model's own logits: some scale or cap them.

        Then the head is run at the predicting positions alone.
        """
        ids_1T = torch.arange(8, device=self.device)[None] % self.model.config.vocab_size
        with torch.inference_mode():
            whole = self.model(input_ids=ids_1T, use_cache=False).logits
            try:
                hidden = self.model.base_model(input_ids=ids_1T, use_cache=False).last_hidden_state
                parts = self.model.get_output_embeddings()(hidden)
            except (AttributeError, TypeError, RuntimeError):
                return False
        return parts.shape == whole.shape and bool(torch.equal(parts, whole))


def digest_file(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
