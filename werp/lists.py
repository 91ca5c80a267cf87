"""List files that rules name: where they are looked for, and how they are read.

A list is a UTF-8 file with one entry a line; `#` begins a comment line; case does not matter. A recipe may
name one by a path, or by a name under `$WERP_LISTS`, the cache, or `$WERP_DATA/blocklists`: the lists are
their publishers' and none is shipped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from werp.errors import WerpError
from werp.language import cache_dir
from werp.local import refuse_remote


def find_list(field: str, named: str) -> Path:
    """The file that a recipe's field names. Raises `WerpError` naming field, places and remedy."""
    refuse_remote(f"recipe field {field}:", named)
    places = [Path(named)]
    if not Path(named).is_absolute():
        if os.environ.get("WERP_LISTS"):
            places.append(Path(os.environ["WERP_LISTS"]) / named)
        places.append(cache_dir() / "lists" / named)
        if os.environ.get("WERP_DATA"):
            places.append(Path(os.environ["WERP_DATA"]) / "blocklists" / named)
    for place in places:
        if place.is_file():
            return place
    raise WerpError(
        f"recipe field {field}: cannot read list file {named!r} (looked at"
        f" {', '.join(map(str, places))}); name a text file with one entry a line, put it into the folder"
        " WERP_LISTS names, or leave the field out (null)"
    )


def list_digest(field: str, named: str | None) -> str | None:
    """SHA-256 of a list's content: a list may move, but not change, without a new measurement."""
    if named is None:
        return None
    return hashlib.sha256(_bytes(field, named)).hexdigest()


def read_list(field: str, named: str | None, clean: Callable[[str], str]) -> frozenset[str]:
    """The entries of a list, in lower case and cleaned; empty when none is named."""
    if named is None:
        return frozenset()
    try:
        lines = _bytes(field, named).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise WerpError(
            f"recipe field {field}: list file {named!r} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    entries = (clean(line.strip().lower()) for line in lines if not line.lstrip().startswith("#"))
    return frozenset(entry for entry in entries if entry)


def _bytes(field: str, named: str) -> bytes:
    path = find_list(field, named)
    try:
        return path.read_bytes()
    except OSError as error:
        raise WerpError(
            f"recipe field {field}: cannot read list file {str(path)!r} ({error.strerror}); name a text file"
            " with one entry a line, or leave the field out (null)"
        ) from error
