"""How far a piece of work is: a bar on a terminal, else a line within two seconds and one every ten.

On standard error, so that what a command prints can be kept apart.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Left

FIRST, EVERY = 1.5, 10.0  # seconds
Advance = Callable[[int], None]


@contextlib.contextmanager
def shown(label: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
    """Show work while the block runs; it calls what it is given with how many more are done.

    total: how many there are, of `unit`; None where nobody can tell.
    """
    with bar(label, total, unit) if sys.stderr.isatty() else lines(label, total, unit) as advance:
        yield advance


@contextlib.contextmanager
def bar(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """A bar that goes with the work."""
    counts = (MofNCompleteColumn(), TextColumn(f"{unit}, left"), Left()) if total else (TimeElapsedColumn(),)
    columns = (TextColumn("{task.description:14}"), BarColumn(20), *counts)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda n: progress.advance(task, n)


@contextlib.contextmanager
def lines(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Lines, by a thread of their own: the work may be in one long call."""
    begin, done, stop = time.monotonic(), [0], threading.Event()

    def advance(n: int) -> None:
        done[0] += n

    def tell() -> None:
        wait = FIRST
        while not stop.wait(wait):
            print(line(label, done[0], total, unit, time.monotonic() - begin), file=sys.stderr, flush=True)
            wait = EVERY

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield advance
    finally:
        stop.set()
        thread.join()


def line(label: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """What is told: what is left is told once something is done.

    >>> line("piqa", 30, 120, "items", 10.0)
    'piqa: 30 of 120 items, 10 s, about 30 s left'
    """
    if total is None:
        return f"{label}, {seconds:.0f} s"
    left = f", about {seconds * (total - done) / done:.0f} s left" if done else ""
    return f"{label}: {done:,} of {total:,} {unit}, {seconds:.0f} s{left}"
