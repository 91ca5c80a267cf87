"""Shards to tokens: one flat memory-mapped buffer, its document offsets and its tokenizer (see `werp.tokens.folder`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werp.tokens.build import tokenize
    from werp.tokens.folder import Metadata
    from werp.tokens.vocabulary import END

__all__ = ["END", "Metadata", "tokenize"]


def __getattr__(name: str) -> Any:
    """The three names, imported when asked for: the command line must start without the tokenizers package."""
    from werp.tokens import build, folder, vocabulary  # noqa: PLC0415

    homes = {"tokenize": build, "Metadata": folder, "END": vocabulary}
    if name not in homes:
        raise AttributeError(name)
    return getattr(homes[name], name)
