"""Signals that ask a run to end: SIGTERM, as schedulers send before they take a machine back, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """A run that the signal `number` ended; its text says where the same words go on."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class StopRequest:
    """The first signal that came, to be looked at between two steps.

    alone: a second Ctrl-C then ends the run at once. Under torchrun one Ctrl-C comes twice, from the terminal
    and from torchrun.
    """

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self.number: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.number is not None and number == signal.SIGINT and self.alone:
            at_once(number, frame)
        self.number = self.number or number


def at_once(number: int, _frame: FrameType | None) -> None:
    """Take a signal where no step is to be waited for: raises Stopped."""
    raise Stopped(number, "at once; the same words go on from the last checkpoint, if one was written")


@contextmanager
def handled(*numbers: int, by: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have signals handled `by` a function, in the main thread, which alone may; those that the process was
    started to ignore stay ignored.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, by) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
