"""Keys that say when stored work may be used again.

A key is a hash of everything that a result follows from: the input's identity, the part
of the recipe that matters, and the package's own sources. One key never means two inputs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent


def hash_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, as hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def source_hash(*parts: str) -> str:
    """SHA-256 over the package's Python sources: those named (files or folders), or all of them.

    The sample crawl and the command line are left out: they don't touch a result.
    """
    roots = [_PACKAGE / part for part in parts] or [_PACKAGE]
    sources = {path for root in roots for path in ([root] if root.is_file() else root.rglob("*.py"))}
    digest = hashlib.sha256()
    for path in sorted(sources):
        name = path.relative_to(_PACKAGE).as_posix()
        if name.startswith("sample/") or name == "cli.py":
            continue
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
