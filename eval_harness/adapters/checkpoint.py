"""A checkpoint of `models.train` as a model that scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from eval_harness.errors import EvalError


class CheckpointModel:
    """Loads a checkpoint folder onto the CPU; torch and `models` are imported only here.

    longest: tokens of the longest sequence scored so far. window: tokens a training sequence
    had; past it the model was never trained, so a longer prompt is scored all the same but told of.
    sha256: of the weights, so that a score names the model it belongs to.
    Raises EvalError when the folder is no checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        from models.checkpoint import load_checkpoint  # noqa: PLC0415
        from models.errors import ModelError  # noqa: PLC0415

        try:
            checkpoint = load_checkpoint(folder)
        except ModelError as error:
            raise EvalError(f"--model {folder}: {error}") from error
        self.model, self.tokenizer = checkpoint.model, checkpoint.tokenizer
        self.window: int = checkpoint.config["train"]["window"]
        self.name = f"{checkpoint.config['rung']['name']} at {folder.name}"
        self.sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        self.longest = 0

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """The log-probability in nats of each continuation after the context.

        Context and continuation are encoded apart; for a continuation that starts with a space
        after a context that does not end with one, byte-level BPE encodes the whole the same way.
        Raises ValueError for an empty context or continuation.
        """
        import torch  # noqa: PLC0415

        head = self.tokenizer.encode(context, add_special_tokens=False).ids
        tails = [self.tokenizer.encode(text, add_special_tokens=False).ids for text in continuations]
        if not head or not all(tails):
            raise ValueError(f"an empty text has no log-probability: {context!r}, {list(continuations)!r}")
        T = len(head) + max(map(len, tails))
        self.longest = max(self.longest, T)
        # Padding stands on the right, where causal attention never looks from an earlier position.
        tokens_BT = torch.tensor([head + tail + [0] * (T - len(head) - len(tail)) for tail in tails])
        with torch.inference_mode():
            logits_BTV = self.model(tokens_BT[:, :-1])[:, len(head) - 1 :]
            log_p_BT = logits_BTV.double().log_softmax(-1).gather(-1, tokens_BT[:, len(head) :, None])[..., 0]
        return [log_p_BT[row, : len(tail)].sum().item() for row, tail in enumerate(tails)]
