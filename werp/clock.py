"""What one page may cost outside the guard, and what becomes of a page that stops a step.

Reading, prefilters, line rules, masking, language identification and rules run in the task itself, many pages
at a time. Where a batch runs out of time or raises, it is done again a page at a time, so that the outcome of
a page never follows from its neighbours; the page that does so alone gets a `Failure` for its ledger row.

The clock is SIGALRM: Python code, `re`, sleeping and waiting all stop at it. A C function that neither
returns nor looks for signals does not; the package's own loops of that kind take time in proportion to the
text.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from werp.errors import WerpError

_T = TypeVar("_T")
_R = TypeVar("_R")
PAGE_SECONDS = 60.0  # a recipe's default
_AGAIN = 1.0  # seconds after which a page that swallowed the first alarm gets another


class Failure(NamedTuple):
    """The ledger's columns of a page that failed; `rule` is `timeout`, `out_of_memory` or `error`."""

    stage: str
    rule: str
    value: str
    threshold: str | None


class PageError(Exception):
    """Raised by `step` in place of what a page raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


class _Overrun(BaseException):
    """The time is up. No `Exception`, so that code under the clock doesn't take it for one of its own."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took longer than page_seconds={seconds:g}")
        self.seconds = seconds


@contextmanager
def step(stage: str, name: str) -> Iterator[None]:
    """Whatever is raised inside becomes `PageError`, but for `WerpError`: that is the recipe's fault.

    stage: the ledger's. name: what the failure's value begins with, a rule's name for one.
    """
    try:
        yield
    except (WerpError, PageError):
        raise
    except _Overrun as error:
        failure = Failure(stage, "timeout", f"{name}: {error}", f"page_seconds={error.seconds:g}")
        raise PageError(failure) from error
    except MemoryError as error:
        raise PageError(Failure(stage, "out_of_memory", f"{name}: {said(error)}", None)) from error
    except (Exception, SystemExit) as error:  # a stranger's page, or code, may raise whatever it likes
        raise PageError(Failure(stage, "error", f"{name}: {said(error)}", None)) from error


def attempt(work: Callable[[], _R], stage: str, name: str, seconds: float) -> _R | Failure:
    """The result of `work`, or why it has none: it raised, or took more than `seconds` of wall-clock time.

    Runs in the main thread alone, where Python handles signals: elsewhere `WerpError`. One that `work` raises
    goes through.
    """
    try:
        with step(stage, name), _at_most(seconds):
            return work()
    except PageError as failed:
        return failed.failure


def in_turn(
    rows: Sequence[_T], work: Callable[[Sequence[_T]], _R], stage: str, name: str, seconds: float
) -> Iterator[tuple[Sequence[_T], _R | Failure]]:
    """`work` on all rows at once; where that fails, on each alone. Yields (rows, result) in their order.

    All rows together get the time that one page may take: a result is never a failure of more than one row.
    """
    if len(rows) > 1:
        found = attempt(lambda: work(rows), stage, name, seconds)
        if not isinstance(found, Failure):
            yield rows, found
            return
    for index in range(len(rows)):
        one = rows[index : index + 1]
        yield one, attempt(lambda one=one: work(one), stage, name, seconds)  # type: ignore[misc]


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise _Overrun(seconds)

    if threading.current_thread() is not threading.main_thread():
        raise WerpError("the clock of `page_seconds` needs signals: start the run from the main thread")
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def said(error: BaseException) -> str:
    """An error and the line that raised it.

    >>> try:
    ...     [][0]
    ... except IndexError as error:
    ...     print(said(error).partition(" (")[0])
    IndexError: list index out of range
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error}"[:300].encode("utf-8", "replace").decode()
    return f"{text} ({Path(frame.filename).name}:{frame.lineno})"
