"""How far a run is: heartbeats of the tasks, and the line or bar the driver shows of them.

Tasks leave one small file each in a shared folder; nothing that is counted for the run's
result goes this way.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_BEAT_SECONDS = 1.0
_LINE_SECONDS = 30.0


class Heartbeat:
    """A task's own progress file, rewritten about once a second."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._path = folder / f"{name}.json"
        self._size = size
        self._next = 0.0

    def beat(self, offset: int, records: int, pages: int) -> None:
        """Say how far into the input file the task is, in bytes, records and pages."""
        now = time.monotonic()
        if now >= self._next:
            self._write(min(offset, self._size), records, pages)
            self._next = now + _BEAT_SECONDS

    def done(self, records: int, pages: int) -> None:
        """Say that the file is finished."""
        self._write(self._size, records, pages)

    def _write(self, offset: int, records: int, pages: int) -> None:
        # Only a display: a full disk shows itself where results are written.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(f".{os.getpid()}.tmp")
            partial.write_text(json.dumps([offset, records, pages]))
            partial.replace(self._path)


def _sum(folder: Path) -> tuple[int, int, int]:
    totals = [0, 0, 0]
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            for index, value in enumerate(json.loads(path.read_text())):
                totals[index] += value
    return totals[0], totals[1], totals[2]


@contextlib.contextmanager
def shown(folder: Path, total_bytes: int, label: str) -> Iterator[None]:
    """Show the heartbeats in `folder` while the block runs: a bar on a terminal, lines in a log."""
    stop = threading.Event()
    target = _bar if sys.stderr.isatty() else _lines
    thread = threading.Thread(target=target, args=(folder, total_bytes, label, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(folder: Path, total_bytes: int, label: str, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[pages]:,} pages, {task.fields[rate]:.1f}/s"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task(label, total=max(total_bytes, 1), pages=0, rate=0.0)
        running = True
        while running:
            running = not stop.wait(0.5)
            done, _, pages = _sum(folder)
            rate = pages / max(time.monotonic() - started, 1e-9)
            progress.update(task, completed=done, pages=pages, rate=rate)


def _lines(folder: Path, total_bytes: int, label: str, stop: threading.Event) -> None:
    started = time.monotonic()
    first, _, first_pages = _sum(folder)
    while not stop.wait(_LINE_SECONDS):
        done, records, pages = _sum(folder)
        elapsed = time.monotonic() - started
        rate = (pages - first_pages) / elapsed
        left = elapsed * (total_bytes - done) / max(done - first, 1)
        say(
            f"{label}: {100 * done / max(total_bytes, 1):.0f} %, {records:,} records, {pages:,} pages,"
            f" {rate:.1f} pages/s, {elapsed:.0f} s, about {left:.0f} s left"
        )


def say(line: str) -> None:
    """One line for the person watching."""
    print(line, file=sys.stderr, flush=True)
