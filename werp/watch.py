"""The thread that tells what a job is doing: to standard error, to the run's log, and as a bar on a terminal.

Under spark-submit no stream of a job is a terminal, as it reads them through pipes. So there are lines, one
every ten seconds; a bar is drawn on the terminal itself (`/dev/tty`) where there is one and the job has it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from werp.progress import Done, Stage

LINE_SECONDS = 10.0
_LOOK_SECONDS = 0.5


class Watch:
    """What a job has said and is doing. One at a time in a process: `Watch.current`.

    tasks: how much of its present job Spark has done (see `werp.session`).
    """

    current: ClassVar[Watch | None] = None

    def __init__(self) -> None:
        self.tasks: Callable[[], Done | None] = lambda: None
        self.log: Path | None = None
        self._held: list[str] = []
        self._stages: list[Stage] = []
        self._writing = threading.RLock()
        self._last = time.monotonic()
        self._bar = _Bar()

    @contextlib.contextmanager
    def logged(self, path: Path) -> Iterator[None]:
        """Write what was said so far, and what will be, into a file too. How the block failed comes last."""
        self.log = path
        held, self._held = self._held, []
        self._append(*held)
        try:
            yield
        except BaseException as error:
            self._append(*getattr(error, "trace", "").splitlines())
            self._append(stamped(f"ended by {type(error).__name__}: {error}"))
            raise

    @contextlib.contextmanager
    def doing(self, stage: Stage) -> Iterator[None]:
        """Be in a stage for the block; within another one, that one goes on after it."""
        self._stages.append(stage)
        self.say(stage.label)
        try:
            yield
        finally:
            self._stages.remove(stage)

    def say(self, line: str, *, aloud: bool = True) -> None:
        """One line, or several. aloud: not only for the log."""
        with self._writing:
            self._last = time.monotonic()
            if aloud:
                self._bar.clear()
                _print(line)
            self._append(stamped(line))

    def _append(self, *lines: str) -> None:
        if self.log is None:
            self._held += lines
            return
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{line}\n" for line in lines)

    def tell(self, stop: threading.Event) -> None:
        """Until told to stop: a line where none was said for ten seconds, and the bar."""
        while not stop.wait(_LOOK_SECONDS):
            with contextlib.suppress(Exception):  # a count that fails is no reason to end a job
                stage = self._stages[-1]
                due = time.monotonic() - self._last >= LINE_SECONDS
                if due or self._bar.is_there:
                    line = stage.line()
                    self._bar.draw(line)
                    if due:
                        self.say(line, aloud=not self._bar.on_stderr)
        self._bar.clear()


def stamped(line: str) -> str:
    """The line with the time in front."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ} {line}"


def say(line: str) -> None:
    """One line for the person watching; in the log, too, where the job has one."""
    if Watch.current is not None:
        Watch.current.say(line)
    else:
        _print(line)


def _print(line: str) -> None:
    # Who reads along may have left (`| head`): that ends no run.
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Tell what this process is doing while the block runs."""
    watch, stop = Watch(), threading.Event()
    thread = threading.Thread(target=watch.tell, args=(stop,), daemon=True)
    Watch.current = watch
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(timeout=5)
        Watch.current = None


class _Bar:
    """One line of a terminal that is written over and over."""

    def __init__(self) -> None:
        self._file: Any = None
        self.on_stderr = False
        self._shown = False
        if os.environ.get("TERM", "dumb") == "dumb" or sys.stderr is None:
            return
        if sys.stderr.isatty():
            self._file, self.on_stderr = sys.stderr, True
        elif "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit stands between us and the terminal
            with contextlib.suppress(OSError):
                self._file = open("/dev/tty", "w", encoding="utf-8", errors="replace")  # noqa: SIM115

    @property
    def is_there(self) -> bool:
        """Whether there is a terminal that this process may write to: one in the background may not."""
        if self._file is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            return os.tcgetpgrp(self._file.fileno()) == os.getpgrp()
        return False

    def draw(self, line: str) -> None:
        if self.is_there:
            with contextlib.suppress(OSError, ValueError):
                width = os.get_terminal_size(self._file.fileno()).columns - 1
                self._file.write(f"\r{line[:width]}\x1b[K")
                self._file.flush()
                self._shown = True

    def clear(self) -> None:
        if self._shown and self.is_there:
            with contextlib.suppress(OSError, ValueError):
                self._file.write("\r\x1b[K")
                self._file.flush()
        self._shown = False
