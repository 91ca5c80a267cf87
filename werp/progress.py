"""How far a job is: lines for the person watching, the same lines in the run's log, a bar on a terminal.

A job says what it is about to do with `stage`; a thread then tells every ten seconds how much of it is done,
at what rate, and how long the rest will take. Tasks that read whole files leave one small file for each
(`Heartbeat`); of all other work Spark itself knows how many tasks are done. Nothing that is counted for the
result goes this way.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from werp.watch import Watch, say, watched

__all__ = ["Done", "Heartbeat", "Work", "counted", "each", "say", "shown", "stage", "watched"]

_BEAT_SECONDS = 1.0
#: An estimate goes by so many last seconds: what an earlier attempt left is no speed.
_WINDOW_SECONDS = 120.0
_T = TypeVar("_T")


class Done(NamedTuple):
    """How much of a stage is done: `done` of `total`, and in words; of `unit`, whose rate is told, `made`."""

    done: int
    total: int
    words: str
    made: int = 0
    unit: str = ""


@dataclass
class Stage:
    """What a job is doing now. count: how much of it is done, or None where nobody knows."""

    label: str
    count: Callable[[], Done | None]
    started: float = field(default_factory=time.monotonic)
    samples: deque[tuple[float, int, int]] = field(default_factory=deque)

    def line(self) -> str:
        """What is done, the rate, the time so far, and what is left once there is anything to estimate by."""
        now = time.monotonic()
        elapsed = _duration(now - self.started)
        done = self.count()
        if done is None:
            return f"{self.label}, {elapsed}"
        if done.done and (not self.samples or now - self.samples[-1][0] >= 1):
            self.samples.append((now, done.done, done.made))
            while len(self.samples) > 2 and now - self.samples[1][0] > _WINDOW_SECONDS:
                self.samples.popleft()
        share = f" {100 * done.done / done.total:.0f} %," if done.total else ""
        return f"{self.label}:{share} {done.words}, {elapsed}{self._ahead(done, now)}"

    def _ahead(self, done: Done, now: float) -> str:
        if not self.samples:
            return ""
        then, first, made = self.samples[0]
        seconds, more = now - then, done.done - first
        if seconds < 1 or more <= 0:
            return ""
        rate = f", {_rate((done.made - made) / seconds)} {done.unit}/s" if done.unit else ""
        left = seconds * (done.total - done.done) / more
        return f"{rate}, about {_duration(left)} left" if done.done < done.total else rate


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> _duration(8.4), _duration(754), _duration(90_000)
    ('8 s', '12 min 34 s', '25 h 0 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def stage(label: str, count: Callable[[], Done | None] | None = None) -> Iterator[None]:
    """Say that this begins, and every ten seconds how far it is, until the block ends.

    count: how much is done; default: the tasks that Spark has done of its present job. Silent in a process
    that nobody watches (`watched`).
    """
    watch = Watch.current
    if watch is None:
        yield
        return
    with watch.doing(Stage(label, count or watch.tasks)):
        yield


def each(label: str, items: Iterable[_T], total: int) -> Iterator[_T]:
    """The items, one after the other, as a stage of this process."""
    done = 0
    with stage(label, lambda: Done(done, total, f"{done:,} of {total:,}")):
        for item in items:
            yield item
            done += 1


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


def counted(folder: Path, work: Work) -> Callable[[], Done]:
    """A count of the heartbeats in a folder. Finished files are read once: there may be many thousands."""
    finished: dict[str, list[int]] = {}

    def count() -> Done:
        totals = [0, 0, 0, 0]
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.endswith(".json") and name not in finished:
                    with contextlib.suppress(OSError, ValueError):
                        counts = json.loads((folder / name).read_text())
                        if counts[3]:
                            finished[name] = counts
                        else:
                            totals = [a + b for a, b in zip(totals, counts, strict=True)]
        for counts in finished.values():
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
        size, read, made, files = totals
        words = f"{files:,} of {work.files:,} files, {read:,} {work.read}, {made:,} {work.made}"
        return Done(size, work.bytes, words, made, work.made)

    return count


@contextlib.contextmanager
def shown(folder: Path, work: Work) -> Iterator[None]:
    """Show the heartbeats in `folder` while the block runs, as a stage of the job."""
    with (
        contextlib.nullcontext() if Watch.current else watched(),
        stage(work.label, counted(folder, work)),
    ):
        yield
