"""Train a decoder of the ladder, on a CPU, a GPU or several.

    python -m models.train --config models/configs/demo.yaml --tokens TOKENS --output MODEL
    python -m models.train --rung 150M --tokens TOKENS --output MODEL --checkpoint-every 500
    torchrun --nproc-per-node 8 -m models.train --rung 1B --tokens TOKENS --output MODEL

The output folder holds the checkpoint (see `models.checkpoint`), `metrics.jsonl` with one row a step,
`loss.png`, and under `checkpoints/` those on the way. A run that was killed goes on where its last one was
when started again with the same words: with `--deterministic` (on a CPU always) to the same bits as if
nothing had happened. A finished run is left alone, and replaced only with `--force`. SIGTERM or Ctrl-C end it
after a checkpoint of the step under way; a second Ctrl-C at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import torch

from models.checkpoint import make_folder
from models.config import TrainConfig, read_config
from models.errors import ModelError
from models.ladder import VOCABULARY
from models.peaks import peak_flops
from models.processes import Processes, processes
from models.resume import locked
from models.run import Run
from models.settings import device_name
from models.stopping import SIGNALS, Stopped, at_once, handled

DEMO_VOCABULARY = 4096  # entries that demo-4M is named for: those that werp tokenize trains by itself
MOST_OFF = 0.1  # of its named size, before a model is called another one


def set_determinism() -> None:
    """The same bits every time: deterministic kernels, no choice by timing."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def announce(run: Run) -> None:
    """What will be done, in a few lines."""
    rung, order, vocabulary = run.rung, run.order, run.vocabulary
    millions = [n / 1e6 for n in (rung.counted(vocabulary), rung.total(vocabulary), rung.blocks)]
    peak = peak_flops(run.group.device)
    print(
        f"{rung.name}: {millions[0]:.2f} M parameters as DataDecide counts them (head in, embedding out), "
        f"{millions[1]:.2f} M in all, {millions[2]:.2f} M without both"
    )
    warn_of_another_size(run)
    for folder, source, quota in zip(run.config.folders, order.sources, order.quotas, strict=True):
        print(
            f"{folder}: {source.total:,} training tokens in {source.count:,} windows of {run.config.window}, "
            f"{len(source.tokens.tokens) - source.total:,} held out, share {quota / sum(order.quotas):.1%}"
        )
    length = f"{run.steps:,} steps" if run.steps else f"{run.config.seconds:g} s"
    print(
        f"{length} of {run.plan.batch} sequences, peak rate {run.plan.learning_rate:.2e}; "
        f"{device_name(run.group.device)} x {run.group.world}, {run.engine.backend} backend, "
        f"{run.attention} attention, products by {run.engine.products()}"
    )
    if peak:
        print(
            f"MFU = (6 N + 6 L T d = {rung.flops_per_token(run.config.window, vocabulary) / 1e9:.3f} GFLOP) "
            f"x tokens/s / {peak / 1e12:.0f} TFLOP/s"
        )
    sys.stdout.flush()


def warn_of_another_size(run: Run) -> None:
    """Tell where the tokenizer makes another model of the rung than the one it is named for."""
    rung, now = run.rung, run.rung.counted(run.vocabulary)
    entries = DEMO_VOCABULARY if rung.name == "demo-4M" else VOCABULARY
    named = rung.counted(entries)
    if abs(now - named) > MOST_OFF * named:
        print(
            f"warning: with the {run.folders[0].metadata['vocabulary']:,} entries of these tokens' tokenizer "
            f"{rung.name} has {now / 1e6:.1f} M parameters in place of the {named / 1e6:.1f} M that it has "
            f"with {entries:,}: losses, budgets and rates are not those of a {rung.name}. Remedy: werp "
            "tokenize --tokenizer FILE, with a tokenizer of about so many entries (GPT-NeoX's has 50,280)",
            file=sys.stderr,
        )


def train(config: TrainConfig) -> dict[str, Any]:
    """Train, validate, write the checkpoint; returns what its config.json tells about the run.

    Raises ModelError for unusable tokens, settings that can't be met, and when a loss is not finite (no final
    checkpoint is written then; the metrics and the checkpoints before it stay).
    """
    if config.deterministic:
        set_determinism()
    with processes(config.device) as group:
        return _train(config, group)


def _train(config: TrainConfig, group: Processes) -> dict[str, Any]:
    """On its own, so that nothing holds the run, and by its shards the group, when the group is left."""
    make_folder(config.output)
    with locked(config.output) if group.rank == 0 else contextlib.nullcontext():
        run = Run(config, group)
        if run.held is not None and not config.force:
            if run.leads:
                print(f"{config.output}: this run is finished already; --force does it again", flush=True)
            return run.held
        run.build()
        if run.leads:
            announce(run)
        about = run.train()
        if run.leads:
            print(summary(about))
        return about


def summary(about: dict[str, Any]) -> str:
    """The run in two lines: steps, speed, epochs and losses."""
    result, validation = about["result"], about["result"]["validation"]
    held_out = "held-out loss not measured"
    if validation["loss"] is not None:
        held_out = f"held-out loss {validation['loss']:.3f}"
    if validation["bits_per_byte"] is not None:
        held_out += f", {validation['bits_per_byte']:.3f} bits per byte"
    mfu = f", MFU {result['mfu']:.1%}" if result["mfu"] else ""
    return (
        f"{result['steps']} steps, {result['tokens']:,} tokens ({result['epochs']:.2f} epochs) "
        f"in {result['seconds']:.1f} s, {result['tokens_per_second']:,.0f} tokens/s{mfu}\n"
        f"loss {result['first_loss']:.3f} at first, {result['last_loss']:.3f} over the last ten steps, "
        f"{held_out}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a ModelError ends it with its text alone, a signal with a line and its status."""
    try:
        with handled(*SIGNALS, by=at_once):
            config = read_config(arguments)
            train(config)
    except ModelError as error:
        sys.exit(f"error: {error}")
    except Stopped as stopped:
        end(stopped)
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"checkpoint: {config.output}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        leave(0)


def end(stopped: Stopped) -> NoReturn:
    """Say by what and where a run was stopped; the status is 128 and the signal's number, as of shells."""
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"stopped by {signal.Signals(stopped.number).name} {stopped}", file=sys.stderr)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        leave(128 + stopped.number)
    sys.exit(128 + stopped.number)


def leave(status: int) -> NoReturn:
    """End one process of several at once: all is on disk and the group is left.

    torch's threads can abort a process while its interpreter ends (one run of a hundred, on a busy machine),
    and torchrun would call the whole run failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
