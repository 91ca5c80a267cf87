"""List files that rules name: where they are looked for, and how they are read.

A list is a UTF-8 file with one entry a line, which may be packed (gzip, xz, bzip2); `#` begins a comment;
case does not matter. Lists of hosts come in more formats (`werp.signals.list_lines`). A recipe may name one
by a path, or by a name under `$WERP_LISTS`, the cache, or `$WERP_DATA/blocklists`: the lists are their
publishers' and none is shipped.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from werp.errors import WerpError
from werp.language import cache_dir
from werp.local import refuse_remote

_TRAILING = re.compile(r"\s#.*")
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open,
}  # fmt: skip


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
    path = find_list(field, named)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(field, path, error.strerror) from error


def read_list(
    field: str, named: str | None, clean: Callable[[str], str], *, cut_comments: bool = False
) -> frozenset[str]:
    """The entries of a list, in lower case and cleaned; empty when none is named.

    clean: may raise `ValueError` for an entry that can't be one; the error gets file and line.
    cut_comments: what stands behind white space and `#` is a comment too.
    """
    if named is None:
        return frozenset()
    path = find_list(field, named)
    entries = set()
    for number, raw in enumerate(open_list(field, path), 1):
        try:
            line = raw.decode("utf-8").strip("\ufeff").strip().lower()
        except UnicodeDecodeError as error:
            raise not_utf8(field, path, number) from error
        if line.startswith("#"):
            continue
        try:
            entries.add(clean(_TRAILING.sub("", line) if cut_comments else line))
        except ValueError as error:
            raise WerpError(f"recipe field {field}: list file {path}, line {number}: {error}") from error
    return frozenset(entries - {""})


def open_list(field: str, path: Path) -> Iterator[bytes]:
    """The lines of a list file as bytes, unpacked; `WerpError` where it can't be read to its end."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
        opener = next((found for magic, found in _OPENERS.items() if start.startswith(magic)), None)
        with opener(path) if opener else path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number == 0 and b"\0" in line:
                    raise _unreadable(field, path, "an archive or no text; unpack it")
                yield line
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _unreadable(field, path, f"its packing is damaged: {error}") from error
    except OSError as error:
        raise _unreadable(field, path, error.strerror or str(error)) from error


def _unreadable(field: str, path: Path, why: str | None) -> WerpError:
    return WerpError(
        f"recipe field {field}: cannot read list file {str(path)!r} ({why}); name a text file"
        " with one entry a line, or leave the field out (null)"
    )


def not_utf8(field: str, path: Path, line: int) -> WerpError:
    """The error for a line that is no UTF-8."""
    return WerpError(
        f"recipe field {field}: list file {str(path)!r} is not UTF-8 (line {line}); save it as UTF-8"
    )
