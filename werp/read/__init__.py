"""Reading WARC and ARC files (records, the HTTP message inside, the charset of its page) and rows of text."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werp.read.archive import read_records
    from werp.read.charset import decode_html
    from werp.read.http import HttpError, HttpMessage, parse_http
    from werp.read.records import Damage, Record
    from werp.read.rows import Given, is_rows, read_rows

__all__ = [
    "Damage",
    "Given",
    "HttpError",
    "HttpMessage",
    "Record",
    "decode_html",
    "is_rows",
    "parse_http",
    "read_records",
    "read_rows",
]
_HOMES = {
    "read_records": "archive", "decode_html": "charset", "HttpError": "http", "HttpMessage": "http",
    "parse_http": "http", "Damage": "records", "Record": "records", "Given": "rows", "is_rows": "rows",
    "read_rows": "rows",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imported when asked for: `werp tokenize` reads rows where the packages that pages need are missing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
