"""What a training run says while it runs: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0  # seconds between two lines of a log


class Reporter:
    """Shows loss, tokens a second and the time left; use as a context manager around the steps."""

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console, self.quiet = console or Console(), quiet
        self._last_line = time.monotonic() - LINE_EVERY
        self._bar = Progress(
            TextColumn("step {task.fields[step]}"),
            BarColumn(),
            TextColumn(
                "loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} tokens/s{task.fields[mfu]}  left"
            ),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=1.0, step=0, loss=float("nan"), rate=0.0, mfu="")

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(
        self, step: int, share: float, loss: float, tokens: int, seconds: float, mfu: float | None = None
    ) -> None:
        """Report a finished step; `share` of the run lies behind it after `seconds`."""
        if self.quiet:
            return
        rate = tokens / max(seconds, 1e-9)
        used = "" if mfu is None else f"  MFU {mfu:.1%}"
        if self.console.is_terminal:
            self._bar.update(self._task, completed=share, step=step, loss=loss, rate=rate, mfu=used)
        elif time.monotonic() - self._last_line >= LINE_EVERY or share >= 1:
            self._last_line = time.monotonic()
            left = seconds / share - seconds
            print(
                f"step {step}  {share:4.0%}  loss {loss:.3f}  {rate:,.0f} tokens/s{used}  {left:.0f} s left",
                flush=True,
            )


def tensorboard(output: Path, first: int) -> Any:
    """A writer of TensorBoard events; what an earlier run wrote of steps after `first` is not shown."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional package

    return SummaryWriter(str(output / "tensorboard"), purge_step=first + 1)
