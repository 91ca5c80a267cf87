"""One training run from its first step to its last: launching, settling, saving, validating, finishing.

A step is put onto the device while the outcome of the one before is read. The checkpoint comes before the
validation of the same step, and the final checkpoint before the last one: what fails then costs no training.
A run that is asked to stop, or whose checkpoint is due by the clock, writes one after a step that all
processes have agreed on: each sends its wishes along with the targets that it counts.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import math
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from models.checkpoint import shape_of, write_checkpoint
from models.config import TrainConfig
from models.data import DataOrder, Row, Tokens, token_bytes
from models.engine import choose_attention, choose_engine, refuse_in_shards
from models.errors import ModelError
from models.ladder import LADDER
from models.peaks import peak_flops
from models.plots import plot_losses
from models.prefetch import Later, Prefetcher, Step, move
from models.processes import Processes
from models.progress import Reporter, tensorboard
from models.resume import (
    clear,
    cut_metrics,
    read_finished,
    refuse_another,
    refuse_changes,
    refuse_other_tokenizer,
)
from models.schedule import learning_rate
from models.settings import device_name, engine_options, make_engine, make_plan
from models.state import Checkpointer, checkpoints, read_facts, read_state
from models.stopping import SIGNALS, Stopped, StopRequest, handled
from models.validation import Validation, validate

VOCABULARY_MULTIPLE = 128  # the embedding is padded to it, as DataDecide pads 50,280 to 50,304
MOST_SKIPPED = 32  # steps on end that the spike guard may skip


@dataclass(frozen=True)
class Pending:
    """A step under way on the device, whose outcome is read while the next one runs."""

    step: int
    rate: float
    report: Later
    rows: list[Row]
    share: float


class Run:
    """One training run: its data, its engine, what it has done so far.

    Whatever can be refused is refused here, before the model is built.
    """

    engine: Any  # Engine or ShardedEngine, once it is built

    def __init__(self, config: TrainConfig, group: Processes) -> None:
        self.config, self.group = config, group
        self.folders = [Tokens.open(folder) for folder in config.folders]
        self.tokenizer = self.folders[0].tokenizer_bytes()
        self.rung = LADDER[config.rung]
        entries = self.folders[0].metadata["vocabulary"]
        self.vocabulary = math.ceil(entries / VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
        self.plan = make_plan(config, self.rung, self.vocabulary)
        if self.plan.batch % group.world:
            raise ModelError(f"batch_size: {self.plan.batch} is not a multiple of {group.world} processes")
        if config.seconds and group.world > 1:
            raise ModelError("seconds: processes' clocks differ; give --steps with torchrun")
        if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise ModelError("tensorboard: the package tensorboard is missing; pip install tensorboard")
        self.order = DataOrder(self.folders, config.window, self.plan.batch, config.seed, config.weights)
        self.steps = None if config.seconds else self.plan.steps
        self.options, self.optimizer = engine_options(config, self.plan, group)
        self.sharded = config.parallel == "fsdp" and group.world > 1
        self.backend = choose_engine(self.options, group.device)
        if self.sharded:
            self.backend = refuse_in_shards(self.options, self.optimizer)
        self.attention = choose_attention(
            self.options, self.backend, group.device, config.documents == "apart", self.rung.head_width
        )
        self.held = read_finished(config.output)
        if self.held is not None and not config.force:
            refuse_another(self.held, self.settings(), config.output)
        self.found = self.last_checkpoint()
        self.checkpointer = Checkpointer(config.output, config.keep, self.tokenizer)
        self.lengths = token_bytes(Tokenizer.from_str(self.tokenizer.decode()))
        self.step, self.seconds_before, self.paused = 0, 0.0, 0.0
        self.losses: list[tuple[int, float]] = []
        self.validations: list[tuple[int, Validation]] = []
        self.skipped = self.skipped_now = 0
        self.request = StopRequest(alone=group.world == 1)
        self.save_now = self.stop_now = False

    def last_checkpoint(self) -> Path | None:
        """The checkpoint to go on from, None to begin; ModelError where it is of another run than this."""
        found = checkpoints(self.config.output / "checkpoints")
        if self.held is not None or not found:
            return None
        refuse_changes(read_facts(found[-1]), self.config, self.order.fingerprint, found[-1])
        refuse_other_tokenizer(found[-1], self.tokenizer)
        return found[-1]

    def build(self) -> None:
        """Make the engine, with the model's initial weights."""
        self.engine = make_engine(
            self.rung, self.vocabulary, self.config.seed, self.group.device, self.options, self.optimizer,
            self.sharded,
        )  # fmt: skip

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.group.rank == 0

    def resume(self) -> None:
        """Take up the last checkpoint; begin where there is none."""
        output = self.config.output
        self.group.barrier()  # all have looked before anything goes
        if self.found is None:
            if self.leads:
                clear(output)
            self.group.barrier()
            return
        facts, state = read_state(self.found)
        try:
            self.engine.load(state)
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"{self.found}: not a state of this model ({error}); remove it to go on from the one before "
                "it"
            ) from error
        self.step, self.seconds_before = facts["step"], facts["seconds"]
        self.skipped = facts["skipped"]
        self.validations = [(step, Validation(**values)) for step, values in facts["validations"]]
        self.losses = cut_metrics(output / "metrics.jsonl", self.step, write=self.leads)
        self.group.barrier()
        if self.leads:
            print(f"going on after step {self.step} from {self.found}", flush=True)

    def train(self) -> dict[str, Any]:
        """All steps, the validations and checkpoints between them; returns what config.json tells.

        Raises Stopped where a signal ended it, after a checkpoint of its last step.
        """
        config, device = self.config, self.group.device
        self.resume()
        first = self.step
        micro = min(config.micro_batch, self.plan.batch // self.group.world)
        prefetcher = Prefetcher(
            self.order, first, micro, device, config.documents == "apart", self.group.rank, self.group.world
        )
        gc.collect()
        gc.freeze()  # later collections need not walk the imports: tens of milliseconds each
        self.begin = self.saved = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(self.checkpointer.wait)  # after an error too: who tries again finds it whole
            stack.callback(prefetcher.close)
            stack.callback(gc.unfreeze)
            self.metrics = (
                stack.enter_context((config.output / "metrics.jsonl").open("a")) if self.leads else None
            )
            self.board = (
                stack.enter_context(tensorboard(config.output, first))
                if config.tensorboard and self.leads
                else None
            )
            self.reporter = stack.enter_context(Reporter(quiet=not self.leads))
            stack.enter_context(handled(*SIGNALS, by=self.request.note))
            self.take_steps(prefetcher, first)
        return self.finish(self.step - first)

    def take_steps(self, prefetcher: Prefetcher, first: int) -> None:
        """The steps after `first`."""
        pending, over = None, self.finished()
        if first and (over or self.due(self.config.evaluate_every)):
            self.validations.append((first, self.evaluate()))  # killed between checkpoint and evaluation
        while not over:
            launched = self.launch(next(prefetcher))
            if pending is not None:
                self.settle(pending)
            pending = launched
            self.step += 1
            over = self.finished()  # asked once a step: by the clock the answer changes
            if self.group.world == 1:
                self.heed(*self.wishes())  # nobody else to agree with, so a step earlier
            every = (self.config.checkpoint_every, self.config.evaluate_every)
            if any(map(self.due, every)) or self.save_now or self.stop_now or over:
                self.settle(pending)
                pending = None
                self.save_and_evaluate(over)
                if self.stop_now and not over:
                    self.stop()

    def wishes(self) -> tuple[bool, bool]:
        """Whether a checkpoint is due by the clock, where the first process's counts, and whether a signal
        asks this process to stop.
        """
        every = 60 * self.config.checkpoint_minutes
        late = self.leads and 0 < every <= time.monotonic() - self.saved
        return late, self.request.number is not None

    def heed(self, save: bool, stop: bool) -> None:
        """Do so after this step."""
        self.save_now, self.stop_now = self.save_now or save, self.stop_now or stop

    def stop(self) -> None:
        """End where the checkpoint of this step is on disk."""
        self.checkpointer.wait()
        self.group.barrier()
        number = self.request.number or signal.SIGTERM  # another process's
        raise Stopped(
            number, f"after step {self.step:,}; the same words go on from {self.checkpointer.name(self.step)}"
        )

    def seconds(self) -> float:
        """Time trained so far, validations and checkpoints not counted."""
        return self.seconds_before + time.monotonic() - self.begin - self.paused

    def share(self) -> float:
        """The share of the run that lies behind."""
        if self.steps is not None:
            return self.step / self.steps
        return min(1.0, self.seconds() / (self.config.seconds or 1.0))

    def finished(self) -> bool:
        """Whether the run is over."""
        return self.share() >= 1 and self.step > 0

    def due(self, every: int) -> bool:
        """Whether something done every so many steps is due."""
        return every > 0 and self.step % every == 0

    def launch(self, data: Step) -> Pending:
        """Put a step onto the device."""
        # By the clock the first step has no share behind it; at rate 0 it would be wasted.
        ahead = max(self.share(), 0.01) if self.steps is None else (self.step + 1) / self.steps
        rate = learning_rate(ahead, self.plan.learning_rate, self.warmup(), self.config.schedule)
        # One sum over processes for both: the positions that the step predicts, and who wishes what.
        asked = move(torch.tensor([float(data.targets), *self.wishes()]), self.group.device)
        scale = 1 / self.group.sum(asked)[0].clamp(min=1)
        for batch in data.micro_batches:
            self.engine.accumulate(batch, scale)
        outcome = self.engine.update(rate)
        told = torch.stack((outcome.loss, outcome.norm, outcome.taken.float()))
        return Pending(self.step + 1, rate, Later(torch.cat((told, asked[1:]))), data.rows, ahead)

    def warmup(self) -> float:
        """Share of the run with a rising rate."""
        if self.config.warmup is not None:
            return self.config.warmup
        return 0.05 if self.steps is None else min(0.1, self.plan.warmup_steps / self.steps)

    def settle(self, done: Pending) -> None:
        """Read a step's outcome and write it down."""
        loss, norm, taken, save, stop = done.report.read()
        self.heed(save > 0, stop > 0)
        self.stop_where_lost(done, loss, norm, taken > 0)
        self.skipped += not taken
        self.losses.append((done.step, loss))
        seconds, tokens = self.seconds(), done.step * self.plan.batch * self.config.window
        rate = (done.step - self.losses[0][0] + 1) * self.plan.batch * self.config.window / max(seconds, 1e-9)
        row: dict[str, Any] = {
            "step": done.step,
            "loss": loss,
            "learning_rate": done.rate,
            "gradient_norm": norm,
        }
        row |= {"tokens": tokens, "seconds": round(seconds, 3), "skipped": not taken}
        if len(self.folders) > 1:
            windows = zip(self.config.folders, self.order.consumed(done.step), strict=True)
            row["sources"] = {str(folder): n * self.config.window for folder, n in windows}
        if self.metrics is not None:
            self.metrics.write(json.dumps(row) + "\n")
            self.metrics.flush()
        if self.board is not None:
            for key in ("loss", "learning_rate", "gradient_norm"):
                self.board.add_scalar(key, row[key], done.step)
        self.reporter.step(done.step, min(1.0, done.share), loss, tokens, seconds, self.utilization(rate))

    def stop_where_lost(self, done: Pending, loss: float, norm: float, taken: bool) -> None:
        """Stop on values that are not finite, naming the batch, and when no step is taken any more."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ModelError(
                f"step {done.step}: the loss is {loss}, the gradient's norm {norm}; lower --learning-rate, "
                f"or look at the batch:\n{self.order.describe(done.rows)}"
            )
        self.skipped_now = 0 if taken else self.skipped_now + 1
        if self.skipped_now == MOST_SKIPPED:
            # What skipped steps add to the guard's history makes up for all but a wild jump before this.
            raise ModelError(
                f"step {done.step}: {MOST_SKIPPED} steps on end were skipped as jumps of loss ({loss:.3f}) "
                "or gradient norm, so a step before them spoilt the weights, or the data changed; lower "
                "--learning-rate, or take every step with --spike 0"
            )

    def utilization(self, tokens_per_second: float) -> float | None:
        """Model FLOPs utilization; None on a device whose peak is not known."""
        peak = peak_flops(self.group.device)
        if peak is None:
            return None
        flops = self.rung.flops_per_token(self.config.window, self.vocabulary)
        return tokens_per_second * flops / (peak * self.group.world)

    def save_and_evaluate(self, over: bool) -> None:
        """The checkpoint first: an evaluation that fails costs no training. At the end it is waited for."""
        pause = time.monotonic()
        if self.due(self.config.checkpoint_every) or self.save_now or self.stop_now or over:
            self.save()
            self.save_now, self.saved = False, time.monotonic()
        if over or (self.due(self.config.evaluate_every) and not self.stop_now):
            if over:
                self.checkpointer.wait()
            self.validations.append((self.step, self.evaluate()))
            if self.board is not None and self.validations[-1][1].loss is not None:
                self.board.add_scalar("held_out_loss", self.validations[-1][1].loss, self.step)
        self.paused += time.monotonic() - pause

    def save(self) -> None:
        """Write the checkpoint of this step."""
        facts = {
            "step": self.step, "seconds": self.seconds(), "skipped": self.skipped, "world": 1,
            "fingerprint": self.order.fingerprint, "train": self.config.model_dump(mode="json"),
            "validations": [(step, asdict(value)) for step, value in self.validations],
        }  # fmt: skip
        config = {**shape_of(self.rung, self.vocabulary), **self.about()}
        if self.sharded:
            state = self.engine.state()
            self.checkpointer.save_shards(self.step, self.engine.weights(), state, config, facts, self.group)
        elif self.leads:
            self.checkpointer.save(self.step, self.engine.weights(), self.engine.state(), config, facts)

    def evaluate(self) -> Validation:
        """Held-out measures; every process computes all of them."""
        return validate(
            self.engine.losses, self.folders, self.config.window, self.config.validation_tokens, self.lengths,
            self.group.device, self.config.documents == "apart", rows=min(8, self.config.micro_batch),
        )  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """What config.json says of the settings and of the tokens; known before the model is built."""
        return {
            "train": {
                **self.config.model_dump(mode="json", exclude={"tokens", "output", "sources"}),
                "batch_size": self.plan.batch, "learning_rate": self.plan.learning_rate,
                "weight_decay": self.plan.weight_decay, "z_loss": self.plan.z_loss,
                "backend": self.backend, "attention": self.attention, "processes": self.group.world,
                "device": device_name(self.group.device), "torch": torch.__version__,
            },
            "tokens": self.folders[0].metadata,
            "sources": [{"share": q / sum(self.order.quotas), **f.metadata}
                        for q, f in zip(self.order.quotas, self.folders, strict=True)],
        }  # fmt: skip

    def about(self) -> dict[str, Any]:
        """What config.json says of the run beside the shape."""
        rung, vocabulary, settings = self.rung, self.vocabulary, self.settings()
        settings["train"]["products"] = self.engine.products()
        return {
            "parameters": {
                "counted": rung.counted(vocabulary), "total": rung.total(vocabulary), "blocks": rung.blocks
            },
            **settings,
        }  # fmt: skip

    def finish(self, steps_now: int) -> dict[str, Any]:
        """The final checkpoint and the picture."""
        validation = self.validations[-1][1]
        seconds, tokens = self.seconds(), self.plan.batch * self.config.window
        last = [loss for _, loss in self.losses[-10:]]
        about = self.about() | {
            "result": {
                "steps": self.step, "seconds": round(seconds, 3), "tokens": self.step * tokens,
                "tokens_per_second": round(self.step * tokens / seconds, 1),
                "mfu": self.utilization(self.step * tokens / seconds),
                "steps_after_resume": steps_now, "skipped_steps": self.skipped,
                "epochs": round(max(self.order.epochs(self.step)), 4),
                "windows_by_source": self.order.consumed(self.step),
                "tokens_in_no_window": sum(source.uncovered for source in self.order.sources),
                "first_loss": self.losses[0][1], "last_loss": sum(last) / len(last),
                "validation": asdict(validation),
                "validations": [{"step": step, **asdict(value)} for step, value in self.validations],
            }
        }  # fmt: skip
        weights = self.engine.weights()
        if self.leads:
            points = [(step, value.loss) for step, value in self.validations if value.loss is not None]
            plot_losses(self.losses, points, self.config.output / "loss.png", self.rung.name)
            config = {**shape_of(self.rung, self.vocabulary), **about}
            write_checkpoint(self.config.output, weights, self.tokenizer, config)
        self.group.barrier()
        return about
