"""Addresses that no path can serve: what is read or written lies on a local or a shared file system.

`Path("s3://bucket/x")` is a folder named `s3:`, so an address has to be refused before it is a path.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from werp.errors import WerpError

#: A scheme (RFC 3986) and a slash: `Path` makes one slash of two, and fsspec chains schemes by `::`. One
#: letter is none, so `c:/x` is left alone. Some tools name object stores and servers without a slash.
_ADDRESS = re.compile(
    r"(?:[a-z0-9_+.-]+::)*(?:[a-z][a-z0-9+.-]+(?=:/)|(?:s3[an]?|gs|gcs|abfss?|wasbs?|hdfs|https?|s?ftp|hf)(?=:))",
    re.IGNORECASE,
)


def refuse_remote(flag: str, given: str | Path) -> None:
    """Raise `WerpError` where a path is an address, or begins with `~`, naming flag, scheme and remedy."""
    text = str(given).strip()
    if re.match(r"~[\w.-]*(?:/|\Z)", text):
        raise WerpError(f"{flag} {text}: no shell has put a home folder for the ~; give the path in full")
    found = _ADDRESS.match(text)
    if found is None:
        return
    scheme, rest = found[0], text[found.end() + 1 :].lstrip("/")
    if scheme.lower() == "file":
        raise WerpError(f"{flag} {scheme}:///{rest}: {scheme}:// is not read; give the path alone: /{rest}")
    raise WerpError(
        f"{flag} {scheme}://{rest}: {scheme}:// can't be read or written, only local and shared folders can;"
        " copy the files to one and name it, or write to one and copy the files from there"
    )


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command of a typer application, which refuses addresses in all its parameters that are paths."""

    @functools.wraps(command)
    def checked(*args: Any, **given: Any) -> Any:
        for name, value in given.items():
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, Path):
                    refuse_remote(_flag(command, name), item)
        return command(*args, **given)

    return checked


def _flag(command: Callable[..., Any], name: str) -> str:
    """What the command line calls a parameter: `--input` where that was declared, else by its name."""
    metadata = getattr(get_type_hints(command, include_extras=True).get(name), "__metadata__", ())
    declared = [word for info in metadata for word in getattr(info, "param_decls", None) or ()]
    if any(type(info).__name__ == "ArgumentInfo" for info in metadata):
        return name.upper()
    return str(next((word for word in declared if word.startswith("--")), f"--{name.replace('_', '-')}"))
