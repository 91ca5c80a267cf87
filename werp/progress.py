"""How far a job is: heartbeats of the tasks, and the line or bar the driver shows of them.

Tasks leave one small file for each input file in a shared folder; nothing that is counted for the
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
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_BEAT_SECONDS = 1.0
_LINE_SECONDS = 30.0


class Heartbeat:
    """An input file's progress, rewritten about once a second by the task that reads it."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._path = folder / f"{name}.json"
        self._size = size
        self._next = 0.0

    def beat(self, offset: int, read: int, made: int) -> None:
        """Say how far into the input file the task is: bytes, what it read, what it made of it."""
        now = time.monotonic()
        if now >= self._next:
            self._write(min(offset, self._size), read, made, 0)
            self._next = now + _BEAT_SECONDS

    def done(self, read: int, made: int) -> None:
        """Say that the file is finished."""
        self._write(self._size, read, made, 1)

    def _write(self, *counts: int) -> None:
        # Only a display: a full disk shows itself where results are written.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(f".{os.getpid()}.tmp")
            partial.write_text(json.dumps(counts))
            partial.replace(self._path)


@dataclass(frozen=True)
class Work:
    """What is watched: `files` of `bytes` in all, of which tasks count what they read and what they made."""

    label: str
    files: int
    bytes: int
    read: str = "records"
    made: str = "pages"


class _Counts(NamedTuple):
    bytes: int
    read: int
    made: int
    files: int


def _sum(folder: Path) -> _Counts:
    totals = [0, 0, 0, 0]
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            for index, value in enumerate(json.loads(path.read_text())):
                totals[index] += value
    return _Counts(*totals)


@contextlib.contextmanager
def shown(folder: Path, work: Work) -> Iterator[None]:
    """Show the heartbeats in `folder` while the block runs: a bar on a terminal, lines in a log."""
    stop = threading.Event()
    target = _bar if sys.stderr.isatty() else _lines
    thread = threading.Thread(target=target, args=(folder, work, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(folder: Path, work: Work, stop: threading.Event) -> None:
    columns = (  # narrow enough for 80 characters
        TextColumn("{task.description}"), BarColumn(10), TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[said]}"), TextColumn("left"), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task(work.label, total=max(work.bytes, 1), said="")
        running = True
        while running:
            running = not stop.wait(0.5)
            now = _sum(folder)
            rate = now.made / max(time.monotonic() - started, 1e-9)
            said = f"{now.files:,}/{work.files:,} files, {now.made:,} {work.made}, {_rate(rate)}/s"
            progress.update(task, completed=now.bytes, said=said)


def _lines(folder: Path, work: Work, stop: threading.Event) -> None:
    started, first = time.monotonic(), _sum(folder)
    while not stop.wait(_LINE_SECONDS):
        now, elapsed = _sum(folder), time.monotonic() - started
        rate = (now.made - first.made) / elapsed
        left = elapsed * (work.bytes - now.bytes) / max(now.bytes - first.bytes, 1)
        share = 100 * now.bytes / max(work.bytes, 1)
        say(
            f"{work.label}: {share:.0f} %, {now.files:,} of {work.files:,} files,"
            f" {now.read:,} {work.read}, {now.made:,} {work.made}, {_rate(rate)} {work.made}/s,"
            f" {elapsed:.0f} s, about {left:.0f} s left"
        )


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def say(line: str) -> None:
    """One line for the person watching."""
    print(line, file=sys.stderr, flush=True)
