"""Shards to tokens: one flat memory-mapped buffer, its document offsets and its tokenizer (see
`werp.tokens.folder`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werp.tokens.build import tokenize
    from werp.tokens.folder import Metadata
    from werp.tokens.plain import END

__all__ = ["END", "Metadata", "tokenize"]


_HOMES = {"tokenize": "build", "Metadata": "folder", "END": "plain"}


def __getattr__(name: str) -> Any:
    """The three names, imported when asked for: `werp` must start without the tokenizers package."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
