"""How a command ends: a mistake of the user's is one clear message and an exit status, not a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from werp.errors import Stopped, WerpError, from_os
from werp.local import refusing

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(name: str, command: Callable[..., Any]) -> None:
    """Run a job's `main` with the words of the command line, or a typer application, and exit.

    A parameter that is a path takes no address: `s3://` is refused before anything is done.

    The status is 0, 2 for what the user can put right, or the one that a `WerpError` names; 128 and the
    signal's number where one ended it (130 after Ctrl-C), 141 where nobody read on what it printed.
    """
    _open_streams()
    _stop_on_signals()
    app = command
    if not isinstance(app, typer.Typer):
        app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        app.command()(command)
    for registered in app.registered_commands:
        if registered.callback is not None:
            registered.callback = refusing(registered.callback)
    try:
        app()
    except SystemExit as ended:
        # So click ends a program whose reader has left: with 1, its streams wrapped so that they say nothing.
        if ended.code == 1 and type(sys.stdout).__name__ == "PacifyFlushWrapper":
            sys.exit(128 + signal.SIGPIPE)
        raise
    except (Stopped, Exception) as error:
        message, status = _told(error)
        _end(name, message, error, status)
    finally:
        _flush(name)


def _flush(name: str) -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `werp schema | head` has read enough
            _end(name, str(from_os(error)), error, 2)


def _told(error: BaseException) -> tuple[str, int]:
    """The message and the status of what a person can put right; anything else is a bug, and raised again."""
    if isinstance(error, Stopped):
        return f"ended by {error}", error.status
    if isinstance(error, WerpError):
        return str(error), error.status
    if isinstance(error, OSError) and error.errno is not None:  # a full disk, a place that may not be written
        return str(from_os(error)), 2
    if isinstance(error, MemoryError):
        return "out of memory; use fewer workers, or a machine with more", 1
    if isinstance(error, ValueError) and str(error).startswith(
        "Could not open Parquet"
    ):  # Arrow names the file
        return f"{error}; the file is damaged, make it again", 2
    raise error


def _end(name: str, message: str, error: BaseException, status: int) -> NoReturn:
    """Say how it ended, with what was noted on the way up, and exit."""
    text = "\n".join([f"{name}: {message}", *getattr(error, "__notes__", ())])
    if isinstance(error, Stopped) and "PYSPARK_GATEWAY_PORT" in os.environ:
        # Ctrl-C ends spark-submit, too, which stands between us and the terminal.
        with contextlib.suppress(OSError), open("/dev/tty", "w", encoding="utf-8") as terminal:
            print(text, file=terminal)
            sys.exit(status)
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
    sys.exit(status)


def _open_streams() -> None:
    """Open what was closed (`2>&-`): the next file would get the number, and what is printed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least free number
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character shows its number
            stream.reconfigure(errors="backslashreplace")


def _stop_on_signals() -> None:
    """Ctrl-C, `kill` and a closed terminal become `Stopped`, unless they are ignored (nohup, `&`)."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise Stopped(number)

    usual = sys.unraisablehook

    def again(lost: sys.UnraisableHookArgs) -> None:
        """Ask anew where the signal came in a destructor, which Python lets go on."""
        if isinstance(lost.exc_value, Stopped):
            threading.Timer(0.05, os.kill, (os.getpid(), lost.exc_value.number)).start()
        else:
            usual(lost)

    sys.unraisablehook = again
    with contextlib.suppress(ValueError):  # not the main thread
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, stop)
