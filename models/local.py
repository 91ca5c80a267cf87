"""Addresses that no path can serve: all that is read or written lies on a local or a shared file system.

`Path("s3://bucket/x")` is a folder named `s3:`, so a flag or key that is a path takes no address.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

#: A scheme (RFC 3986) and a slash: `Path` makes one slash of two. Object stores are also named without.
_ADDRESS = re.compile(
    r"(?:[a-z0-9_+.-]+::)*(?:[a-z][a-z0-9+.-]+(?=:/)|(?:s3[an]?|gs|gcs|abfss?|wasbs?|hdfs|https?|s?ftp|hf)(?=:))",
    re.I,
)


def _no_address(value: Any) -> Any:
    """The value, where it is no address; ValueError naming scheme and remedy."""
    text = str(value).strip()
    found = _ADDRESS.match(text) if isinstance(value, str | Path) else None
    if found is None:
        return value
    if found[0].lower() == "file":
        rest = text[found.end() + 1 :].lstrip("/")
        raise ValueError(f"file:// addresses are not read; give the path alone: /{rest}")
    raise ValueError(
        f"{found[0]}:// can't be read or written, only local and shared folders can; copy what is there to a"
        " folder and name that, or write to a folder and copy it there"
    )


#: A path in a typed configuration.
LocalPath = Annotated[Path, BeforeValidator(_no_address)]


def local_path(text: str) -> Path:
    """A path given to a flag of argparse; its error names the flag."""
    try:
        return Path(_no_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
