"""A Hugging Face folder (`config.json`, `model.safetensors`, `tokenizer.json`) as a model that scores.

Needs the package `transformers`, which is loaded here alone. No code of the folder is run, and weights
are read from safetensors only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from eval_harness.adapters.positions import examine
from eval_harness.adapters.torch_model import TOLERANCE, TorchModel
from eval_harness.errors import EvalError


class HuggingFaceModel(TorchModel):
    """A decoder of `transformers`, run through scaled_dot_product_attention.

    A model with sliding windows is scored row by row: a tree's mask would overrule them. So is one that
    counts its positions itself. One that looks positions up in a table can't run past its end.
    Raises EvalError when the package is missing, the folder can't be loaded, or its tokens see later ones.
    """

    def __init__(self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        try:
            from transformers import AutoModelForCausalLM  # noqa: PLC0415
        except ImportError as error:
            raise EvalError(
                f"--model {folder}: a Hugging Face folder needs transformers: pip install transformers"
            ) from error
        try:
            safe = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
            try:
                model: Any = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=dtype, attn_implementation="sdpa", **safe
                )
            except ValueError as error:
                if "scaled_dot_product_attention" not in str(error):
                    raise
                model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **safe)
            self.model = model.eval()
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise EvalError(f"--model {folder}: can't be loaded by transformers: {error}") from error
        config = self.model.config
        ends = getattr(config, "max_seq_len", None)  # of MPT, whose table of distances ends there
        self.window = int(getattr(config, "max_position_embeddings", None) or ends or 2048)
        positions = examine(self.model, self.window, TOLERANCE[dtype])
        if not positions.causal:
            raise EvalError(
                f"--model {folder}: its tokens see those after them, so that it can't be asked for the next "
                'one; name a decoder (for a BERT that was trained as one, "is_decoder": true in config.json)'
            )
        self.hard_window = positions.table is not None or ends is not None
        self.window = min(self.window, positions.table or self.window)
        self.device, self.dtype = torch.device(device), dtype
        self.model.to(self.device)
        self.start = start_tokens(folder, self.tokenizer)
        self.start_names = [str(self.tokenizer.id_to_token(number)) for number in self.start]
        self.name = f"{config.model_type} at {folder.name}"
        weights = sorted(folder.glob("*.safetensors"))
        self.sha256 = hashlib.sha256(b"".join(digest_file(path) for path in weights)).hexdigest()
        sliding = getattr(config, "sliding_window", None) or "sliding_attention" in (
            getattr(config, "layer_types", None) or ()
        )
        self._apart, self._given = self._head_comes_apart(), positions.given
        self._set_up(config.vocab_size)
        self.shares_prefix &= not sliding and self._given

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
            "start_tokens": self.start_names,
        }

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """Hidden states of every position, or their logits where the head can't be taken off.

        The mask is set where attention is called; it is passed on so that the library makes none of its own,
        for which it would wait for the device.
        """
        inputs = {
            "input_ids": tokens_BT,
            "attention_mask": mask_B1TS,
            "use_cache": False,
        }
        if self._given:
            inputs["position_ids"] = positions_BT
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


def start_tokens(folder: Path, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that a model's texts begin with, as its tokenizer's files say and the library adds them.

    tokenizer.json: what its post-processor puts before a text. tokenizer_config.json: `add_bos_token`, true
    or false, where it stands there, has the last word on `bos_token`.
    """
    encoding = tokenizer.encode("a", add_special_tokens=True)
    mask = [*encoding.special_tokens_mask, 0]
    start = tuple(encoding.ids[: mask.index(0)])
    path = folder / "tokenizer_config.json"
    try:
        config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        wanted, token = config.get("add_bos_token"), config.get("bos_token")
    except (OSError, ValueError, AttributeError) as error:
        raise EvalError(f"--model {folder}: {path}: not a tokenizer's configuration: {error}") from error
    if wanted is None:
        return start
    name = token.get("content") if isinstance(token, dict) else token
    first = tokenizer.token_to_id(name) if isinstance(name, str) else None
    if not wanted:
        return tuple(number for number in start if number != first)
    if first is None:
        raise EvalError(
            f"--model {folder}: {path}: add_bos_token is set, and bos_token {name!r} is no entry of "
            "tokenizer.json; name the start token, or set add_bos_token to false"
        )
    return start if first in start else (first, *start)


def digest_file(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
