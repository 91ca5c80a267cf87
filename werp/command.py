"""How a command ends: a mistake of the user's is one clear message and an exit status, not a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from werp.errors import WerpError


def run(name: str, command: Callable[..., Any]) -> None:
    """Run a job's `main` with the words of the command line, or a typer application, and exit.

    The status is 0, 2 for what the user can put right, or the one that a `WerpError` names.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character shows its number
            stream.reconfigure(errors="backslashreplace")
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        app.command()(command)
    try:
        app()
    except WerpError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.status)
    except OSError as error:  # a full disk, a place that may not be written
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {where}{error.strerror}; name another place, or mend this one", file=sys.stderr)
        sys.exit(2)
    except ValueError as error:  # Arrow names the file
        if not str(error).startswith("Could not open Parquet"):
            raise
        print(f"{name}: {error}; the file is damaged, make it again", file=sys.stderr)
        sys.exit(2)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # `werp schema | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
