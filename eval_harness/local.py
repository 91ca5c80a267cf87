"""Addresses that no path can serve: all that is read or written lies on a local or a shared file system.

`Path("s3://bucket/x")` is a folder named `s3:`, so a parameter that is a path takes no address.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import typer

from eval_harness.errors import EvalError

#: A scheme (RFC 3986) and a slash: `Path` makes one slash of two. Object stores are also named without.
_ADDRESS = re.compile(
    r"(?:[a-z0-9_+.-]+::)*(?:[a-z][a-z0-9+.-]+(?=:/)|(?:s3[an]?|gs|gcs|abfss?|wasbs?|hdfs|https?|s?ftp|hf)(?=:))",
    re.I,
)


def refuse_remote(flag: str, given: str | Path) -> None:
    """Raise `EvalError` where a path is an address, naming flag, scheme and remedy."""
    text = str(given).strip()
    found = _ADDRESS.match(text)
    if found:
        rest = text[found.end() + 1 :].lstrip("/")
        remedy = "name a local or shared path, and copy the files from or to elsewhere"
        if found[0].lower() == "file":
            remedy = f"give the path alone: /{rest}"
        raise EvalError(f"{flag} {found[0]}://{rest}: {found[0]}:// can't be read or written; {remedy}")


def refuse_addresses(app: typer.Typer) -> None:
    """Have every command of an application refuse addresses in its parameters that are paths."""
    for registered in app.registered_commands:
        if registered.callback is not None:
            registered.callback = _refusing(registered.callback)


def _refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def checked(*args: Any, **given: Any) -> Any:
        for name, value in given.items():
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, Path):
                    refuse_remote(_flag(command, name), item)
        return command(*args, **given)

    return checked


def _flag(command: Callable[..., Any], name: str) -> str:
    """What the command line calls a parameter: `--data` where that was declared, else by its name."""
    metadata = getattr(get_type_hints(command, include_extras=True).get(name), "__metadata__", ())
    declared = [word for info in metadata for word in getattr(info, "param_decls", None) or ()]
    if any(type(info).__name__ == "ArgumentInfo" for info in metadata):
        return name.upper()
    return str(next((word for word in declared if word.startswith("--")), f"--{name.replace('_', '-')}"))
