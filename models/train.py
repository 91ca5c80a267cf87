"""Train a small decoder on the CPU, for a given time or number of steps.

    python -m models.train --config models/configs/demo.yaml --tokens TOKENS --output MODEL

The output folder holds the checkpoint (see `models.checkpoint`), `metrics.jsonl` with one
row a step, and `loss.png`. With `--steps` a rerun gives the same losses, on one machine
with one number of threads; with `--seconds` the schedule follows the clock.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from models.checkpoint import count_parameters, save_checkpoint, write_whole
from models.config import TrainConfig, read_config
from models.data import IGNORED, Batch, Tokens, TrainingWindows, held_out_batches, token_bytes
from models.decoder import Decoder
from models.errors import ModelError
from models.ladder import LADDER, peak_learning_rate
from models.progress import Reporter

VOCABULARY_MULTIPLE = 128  # the embedding is padded to it, as DataDecide pads 50,280 to 50,304
FINAL_SHARE = 0.01  # of the peak rate, where the cosine ends


@dataclass(frozen=True)
class Validation:
    """Held-out measures. loss: nats a predicted token, document ends among them.

    bits_per_byte: over the tokens of text alone. None when no held-out token could be predicted.
    """

    loss: float | None
    bits_per_byte: float | None
    tokens: int


def train(config: TrainConfig) -> dict[str, Any]:
    """Train, validate, write the checkpoint; returns what its config.json tells about the run.

    Raises ModelError for unusable tokens and when a loss is not finite (nothing is saved then,
    the metrics stay).
    """
    tokens = Tokens.open(config.tokens)
    windows = TrainingWindows(tokens, config.window, config.batch_size, config.seed)
    tokenizer = _tokenizer_bytes(tokens)
    rung = LADDER[config.rung]
    vocabulary = math.ceil(tokens.metadata["vocabulary"] / VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    torch.manual_seed(config.seed)
    model = Decoder(rung, vocabulary)
    millions = [n / 1e6 for n in (rung.counted(vocabulary), count_parameters(model), rung.blocks)]
    print(
        f"{rung.name}: {millions[0]:.2f} M parameters as DataDecide counts them (head in, embedding out), "
        f"{millions[1]:.2f} M in all, {millions[2]:.2f} M without both\n"
        f"{config.tokens}: {windows.total:,} training tokens in {windows.count:,} windows of "
        f"{config.window}, {len(tokens.tokens) - windows.total:,} held out",
        flush=True,
    )
    config.output.mkdir(parents=True, exist_ok=True)
    (config.output / "config.json").unlink(missing_ok=True)
    steps, seconds, losses = _run(config, model, windows)
    validation = validate(model, tokens, config, token_bytes(Tokenizer.from_str(tokenizer.decode())))
    about = {
        "parameters": {
            "counted": rung.counted(vocabulary),
            "total": count_parameters(model),
            "blocks": rung.blocks,
        },
        "train": config.model_dump(mode="json", exclude={"tokens", "output"}),
        "tokens": tokens.metadata,
        "result": {
            "steps": steps,
            "seconds": round(seconds, 3),
            "tokens": steps * config.batch_size * config.window,
            "epochs": round(windows.epochs(steps), 4),
            "tokens_in_no_window": windows.uncovered,
            "first_loss": losses[0],
            "last_loss": sum(losses[-10:]) / len(losses[-10:]),
            "validation": asdict(validation),
        },
    }
    plot_losses(losses, validation.loss, config.output / "loss.png")
    save_checkpoint(config.output, model, tokenizer, about)
    return about


def _tokenizer_bytes(tokens: Tokens) -> bytes:
    try:
        return (tokens.folder / "tokenizer.json").read_bytes()
    except OSError as error:
        raise ModelError(f"{tokens.folder}/tokenizer.json: {error.strerror}; tokenize again") from error


def _run(config: TrainConfig, model: Decoder, windows: TrainingWindows) -> tuple[int, float, list[float]]:
    """The training loop: steps done, seconds taken, the loss of each step."""
    peak = config.learning_rate or peak_learning_rate(model.rung.counted(model.vocabulary))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=peak, betas=(0.9, 0.95), eps=1e-8, weight_decay=config.weight_decay
    )
    losses: list[float] = []
    begin, step, share = time.monotonic(), 0, 0.0
    with Reporter() as reporter, (config.output / "metrics.jsonl").open("w") as metrics:
        while share < 1:
            # By the clock the first step has no share behind it; at rate 0 it would be wasted.
            ahead = max(share, 0.01) if config.steps is None else (step + 1) / config.steps
            rate = learning_rate(ahead, peak, config.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = token_loss(model, windows.batch(step))
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise ModelError(f"step {step + 1}: the loss is {losses[-1]}; lower --learning-rate")
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            seconds = time.monotonic() - begin
            share = min(1.0, seconds / config.seconds) if config.steps is None else step / config.steps
            done = step * config.batch_size * config.window
            row = {"step": step, "loss": losses[-1], "learning_rate": rate, "gradient_norm": norm.item()}
            metrics.write(json.dumps({**row, "tokens": done, "seconds": round(seconds, 3)}) + "\n")
            reporter.step(step, share, losses[-1], done, seconds)
    return step, seconds, losses


def learning_rate(share: float, peak: float, warmup: float) -> float:
    """Linear from 0 to `peak` over the first `warmup` of the run, then a cosine to 1 % of it."""
    if share < warmup:
        return peak * share / warmup
    cosine = (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def token_loss(model: Decoder, batch: Batch) -> Tensor:
    """Mean nats over the positions that have a target; 0 when none has."""
    logits_BTV = model(batch.tokens, batch.documents)
    total = functional.cross_entropy(
        logits_BTV.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (batch.targets != IGNORED).sum().clamp(min=1)


@torch.inference_mode()
def validate(model: Decoder, tokens: Tokens, config: TrainConfig, lengths: Any) -> Validation:
    """Loss and bits per byte on the held-out documents.

    The first token of a document or window is given, not predicted, and counts in neither.
    `lengths`: bytes of each token id, see `token_bytes`.
    """
    model.eval()
    bytes_of = torch.from_numpy(lengths)
    nats = text_nats = 0.0
    count = text_bytes = 0
    for batch in held_out_batches(tokens, config.window, config.validation_tokens):
        targets = batch.targets.flatten()
        logits = model(batch.tokens, batch.documents).flatten(0, 1)
        losses = functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none").double()
        sizes = bytes_of[targets.clamp(min=0)] * (targets != IGNORED)
        nats, text_nats = nats + losses.sum().item(), text_nats + losses[sizes > 0].sum().item()
        count, text_bytes = count + int((targets != IGNORED).sum()), text_bytes + int(sizes.sum())
    return Validation(
        loss=nats / count if count else None,
        bits_per_byte=text_nats / math.log(2) / text_bytes if text_bytes else None,
        tokens=count,
    )


def plot_losses(losses: list[float], validation: float | None, path: Path) -> None:
    """The loss of every step, and the validation loss as a line, as a PNG."""
    import io  # noqa: PLC0415 - matplotlib takes half a second to import and only the end needs it

    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, linewidth=1, label="training")
    if validation is not None:
        axes.axhline(validation, color="C1", linestyle="--", label=f"held out, at the end: {validation:.3f}")
    axes.set(xlabel="step", ylabel="loss (nats a token)")
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_whole(path, image.getvalue())


def summary(about: dict[str, Any]) -> str:
    """The run in two lines: steps, speed, epochs and losses."""
    result, validation = about["result"], about["result"]["validation"]
    held_out = "held-out loss not measured"
    if validation["loss"] is not None:
        held_out = f"held-out loss {validation['loss']:.3f}"
    if validation["bits_per_byte"] is not None:
        held_out += f", {validation['bits_per_byte']:.3f} bits per byte"
    return (
        f"{result['steps']} steps, {result['tokens']:,} tokens ({result['epochs']:.2f} epochs) "
        f"in {result['seconds']:.1f} s, {result['tokens'] / result['seconds']:,.0f} tokens/s\n"
        f"loss {result['first_loss']:.3f} at first, {result['last_loss']:.3f} over the last ten steps, "
        f"{held_out}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a ModelError ends it with its text alone."""
    try:
        config = read_config(arguments)
        print(summary(train(config)), f"checkpoint: {config.output}", sep="\n")
    except ModelError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
